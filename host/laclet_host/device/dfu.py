"""STM32: MicroPython by dfu-util, which is a program of its own; the files then follow over the serial port."""

import binascii
import hashlib
import re
import shutil
import subprocess
import time
from typing import Any

from ..ui import FAILURE, Trouble
from . import files
from .firmware import SUFFIXES
from .job import Job
from .ports import Absent, DeviceError
from .progress import Tell

_USB = "0483:df11"  # the bootloader in the ROM of every STM32
_SUFFIX = 16  # bytes; USB DFU 1.1, appendix B
_PERCENT = re.compile(r"(\d+)%")
_DONE = "File downloaded successfully"
_COMES = 15.0  # s until the port of a board is there that has left its bootloader
_HOLD = "set BOOT0 and press RESET, or call machine.bootloader()"


def check_image(image: bytes, name: str) -> None:
    """Raise ``Trouble`` unless it is a DfuSe file that is whole."""
    crc = int.from_bytes(image[-4:], "little")
    if image[:5] != b"DfuSe" or image[-8:-5] != b"UFD":
        raise Trouble(f"{name}: is no DfuSe image; take the .dfu file of MicroPython's download page")
    if crc != ~binascii.crc32(image[:-4]) & 0xFFFFFFFF:
        raise Trouble(f"{name}: is damaged; get it again")


def write(job: Job, tell: Tell) -> dict[str, Any]:
    """Download MicroPython into the board; laclet and the configuration follow when ``job.port`` is given."""
    if job.board is None:
        raise Trouble("which board? name it", 2)
    if job.config and not job.port:
        raise Trouble("give --port, too: an STM32 gets its configuration there", 2)
    program = shutil.which("dfu-util")
    if program is None:
        raise Trouble("dfu-util is missing: install the package dfu-util")
    image = job.image(job.board, SUFFIXES["dfu"])
    data = image.read()
    check_image(data, image.name)
    said = []
    command = [program, "-d", _USB, "-a", "0", "-s", ":leave", "-D", str(image.path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:  # it ends lines by CR while it writes
            said.append(line.strip())
            found = _PERCENT.search(line)
            if found:
                tell("erasing" if line.startswith("Erase") else "writing", float(found[1]))
    if run.returncode and _DONE not in said:  # a board that has left at once cannot be asked how it is
        raise _why([line for line in said if line])
    if job.port and not job.keep:
        _put_files(job, job.board, tell)
    about = {"port": job.port, "board": job.board, "chip": files.board_named(job.board)["mcu"], "image": image.name}
    return {**about, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _put_files(job: Job, name: str, tell: Tell) -> None:
    """laclet and the configuration, as soon as MicroPython's prompt is there."""
    from .deploy import deploy
    from .repl import Repl

    assert job.port is not None
    deadline = time.monotonic() + _COMES
    while True:
        try:
            with Repl(job.port) as repl:
                deploy(repl, tell, board=files.board_named(name), config=job.config)
            return
        except Absent:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _why(said: list[str]) -> DeviceError | Trouble:
    text = "\n".join(said)
    if "No DFU capable USB device" in text:
        return Absent(f"no STM32 is in its bootloader; {_HOLD}, then try again")
    if "LIBUSB_ERROR_ACCESS" in text or "Cannot open DFU device" in text:
        return Absent("the STM32 may not be opened; give yourself the right to it (udev), or try as root")
    last = said[-1] if said else "dfu-util said nothing"
    return Trouble(f"{last}; its bootloader is unharmed: {_HOLD}, then try again", FAILURE)
