"""The kernel's PPP and its L2TP, call by call: /dev/ppp, AF_PPPOX sockets, line discipline N_PPP. No decisions here.

A *channel* carries frames (an L2TP session, a tty); a *unit* is a network interface, and has one channel or, with
multilink, several. Either has a file descriptor of /dev/ppp with the frames that are not the kernel's business.
All functions raise OSError.
"""

import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
import termios

# linux/ppp-ioctl.h: number, direction, size. SCOMPRESS has a pointer inside.
_OPTION = struct.Struct("@PIi")  # struct ppp_option_data: address, length, transmit
_NPIOCTL = struct.Struct("=ii")
_STATS = struct.Struct("=HHI8Q")  # struct pppol2tp_ioc_stats

# asm/ioctl.h: most processors, and those that have it otherwise.
_OTHERS = ("mips", "ppc", "powerpc", "sparc", "alpha")
_NONE, _READ, _WRITE, _SIZE_BITS = (1, 2, 4, 13) if platform.machine().startswith(_OTHERS) else (0, 2, 1, 14)


def _ioc(way, number, size):
    return way << 16 + _SIZE_BITS | size << 16 | ord("t") << 8 | number


UNBRIDGECHAN = _ioc(_NONE, 52, 0)
BRIDGECHAN = _ioc(_WRITE, 53, 4)
_GL2TPSTATS = _ioc(_READ, 54, _STATS.size)
_GCHAN = _ioc(_READ, 55, 4)
_ATTCHAN = _ioc(_WRITE, 56, 4)
_DISCONN = _ioc(_NONE, 57, 0)
_CONNECT = _ioc(_WRITE, 58, 4)
_SMRRU = _ioc(_WRITE, 59, 4)
_NEWUNIT = _ioc(_READ | _WRITE, 62, 4)
_SNPMODE = _ioc(_WRITE, 75, _NPIOCTL.size)
_SCOMPRESS = _ioc(_WRITE, 77, _OPTION.size)
_SMRU = _ioc(_WRITE, 82, 4)
_SRASYNCMAP = _ioc(_WRITE, 84, 4)
_SASYNCMAP = _ioc(_WRITE, 87, 4)
_SFLAGS = _ioc(_WRITE, 89, 4)

# Flags of a unit.
COMPRESS_PROTOCOL = 0x1
CCP_OPEN = 0x40
CCP_UP = 0x80
MULTILINK = 0x400
SHORT_RECEIVE = 0x800  # multilink headers
SHORT_SEND = 0x4000

# What a unit does with packets of a network protocol.
PASS = 0
DROP = 1

N_TTY = 0
N_PPP = 3

# linux/if_pppox.h, linux/if_pppol2tp.h
_AF_PPPOX = 24
_PX_PROTO_OL2TP = 1
_SOL_PPPOL2TP = 273
RECV_SEQ = 2
SEND_SEQ = 3
LNS_MODE = 4
REORDER_TIMEOUT = 5
_SIOCSIFNAME = 0x8923

# What errors of these calls mean, and the way out.
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

_libc = ctypes.CDLL(None, use_errno=True)


def words(error):
    """Why the kernel refused, and the way out."""
    return _WORDS.get(error.errno) or error.strerror or str(error)


def l2tp_socket():
    """A socket of the kernel's L2TP, to be bound by ``bind_l2tp``; its module is loaded when it is not there yet."""
    return socket.socket(_AF_PPPOX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _PX_PROTO_OL2TP)


