"""Sessions of the kernel's L2TP: what stands between our links and their sessions."""

import contextlib
import errno
import os

from laclet.fault import INTERFACE, Fault
from laclet.port import HEADROOM, Port, frame_buffer
from laclet.wire import ppp as wire

from ..loop import READ
from . import ppp
from .kernel_tunnel import KernelTunnel
from .kernel_unit import Unit

_BATCH = 32  # frames read before others get their turn; the kernel keeps as many
_FRAME = 2048  # control frames are shorter
_REORDER = 100  # ms the kernel waits for a numbered packet, as the core does


class NoKernel:
    """Stands for the kernel at a link that it does not take; ``why``."""

    unit = None

    def __init__(self, link, why):
        self.why = why
        self._link = link

    def changed(self, now):
        """A bundle is the kernel's with all its links, or not at all."""
        bundle = self._link.bundle
        if bundle is not None and bundle.plane is not None:
            hint = 'data_plane = "tun" takes all kinds of tunnels into one bundle'
            self._link.fail(
                Fault(INTERFACE, "the kernel moves the bundle's packets, but not this link's", self.why, hint), now
            )


class KernelSession(Port):
    """Stands between a PppLink (or a SerialLine) and its L2TP session: frames pass through the kernel.

    ``unit``: the Unit that the link is a channel of now, or None; ``number``: the number of the channel.
    Raises OSError when the kernel does not take it; then the join is as it was.
    """

    def __init__(self, kernel, link, session):
        super().__init__()
        self.unit = None
        self.why = "the link is not up"
        self.session = session
        self.tunnel = session.tunnel
        self._kernel = kernel
        self._bound = kernel.tunnels.get(session.tunnel)
        if self._bound is None:
            self._bound = kernel.tunnels[session.tunnel] = KernelTunnel(kernel, session.tunnel)
        self.channel = -1
        self._sock = None
        self._buf = frame_buffer(_FRAME)
        self._room = [memoryview(self._buf)[HEADROOM : HEADROOM + _FRAME]]
        try:
            self._sock = self._bound.bind(session)
            for option, value in _numbering(session):
                ppp.set_option(self._sock, option, value)
            self.number = ppp.channel_of(self._sock.fileno())
            self.channel = ppp.open_channel(self.number)
        except OSError:
            self.close()
            raise
        kernel.loop.watch(self.channel, self._on_ready, READ)
        self.joined = link
        link.joined = self  # frames that come without the kernel still find the link

    def carry(self, buf, start, end, now):
        """Send a frame; those of CCP through the unit, which must see what is agreed on."""
        if buf[start] == 0xFF:
            start += 2
        protocol = buf[start] << 8 | buf[start + 1]
        fd = self.channel
        if self.unit is not None and protocol == wire.CCP:
            fd = self.unit.fd
            self.unit.agree(buf, start + 2, end)
        try:
            os.write(fd, memoryview(buf)[start:end])
        except OSError as error:
            self.drop("kernel: " + (error.strerror or "error"))

    def changed(self, now):
        """The link has authenticated its peer, or is down: its unit has a channel more or less."""
        link = self.joined
        network = link.bundle if link.multilink is not None else link if link.network else None
        if self.unit is not None and self.unit.network is not network:
            self.unit.remove(self)
            self.unit = None
        if self.unit is None and network is not None:
            try:
                self._enter(network)
            except OSError as error:
                self._give_up(ppp.words(error), now)
                return
        if self.unit is not None:
            self.unit.changed(now)

    def count(self):
        """Bring the session's counters up to date."""
        session = self.session
        with contextlib.suppress(OSError):
            counters = ppp.l2tp_counters(self._sock)
            session.tx_packets, session.tx_bytes, session.rx_packets, session.rx_bytes, lost = counters
            if session.reorder is not None:
                session.reorder.lost = lost

    def close(self):
        """The kernel forgets the session; the join is as it was. Harmless when called again."""
        if self._bound is None:
            return
        link, self.joined = self.joined, None
        if self.unit is not None:
            self.unit.remove(self)
            self.unit = None
        if self.channel >= 0:
            self._kernel.loop.unwatch(self.channel)
            os.close(self.channel)
            self.channel = -1
        if self._sock is not None:
            self.count()
            self._sock.close()
            self._bound.release()
        self._bound = None
        if link is not None:
            link.joined = self.session
            if getattr(link, "plane", None) is self:
                link.plane = None

    def _give_up(self, why, now):
        """Leave the session to the core."""
        link = self.joined
        self.close()
        link.plane = NoKernel(link, why)
        link.plane.changed(now)

    def _enter(self, network):
        """Be a channel of the network's unit, which is made for its first link."""
        link = self.joined
        if network is link:
            unit = Unit(self._kernel.loop, network)
        elif len(network.members) == 1:
            unit = network.plane = Unit(self._kernel.loop, network)
        elif network.plane is None:
            raise OSError(errno.EXDEV, "the bundle's other links are not the kernel's")
        else:
            unit = network.plane
        unit.add(self)
        self.unit = unit

    def _on_ready(self, events, now):
        link = self.joined
        for _ in range(_BATCH):
            try:
                size = os.readv(self.channel, self._room)
            except BlockingIOError:
                return
            except OSError:
                size = 0
            if not size:
                self._kernel.loop.unwatch(self.channel)
                self.session.close(Fault(INTERFACE, "the kernel's L2TP session was deleted"), now)
                return
            link.carry(self._buf, HEADROOM, HEADROOM + size, now)
            if self.channel < 0:
                return


def _numbering(session):
    """Socket options: who numbers packets (RFC 2661 §5.4). A LAC does as the LNS does."""
    return (
        (ppp.LNS_MODE, int(session.leads)),
        (ppp.SEND_SEQ, int(session.sequencing)),
        (ppp.REORDER_TIMEOUT, _REORDER),
    )
