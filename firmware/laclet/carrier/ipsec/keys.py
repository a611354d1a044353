"""The keys of one ISAKMP SA, and messages under them (RFC 2409 §5, §5.5, Appendix B)."""

from ...crypto.aes import SLACK, Cbc
from ...crypto.hashes import hmac, sha1, sha256
from ...crypto.prf import stretch
from . import payload as p


def hash_of(name):
    """The hash function of ``laclet.crypto.hashes`` by its name."""
    return sha1 if name == "sha1" else sha256


class Keys:
    """SKEYID and what is derived of it; ``seal`` and ``open`` messages. Nothing here is ever shown."""

    def __init__(self, proposal, psk, nonce_i, nonce_r, secret, cookies):
        self.hash = hash_of(proposal.hash_name)
        self._triple = proposal.triple
        self.block = proposal.block
        # §5, pre-shared keys: SKEYID = prf(psk, Ni | Nr); then _d, _a and _e in turn.
        self.skeyid = hmac(self.hash, psk, nonce_i + nonce_r)
        self.skeyid_d = self.prf(self.skeyid, secret + cookies + b"\x00")
        self.skeyid_a = self.prf(self.skeyid, self.skeyid_d + secret + cookies + b"\x01")
        skeyid_e = self.prf(self.skeyid, self.skeyid_a + secret + cookies + b"\x02")
        size = proposal.key_size
        # Appendix B: a key longer than the hash is stretched.
        self.cipher_key = skeyid_e[:size] if size <= len(skeyid_e) else stretch(self.hash, skeyid_e, b"\x00", b"", size)

    def prf(self, key, data):
        """HMAC of the negotiated hash."""
        return hmac(self.hash, key, data)

    def iv(self, *seeds):
        """An initialization vector: the hash of public values, or of the last block and a message id (Appendix B)."""
        return self.hash(b"".join(seeds))[: self.block]

    def keymat(self, secret, protocol, spi, nonces, size):
        """KEYMAT of one direction (§5.5); ``secret`` is that of PFS or empty, ``spi`` the receiver's."""
        seed = secret + bytes((protocol,)) + spi + nonces
        return stretch(self.hash, self.skeyid_d, seed, seed, size)

    def seal(self, cookies, exchange, message_id, iv, payloads):
        """``(message, next iv)``: ``payloads`` chained, padded and encrypted behind their header."""
        body = p.chain(payloads)
        size = -(-len(body) // self.block) * self.block
        buf = bytearray(size + SLACK)
        buf[: len(body)] = body
        Cbc(self.cipher_key, iv, False, self._triple).run(buf, 0, size)
        head = p.header(cookies, payloads[0][0], exchange, p.ENCRYPTED, message_id, size)
        return head + bytes(buf[:size]), bytes(buf[size - self.block : size])

    def open(self, message, iv):
        """``(message with its payloads in clear, next iv)``, or None when it is no whole number of blocks."""
        size = len(message) - p.HEADER
        if size <= 0 or size % self.block:
            return None
        buf = bytearray(message) + bytes(SLACK)
        Cbc(self.cipher_key, iv, True, self._triple).run(buf, p.HEADER, len(message))
        return bytes(buf[: len(message)]), message[-self.block :]