def bind_l2tp(sock, udp, tunnel, peer_tunnel, session, peer_session):
    """Make ``sock`` the kernel's end of a session over the connected UDP socket ``udp``; of the tunnel, with ids 0.

    Python's connect() knows no such address.
    """
    head = struct.pack("=HIii", _AF_PPPOX, _PX_PROTO_OL2TP, 0, udp.fileno())
    ids = struct.pack("=4H", tunnel, session, peer_tunnel, peer_session)
    address = head + (ids + bytes(28) if udp.family == socket.AF_INET6 else bytes(16) + ids)
    if _libc.connect(sock.fileno(), address, len(address)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def tunnel_of(sock):
    """``(our tunnel id, the peer's)`` of the kernel's tunnel that ``sock`` has been bound to."""
    buf = ctypes.create_string_buffer(64)
    size = ctypes.c_uint32(64)
    if _libc.getpeername(sock.fileno(), buf, ctypes.byref(size)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    at = 14 if size.value == 50 else 30  # sockaddr_pppol2tpin6 has the ids before the address
    own, _, peer, _ = struct.unpack_from("=4H", buf.raw, at)
    return own, peer


def set_option(sock, option, value):
    """RECV_SEQ, SEND_SEQ, LNS_MODE (0 or 1), REORDER_TIMEOUT (ms) of a session."""
    sock.setsockopt(_SOL_PPPOL2TP, option, value)


def l2tp_counters(sock):
    """``(packets sent, bytes sent, packets received, bytes received, out of order)`` of a session."""
    raw = fcntl.ioctl(sock.fileno(), _GL2TPSTATS, bytes(_STATS.size))
    _, _, _, tx_packets, tx_bytes, _, rx_packets, rx_bytes, _, out_of_order, _ = _STATS.unpack(raw)
    return tx_packets, tx_bytes, rx_packets, rx_bytes, out_of_order


def open_ppp():
    """A fresh descriptor of /dev/ppp, not blocking."""
    return os.open("/dev/ppp", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def channel_of(fd):
    """The number of the channel below a bound L2TP session, or a tty with N_PPP."""
    return _get(fd, _GCHAN)


def open_channel(number):
    """A descriptor for the frames of a channel that belong to no unit: LCP, authentication."""
    fd = open_ppp()
    try:
        _set(fd, _ATTCHAN, number)
    except OSError:
        os.close(fd)
        raise
    return fd


def new_unit():
    """``(descriptor, number)`` of a new unit, whose interface is ``pppNUMBER``."""
    fd = open_ppp()
    try:
        return fd, struct.unpack("=i", fcntl.ioctl(fd, _NEWUNIT, struct.pack("=i", -1)))[0]
    except OSError:
        os.close(fd)
        raise


def rename(name, new):
    """Give an interface that is down another name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFNAME, struct.pack("16s16s8x", name.encode(), new.encode()))


def connect(channel, unit):
    """Put a channel (its descriptor) below a unit (its number)."""
    _set(channel, _CONNECT, unit)


def disconnect(channel):
    """Take a channel away from its unit."""
    fcntl.ioctl(channel, _DISCONN)


def bridge(channel, other):
    """What comes out of ``channel`` (its descriptor) goes into channel ``other`` (its number), and back. Linux 5.13."""
    _set(channel, BRIDGECHAN, other)


def unbridge(channel):
    """Undo ``bridge``, for both."""
    fcntl.ioctl(channel, UNBRIDGECHAN)


def set_flags(unit, flags):
    """Replace a unit's flags, but for those that are the kernel's own."""
    _set(unit, _SFLAGS, flags)


def set_mru(unit, mru):
    """The longest packet that a unit takes."""
    _set(unit, _SMRU, mru)


def set_mrru(unit, mrru):
    """The longest packet that a unit puts together from fragments. Fails without PPP_MULTILINK in the kernel."""
    _set(unit, _SMRRU, mrru)


def set_mode(unit, protocol, mode):
    """PASS or DROP packets of network ``protocol`` (0021, 0057) that go into a unit."""
    fcntl.ioctl(unit, _SNPMODE, _NPIOCTL.pack(protocol, mode))


def set_compressor(unit, option, send):
    """Let a unit compress what it sends, or expand what it receives, as soon as a CCP Configure-Ack has passed.

    ``option``: CCP's option as it was agreed (type, length, value), for MPPE with the key behind it.
    """
    data = ctypes.create_string_buffer(option, len(option))
    fcntl.ioctl(unit, _SCOMPRESS, _OPTION.pack(ctypes.addressof(data), len(option), int(send)))
    ctypes.memset(data, 0, len(option))


def set_discipline(tty, number):
    """Give a tty another line discipline."""
    _set(tty, termios.TIOCSETD, number)


def set_maps(channel, send, receive):
    """The async control character maps of a tty's channel: octets to escape, octets to discard."""
    fcntl.ioctl(channel, _SASYNCMAP, struct.pack("=I", send))
    fcntl.ioctl(channel, _SRASYNCMAP, struct.pack("=I", receive))


def _get(fd, request):
    return struct.unpack("=i", fcntl.ioctl(fd, request, bytes(4)))[0]


def _set(fd, request, value):
    fcntl.ioctl(fd, request, struct.pack("=i", value))
