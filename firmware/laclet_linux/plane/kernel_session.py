"""Sessions of the kernel's L2TP, the tunnels they are in, and the PPP units above them."""

import contextlib
import errno
import os
import socket

from laclet.fault import INTERFACE, Fault
from laclet.port import HEADROOM, Port, frame_buffer
from laclet.ppp.bundle import Bundle
from laclet.ppp.ccp import MPPE, strength
from laclet.wire import ppp as wire

from ..loop import READ
from . import ppp

_BATCH = 32  # frames read before others get their turn; the kernel keeps as many
_FRAME = 2048  # control frames are shorter
_DATAGRAM = 65535
_REORDER = 100  # ms the kernel waits for a numbered packet, as the core does
_SO_MARK = 36
_MTU_DISCOVER = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}
_NETWORKS = ((0x21, 4), (0x57, 6))  # PPP protocol numbers, and what IP version they are


_WORDS = {
    errno.ENOENT: "there is no /dev/ppp (modprobe ppp_generic, mknod /dev/ppp c 108 0)",
    errno.ENODEV: "the kernel has no PPP (modprobe ppp_generic)",
    errno.ENXIO: "the kernel has no PPP (modprobe ppp_generic)",
    errno.EPERM: "it takes root, or CAP_NET_ADMIN",
    errno.EACCES: "/dev/ppp cannot be opened (root, or CAP_NET_ADMIN and its group)",
    errno.EAFNOSUPPORT: "the kernel has no L2TP (modprobe l2tp_ppp)",
    errno.EPROTONOSUPPORT: "the kernel has no L2TP (modprobe l2tp_ppp)",
    errno.ESOCKTNOSUPPORT: "the kernel has no L2TP (modprobe l2tp_ppp)",
    errno.ENOTTY: "the kernel lacks a part of PPP (CONFIG_PPP_MULTILINK)",
}


def words(error):
    """Why the kernel plane cannot be had, and the way out."""
    return _WORDS.get(error.errno) or error.strerror or str(error)


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


class KernelTunnel:
    """A tunnel the kernel knows: a UDP socket beside that of the endpoint, connected to the peer, and its context.

    The kernel takes data packets from it; what else comes goes to the endpoint. It ends with its last session.
    """

    def __init__(self, kernel, tunnel):
        self._kernel = kernel
        self._tunnel = tunnel
        self._users = 0
        self._buf = frame_buffer(_DATAGRAM)
        self._room = memoryview(self._buf)[HEADROOM : HEADROOM + _DATAGRAM]
        self.udp = _connected(tunnel.endpoint.carrier.sock, tunnel.addr)
        try:
            self._context = ppp.l2tp_socket()
            ppp.bind_l2tp(self._context, self.udp, tunnel.tid, tunnel.peer_tid, 0, 0)
            if ppp.tunnel_of(self._context) != (tunnel.tid, tunnel.peer_tid):
                raise OSError(errno.EADDRINUSE, "another program has a tunnel of that number")
        except OSError:
            self._close_sockets()
            raise
        kernel.loop.watch(self.udp.fileno(), self._on_ready, READ)

    def bind(self, session):
        """A socket that is the kernel's end of ``session``."""
        sock = ppp.l2tp_socket()
        try:
            ppp.bind_l2tp(sock, self.udp, self._tunnel.tid, self._tunnel.peer_tid, session.sid, session.peer_sid)
        except OSError:
            sock.close()
            raise
        self._users += 1
        return sock

    def release(self):
        """A session less; after the last one, what has come meanwhile is read before the end."""
        self._users -= 1
        if not self._users:
            left = []
            self._read(lambda buf, start, end, addr, now: left.append((bytes(buf[start:end]), addr)), 0)
            self.close()
            if left:
                self._kernel.loop.after(0, lambda now: self._deliver(left, now))

    def close(self):
        """The kernel forgets the tunnel."""
        self._kernel.tunnels.pop(self._tunnel, None)
        self._kernel.loop.unwatch(self.udp.fileno())
        self._close_sockets()

    def _deliver(self, left, now):
        for datagram, addr in left:
            self._room[: len(datagram)] = datagram
            self._tunnel.endpoint.receive(self._buf, HEADROOM, HEADROOM + len(datagram), addr, now)

    def _close_sockets(self):
        self._context.close()
        self.udp.close()

    def _on_ready(self, events, now):
        self._read(self._tunnel.endpoint.receive, now)

    def _read(self, receive, now):
        udp = self.udp
        for _ in range(_BATCH):
            try:
                size, addr = udp.recvfrom_into(self._room)
            except BlockingIOError:
                return
            except OSError:
                if udp.fileno() < 0:
                    return
                continue  # an ICMP error in the place of a datagram: the control connection sees to it
            receive(self._buf, HEADROOM, HEADROOM + size, addr, now)


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
                self._give_up(words(error), now)
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


def _numbering(session):
    """Socket options: who numbers packets (RFC 2661 §5.4). A LAC does as the LNS does."""
    return (
        (ppp.LNS_MODE, int(session.leads)),
        (ppp.SEND_SEQ, int(session.sequencing)),
        (ppp.REORDER_TIMEOUT, _REORDER),
    )


def _connected(sock, addr):
    """A UDP socket at the address and port of ``sock``, connected to ``addr``: the kernel prefers it for that peer."""
    udp = socket.socket(sock.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if sock.family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for level, option in (_MTU_DISCOVER[sock.family], (socket.SOL_SOCKET, _SO_MARK)):
            udp.setsockopt(level, option, sock.getsockopt(level, option))
        # Such sockets share the port with each other, and for this moment with ``sock``, which keeps others out.
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            udp.bind(sock.getsockname())
        finally:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        udp.connect(addr)
    except OSError:
        udp.close()
        raise
    return udp
