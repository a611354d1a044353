"""L2TP headers (RFC 2661 §3.1): offsets and bits; one length check before any of the accessors may be used.

Control:  flags/ver 2 | length 2 | tunnel id 2 | session id 2 | Ns 2 | Nr 2          (T, L and S always set)
Data:     flags/ver 2 | [length 2] | tunnel id 2 | session id 2 | [Ns 2 | Nr 2] | [offset size 2 | pad]
"""

try:
    from micropython import const
except ImportError:

    def const(x):
        return x


# Bits of the first octet.
T = const(0x80)
L = const(0x40)
S = const(0x08)
O = const(0x02)  # noqa: E741  the RFC's name
P = const(0x01)
# The low nibble of the second octet.
VERSION = const(2)

CONTROL_HEADER = const(12)
DATA_HEADER_MIN = const(6)
DATA_HEADER_MAX = const(14)  # with length, sequence numbers and an empty offset field

# Message types (§3.2).
SCCRQ = const(1)
SCCRP = const(2)
SCCCN = const(3)
STOPCCN = const(4)
HELLO = const(6)
OCRQ = const(7)
OCRP = const(8)
OCCN = const(9)
ICRQ = const(10)
ICRP = const(11)
ICCN = const(12)
CDN = const(14)
WEN = const(15)
SLI = const(16)

# One text: seventeen would cost a board a name each.
_NAMES = "ZLB SCCRQ SCCRP SCCCN StopCCN 5 HELLO OCRQ OCRP OCCN ICRQ ICRP ICCN 13 CDN WEN SLI"


def message_name(mtype):
    """``SCCRQ`` for 1 …; the number itself where the RFC gives it no name."""
    return _NAMES.split()[mtype] if 0 <= mtype <= SLI else str(mtype)


def u16(buf, at):
    """The 16-bit big-endian number at ``at``; the caller has checked the bounds."""
    return buf[at] << 8 | buf[at + 1]


def put_u16(buf, at, value):
    """Write ``value`` modulo 65536 at ``at``."""
    buf[at] = value >> 8 & 0xFF
    buf[at + 1] = value & 0xFF


def put_control(buf, at, length, tunnel, session, ns, nr):
    """Write a 12-byte control header at ``at``; ``length`` counts the header (§3.1)."""
    buf[at] = T | L | S
    buf[at + 1] = VERSION
    put_u16(buf, at + 2, length)
    put_u16(buf, at + 4, tunnel)
    put_u16(buf, at + 6, session)
    put_u16(buf, at + 8, ns)
    put_u16(buf, at + 10, nr)


def check_control(buf, start, end):
    """The end of a control message by its own length field, or -1 when the header is not one of §3.1.

    Needs T, L and S set, O and P clear, version 2, and a length from 12 to what arrived.
    """
    if end - start < CONTROL_HEADER:
        return -1
    if buf[start] & (T | L | S | O | P) != T | L | S or buf[start + 1] & 0x0F != VERSION:
        return -1
    length = u16(buf, start + 2)
    if length < CONTROL_HEADER or length > end - start:
        return -1
    return start + length
