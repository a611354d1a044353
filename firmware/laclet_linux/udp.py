"""UDP sockets as carriers of datagrams, and names looked up without waiting for them."""

import contextlib
import errno
import os
import socket
import struct
import threading

from laclet.carrier import circuit
from laclet.fault import DNS, Fault
from laclet.port import HEADROOM, frame_buffer

from .loop import ERROR

# Datagrams read before others get their turn.
_BATCH = 64
# The largest UDP payload, so that nothing is ever cut off; pages that are never touched cost nothing.
_SIZE = 65535
# Bytes asked of the kernel for each direction; it grants what its limits allow.
_KERNEL_BUFFER = 1 << 20
# Peers whose refusal is remembered.
_MAX_REFUSED = 64

# Linux constants that the socket module lacks.
_IP_MTU_DISCOVER = 10
_IP_RECVERR = 11
_IPV6_MTU_DISCOVER = 23
_IPV6_RECVERR = 25
_PMTUDISC_DONT = 0
_MSG_ERRQUEUE = 0x2000
_UDP_ENCAP = 100
_UDP_GRO = 104
_UDP_ENCAP_ESPINUDP = 2
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err; errno is first


class UdpCarrier:
    """A socket under an L2TP endpoint: ``local`` its own address, ``drops`` what was not sent, by reason.

    It is never connected: the LNS may answer from another address or port (RFC 2661 section 8.1), and the callers of an
    LNS are many. ``on_refused(addr, text)`` is called once when the network sends datagrams for ``addr`` back.
    """

    def __init__(self, loop, endpoint, address, port, peer, on_refused):
        self.drops = {}
        self._loop = loop
        self._endpoint = endpoint
        self._on_refused = on_refused
        self._refused = {}  # addr -> errno
        self._buf = frame_buffer(_SIZE)
        self._room = memoryview(self._buf)[HEADROOM : HEADROOM + _SIZE]
        self._mover = None
        self.sock = _bound(address, port, peer)
        self.local = self.sock.getsockname()
        loop.watch(self.sock.fileno(), self._on_ready)

    def send(self, buf, start, end, addr):
        """Send ``buf[start:end]`` to ``addr``. What the kernel does not take is lost and counted."""
        if self._mover is not None:
            self._mover.number(buf, start, addr)
        packet = memoryview(buf)[start:end]
        code = self._try(packet, addr)
        if code == errno.ECONNREFUSED:  # an earlier datagram's, perhaps to somebody else: this one was not sent
            code = self._try(packet, addr)
        if code:
            reason = "send: " + os.strerror(code)
            self.drops[reason] = self.drops.get(reason, 0) + 1
            self._refuse(addr, code)

    def settle(self, addr):
        """The peer has proved to be at ``addr``: what the network said of it is over."""
        self._refused.pop(addr, None)

    def source(self, addr):
        """Our own address and port as ``addr`` would see them without a NAT, or None without a route."""
        with socket.socket(self.sock.family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((self.local[0], 0))
                probe.connect(addr)
            except OSError:
                return None
            return probe.getsockname()[0], self.local[1]

    def mover(self):
        """The userspace plane of this socket; it has the socket while it has sessions."""
        if self._mover is None:
            from .plane.mover import Mover

            self._mover = Mover(self._loop, self, self._endpoint)
        return self._mover

    def take_back(self):
        """The userspace plane has no session any more."""
        with contextlib.suppress(OSError):  # an old kernel has none
            self.sock.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 0)
        self._loop.watch(self.sock.fileno(), self._on_ready)

    def all_drops(self):
        """What was neither sent nor handed on, by reason."""
        drops = dict(self.drops)
        for reason, count in (self._mover.drops() if self._mover is not None else {}).items():
            drops[reason] = drops.get(reason, 0) + count
        return drops

    def mark(self, dscp):
        """The class of service of everything that is sent from now on (RFC 2474)."""
        if self.sock.family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
        else:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)

    def take_esp(self):
        """Let the kernel take ESP from this socket (RFC 3948); IKE behind its marker still comes to us."""
        self.sock.setsockopt(socket.IPPROTO_UDP, _UDP_ENCAP, _UDP_ENCAP_ESPINUDP)

    def close(self):
        """Close the socket."""
        if self._mover is not None:
            self._mover.close()
            self._mover = None
        if self.sock.fileno() >= 0:
            self._loop.unwatch(self.sock.fileno())
            self.sock.close()
            self._room = memoryview(b"")  # the largest thing here, given back at once
            self._buf = bytearray()

    def _try(self, packet, addr):
        """Send; 0 or an error number."""
        try:
            self.sock.sendto(packet, addr)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def _on_ready(self, events, now):
        if events & ERROR:
            self.read_errors()
        sock = self.sock
        room = self._room
        buf = self._buf
        receive = self._endpoint.receive
        for _ in range(_BATCH):
            try:
                size, addr = sock.recvfrom_into(room)
            except BlockingIOError:
                return
            except OSError:
                if sock.fileno() < 0:
                    return  # closed by what the last datagram set off
                continue  # an ICMP error in the place of a datagram; the error queue names it
            receive(buf, HEADROOM, HEADROOM + size, addr, now)

    def read_errors(self):
        """Empty the error queue: ICMP messages, each with the address that its datagram was for."""
        for _ in range(_BATCH):
            try:
                _, ancillary, _, addr = self.sock.recvmsg(0, 512, _MSG_ERRQUEUE)
            except OSError:
                return
            for _, kind, data in ancillary:
                if kind in (_IP_RECVERR, _IPV6_RECVERR) and len(data) >= _EXTENDED_ERROR.size:
                    self._refuse(addr, _EXTENDED_ERROR.unpack_from(data)[0])

    def _refuse(self, addr, code):
        if self._refused.get(addr) == code or code in (errno.EAGAIN, errno.ENOBUFS):
            return
        if addr in self._refused or len(self._refused) < _MAX_REFUSED:
            self._refused[addr] = code
            self._on_refused(addr, os.strerror(code))


