"""DES encryption in plain Python (FIPS 46-3), for MS-CHAP (RFC 2433 and 2759).

A round works on 16-bit words and 24-bit half keys: small ints on every board, so it allocates nothing.
Bits are numbered as in the standard: 1 is the most significant.
"""

import struct
from array import array
from binascii import unhexlify

# S1 … S8: four rows of sixteen, a nibble an entry.
_S = unhexlify(
    "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d"
    "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9"
    "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c"
    "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e"
    "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453"
    "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d"
    "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c"
    "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b"
)
# The permutations: which bit of its input each bit of the output is.
_P = unhexlify("100714151d0c1c11010f171a05121f0a0208180e201b0309130d1e06160b0419")
_PC1 = unhexlify(
    "39312921191109013a322a221a120a023b332b231b130b033c342c243f372f271f170f073e362e261e160e063d352d251d150d051c140c04"
)
_PC2 = unhexlify("0e110b180105031c0f06150a17130c041a0810071b140d0229341f252f371e28332d21302c31273822352e2a32241d20")
_ONE_SHIFT = (0, 1, 8, 15)  # the rounds whose key halves turn by one bit, not two


def _round_tables(first):
    """Four S-boxes and P in one: 4 × 64 entries each of the upper and the lower 16 bits that they give to a round."""
    upper, lower = array("H", bytes(512)), array("H", bytes(512))
    for box in range(first, first + 4):
        spread = [0] * 16  # a nibble of this box -> its four bits where P puts them
        for bit in range(4):
            goes_to = 1 << (31 - _P.index(bytes((4 * box + bit + 1,))))
            for nibble in range(16):
                if nibble << bit & 8:
                    spread[nibble] |= goes_to
        for i in range(64):
            row_and_column = (i & 0x20) | (i & 1) << 4 | (i >> 1 & 0x0F)
            pair = _S[32 * box + (row_and_column >> 1)]
            out = spread[pair & 0x0F if i & 2 else pair >> 4]
            upper[64 * (box - first) + i] = out >> 16
            lower[64 * (box - first) + i] = out & 0xFFFF
    return upper, lower


def _key_tables(choice, first):
    """PC2 for a 28-bit half whose first bit is number ``first``: what each of its nibbles gives to the half key."""
    tables = array("I", bytes(448))
    for place in range(24):
        bit = choice[place] - first
        for nibble in range(16):
            if nibble << (bit & 3) & 8:
                tables[16 * (bit >> 2) + nibble] |= 0x800000 >> place
    return tables


# Small pieces, for a heap that has been in use for a while.
_UPPER_C, _LOWER_C = _round_tables(0)
_UPPER_D, _LOWER_D = _round_tables(4)
_FROM_C = _key_tables(_PC2[:24], 1)
_FROM_D = _key_tables(_PC2[24:], 29)


def _half_key(t, x):
    """24 bits of a round key out of the 28 bits of ``x``."""
    return (
        t[x >> 24]
        | t[16 + (x >> 20 & 15)]
        | t[32 + (x >> 16 & 15)]
        | t[48 + (x >> 12 & 15)]
        | t[64 + (x >> 8 & 15)]
        | t[80 + (x >> 4 & 15)]
        | t[96 + (x & 15)]
    )


def _rotate(x, n):
    """The 28 bits of ``x`` turned left by ``n``."""
    return (x << n & 0xFFFFFFF) | x >> (28 - n)


def _swap(a, b, shift, mask):
    """Exchange the bits of ``b`` under ``mask`` with those of ``a`` under ``mask << shift``."""
    t = (a >> shift ^ b) & mask
    return a ^ t << shift, b ^ t


def encrypt(key, block):
    """One 8-byte ``block`` under an 8-byte ``key`` (its parity bits are ignored): 8 bytes."""
    c = d = 0
    for place in range(28):
        bit = _PC1[place] - 1
        c = c << 1 | (key[bit >> 3] >> (7 - (bit & 7)) & 1)
        bit = _PC1[28 + place] - 1
        d = d << 1 | (key[bit >> 3] >> (7 - (bit & 7)) & 1)

    # The initial permutation, as a transposition of bits in five exchanges.
    left, right = struct.unpack(">II", block)
    left, right = _swap(left, right, 4, 0x0F0F0F0F)
    left, right = _swap(left, right, 16, 0x0000FFFF)
    right, left = _swap(right, left, 2, 0x33333333)
    right, left = _swap(right, left, 8, 0x00FF00FF)
    left, right = _swap(left, right, 1, 0x55555555)

    lh, ll, rh, rl = left >> 16, left & 0xFFFF, right >> 16, right & 0xFFFF
    upper, lower, upper2, lower2 = _UPPER_C, _LOWER_C, _UPPER_D, _LOWER_D
    for i in range(16):
        n = 1 if i in _ONE_SHIFT else 2
        c = _rotate(c, n)
        d = _rotate(d, n)
        # The expansion: six bits for a box overlap their neighbours by one on each side; k holds four boxes' key bits.
        e = (rl & 1) << 17 | rh << 1 | rl >> 15
        k = _half_key(_FROM_C, c)
        j1 = (e >> 12 ^ k >> 18) & 63
        j2 = 64 | ((e >> 8 ^ k >> 12) & 63)
        j3 = 128 | ((e >> 4 ^ k >> 6) & 63)
        j4 = 192 | ((e ^ k) & 63)
        e = (rh & 1) << 17 | rl << 1 | rh >> 15
        k = _half_key(_FROM_D, d)
        j5 = (e >> 12 ^ k >> 18) & 63
        j6 = 64 | ((e >> 8 ^ k >> 12) & 63)
        j7 = 128 | ((e >> 4 ^ k >> 6) & 63)
        j8 = 192 | ((e ^ k) & 63)
        lh ^= upper[j1] ^ upper[j2] ^ upper[j3] ^ upper[j4] ^ upper2[j5] ^ upper2[j6] ^ upper2[j7] ^ upper2[j8]
        ll ^= lower[j1] ^ lower[j2] ^ lower[j3] ^ lower[j4] ^ lower2[j5] ^ lower2[j6] ^ lower2[j7] ^ lower2[j8]
        lh, ll, rh, rl = rh, rl, lh, ll

    # The halves are not exchanged after the last round; the final permutation undoes the initial one.
    left, right = rh << 16 | rl, lh << 16 | ll
    left, right = _swap(left, right, 1, 0x55555555)
    right, left = _swap(right, left, 8, 0x00FF00FF)
    right, left = _swap(right, left, 2, 0x33333333)
    left, right = _swap(left, right, 16, 0x0000FFFF)
    left, right = _swap(left, right, 4, 0x0F0F0F0F)
    return struct.pack(">II", left, right)
