"""SHA-1 (RFC 3174) in plain Python, for boards whose hashlib lacks it; reached through ``hashes.sha1``."""

import struct

_M = 0xFFFFFFFF


def _block(state, w):
    """One block of 16 words ``w``, a list that is reused as the circular queue of RFC 3174 §6.2."""
    a, b, c, d, e = state
    for i in range(80):
        at = i & 15
        if i >= 16:
            x = w[(at + 13) & 15] ^ w[(at + 8) & 15] ^ w[(at + 2) & 15] ^ w[at]
            w[at] = (x << 1 | x >> 31) & _M
        if i < 20:
            f = ((b & c) | (~b & d)) + 0x5A827999
        elif i < 40:
            f = (b ^ c ^ d) + 0x6ED9EBA1
        elif i < 60:
            f = ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC
        else:
            f = (b ^ c ^ d) + 0xCA62C1D6
        a, b, c, d, e = ((a << 5 | a >> 27) + f + e + w[at]) & _M, a, (b << 30 | b >> 2) & _M, c, d
    return (
        (state[0] + a) & _M,
        (state[1] + b) & _M,
        (state[2] + c) & _M,
        (state[3] + d) & _M,
        (state[4] + e) & _M,
    )


def sha1(data):
    """The 20-byte SHA-1 digest of any bytes-like ``data``."""
    size = len(data)
    data = bytes(data) + b"\x80" + bytes((55 - size) % 64) + struct.pack(">Q", 8 * size)
    state = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
    for at in range(0, len(data), 64):
        state = _block(state, list(struct.unpack_from(">16I", data, at)))
    return struct.pack(">5I", *state)
