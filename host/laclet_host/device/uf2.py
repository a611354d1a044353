"""UF2: images for boards that show up as a volume, read, made in one piece with a file system, and copied there."""

import errno
import hashlib
import os
import struct
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from ..ui import Trouble
from . import files
from .firmware import SUFFIXES
from .job import Job
from .ports import Absent, WrongDevice
from .progress import Tell

# Microsoft's UF2 specification: a block of 512 bytes.
_HEAD = struct.Struct("<8I")
_SIZE = 512
_MAGICS = (0x0A324655, 0x9E5D5157)
_END = struct.pack("<I", 0x0AB16F30)
_HAS_FAMILY = 0x2000
_PAYLOAD = 256  # bytes a block; what the boot ROM of RP2 wants
_FLASH = 0x10000000  # where RP2 maps its flash
_FAMILIES = {"rp2040": 0xE48BFF56, "rp2350": 0xE48BFF59}  # RP2350: Arm, secure
_ABSOLUTE = 0xE48BFF57  # one block before an image for RP2350, against its erratum E10: not a part of the image
_INFO = "INFO_UF2.TXT"
_FILE = "laclet.uf2"
_CHUNK = 64 * 1024
_MOUNT_WAIT = 20.0  # s until the volume of a board that was told to restart is there
_HOLD = "hold BOOTSEL while you plug it in"
# A volume goes when its last block has come: what closing it then says is no fault.
_GONE = (errno.EIO, errno.ENODEV, errno.ENOENT, errno.ENXIO, errno.ENOTCONN)


class Block(NamedTuple):
    """``data`` for ``address``, meant for a family of chips."""

    address: int
    family: int
    data: bytes


class Volume(NamedTuple):
    """A mounted bootloader."""

    path: Path
    board_id: str


def blocks(image: bytes, name: str) -> list[Block]:
    """What is in a UF2 file; raises ``Trouble`` when it is none."""
    found = []
    for at in range(0, len(image), _SIZE):
        block = image[at : at + _SIZE]
        if len(block) != _SIZE or _HEAD.unpack_from(block)[:2] != _MAGICS or block[-4:] != _END:
            raise Trouble(f"{name}: is no UF2 image, or was cut off at byte {at}; get it again")
        _, _, flags, address, size, _, _, family = _HEAD.unpack_from(block)
        if size > _SIZE - _HEAD.size - len(_END):
            raise Trouble(f"{name}: is damaged at byte {at}; get it again")
        if flags & 1 == 0:  # not for the flash
            found.append(Block(address, family if flags & _HAS_FAMILY else 0, block[_HEAD.size : _HEAD.size + size]))
    if not found:
        raise Trouble(f"{name}: is empty; get it again")
    return found


def encode(parts: list[Block]) -> bytes:
    """A UF2 file; blocks of each family are numbered by themselves."""
    out = bytearray()
    totals: dict[int, int] = {}
    for block in parts:
        totals[block.family] = totals.get(block.family, 0) + 1
    numbers = dict.fromkeys(totals, 0)
    for block in parts:
        number = numbers[block.family]
        numbers[block.family] += 1
        head = _HEAD.pack(
            *_MAGICS, _HAS_FAMILY, block.address, len(block.data), number, totals[block.family], block.family
        )
        out += (head + block.data).ljust(_SIZE - len(_END), b"\0") + _END
    return bytes(out)


def merge(image: bytes, name: str, board: dict[str, Any], system: bytes | None) -> bytes:
    """MicroPython's image with a file system at the end of the flash; only blocks of it that are not erased."""
    family = _FAMILIES[board["mcu"]]
    parts = blocks(image, name)
    own = [block for block in parts if block.family == family]
    if not own:
        raise WrongDevice(f"{name}: is for another chip than the {board['mcu']} of this board; take the image for it")
    if system is None:
        return image
    start = _FLASH + board["memory"]["flash"] - len(system)
    if max(block.address + len(block.data) for block in own) > start:
        raise Trouble(f"{name}: reaches into the file system; take the image for this board")
    for at in range(0, len(system), files.BLOCK):
        sector = system[at : at + files.BLOCK]
        if sector.strip(b"\xff"):
            parts += [
                Block(start + at + inside, family, sector[inside : inside + _PAYLOAD])
                for inside in range(0, files.BLOCK, _PAYLOAD)
            ]
    return encode(parts)


