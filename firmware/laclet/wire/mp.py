"""Headers of multilink fragments (RFC 1990 §3), in place."""

from .ppp import MULTILINK

# In the first byte of a header.
BEGIN = 0x80
END = 0x40
WHOLE = BEGIN | END

# Bytes of a header, and the space of its sequence numbers less one.
LONG = 4
SHORT = 2
LONG_MASK = 0xFFFFFF
SHORT_MASK = 0xFFF


def put(buf, at, flags, number, short):
    """Write protocol field and header in front of the fragment data at ``at``; where the frame starts."""
    if short:
        at -= SHORT
        buf[at] = flags | number >> 8 & 0x0F
    else:
        at -= LONG
        buf[at] = flags
        buf[at + 1] = number >> 16 & 0xFF
        buf[at + 2] = number >> 8 & 0xFF
    buf[at + 1 if short else at + 3] = number & 0xFF
    buf[at - 2] = 0
    buf[at - 1] = MULTILINK
    return at - 2


def number(buf, at, short):
    """The sequence number of the header at ``at``; the caller has checked that a whole one stands there."""
    if short:
        return (buf[at] & 0x0F) << 8 | buf[at + 1]
    return buf[at + 1] << 16 | buf[at + 2] << 8 | buf[at + 3]
