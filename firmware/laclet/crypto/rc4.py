"""RC4 in place, for MPPE (RFC 3078): OpenSSL where the package cryptography is, viper on boards, else plain Python."""


def key_plain(state, key):
    """Begin the key stream of ``key`` in ``state``: 256 bytes of permutation, then the two indices."""
    for i in range(256):
        state[i] = i
    size = len(key)
    j = 0
    for i in range(256):
        x = state[i]
        j = (j + x + key[i % size]) & 0xFF
        state[i] = state[j]
        state[j] = x
    state[256] = 0
    state[257] = 0


def crypt_plain(state, buf, start, end):
    """Encrypt or decrypt ``buf[start:end]`` in place; the key stream goes on."""
    i = state[256]
    j = state[257]
    for at in range(start, end):
        i = (i + 1) & 0xFF
        x = state[i]
        j = (j + x) & 0xFF
        y = state[j]
        state[i] = y
        state[j] = x
        buf[at] ^= state[(x + y) & 0xFF]
    state[256] = i
    state[257] = j


try:
    from ..wire.fast import rc4_crypt as _crypt
    from ..wire.fast import rc4_key as _key
except (ImportError, ValueError, SyntaxError):  # CPython, a port without native code, or a .mpy for another one
    _crypt = crypt_plain
    _key = key_plain


class PureRc4:
    """A key stream in 258 bytes; no allocation. Encrypting and decrypting are the same."""

    def __init__(self, key):
        self._state = bytearray(258)
        self.rekey(key)

    def rekey(self, key):
        """Begin the key stream of ``key`` (8 or 16 bytes with MPPE), in the memory of the old one."""
        _key(self._state, key)

    def crypt(self, buf, start, end):
        """Encrypt or decrypt ``buf[start:end]`` in place."""
        _crypt(self._state, buf, start, end)


class PlatformRc4:
    """The same over OpenSSL, some twenty times as fast."""

    def __init__(self, key):
        self._update = None
        self.rekey(key)

    def rekey(self, key):
        """Begin the key stream of ``key``."""
        self._update = Cipher(ARC4(bytes(key)), None).encryptor().update_into

    def crypt(self, buf, start, end):
        """Encrypt or decrypt ``buf[start:end]`` in place."""
        part = memoryview(buf)[start:end]
        self._update(part, part)


try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
    from cryptography.hazmat.primitives.ciphers import Cipher

    Rc4 = PlatformRc4
    Rc4(bytes(16))
except Exception:  # no package, no OpenSSL below it, or one without its legacy algorithms
    Rc4 = PureRc4
