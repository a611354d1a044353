"""ESP32 and its kin: what an image holds, and esptool, which identifies chips and writes, as a process of its own."""

import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from ..ui import TIMEOUT, VERIFY_MISMATCH, Trouble
from .ports import Mute, WrongDevice, address, is_local, open_port
from .progress import Tell

# Chip id in the header of an image (ESP-IDF, esp_image_header_t).
_CHIPS = {
    0: "esp32",
    2: "esp32s2",
    5: "esp32c3",
    9: "esp32s3",
    12: "esp32c2",
    13: "esp32c6",
    16: "esp32h2",
    18: "esp32p4",
}
_CHIP_ID = 12  # where it stands, two bytes
_MAGIC = 0xE9
_TABLE = 0x8000  # of partitions; MicroPython leaves it where ESP-IDF has it
_TABLE_END = 0x9000
_ENTRY = struct.Struct("<HBBII16sI")
_ENTRY_MAGIC = 0x50AA
_DATA = 1  # partition type
_SLOWER = (921600, 460800, 230400, 115200)  # bit/s to go down to
_PERCENT = re.compile(r"([0-9.]+)% ")
_FATAL = re.compile(r"error(?: occurred)?: (?!A fatal)(.*)", re.I)
# What no other attempt will mend.
_FINAL = ("not fit", "doesn't fit", "could not open", "not supported", "secure", "encryption")


class Chip(NamedTuple):
    """What is at a port: ``name`` as esptool has it (``esp32c3``), ``mac``, ``flash_size`` in bytes."""

    name: str
    mac: str
    flash_size: int


class Region(NamedTuple):
    """A part of the flash, in bytes."""

    start: int
    size: int


def check_image(image: bytes, name: str, chip: str) -> None:
    """Raise ``Trouble`` unless ``image`` can start on ``chip``."""
    if len(image) <= _TABLE_END or image[0] != _MAGIC:
        raise Trouble(f"{name}: is no image for an ESP32; take the .bin file of MicroPython's download page")
    found = _CHIPS.get(int.from_bytes(image[_CHIP_ID : _CHIP_ID + 2], "little"), "another chip")
    if found != chip:
        raise Trouble(f"{name}: is for {found}, but the board has {chip}; take the image for {chip}")


def file_system(image: bytes, name: str, flash_offset: int, flash_size: int) -> Region:
    """Where MicroPython in this image will have its files: its partition ``vfs``, or all behind the last one."""
    end = 0
    for at in range(_TABLE - flash_offset, _TABLE_END - flash_offset, _ENTRY.size):
        magic, kind, _, start, size, label, _ = _ENTRY.unpack_from(image, at)
        if magic != _ENTRY_MAGIC:
            break
        end = max(end, start + size)
        if kind == _DATA and label.rstrip(b"\0") == b"vfs":
            return _inside(Region(start, size), name, flash_size)
    if not end:
        raise Trouble(f"{name}: has no table of partitions; take the .bin file of MicroPython's download page")
    return _inside(Region(end, flash_size - end), name, flash_size)


def _inside(region: Region, name: str, flash_size: int) -> Region:
    if region.size <= 0 or region.start + region.size > flash_size:
        raise Trouble(f"{name}: needs more flash than the {flash_size >> 20} MiB of this chip; take an image for it")
    return region


def merge(image: bytes, flash_offset: int, files: bytes, start: int) -> bytes:
    """One image, to be written at ``flash_offset``: MicroPython, erased flash, the file system at ``start``."""
    gap = start - flash_offset - len(image)
    if gap < 0:
        raise Trouble("MicroPython reaches into the file system; take another image")
    return image + b"\xff" * gap + files


class _Noise(Trouble):
    """A failure that a lower speed may mend."""


