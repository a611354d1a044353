"""From a bare chip to a device: MicroPython, laclet and the configuration, written at once where that can be."""

import hashlib
import time
from typing import Any

from ..ui import Trouble
from . import esp, files
from .firmware import SUFFIXES, Image
from .job import Job
from .link import Link
from .ports import Absent, DeviceError, Mute, WrongDevice
from .progress import Tell

_BOOT = 25.0  # s until a board that was just flashed must answer: it formats and compiles nothing, but USB comes late


def flash(job: Job, tell: Tell) -> dict[str, Any]:
    """Do it; what was done as plain values. Raises ``Trouble``."""
    began = time.monotonic()
    method = files.board_named(job.board)["deploy_options"]["method"] if job.board else _method(job)
    if method == "esptool":
        done = _with_esptool(job, tell)
    elif method == "uf2":
        from .uf2 import write

        done = write(job, tell)
    elif method == "dfu":
        from .dfu import write

        done = write(job, tell)
    else:
        raise Trouble(f"{job.board} is not flashed: it runs Linux; see laclet run", 2)
    if job.check and job.port and not job.keep:
        tell("waiting for it to answer", None)
        done["hostname"] = wait_for_device(job.port)["hostname"]
    tell("done", 100.0)
    return {**done, "seconds": round(time.monotonic() - began, 1)}


def _method(job: Job) -> str:
    """How to flash a board that was not named."""
    return "uf2" if job.volume else "esptool"


def _with_esptool(job: Job, tell: Tell) -> dict[str, Any]:
    if job.port is None:
        raise Trouble("which port? give --port; laclet devices lists them", 2)
    tool = esp.Esptool(job.port, tell)
    chip = tool.identify()
    name = job.board or board_of(chip.name, job.port)
    board = files.board_named(name)
    options = board["deploy_options"]
    if options["chip"] != chip.name:
        raise WrongDevice(f"{job.port}: has an {chip.name}, not the {options['chip']} of {name}; name the right board")
    image = job.image(name, SUFFIXES["esptool"])
    offset = int(options["flash_offset"], 16)
    data = esp_image(image, board, chip.flash_size, job, tell)
    baud = tool.write(chip.name, [(offset, data)], job.baud or options["baud"])
    about = {"port": job.port, "board": name, "chip": chip.name, "mac": chip.mac, "image": image.name, "baud": baud}
    return {**about, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def esp_image(image: Image, board: dict[str, Any], flash_size: int, job: Job, tell: Tell) -> bytes:
    """What is written at the board's flash_offset: MicroPython, and unless files are kept a file system behind it."""
    tell("making the image", None)
    data = image.read()
    esp.check_image(data, image.name, board["deploy_options"]["chip"])
    offset = int(board["deploy_options"]["flash_offset"], 16)
    region = esp.file_system(data, image.name, offset, flash_size)
    if offset + len(data) > flash_size:
        raise Trouble(f"{image.name}: needs more flash than the {flash_size >> 20} MiB of this chip")
    if job.keep:
        return data
    system = files.littlefs(files.device(board, job.config, job.arch, region.size), region.size)
    return esp.merge(data, offset, system, region.start)


def image_for(job: Job, tell: Tell) -> tuple[str, bytes]:
    """``(name of MicroPython's image, the one image)`` for a board that is named and not there. Raises ``Trouble``."""
    assert job.board is not None
    board = files.board_named(job.board)
    method = board["deploy_options"]["method"]
    if method not in ("esptool", "uf2"):
        raise Trouble(f"{job.board} has no image in one piece; flash it, then use laclet deploy", 2)
    image = job.image(job.board, SUFFIXES[method])
    if method == "esptool":
        return image.name, esp_image(image, board, board["memory"]["flash"], job, tell)
    from .uf2 import image_for

    return image.name, image_for(image, board, job)


def board_of(chip: str, port: str) -> str:
    """The board that has this chip; raises ``WrongDevice``."""
    known = files.catalogue.boards()
    found = [name for name, board in known.items() if board["deploy_options"].get("chip") == chip]
    if len(found) == 1:
        return found[0]
    can = ", ".join(name for name, board in known.items() if board["deploy_options"]["method"] == "esptool")
    raise WrongDevice(f"{port}: no board is known for an {chip}; name one: {can}")


def wait_for_device(port: str) -> dict[str, Any]:
    """The status of a device that is just starting; raises ``DeviceError``."""
    deadline = time.monotonic() + _BOOT
    while True:
        left = deadline - time.monotonic()
        try:
            with Link(port, patience=max(left, 1.0)) as link:
                return link.get("show status")
        except Absent:  # a port of USB goes and comes with the board
            if left <= 0:
                raise
            time.sleep(0.2)
        except Mute:
            raise Mute(f"{port}: all is written, but nobody answers; press RESET, then laclet devices") from None
        except DeviceError:
            if left <= 0:
                raise
            time.sleep(0.2)
