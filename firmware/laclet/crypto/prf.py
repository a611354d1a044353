"""Keyed hashes of IPsec: the key stretching of IKEv1 (RFC 2409) and a MAC over a part of a buffer."""

import hashlib

from .hashes import hmac


def stretch(hash_, key, first, again, size):
    """``size`` bytes of K1 | K2 | …: K1 = prf(key, first), Kn = prf(key, Kn-1 | again) (RFC 2409 §5.5, Appendix B)."""
    block = out = hmac(hash_, key, first)
    while len(out) < size:
        block = hmac(hash_, key, block + again)
        out += block
    return out[:size]


class Mac:
    """HMAC with one key over parts of buffers, without copying them. ``name``: the hash as ``hashlib`` calls it."""

    def __init__(self, name, key):
        self._new = getattr(hashlib, name)
        padded = key + bytes(64 - len(key))
        self._inner = self._start(bytes([b ^ 0x36 for b in padded]))
        self._outer = self._start(bytes([b ^ 0x5C for b in padded]))

    if hasattr(hashlib.sha256(), "copy"):

        def _start(self, pad):
            return self._new(pad)

        def over(self, buf, start, end):
            """The whole digest over ``buf[start:end]``."""
            inner = self._inner.copy()
            inner.update(memoryview(buf)[start:end])
            outer = self._outer.copy()
            outer.update(inner.digest())
            return outer.digest()
    else:

        def _start(self, pad):
            return pad

        def over(self, buf, start, end):
            """The whole digest over ``buf[start:end]``; allocates two hash objects and two digests."""
            inner = self._new(self._inner)
            inner.update(memoryview(buf)[start:end])
            outer = self._new(self._outer)
            outer.update(inner.digest())
            return outer.digest()