class Esptool:
    """esptool at one port. Raises ``Trouble`` with one line."""

    def __init__(self, port: str, tell: Tell):
        self._name = port
        self._port = address(port)
        self._tell = tell

    def identify(self) -> Chip:
        """Reset the chip into its bootloader, and ask it."""
        self._tell("looking for the chip", None)
        if is_local(self._port):
            open_port(self._port).close()  # absent or busy is told better by us
        said = self._run(["--after", "no-reset", "flash-id"])
        chip = re.search(r"Connected to (ESP\S+)", said)
        mac = re.search(r"^MAC:\s*(\S+)", said, re.M)
        size = re.search(r"Detected flash size: (\d+)(KB|MB)", said)
        if chip is None or size is None:
            raise WrongDevice(
                f"{self._name}: the size of its flash cannot be read; check the board, or try a slower --baud"
            )
        unit = {"KB": 1 << 10, "MB": 1 << 20}[size[2]]
        return Chip(chip[1].lower().replace("-", ""), mac[1] if mac else "", int(size[1]) * unit)

    def write(self, chip: str, pieces: list[tuple[int, bytes]], baud: int) -> int:
        """Write ``(offset, bytes)`` and compare MD5 sums; slower after a failure. Returns the speed that has worked."""
        speeds = [baud, *(slower for slower in _SLOWER if slower < baud)]
        speeds.append(speeds[-1])
        with tempfile.TemporaryDirectory(prefix="laclet-") as folder:
            words = []
            for number, (offset, data) in enumerate(pieces):
                path = Path(folder, f"{number}.bin")
                path.write_bytes(data)
                words += [hex(offset), str(path)]
            for number, speed in enumerate(speeds):
                try:
                    self._run(["--chip", chip, "--baud", str(speed), "write-flash", *words], "writing")
                    return speed
                except _Noise as noise:
                    if number + 1 == len(speeds):
                        raise
                    self._tell(f"{noise.args[0].split(';')[0]}; again at {speeds[number + 1]} bit/s", None)
        raise AssertionError("the last attempt returns or raises")

    def _run(self, words: list[str], doing: str = "") -> str:
        """Run esptool; its output. ``doing`` is told with the progress it shows."""
        command = [sys.executable, "-m", "esptool", "--port", self._port, *words]
        said = []
        try:
            with subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                encoding="utf-8",
                errors="replace",
            ) as process:
                assert process.stdout is not None
                try:
                    for line in process.stdout:
                        said.append(line)
                        found = _PERCENT.search(line)
                        if found and doing:
                            self._tell(doing, float(found[1]))
                        elif line.startswith("Verifying"):
                            self._tell("comparing what was written", None)
                except BaseException:
                    process.terminate()
                    raise
        except OSError as error:
            raise Trouble(f"esptool cannot be started: {error.strerror}") from None
        text = "".join(said)
        if process.returncode:
            raise self._why(text)
        return text

    def _why(self, said: str) -> Trouble:
        """What esptool's last words mean."""
        if "No module named esptool" in said:
            return Trouble("esptool is missing: pip install 'laclet[board]'")
        found = _FATAL.findall(said)
        words = found[-1].strip() if found else (said.strip().splitlines() or ["it said nothing"])[-1]
        low = words.lower()
        mute = "failed to connect" in low or "no serial data" in low
        gone = "could not open" in low or "no such file" in low or "disconnected" in low
        if gone or (mute and "://" not in self._name):  # it may have been unplugged meanwhile
            try:
                open_port(self._name).close()
            except Trouble as trouble:
                return trouble
        if mute:
            return Mute(
                f"{self._name}: no bootloader answers; hold BOOT, press and release RESET, then try again", TIMEOUT
            )
        if "chip is" in low:
            return WrongDevice(f"{self._name}: {words.rstrip('.')}; name the right board")
        code = VERIFY_MISMATCH if "md5" in low or "verif" in low else None
        if any(word in low for word in _FINAL):
            return Trouble(f"{self._name}: {words.rstrip('.')}")
        return _Noise(f"{self._name}: {words.rstrip('.')}; try again, with a shorter cable or a slower --baud", code)
