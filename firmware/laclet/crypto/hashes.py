"""MD5, SHA-1, SHA-256 and HMAC: the platform's own where it has them, small pure ones where a board lacks them."""

import hashlib

_BLOCK = 64  # bytes in a block of every hash here (RFC 2104 calls it B)


def _have(name):
    """True when the platform can compute this hash: some boards lack it, and a FIPS-restricted CPython refuses it."""
    try:
        getattr(hashlib, name)(b"").digest()
        return True
    except (AttributeError, ValueError):
        return False


if _have("md5"):

    def md5(data):
        """The 16-byte MD5 digest of any bytes-like ``data`` (RFC 1321)."""
        return hashlib.md5(data).digest()
else:
    from .pure_md5 import md5  # noqa: F401


if _have("sha1"):

    def sha1(data):
        """The 20-byte SHA-1 digest of any bytes-like ``data`` (RFC 3174)."""
        return hashlib.sha1(data).digest()
else:
    from .pure_sha1 import sha1  # noqa: F401


def sha256(data):
    """The 32-byte SHA-256 digest of any bytes-like ``data``; every platform has it."""
    return hashlib.sha256(data).digest()


def hmac(hash_, key, data):
    """HMAC (RFC 2104) of ``data`` under ``key``; ``hash_`` is ``md5``, ``sha1`` or ``sha256`` of this module."""
    if len(key) > _BLOCK:
        key = hash_(key)
    key = bytes(key) + bytes(_BLOCK - len(key))
    inner = hash_(bytes([b ^ 0x36 for b in key]) + bytes(data))
    return hash_(bytes([b ^ 0x5C for b in key]) + inner)


def equal(a, b):
    """True when two byte strings are the same, in a time that depends on their lengths alone."""
    if len(a) != len(b):
        return False
    differ = 0
    for i in range(len(a)):
        differ |= a[i] ^ b[i]
    return differ == 0
