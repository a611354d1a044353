"""A bench for flashing: esp32-mock-bootloader behind a cable that can be bad, and images as MicroPython's are."""

import os
import pty
import select
import socket
import struct
import termios
import threading
import tty

import pytest
from click.testing import CliRunner

from laclet_host.board import catalogue
from laclet_host.cli import main

mock = pytest.importorskip("esp32_mock_bootloader", reason="missing: pip install esp32-mock-bootloader")
pytest.importorskip("esptool", reason="missing: pip install esptool")

CHIP_IDS = {"esp32": 0, "esp32s3": 9, "esp32c3": 5, "esp32c6": 13}
FLASH_OFFSETS = {"esp32": 0x1000, "esp32s3": 0, "esp32c3": 0, "esp32c6": 0}
VFS = (0x110000, 0xD0000)  # where these images have their files

_END, _ESC = b"\xc0", b"\xdb"
_SYNC, _DATA, _MD5, _ERASE = 0x08, 0x11, 0x13, 0xD1  # esptool's serial protocol


def laclet(*words, code=0, text=None):
    """Run the command; its result. It must end with ``code``, unless that is None."""
    done = CliRunner().invoke(main, [str(word) for word in words], input=text)
    assert code is None or done.exit_code == code, f"{done.exit_code}: {done.output}\n{done.exception!r}"
    assert "Traceback" not in done.output
    return done


def without_pins(monkeypatch):
    """Boards without LED and button: where MicroPython's unix port boots their images there are no pins."""
    known = {
        name: {key: value for key, value in board.items() if key not in ("led", "button", "watchdog")}
        for name, board in catalogue.boards().items()
    }
    monkeypatch.setattr(catalogue, "boards", lambda: known)


def partition(kind, subtype, start, size, label):
    return struct.pack("<HBBII16sI", 0x50AA, kind, subtype, start, size, label, 0)


def micropython_image(chip, vfs=VFS):
    """What stands for MicroPython: bootloader, table of partitions, application, each recognised and none run."""
    image = bytearray(b"\xff" * 0x11000)
    image[:16] = bytes((0xE9, 1, 2, 0x20)) + bytes(8) + struct.pack("<H", CHIP_IDS[chip]) + bytes(2)
    table = partition(1, 2, 0x9000, 0x6000, b"nvs") + partition(0, 0, 0x10000, 0x100000, b"factory")
    if vfs:
        table += partition(1, 0x81, *vfs, b"vfs")
    at = 0x8000 - FLASH_OFFSETS[chip]
    image[at : at + len(table)] = table
    return bytes(image[: 0x11000 - FLASH_OFFSETS[chip]]) + os.urandom(20_000)


def _frame(payload):
    return _END + payload.replace(_ESC, b"\xdb\xdd").replace(_END, b"\xdb\xdc") + _END


class Cable:
    """A serial port, ``.port``, with the mock's TCP at its other end, and faults on demand:

    ``too_fast``      bit/s above which it spoils data
    ``weak_sectors``  times that a sector loses what was written, before the sums are compared
    ``cut_after``     blocks of data after which it is dead, until the chip is reset; ``cuts``: how often
    ``unplug_after``  blocks of data after which the port is gone
    """

    def __init__(self, handle, too_fast=None, weak_sectors=0, cut_after=None, cuts=1, unplug_after=None):
        self.too_fast, self.weak_sectors, self.unplug_after = too_fast, weak_sectors, unplug_after
        self.cut_after, self.cuts = cut_after, cuts
        self.speeds = []  # bit/s at which data came
        self._far = handle.port()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._blocks = 0
        self._dead = False
        self._kind = None  # of the last frame
        self._swallow = 0  # answers to what we have asked ourselves
        self._held = b""
        self._wake, self._waker = os.pipe()
        self._socket = socket.create_connection(("127.0.0.1", self._far))
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.write(self._waker, b"!")
        self._thread.join()
        self._socket.close()
        os.close(self._wake)
        os.close(self._waker)

    def _speed(self):
        speed = termios.tcgetattr(self._slave)[5]
        return next(int(name[1:]) for name in dir(termios) if name[1:].isdigit() and getattr(termios, name) == speed)

    def _carry(self):
        pending = b""
        try:
            while True:
                ready, _, _ = select.select([self._master, self._socket, self._wake], [], [])
                if self._wake in ready:
                    return
                if self._socket in ready:
                    self._back(self._socket.recv(65536))
                if self._master in ready:
                    pending += os.read(self._master, 65536)
                    *frames, pending = pending.split(_END)
                    for frame in filter(None, frames):
                        if not self._out(frame):
                            return
        finally:
            os.close(self._slave)
            os.close(self._master)

    def _back(self, data):
        if not data:  # the mock ends a session by itself
            self._reset()
            return
        if self._swallow:  # our own question is answered first
            data = self._held + data
            frames = data.split(_END)
            answer = next((i for i, frame in enumerate(frames[:-1]) if frame[:2] == bytes((1, _ERASE))), None)
            if answer is None:
                self._held = data
                return
            self._held = b""
            self._swallow -= 1
            data = _END.join(frames[: answer - 1] + frames[answer + 1 :])
        if not self._dead:
            os.write(self._master, data)

    def _reset(self):
        self._socket.close()
        self._swallow, self._held = 0, b""
        self._socket = socket.create_connection(("127.0.0.1", self._far))

    def _out(self, frame):
        """Forward a frame of SLIP, still escaped; False: the port is gone."""
        kind = frame[1] if frame[0] == 0 else None
        if kind == _SYNC and self._kind != _SYNC:  # the tool has reset the chip; a pty has no line for that
            self._dead = False
            self._reset()
        self._kind = kind
        if kind == _DATA:
            self._blocks += 1
            speed = self._speed()
            if speed not in self.speeds:
                self.speeds.append(speed)
            if self._blocks == self.unplug_after:
                return False
            if self._blocks == self.cut_after and self.cuts:
                self.cuts -= 1
                self._blocks = 0
                self._dead = True
            if self.too_fast and speed > self.too_fast:
                frame = frame[:40] + bytes((frame[40] ^ 0x55,)) + frame[41:]
        if kind == _MD5 and self.weak_sectors:
            self.weak_sectors -= 1
            self._swallow += 1
            self._socket.sendall(_frame(bytes((0, _ERASE)) + struct.pack("<HIII", 8, 0, 0x8000, 0x1000)))
        if not self._dead:
            self._socket.sendall(_END + frame + _END)
        return True
