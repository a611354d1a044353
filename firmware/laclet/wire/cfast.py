# cpython only
"""HDLC framing on CPython at the speed of its C library: the twins of the ``…_plain`` functions of ``hdlc``.

The FCS is ``binascii.crc_hqx`` (same polynomial, other bit order) over octets mirrored by ``translate``; escapes are
found and made by C. What an octet costs is C's, and only what a frame and an escape received cost is Python's.
"""

from binascii import crc_hqx
from functools import lru_cache

from ..port import HEADROOM

_AT, _FCS, _PENDING, _OVER, _ENDED, _ACCM, _LIMIT = range(7)  # the places in the state of a decoder, as in hdlc

_MIRROR = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_FCS_OCTET = tuple(bytes((octet ^ 0xFF,)) for octet in _MIRROR)


@lru_cache(16)
def _escapes(accm):
    return tuple((bytes((c,)), bytes((0x7D, c ^ 0x20))) for c in range(32) if accm >> c & 1)


@lru_cache(16)
def _controls(accm):
    return bytes(c for c in range(32) if accm >> c & 1)


def encode(buf, start, end, out, at, accm):
    """See ``hdlc.encode_plain``."""
    raw = buf[start:end]
    crc = crc_hqx(raw.translate(_MIRROR), 0xFFFF)
    raw += _FCS_OCTET[crc >> 8]
    raw += _FCS_OCTET[crc & 0xFF]
    raw = raw.replace(b"}", b"}]").replace(b"~", b"}^")  # the escape first: the flag's escape must not be escaped
    if accm:
        for octet, escaped in _escapes(accm):
            raw = raw.replace(octet, escaped)
    new = at + len(raw)
    if new >= len(out):
        return 0
    out[at:new] = raw
    out[new] = 0x7E
    return new + 1


def deframe(chunk, start, end, buf, state):
    """See ``hdlc.deframe_plain``."""
    flag = chunk.find(b"~", start, end)
    part = bytes(chunk[start : end if flag < 0 else flag])
    if state[_ACCM]:
        part = part.translate(None, _controls(state[_ACCM]))
    if state[_PENDING]:
        part = b"}" + part  # the escape that ended the chunk before
        state[_PENDING] = 0
    pieces = part.split(b"}")
    if len(pieces) > 1:
        if b"" in pieces:  # perhaps an escaped escape, legal for 0x5D: escapes pair off from the left, as replace does
            pieces = part.replace(b"}}", b"]").split(b"}")
        part = bytearray().join(pieces)
        if not pieces.pop() and pieces:
            state[_PENDING] = 0x20
            pieces.pop()
        escaped = 0
        for piece in pieces:
            escaped += len(piece)
            part[escaped] ^= 0x20
    at = state[_AT]
    new = at + len(part)
    if new > state[_LIMIT]:
        state[_OVER] = 1
        new = HEADROOM
    else:
        buf[at:new] = part
    crc = crc_hqx(part.translate(_MIRROR), state[_FCS])
    state[_AT] = new
    if flag < 0:
        state[_FCS] = crc
        return end
    state[_FCS] = _MIRROR[crc & 0xFF] << 8 | _MIRROR[crc >> 8]
    state[_ENDED] = 1
    return flag + 1


def move(buf, to, start, end):
    """See ``hdlc.move_plain``."""
    buf[to : to + end - start] = buf[start:end]
