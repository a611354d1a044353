"""RC4 in plain Python, in place and without allocation, for MPPE (RFC 3078)."""


class Rc4:
    """A key stream; encrypting and decrypting are the same."""

    def __init__(self, key):
        self._s = bytearray(256)
        self._i = 0
        self._j = 0
        self.rekey(key)

    def rekey(self, key):
        """Begin the key stream of ``key`` (1 to 256 bytes), in the memory of the old one."""
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
