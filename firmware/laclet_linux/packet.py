"""What carries frames, cells, ATM and X.25 payloads on Linux: packet sockets, and the kernel's AF_ATMPVC and AF_X25."""

import ctypes
import errno
import fcntl
import os
import socket
import struct

from laclet.port import HEADROOM, TAILROOM

_BATCH = 64  # datagrams read before others get their turn
_SIZE = 65535
_ETHERNET = 1  # ARPHRD_ETHER
_BROADCAST = b"\xff" * 6
# EtherTypes: raw frame relay as in RFC 1701's list; cells have none of their own, so the one for local experiments.
FRAME_RELAY = 0x6559
CELLS = 0x88B5
_ETH_P_ALL = 3

_libc = ctypes.CDLL(None, use_errno=True)


class Socket:
    """A socket under a carrier of the core: datagrams in go to ``above.receive``."""

    def __init__(self, loop, above, sock, addr=None):
        self.drops = {}
        self._loop = loop
        self._above = above
        self._addr = addr  # whom all datagrams come from, as the core names it
        self._buf = bytearray(HEADROOM + _SIZE + TAILROOM)
        self._room = memoryview(self._buf)[HEADROOM : HEADROOM + _SIZE]
        self.sock = sock
        sock.setblocking(False)
        loop.watch(sock.fileno(), self._on_ready)

    def _write(self, data):
        self.sock.send(data)

    def send(self, buf, start, end, addr):
        """Send; what the kernel does not take is lost and counted."""
        try:
            self._write(memoryview(buf)[start:end])
        except OSError as error:
            reason = "send: " + os.strerror(error.errno or errno.EIO)
            self.drops[reason] = self.drops.get(reason, 0) + 1

    def _on_ready(self, events, now):
        for _ in range(_BATCH):
            try:
                size = self.sock.recv_into(self._room)
            except BlockingIOError:
                return
            except OSError:
                size = 0
            if size == 0 or self.sock.fileno() < 0:
                self.ended(now)
                return
            self._above.receive(self._buf, HEADROOM, HEADROOM + size, self._addr, now)

    def ended(self, now):
        """The other side is gone; a packet socket has none."""

    def close(self):
        """Close the socket."""
        if self.sock.fileno() >= 0:
            self._loop.unwatch(self.sock.fileno())
            self.sock.close()


class Packet(Socket):
    """Frames on an interface: as they are where it is a serial line, behind an EtherType where it is Ethernet."""

    def __init__(self, loop, above, interface, ethertype):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            sock.bind((interface, ethertype))
            if sock.getsockname()[3] != _ETHERNET:
                sock.close()
                sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                sock.bind((interface, _ETH_P_ALL))
        except OSError:
            sock.close()
            raise
        self._to = (interface, ethertype, 0, 0, _BROADCAST) if sock.type == socket.SOCK_DGRAM else None
        super().__init__(loop, above, sock)

    def _write(self, data):
        if self._to:
            self.sock.sendto(data, self._to)
        else:
            self.sock.send(data)

    def _on_ready(self, events, now):
        for _ in range(_BATCH):
            try:
                size, sender = self.sock.recvfrom_into(self._room)
            except OSError:
                return
            if sender[2] != socket.PACKET_OUTGOING:
                self._above.receive(self._buf, HEADROOM, HEADROOM + size, None, now)


def _check(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


# -- ATM ----------------------------------------------------------------------------------------------

_AF_ATMPVC = 8
_SOL_ATM = 264
_ATM_AAL5 = 5
_ATM_UBR = 1
_MAX_SDU = 2048


class _TrafficParameters(ctypes.Structure):
    """``struct atm_trafprm``; what follows max_sdu belongs to ABR, and is zero."""

    _fields_ = (
        ("traffic_class", ctypes.c_ubyte),
        ("max_pcr", ctypes.c_int),
        ("pcr", ctypes.c_int),
        ("min_pcr", ctypes.c_int),
        ("max_cdv", ctypes.c_int),
        ("max_sdu", ctypes.c_int),
        ("abr", ctypes.c_uint * 4),
    )


class _Quality(ctypes.Structure):
    """``struct atm_qos``, as all but sparc and ia64 align it."""

    _fields_ = (("tx", _TrafficParameters), ("rx", _TrafficParameters), ("aal", ctypes.c_ubyte))


_SO_ATMQOS = (_SOL_ATM & 0x1FF) << 22 | 2 << 16 | ctypes.sizeof(_Quality)


def atm_socket(number, vpi, vci):
    """A socket on a PVC of the kernel's ATM interface ``number``: AAL5, unspecified bit rate."""
    sock = socket.socket(_AF_ATMPVC, socket.SOCK_DGRAM, 0)
    try:
        quality = _Quality(aal=_ATM_AAL5)
        for direction in (quality.tx, quality.rx):
            direction.traffic_class = _ATM_UBR
            direction.max_sdu = _MAX_SDU
        size = ctypes.sizeof(quality)
        _check(_libc.setsockopt(sock.fileno(), _SOL_ATM, _SO_ATMQOS, ctypes.byref(quality), size))
        name = struct.pack("=H2xhhi", _AF_ATMPVC, number, vpi, vci)
        _check(_libc.connect(sock.fileno(), name, len(name)))
    except OSError:
        sock.close()
        raise
    return sock


# -- X.25 ---------------------------------------------------------------------------------------------

_AF_X25 = 9
_SIOCX25SCALLUSERDATA = 0x89E5
_SIOCX25SCUDMATCHLEN = 0x89E7
_BACKLOG = 8


def _x25_name(number):
    """``struct sockaddr_x25``."""
    return struct.pack("=H16s", _AF_X25, number.encode())


def x25_socket(user_data, own="", called=None):
    """A socket for calls with this Call User Data: it calls a number, or without one listens at its ``own``."""
    sock = socket.socket(_AF_X25, socket.SOCK_SEQPACKET, 0)
    try:
        fcntl.ioctl(sock.fileno(), _SIOCX25SCALLUSERDATA, struct.pack("=I128s", len(user_data), user_data))
        name = _x25_name(own)
        _check(_libc.bind(sock.fileno(), name, len(name)))
        if called is None:
            fcntl.ioctl(sock.fileno(), _SIOCX25SCUDMATCHLEN, struct.pack("=I", len(user_data)))
            sock.listen(_BACKLOG)
        sock.setblocking(False)
        if called is not None:
            name = _x25_name(called)
            if _libc.connect(sock.fileno(), name, len(name)) < 0 and ctypes.get_errno() != errno.EINPROGRESS:
                _check(-1)
    except OSError:
        sock.close()
        raise
    return sock


def x25_accept(listener):
    """``(socket, number of the caller)`` of the next call; BlockingIOError when there is none."""
    name = ctypes.create_string_buffer(18)
    size = ctypes.c_uint(18)
    fd = _libc.accept(listener.fileno(), name, ctypes.byref(size))
    _check(fd)
    return socket.socket(fileno=fd), name.raw[2:].split(b"\0")[0].decode("ascii", "replace")
