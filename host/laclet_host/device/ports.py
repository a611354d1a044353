"""Serial ports by any name people have for them, opened with failures that say what to do."""

import errno
import os
import time
from pathlib import Path

import serial

from ..board.known import known
from ..holders import busy, holders
from ..ui import DEVICE_ABSENT, TIMEOUT, Trouble

BAUD = 115200  # of a board's console; USB ports of boards do not care
_LOOKS = 3  # at who holds a port
_NETWORK = ("socket://", "rfc2217://")
_NO_PORT = "{}: is no serial port; laclet devices lists what there is"
SLICE = 0.05  # s; the longest that a read of a port blocks


class DeviceError(Trouble):
    """One line for people, with a way forward; ``code`` is the exit code."""

    code = DEVICE_ABSENT


class Absent(DeviceError):
    """There is no such port, or it has gone."""


class Busy(DeviceError):
    """Another program has the port, or we may not open it."""


class Mute(DeviceError):
    """The port is there, and nothing answers."""

    code = TIMEOUT


class WrongDevice(DeviceError):
    """Something answers, but not what was asked for."""


def address(name: str) -> str:
    """What to open for ``name``: a path, a pyserial URL, ``id:SERIAL`` of USB, the name of a virtual board, or an id as
    ``laclet devices --ids`` tells it.

    Raises ``Absent``.
    """
    if "://" in name or os.path.exists(name):
        return name
    if name.startswith(("id:", "usb:")):
        from serial.tools import list_ports

        wanted = name.split(":", 1 if name.startswith("id:") else 3)[-1]
        for port in list_ports.comports():
            if port.serial_number == wanted or (name.startswith("usb:") and port.location == wanted):
                return port.device
        raise Absent(f"no USB device has the serial number {wanted}; laclet devices lists what there is")
    name = name.removeprefix("virtual:")
    board = known().get(name)
    if board is not None:
        return board["port"]
    if os.name != "posix":  # COM3 is no path
        return name
    if "/" not in name:
        raise Absent(f"no virtual board called {name} is running, and no such port is there; see laclet devices")
    raise Absent(f"{name}: there is no such port; is it plugged in? laclet devices lists what there is")


def is_local(port: str) -> bool:
    """True for a device of this machine: others can hold it."""
    return "://" not in port


def open_port(name: str, baud: int = BAUD) -> serial.SerialBase:
    """The port, open and ours alone; its reads return after ``SLICE``. Raises ``DeviceError``."""
    port = address(name)
    if is_local(port) and _held(port):
        raise Busy(busy(port)) if _is_tty(port) else Absent(_NO_PORT.format(port))
    if port.startswith(_NETWORK) and not _has_end(port):
        raise Absent(f"{port}: is no address of a port; write {port.partition(':')[0]}://HOST:PORT")
    try:
        return _open(port, baud)
    except ValueError as error:  # pyserial's word on a URL
        raise Absent(f"{port}: is no address of a port: {error}") from None
    except (serial.SerialException, OSError) as error:
        raise _why(port, error) from None


def _held(port: str) -> bool:
    """True when another program has it open: most do not lock it. One look may catch a process that is just born of
    another, and has not yet let go of what it inherits."""
    for _ in range(_LOOKS):
        if not holders(port):
            return False
        time.sleep(SLICE)
    return True


def _is_tty(port: str) -> bool:
    """Some devices, like /dev/null, are open in every program."""
    try:
        fd = os.open(port, os.O_RDWR | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:  # it does not let us, as ports do
        return True
    try:
        return os.isatty(fd)
    finally:
        os.close(fd)


def _has_end(url: str) -> bool:
    """It names a host and a port."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.port)
    except ValueError:
        return False


def _open(port: str, baud: int) -> serial.SerialBase:
    line = serial.serial_for_url(port, baudrate=baud, timeout=SLICE, do_not_open=True)
    if is_local(port) and os.name == "posix":
        line.exclusive = True
    line.open()
    return line


def _why(port: str, error: OSError) -> DeviceError:
    if not is_local(port):
        words = error.strerror or str(error).rpartition("] ")[2]  # pyserial has the errno, and port, before it
        return Absent(f"{port}: {words}; is the far end running?")
    if not os.path.exists(port) and os.name == "posix":
        return Absent(f"{port}: there is no such port; is it plugged in? laclet devices lists what there is")
    number = error.errno if error.errno is not None else _number(error)
    if number in (errno.EACCES, errno.EPERM):
        if os.name != "posix":  # on Windows that is how a port says that it is taken
            return Busy(busy(port))
        return Busy(f"{port}: you may not open it; join its group: sudo usermod -aG {_group(port)} $USER, log in again")
    if number in (errno.EBUSY, errno.EAGAIN):
        return Busy(busy(port))
    if number == errno.ENOTTY:
        return Absent(_NO_PORT.format(port))
    return Absent(f"{port}: {error.strerror or error}; plug it in again")


def _number(error: OSError) -> int | None:
    """The errno that pyserial has only in words."""
    for number in (errno.EACCES, errno.EBUSY, errno.EAGAIN, errno.ENOTTY):
        if os.strerror(number) in str(error) or f"[Errno {number}]" in str(error):
            return number
    return None


def _group(port: str) -> str:
    try:
        return Path(port).group()
    except (KeyError, OSError, NotImplementedError):
        return "dialout"
