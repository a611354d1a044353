"""RC4 in place, for MPPE (RFC 3078): OpenSSL's where the package cryptography is, plain Python elsewhere."""


class PureRc4:
    """A key stream in 256 bytes; no allocation. Encrypting and decrypting are the same."""

    def __init__(self, key):
        self._s = bytearray(256)
        self._i = 0
        self._j = 0
        self.rekey(key)

    def rekey(self, key):
        """Begin the key stream of ``key`` (8 or 16 bytes with MPPE), in the memory of the old one."""
        s = self._s
        for i in range(256):
            s[i] = i
        size = len(key)
        j = 0
        for i in range(256):
            x = s[i]
            j = (j + x + key[i % size]) & 0xFF
            s[i] = s[j]
            s[j] = x
        self._i = 0
        self._j = 0

    def crypt(self, buf, start, end):
        """Encrypt or decrypt ``buf[start:end]`` in place."""
        s = self._s
        i = self._i
        j = self._j
        for at in range(start, end):
            i = (i + 1) & 0xFF
            x = s[i]
            j = (j + x) & 0xFF
            y = s[j]
            s[i] = y
            s[j] = x
            buf[at] ^= s[(x + y) & 0xFF]
        self._i = i
        self._j = j


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
