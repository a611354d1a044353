"""All viper code: the twins of the ``…_plain`` functions of ``hdlc`` and ``crypto.rc4``. MicroPython only.

Viper checks no bounds: callers hand in ranges that lie inside their buffers, and the runs below are cut so that writes
stay inside. Its ints have 32 bits on boards, and the arithmetic here needs no more.
"""
# ruff: noqa: F821, RUF046 - ptr8, ptr16, ptr32 are words of viper, int() is its cast

from array import array

import micropython
from micropython import const

from ..port import HEADROOM

_AT = const(0)  # the places in the state of a decoder, as in hdlc
_FCS = const(1)
_PENDING = const(2)
_OVER = const(3)
_ENDED = const(4)
_ACCM = const(5)
_LIMIT = const(6)


def _fcs_table():
    table = array("H", [0] * 256)  # RFC 1662 §C.1
    for i in range(256):
        v = i
        for _ in range(8):
            v = v >> 1 ^ 0x8408 if v & 1 else v >> 1
        table[i] = v
    return table


_TABLE = _fcs_table()


@micropython.viper
def encode(buf, start: int, end: int, out, at: int, accm: int) -> int:
    """See ``hdlc.encode_plain``."""
    src = ptr8(buf)
    dst = ptr8(out)
    table = ptr16(_TABLE)
    limit = int(len(out)) - 5
    fcs = 0xFFFF
    while start < end:
        stop = start + ((limit - at) >> 1)  # an octet takes at most two: this run cannot pass the limit
        if stop <= start:
            return 0
        if stop > end:
            stop = end
        while start < stop:
            c = src[start]
            start += 1
            fcs = (fcs >> 8) ^ table[(fcs ^ c) & 0xFF]
            if c > 0x7E:
                pass
            elif c < 0x20:
                if (accm >> c) & 1:
                    dst[at] = 0x7D
                    at += 1
                    c ^= 0x20
            elif c >= 0x7D:
                dst[at] = 0x7D
                at += 1
                c ^= 0x20
            dst[at] = c
            at += 1
    if at > limit:
        return 0
    fcs ^= 0xFFFF
    start = 0
    while start < 2:
        c = fcs & 0xFF
        fcs >>= 8
        start += 1
        if c == 0x7E or c == 0x7D or (c < 0x20 and (accm >> c) & 1):
            dst[at] = 0x7D
            at += 1
            c ^= 0x20
        dst[at] = c
        at += 1
    dst[at] = 0x7E
    return at + 1


@micropython.viper
def deframe(chunk, start: int, end: int, buf, state) -> int:
    """See ``hdlc.deframe_plain``."""
    src = ptr8(chunk)
    dst = ptr8(buf)
    st = ptr32(state)
    table = ptr16(_TABLE)
    at = st[_AT]
    fcs = st[_FCS]
    flip = st[_PENDING]
    accm = st[_ACCM]
    limit = st[_LIMIT]
    while start < end:
        stop = start + limit - at  # an octet gives at most one: this run cannot pass the limit
        if stop == start:
            at = int(HEADROOM)
            st[_OVER] = 1
            continue
        if stop > end:
            stop = end
        while start < stop:
            c = src[start]
            start += 1
            if c > 0x7E:
                pass
            elif c < 0x20:
                if (accm >> c) & 1:
                    continue
            elif c >= 0x7D:
                if c == 0x7E:
                    st[_ENDED] = 1
                    end = start
                    break
                if flip == 0:
                    flip = 0x20
                    continue
            c ^= flip
            flip = 0
            fcs = (fcs >> 8) ^ table[(fcs ^ c) & 0xFF]
            dst[at] = c
            at += 1
    st[_AT] = at
    st[_FCS] = fcs
    st[_PENDING] = flip
    return start


@micropython.viper
def move(buf, to: int, start: int, end: int):
    """See ``hdlc.move_plain``."""
    p = ptr8(buf)
    while start < end:
        p[to] = p[start]
        to += 1
        start += 1


@micropython.viper
def copy(source, start: int, end: int, target, at: int):
    """Copy ``source[start:end]`` to ``target`` from ``at`` on."""
    src = ptr8(source)
    dst = ptr8(target)
    while start < end:
        dst[at] = src[start]
        start += 1
        at += 1


@micropython.viper
def rc4_key(state, key):
    """See ``crypto.rc4.key_plain``."""
    s = ptr8(state)
    k = ptr8(key)
    size = int(len(key))
    i = 0
    while i < 256:
        s[i] = i
        i += 1
    j = 0
    at = 0
    i = 0
    while i < 256:
        x = s[i]
        j = (j + x + k[at]) & 0xFF
        s[i] = s[j]
        s[j] = x
        i += 1
        at += 1
        if at == size:
            at = 0
    s[256] = 0
    s[257] = 0


@micropython.viper
def rc4_crypt(state, buf, start: int, end: int):
    """See ``crypto.rc4.crypt_plain``."""
    s = ptr8(state)
    p = ptr8(buf)
    i = s[256]
    j = s[257]
    while start < end:
        i = (i + 1) & 0xFF
        x = s[i]
        j = (j + x) & 0xFF
        y = s[j]
        s[i] = y
        s[j] = x
        p[start] ^= s[(x + y) & 0xFF]
        start += 1
    s[256] = i
    s[257] = j