def _bound(address, port, peer):
    """A non-blocking UDP socket at ``address`` (None: any) and ``port`` (0: a free one), of the family of ``peer``."""
    family, where = _place(address, port, peer)
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _KERNEL_BUFFER)
        # A tunnel's datagram that is too long for the path is better cut up than lost; and ICMP errors are told.
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        sock.bind(where)
        if peer is not None:
            _reach(family, where[0], peer)
    except OSError:
        sock.close()
        raise
    return sock


def _place(address, port, peer):
    """``(family, what to bind to)``."""
    if not address:
        v6 = peer is not None and len(peer) == 4
        return (socket.AF_INET6, ("::", port)) if v6 else (socket.AF_INET, ("0.0.0.0", port))
    found = socket.getaddrinfo(address, port, 0, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)[0]
    return found[0], found[4]


def _reach(family, address, peer):
    """Raise OSError when there is no route to ``peer``: better now than after the last retransmission."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        probe.connect(peer)


def address_text(addr):
    """``192.0.2.1 port 1701`` of a socket address, ``DLCI 100`` … of a circuit's."""
    return circuit.text(addr) or f"{addr[0]} port {addr[1]}"


def resolve(loop, host, port, done):
    """Look ``host`` up in a thread, then call ``done(addresses, fault, now)`` in the loop.

    A resolver that hangs holds up the dialling of this name, and nothing else.
    """

    def look_up():
        addresses, fault = [], None
        try:
            for family, _, _, _, addr in socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM):
                if family in (socket.AF_INET, socket.AF_INET6):
                    addresses.append(addr)
        except (OSError, UnicodeError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            fault = Fault(DNS, f"cannot find {host}: {cause}", "", "check the name and the name servers")
        loop.from_thread(lambda now: done(addresses, fault, now))

    threading.Thread(target=look_up, name="resolve " + host, daemon=True).start()
