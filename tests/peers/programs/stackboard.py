"""A board on unix MicroPython whose ``network.PPP`` is a pppd at the tty LACLET_PPPD: its octets go there.

``main(["", "config.json"])``. As in lwIP's driver the handler given to irq() reads until the stream is dry, and what
PPP sends is written whole.
"""

import os
import sys

import laclet_mcu.shell
from laclet_mcu.main import shell as make_shell
from laclet_mcu.unix import Tty


class PPP:
    """``network.PPP``."""

    SEC_NONE, SEC_PAP, SEC_CHAP = 0, 1, 2
    shell = None

    def __init__(self, stream):
        self._pipe = stream
        self._buf = bytearray(256)
        self._heard = 0
        self.stream = None  # for the shell's poll

    def connect(self, security=SEC_NONE, user=None, key=None):
        print("network.PPP: security", security, "user", user)
        self.stream = Tty(os.getenv("LACLET_PPPD"), 115200, False)
        self.shell.watch(self)
        self._pipe.irq(self._poll, self._pipe.IRQ_RXIDLE)

    def ready(self, events, now):
        n = self.stream.readinto(self._buf)
        while n:
            self._heard += n
            assert self._pipe.write(memoryview(self._buf)[:n]) == n
            n = self.stream.readinto(self._buf)

    def _poll(self, stream):
        n = self._pipe.readinto(self._buf)
        while n:
            at = 0
            while at < n:
                at += self.stream.write(self._buf, at, n - at) or 0
            n = self._pipe.readinto(self._buf)

    def disconnect(self):
        self._pipe.irq(None)
        if self.stream is not None:
            self.shell.unwatch(self)
            self.stream.deinit()
            self.stream = None

    def isconnected(self):
        return self._heard > 500

    def ifconfig(self):
        return ("pppd's", "", "", "")


class network:
    """The module."""

    PPP = PPP

    @staticmethod
    def hostname():
        return "stack"


def main(argv):
    sys.modules["network"] = network
    laclet_mcu.shell._PPP_IS_SAFE = (sys.platform,)
    PPP.shell = make_shell(argv[1])
    PPP.shell.run()
