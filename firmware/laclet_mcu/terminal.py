"""Where a console can be: the port of MicroPython's prompt, or a UART."""

import select
import sys

from micropython import const

_OCTETS_MAX = const(256)  # read at one time
_PATIENCE = const(2000)  # times that a UART may take nothing, before the rest is lost


class Usb:
    """The port with the prompt. Ctrl-C is no input: it is a KeyboardInterrupt."""

    def __init__(self):
        self.stream = sys.stdin
        self._octet = bytearray(1)
        self._more = select.poll()
        self._more.register(self.stream, select.POLLIN)

    def read(self):
        """What was typed; None when it was closed."""
        typed = b""
        while len(typed) < _OCTETS_MAX and self._more.poll(0):
            if not sys.stdin.buffer.readinto(self._octet):
                return typed or None
            typed += self._octet
        return typed

    def write(self, text):
        """To the screen."""
        sys.stdout.write(text)

    def close(self):
        """It stays."""


class Uart:
    """The UART of a checked section [line.NAME]; raises OSError, or ValueError for one that is not there."""

    def __init__(self, options):
        from .uart import open_stream

        self.stream = open_stream(options)
        self._buf = bytearray(64)

    def read(self):
        """What was typed."""
        n = self.stream.readinto(self._buf)
        return bytes(self._buf[:n]) if n else b""

    def write(self, text):
        """To the screen; what it does not take in time is lost."""
        data = text.replace("\n", "\r\n").encode()
        at = tries = 0
        while at < len(data) and tries < _PATIENCE:
            n = self.stream.write(data, at, len(data) - at)
            at += n or 0
            tries = 0 if n else tries + 1

    def close(self):
        """Give it back."""
        self.stream.deinit()
