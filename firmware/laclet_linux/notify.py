"""The service manager is told how we are (sd_notify(3)): without ``NOTIFY_SOCKET`` nobody is, and nothing happens."""

import contextlib
import os
import socket
import time

_LOOK = 5000  # ms between looks whether the status has changed


class Notify:
    """After ``start``: the watchdog, and ``status()``, one line, whenever it has changed."""

    def __init__(self, loop, status):
        self._loop = loop
        self._status = status
        self._said = None
        self._sock = None
        self._every = _LOOK
        path = os.environ.get("NOTIFY_SOCKET", "")
        if path[:1] not in ("/", "@"):
            return
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._path = "\0" + path[1:] if path[0] == "@" else path
        if os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            with contextlib.suppress(ValueError):
                self._every = min(
                    _LOOK, max(1, int(os.environ.get("WATCHDOG_USEC", "")) // 2000)
                )  # half the time, in ms

    def start(self):
        """We serve."""
        if self._sock is not None:
            self._tick(0, "READY=1\n")

    def reloading(self):
        """We read the configuration again; ``reloaded`` follows."""
        self.tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self):
        """We serve as before."""
        self.tell("READY=1")

    def stopping(self):
        """We close everything."""
        self.tell("STOPPING=1\nSTATUS=stopping")

    def tell(self, text):
        """Send one message; a manager that does not take it in this moment does not get it."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.sendto(text.encode(), self._path)

    def close(self):
        """Nothing is told any more."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _tick(self, now, more=""):
        """The loop turns: that is what the watchdog wants to know."""
        if self._sock is None:
            return
        status = self._status()
        if status != self._said:
            self._said = status
            more += f"STATUS={status}\n"
        self.tell(more + "WATCHDOG=1")
        self._loop.after(self._every, self._tick)
