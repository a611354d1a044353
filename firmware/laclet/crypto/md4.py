"""MD4 (RFC 1320) in plain Python: no platform of ours offers it, and MS-CHAP is built on it (RFC 2433, 2759)."""

import struct

_M = 0xFFFFFFFF
_ORDER = (  # which word each step of the three rounds takes (RFC 1320 §3.4)
    b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
    b"\x00\x04\x08\x0c\x01\x05\x09\x0d\x02\x06\x0a\x0e\x03\x07\x0b\x0f",
    b"\x00\x08\x04\x0c\x02\x0a\x06\x0e\x01\x09\x05\x0d\x03\x0b\x07\x0f",
)
_SHIFTS = (b"\x03\x07\x0b\x13", b"\x03\x05\x09\x0d", b"\x03\x09\x0b\x0f")


def _block(state, x):
    """One block of 16 words ``x`` (RFC 1320 §3.4)."""
    a, b, c, d = state
    for turn in range(3):
        order, shifts = _ORDER[turn], _SHIFTS[turn]
        for i in range(16):
            if turn == 0:
                f = d ^ (b & (c ^ d))
            elif turn == 1:
                f = ((b & (c | d)) | (c & d)) + 0x5A827999
            else:
                f = (b ^ c ^ d) + 0x6ED9EBA1
            f = (a + f + x[order[i]]) & _M
            shift = shifts[i & 3]
            a, b, c, d = d, (f << shift | f >> (32 - shift)) & _M, b, c
    return (state[0] + a) & _M, (state[1] + b) & _M, (state[2] + c) & _M, (state[3] + d) & _M


def md4(data):
    """The 16-byte MD4 digest of any bytes-like ``data``."""
    size = len(data)
    data = bytes(data) + b"\x80" + bytes((55 - size) % 64) + struct.pack("<Q", 8 * size)
    state = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
    for at in range(0, len(data), 64):
        state = _block(state, struct.unpack_from("<16I", data, at))
    return struct.pack("<4I", *state)
