"""PPP units: interfaces of the kernel above its L2TP sessions, one session each, or the links of a bundle."""

import contextlib
import os

from laclet.fault import INTERFACE, Fault
from laclet.port import HEADROOM, frame_buffer
from laclet.ppp.bundle import Bundle
from laclet.ppp.ccp import MPPE, strength
from laclet.wire import ppp as wire

from ..loop import READ
from . import ppp

_BATCH = 32  # frames read before others get their turn; the kernel keeps as many
_FRAME = 2048  # control frames are shorter
_NETWORKS = ((0x21, 4), (0x57, 6))  # PPP protocol numbers, and what IP version they are


class Unit:
    """An interface of the kernel's PPP above the sessions of ``network``, a PppLink or a Bundle.

    It is there as long as it has a session, or somebody has called ``take``.
    """

    def __init__(self, loop, network):
        self.network = network
        self.unit = self
        self.sessions = []
        self._loop = loop
        self._taken = False
        self._buf = frame_buffer(_FRAME)
        self._room = [memoryview(self._buf)[HEADROOM : HEADROOM + _FRAME]]
        self.fd, self._number = ppp.new_unit()
        self.name = f"ppp{self._number}"
        try:
            self._set_up(network)
        except OSError:
            os.close(self.fd)
            raise

    def add(self, session):
        """One more channel. Raises OSError."""
        try:
            ppp.connect(session.channel, self._number)
        except OSError:
            self._close_if_idle()
            raise
        if not self.sessions:
            self._loop.watch(self.fd, self._on_ready, READ)
        self.sessions.append(session)

    def remove(self, session):
        """A channel less."""
        with contextlib.suppress(OSError):
            ppp.disconnect(session.channel)
        self.sessions.remove(session)
        if not self.sessions:
            self._loop.unwatch(self.fd)  # without a channel it is always readable
            self._close_if_idle()

    def rename(self, name):
        """Another name for the interface, which is not up yet."""
        if name != self.name:
            try:
                ppp.rename(self.name, name)
            except OSError as error:
                raise OSError(error.errno, f"interface {name}: {error.strerror}") from None
            self.name = name

    def take(self):
        """Somebody needs the interface."""
        self._taken = True

    def give_back(self):
        """Not any longer."""
        self._taken = False
        self._close_if_idle()

    def changed(self, now):
        """Links or NCPs of the network have come or gone."""
        network = self.network
        cipher = network.cipher
        flags = 0
        closed = False
        if cipher is not None:
            flags |= ppp.CCP_OPEN
            if cipher.is_open:
                flags |= ppp.CCP_UP
            else:
                closed = cipher.required
        flags |= self._multilink_flags()
        opened = [ncp.version for ncp in network.ncps if ncp.is_open]
        with contextlib.suppress(OSError):  # the interface was deleted: _on_ready() sees it
            ppp.set_flags(self.fd, flags)
            for protocol, version in _NETWORKS:
                with contextlib.suppress(OSError):  # a kernel without IPv6
                    ppp.set_mode(self.fd, protocol, ppp.PASS if version in opened and not closed else ppp.DROP)

    def agree(self, buf, at, end):
        """A CCP packet of ours: have the keys ready for the Configure-Ack that it asks for, or is."""
        cipher = self.network.cipher
        code = buf[at]
        if cipher is None or code not in (wire.CONFIGURE_REQUEST, wire.CONFIGURE_ACK):
            return
        at += 4
        while end - at >= 6:
            if buf[at] == MPPE and buf[at + 1] == 6:
                self._set_keys(cipher, bytes(buf[at + 2 : at + 6]), code == wire.CONFIGURE_ACK)
                return
            at += max(buf[at + 1], 2)

    def _set_keys(self, cipher, value, send):
        bits = strength(value, (128, 40))
        key = cipher.start_keys(bits)[0 if send else 1][:16]
        option = bytes((MPPE, 6, value[0], 0, 0, 0x40 if bits == 128 else 0x20)) + bytes(key) + bytes(16 - len(key))
        try:
            ppp.set_compressor(self.fd, option, send)
        except OSError:
            fault = Fault(INTERFACE, "the kernel has no MPPE", "", 'modprobe ppp_mppe, or data_plane = "tun"')
            self.network.blame(fault)

    def _set_up(self, network):
        if self._multilink_flags():
            ppp.set_mrru(self.fd, network.terms.mrru)

    def _multilink_flags(self):
        network = self.network
        if not isinstance(network, Bundle) or not network.multilink:
            return 0
        flags = ppp.MULTILINK
        flags |= ppp.SHORT_RECEIVE if network.receiver.short else 0
        flags |= ppp.SHORT_SEND if network.sender.short else 0
        return flags

    def _close_if_idle(self):
        if self.fd >= 0 and not self.sessions and not self._taken:
            os.close(self.fd)
            self.fd = -1
            if self.network.plane is self:
                self.network.plane = None

    def _on_ready(self, events, now):
        for _ in range(_BATCH):
            try:
                size = os.readv(self.fd, self._room)
            except BlockingIOError:
                return
            except OSError:
                size = 0
            if not size:
                self._loop.unwatch(self.fd)
                self.network.fail(Fault(INTERFACE, f"{self.name} was deleted"), now)
                return
            if size > 2 and self._buf[HEADROOM] == 0 and self._buf[HEADROOM + 1] == wire.COMPRESSED:
                self.network.drop("packet that the kernel could not decrypt")
            else:
                self.network.carry(self._buf, HEADROOM, HEADROOM + size, now)
            if self.fd < 0 or not self.sessions:
                return
