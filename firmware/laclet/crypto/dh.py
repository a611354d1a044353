"""Diffie-Hellman over the MODP groups of IKE (RFC 2409 §6, RFC 3526), by ``pow``."""

# floor(2**1918 * pi). RFC 2409 §6.2 and RFC 3526 define every prime by it, so one constant holds three groups:
# 2**n - 2**(n - 64) - 1 + 2**64 * (floor(2**(n - 130) * pi) + c)
_PI = int(
    "C90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374F"
    "E1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC200"
    "7CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C"
    "08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D22618"
    "98FA051015728E5A8AAAC42D",
    16,
)

# IANA group number -> (bits, c)
_GROUPS = {2: (1024, 129093), 5: (1536, 741804), 14: (2048, 124476)}

# Bytes of the private exponent: twice the 128 bits of strength that the strongest group here offers (RFC 3526 §8).
_EXPONENT = 32


def prime(group):
    """The prime of a group by its IANA number: 2, 5 or 14. The generator is 2 in all."""
    bits, c = _GROUPS[group]
    return (1 << bits) - (1 << (bits - 64)) - 1 + (((_PI >> (2048 - bits)) + c) << 64)


class DiffieHellman:
    """One exchange: ``public`` (bytes, as long as the prime) goes out, ``shared(theirs)`` comes of it."""

    def __init__(self, group, random):
        self._prime = prime(group)
        self._size = _GROUPS[group][0] >> 3
        self._private = int.from_bytes(random(_EXPONENT), "big") | 1 << (8 * _EXPONENT - 1)
        self.public = self._bytes(pow(2, self._private, self._prime))

    def _bytes(self, number):
        return number.to_bytes(self._size, "big")

    def shared(self, theirs):
        """The shared secret, as long as the prime (RFC 2409 §5), or None for a public value nobody makes honestly."""
        if len(theirs) != self._size:
            return None
        value = int.from_bytes(theirs, "big")
        if not 1 < value < self._prime - 1:  # 0, 1 and p - 1 give away the secret
            return None
        return self._bytes(pow(value, self._private, self._prime))
