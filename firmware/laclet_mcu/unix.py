"""All that the unix port of MicroPython does differently from a board: packed socket addresses, and ttys for UARTs."""

import io
import select
import socket
import termios

from micropython import const

_GET_FILENO = const(10)  # MP_STREAM_GET_FILENO
_CFLAG = const(2)  # places in what tcgetattr() gives
_ISPEED = const(4)
_OSPEED = const(5)
_CC = const(6)
_VTIME = const(5)
_VMIN = const(6)
_CRTSCTS = const(0x80000000)
_POLLIN_HUP = const(0x11)
# Octets written at once. Files cannot be made non-blocking here; a tty that reports POLLOUT takes as many at least.
_WRITE_MAX = const(2048)
# Speeds below those that the module has names for, as Linux numbers them.
_SPEEDS = {300: 7, 600: 8, 1200: 9, 2400: 11, 4800: 12, 9600: 13, 19200: 14, 38400: 15}


def address(packed):
    """The ``(host, port)`` of a socket address as recvfrom() and getaddrinfo() give it here."""
    parts = socket.sockaddr(packed)
    return socket.inet_ntop(parts[0], parts[1]), parts[2]


class Tty(io.IOBase):
    """A tty with the methods of ``machine.UART``; raises OSError when it cannot be opened or lacks the speed."""

    def __init__(self, path, baud, rtscts):
        speed = _SPEEDS.get(baud) or getattr(termios, "B" + str(baud), None)
        if speed is None:
            raise OSError("no speed of " + str(baud) + " bit/s")
        self._file = open(path, "r+b", 0)  # noqa: SIM115
        self._speed = speed
        self._fd = self._file.fileno()
        termios.setraw(self._fd)
        settings = termios.tcgetattr(self._fd)
        settings[_CC][_VMIN] = settings[_CC][_VTIME] = 0  # a read returns at once
        if rtscts:
            settings[_CFLAG] |= _CRTSCTS
        termios.tcsetattr(self._fd, termios.TCSANOW, settings)
        self._set_speed(speed)
        self._room = select.poll()
        self._room.register(self._file, select.POLLOUT)

    def _set_speed(self, speed):
        settings = termios.tcgetattr(self._fd)
        settings[_ISPEED] = settings[_OSPEED] = speed
        termios.tcsetattr(self._fd, termios.TCSANOW, settings)

    def dtr(self, on):
        """Raise or drop DTR: speed 0 is a hang-up."""
        self._set_speed(self._speed if on else 0)

    def readinto(self, buf):
        """Octets read, or None."""
        return self._file.readinto(buf) or None

    def write(self, buf, start, size):
        """Octets written, or None."""
        if not self._has_room():
            return None
        return self._file.write(buf, start, min(size, _WRITE_MAX))

    def _has_room(self):
        for _ in self._room.ipoll(0):
            return True
        return False

    def deinit(self):
        """Close it."""
        self._file.close()

    def ioctl(self, request, arg):
        """For poll()."""
        return self._fd if request == _GET_FILENO else -1
