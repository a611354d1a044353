"""A serial line bridged to its L2TP session in the kernel: line discipline N_PPP, PPPIOCBRIDGECHAN (Linux 5.13).

The kernel reads LCP as it passes and takes the ACCMs from it, as SerialLine does. No octet comes here.
"""

import contextlib
import errno
import os

from ..loop import READ
from . import ppp
from .kernel_session import KernelSession

_WORDS = {
    errno.EINVAL: "the kernel has no PPP for serial lines (modprobe ppp_async)",
    errno.ENOTTY: "the kernel cannot bridge PPP channels (it takes Linux 5.13)",
}


def objection(wire, options):
    """Why a line must stay with the core, or None. ``wire``: its Tty; ``options``: the section [call.NAME]."""
    if options["error_reports"]:
        return "the kernel does not count the line's errors (error_reports)"
    if options["proxy"]:
        return "the LNS may have to be woken (proxy)"
    if wire.fd < 0:
        return "the line is not open"
    if not wire.shows_hang_up():
        return "without carrier detect the modem's NO CARRIER must be read"
    return None


class Bridge:
    """While it is there the kernel carries between the line of ``wire`` (a Tty) and ``session``.

    Raises OSError when it cannot; then nothing has changed.
    """

    def __init__(self, kernel, wire, line, session):
        self._kernel = kernel
        self._wire = wire
        self._line = line
        self._session = KernelSession(kernel, line, session)  # frames of ours get their numbers there
        self._channel = -1
        wire.lend()
        try:
            self._set_up(wire.fd)
        except OSError:
            self.close()
            raise
        kernel.loop.watch(self._channel, self._on_ready, READ)

    def set_accm(self, send, receive):
        """The LNS tells the line's maps (RFC 2661 §6.14)."""
        with contextlib.suppress(OSError):
            ppp.set_maps(self._channel, send, receive)

    def count(self):
        """Bring the counters of session and line up to date."""
        self._session.count()
        self._line.rx_frames = self._session.session.tx_packets
        self._line.tx_frames = self._session.session.rx_packets

    def close(self):
        """The line is the core's again. Harmless when called again."""
        if self._session is None:
            return
        self.count()
        if self._channel >= 0:
            self._kernel.loop.unwatch(self._channel)
            with contextlib.suppress(OSError):
                ppp.unbridge(self._channel)
            os.close(self._channel)
            self._channel = -1
        if self._wire.fd >= 0:
            with contextlib.suppress(OSError):  # hung up
                ppp.set_discipline(self._wire.fd, ppp.N_TTY)
        self._wire.take_back()
        self._session.close()
        self._session = None

    def _set_up(self, tty):
        status = self._line.status()
        try:
            ppp.set_discipline(tty, ppp.N_PPP)
            self._channel = ppp.open_channel(ppp.channel_of(tty))
            ppp.set_maps(self._channel, status["send_accm"], status["receive_accm"])
            ppp.bridge(self._channel, self._session.number)
        except OSError as error:
            raise OSError(0, _WORDS.get(error.errno) or ppp.words(error)) from None

    def _on_ready(self, events, now):
        """Nothing is left to read on a bridged channel but its end: the line has hung up."""
        with contextlib.suppress(OSError):
            if os.read(self._channel, 2048):
                return
        wire = self._wire
        self._kernel.loop.unwatch(self._channel)
        wire.lost(now)