def image_for(image, board: dict[str, Any], job: Job) -> bytes:
    """The one image for a board."""
    system = None
    if not job.keep:
        system = files.littlefs(files.device(board, job.config, job.arch), board["memory"]["file_system"])
    return merge(image.read(), image.name, board, system)


def volumes() -> list[Volume]:
    """The bootloaders that are mounted."""
    return [volume for path in _mounted() if (volume := volume_at(path))]


def volume_at(path: Path) -> Volume | None:
    """The bootloader mounted at ``path``."""
    try:
        text = (path / _INFO).read_text("ascii", "replace")
    except OSError:
        return None
    told = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return Volume(path, told.get("Board-ID", "").strip())


def _mounted() -> list[Path]:
    if sys.platform == "darwin":
        return sorted(Path("/Volumes").iterdir())
    if os.name == "nt":
        return [Path(f"{letter}:\\") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(words[1].encode().decode("unicode_escape")) for words in lines if words[2] in ("vfat", "msdos")]


def write(job: Job, tell: Tell) -> dict[str, Any]:
    """Copy the one image to the board's volume."""
    volume = _volume(job, tell)
    name = job.board or _board_of(volume)
    board = files.board_named(name)
    label = board["deploy_options"]["volume"]
    if not volume.board_id.startswith(label):
        raise WrongDevice(
            f"{volume.path}: is the volume of {volume.board_id or 'another board'}, not {label} of {name}"
        )
    image = job.image(name, SUFFIXES["uf2"])
    tell("making the image", None)
    data = image_for(image, board, job)
    _copy(volume.path, data, tell)
    about = {"volume": str(volume.path), "board": name, "chip": board["mcu"], "image": image.name}
    return {**about, "port": job.port, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _volume(job: Job, tell: Tell) -> Volume:
    if job.volume:
        found = volume_at(Path(job.volume))
        if found is None:
            raise Absent(f"{job.volume}: there is no {_INFO}, so it is no UF2 bootloader; {_HOLD}")
        return found
    found = volumes()
    if not found and job.port:
        tell("restarting it into its bootloader", None)
        found = _restarted(job.port)
    if not found:
        raise Absent(f"no UF2 volume is mounted; {_HOLD}, and mount it, or give --volume FOLDER")
    if len(found) > 1:
        raise Trouble(f"which one? give --volume: {', '.join(str(each.path) for each in found)}", 2)
    return found[0]


def _restarted(port: str) -> list[Volume]:
    from .repl import Repl

    with Repl(port) as repl:
        repl.leave("import machine; machine.bootloader()")
    deadline = time.monotonic() + _MOUNT_WAIT
    while not (found := volumes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _board_of(volume: Volume) -> str:
    known = files.catalogue.boards()
    can = [name for name in known if volume.board_id.startswith(known[name]["deploy_options"].get("volume", "?"))]
    if len(can) == 1:
        return can[0]
    if not can:
        raise WrongDevice(f"{volume.path}: no board is known by {volume.board_id!r}; name one of docs/boards.md")
    raise Trouble(f"{volume.path}: {volume.board_id} may be {' or '.join(can)}; name the board", 2)


def _copy(folder: Path, data: bytes, tell: Tell) -> None:
    done = 0
    try:
        with (folder / _FILE).open("wb", buffering=0) as file:
            while done < len(data):
                done += file.write(data[done : done + _CHUNK])
                tell("writing", 100.0 * done / len(data))
            os.fsync(file.fileno())
    except OSError as error:
        if done == len(data) and error.errno in _GONE:
            return
        if error.errno == errno.ENOSPC:
            raise Trouble(
                f"{folder}: the image of {len(data) // 1024} KiB does not fit there; is it the right board?"
            ) from None
        if error.errno in _GONE:
            raise Absent(
                f"{folder}: has gone in the middle; its bootloader is unharmed: {_HOLD}, and try again"
            ) from None
        raise Trouble(f"{folder}: {error.strerror}; {_HOLD}, and try again") from None
