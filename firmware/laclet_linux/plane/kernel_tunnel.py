"""Tunnels that the kernel's L2TP knows: its contexts, on UDP sockets beside those of our endpoints."""

import errno
import socket

from laclet.port import HEADROOM, frame_buffer

from ..loop import READ
from . import ppp

_BATCH = 32  # datagrams read before others get their turn
_DATAGRAM = 65535
_SO_MARK = 36
_MTU_DISCOVER = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}


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
        self._context = ppp.l2tp_socket()
        self.udp = None
        try:
            self.udp = _connected(tunnel.endpoint.carrier.sock, tunnel.addr)
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
        if self.udp is not None:
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
