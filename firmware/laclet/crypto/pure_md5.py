"""MD5 (RFC 1321) in plain Python, for boards whose hashlib lacks it; reached through ``hashes.md5``."""

import struct
from binascii import unhexlify

# T[1] … T[64] of RFC 1321 §3.4, big-endian words. Bytes, because a tuple of 32-bit ints is 2 kB of heap on a board.
_T = unhexlify(
    "d76aa478e8c7b756242070dbc1bdceeef57c0faf4787c62aa8304613fd469501"
    "698098d88b44f7afffff5bb1895cd7be6b901122fd987193a679438e49b40821"
    "f61e2562c040b340265e5a51e9b6c7aad62f105d02441453d8a1e681e7d3fbc8"
    "21e1cde6c33707d6f4d50d87455a14eda9e3e905fcefa3f8676f02d98d2a4c8a"
    "fffa39428771f6816d9d6122fde5380ca4beea444bdecfa9f6bb4b60bebfbc70"
    "289b7ec6eaa127fad4ef308504881d05d9d4d039e6db99e51fa27cf8c4ac5665"
    "f4292244432aff97ab9423a7fc93a039655b59c38f0ccc92ffeff47d85845dd1"
    "6fa87e4ffe2ce6e0a30143144e0811a1f7537e82bd3af2352ad7d2bbeb86d391"
)
_SHIFTS = b"\x07\x0c\x11\x16\x05\x09\x0e\x14\x04\x0b\x10\x17\x06\x0a\x0f\x15"  # four per round
_M = 0xFFFFFFFF


def _block(state, x):
    """One block of 16 words ``x`` (RFC 1321 §3.4)."""
    a, b, c, d = state
    for i in range(64):
        turn = i >> 4
        if turn == 0:
            f, k = (b & c) | (~b & d), i
        elif turn == 1:
            f, k = (b & d) | (c & ~d), 5 * i + 1
        elif turn == 2:
            f, k = b ^ c ^ d, 3 * i + 5
        else:
            f, k = c ^ (b | (d ^ _M)), 7 * i
        f = (a + f + struct.unpack_from(">I", _T, 4 * i)[0] + x[k & 15]) & _M
        shift = _SHIFTS[4 * turn + (i & 3)]
        a, b, c, d = d, (b + (f << shift | f >> (32 - shift))) & _M, b, c
    return (state[0] + a) & _M, (state[1] + b) & _M, (state[2] + c) & _M, (state[3] + d) & _M


def md5(data):
    """The 16-byte MD5 digest of any bytes-like ``data``."""
    size = len(data)
    data = bytes(data) + b"\x80" + bytes((55 - size) % 64) + struct.pack("<Q", 8 * size)
    state = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
    for at in range(0, len(data), 64):
        state = _block(state, struct.unpack_from("<16I", data, at))
    return struct.pack("<4I", *state)
