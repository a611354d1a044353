"""ESP (RFC 4303) in transport mode around UDP: one SA for each direction, in place.

SPI 4 | sequence 4 | IV 16 or 8 | [UDP 8 | L2TP … | padding | pad length 1 | next header 1] | ICV 12 or 16
                                  \\_______________ encrypted, whole blocks ______________/
"""

from ...crypto.aes import Cbc, Gcm
from ...crypto.prf import Mac
from . import payload as p

HEADER = 8
UDP_HEADER = 8
_WINDOW = 64  # RFC 4303 §3.4.3: the size that every receiver should have
# A new pair is due long before the sequence number is used up (§3.3.3); below 2**30 it is a small int on every board.
SEQUENCE_REKEY = 0x3F000000
_SEQUENCE_END = 0x3FFFFFFF


def put_udp(buf, start, end, source, target, pseudo):
    """Write the UDP header at ``buf[start:]`` of what ends at ``end``: ports, and over IPv6 a checksum.

    ``pseudo``: the sum of the pseudo header but for the length, or None over IPv4: ESP proves more (RFC 3948 §3.1.2).
    """
    size = end - start
    buf[start] = source >> 8
    buf[start + 1] = source & 0xFF
    buf[start + 2] = target >> 8
    buf[start + 3] = target & 0xFF
    buf[start + 4] = size >> 8
    buf[start + 5] = size & 0xFF
    buf[start + 6] = buf[start + 7] = 0
    if pseudo is not None:
        from ...wire.ip import checksum  # a board without IPv6 needs none of it

        total = checksum(buf, start, end, pseudo + size) or 0xFFFF
        buf[start + 6] = total >> 8
        buf[start + 7] = total & 0xFF


class Outbound:
    """Seals UDP datagrams. ``overhead``: bytes before the UDP header that ``seal`` writes."""

    def __init__(self, proposal, spi, keymat, random):
        self.sequence = 0  # of the last packet
        self._spi = spi
        self._icv = proposal.icv
        self._gcm = self._cbc = self._mac = None
        key = keymat[: proposal.key_size]
        if proposal.gcm:
            self._iv_size = 8
            self._block = 4  # no padding but to 4 bytes (RFC 4106 §3)
            self._gcm = Gcm(key)
            self._salt = keymat[proposal.key_size :]
        else:
            self._iv_size = self._block = 8 if proposal.triple else 16
            self._cbc = Cbc(key, random(self._block), False, proposal.triple)
            self._mac = Mac(proposal.hash_name, keymat[proposal.key_size :])
        self.overhead = HEADER + self._iv_size

    def seal(self, buf, start, end):
        """Encrypt ``buf[start:end]``, UDP header included, with what goes before ``start`` and after the end.

        Returns the end of the packet, which starts ``overhead`` bytes before ``start``; -1: the sequence is used up.
        """
        self.sequence = sequence = self.sequence + 1
        if sequence > _SEQUENCE_END:
            return -1
        at = start - self.overhead
        iv = at + HEADER
        for i in range(self._iv_size):
            buf[iv + i] = 0
        for i in range(4):  # the number stands in the header, and the IV is made of it
            buf[at + i] = self._spi[i]
            buf[at + 4 + i] = buf[start - 4 + i] = sequence >> (24 - 8 * i) & 0xFF
        pad = -(end - start + 2) % self._block
        for i in range(pad):  # §2.4: 1, 2, 3 …
            buf[end + i] = i + 1
        end += pad
        buf[end] = pad
        buf[end + 1] = p.UDP
        end += 2
        if self._gcm:
            self._gcm.seal(self._salt + buf[iv:start], buf, at, start, end)
            return end + 16
        # The number is a block of the running chain: its ciphertext cannot be foretold (NIST SP 800-38A, Appendix C).
        self._cbc.run(buf, iv, end)
        icv = self._mac.over(buf, at, end)
        for i in range(self._icv):
            buf[end + i] = icv[i]
        return end + self._icv


class Inbound:
    """Opens packets, each once. ``why`` is the reason for the last one that was refused."""

    def __init__(self, proposal, keymat):
        self.why = ""
        self.highest = 0  # the highest sequence number seen
        self._seen = bytearray(_WINDOW)  # 1 at sequence % 64: received
        self._icv = proposal.icv
        self._gcm = self._cbc = self._mac = None
        key = keymat[: proposal.key_size]
        if proposal.gcm:
            self._iv_size = 8
            self._block = 4
            self._gcm = Gcm(key)
            self._salt = keymat[proposal.key_size :]
        else:
            self._iv_size = self._block = 8 if proposal.triple else 16
            # Fed with the IV first, this chain needs no IV of its own: the first block comes out as noise.
            self._cbc = Cbc(key, bytes(self._block), True, proposal.triple)
            self._mac = Mac(proposal.hash_name, keymat[proposal.key_size :])
        self.overhead = HEADER + self._iv_size

    def open(self, buf, start, end):
        """Prove and decrypt in place; the UDP header stands ``overhead`` bytes after ``start``.

        Returns the end of the UDP datagram, or -1: ``why`` tells.
        """
        inner = start + self.overhead
        end -= self._icv
        if end - inner < UDP_HEADER + 2 or (end - inner) % self._block:
            return self._refuse("short")
        sequence = p.u32(buf, start + 4)
        behind = self.highest - sequence
        if behind >= _WINDOW or (behind >= 0 and self._seen[sequence % _WINDOW]) or sequence == 0:
            return self._refuse("replayed")
        if not self._authentic(buf, start, inner, end):
            return self._refuse("forged")
        if self._cbc:
            self._cbc.run(buf, start + HEADER, end)
        self._note(sequence, behind)
        pad = buf[end - 2]
        if pad > end - inner - UDP_HEADER - 2:
            return self._refuse("bad padding")
        if buf[end - 1] != p.UDP:
            return self._refuse("not UDP")  # RFC 4303 §2.6: 59 is a dummy, others have no business in this SA
        return end - 2 - pad

    def _refuse(self, why):
        self.why = why
        return -1

    def _authentic(self, buf, start, inner, end):
        if self._gcm:
            return self._gcm.open(self._salt + buf[start + HEADER : inner], buf, start, inner, end)
        icv = self._mac.over(buf, start, end)
        differ = 0
        for i in range(self._icv):
            differ |= icv[i] ^ buf[end + i]
        return differ == 0

    def _note(self, sequence, behind):
        """Move the window (§3.4.3): what it passes over has not been seen."""
        if behind < 0:
            for i in range(min(-behind, _WINDOW)):
                self._seen[(sequence - i) % _WINDOW] = 0
            self.highest = sequence
        self._seen[sequence % _WINDOW] = 1


class Pair:
    """What one quick mode makes: an SA in each direction, and their time.

    SPIs are 4 bytes; ``keys_in`` and ``keys_out`` are cipher and authentication key of a direction, in a row.
    """

    def __init__(self, proposal, spi_in, keys_in, spi_out, keys_out, life, initiator):
        self.proposal = proposal
        self.spi_in = spi_in
        self.spi_out = spi_out
        self.keys_in = keys_in
        self.keys_out = keys_out
        self.life = life  # seconds
        self.initiator = initiator
        self.inbound = None
        self.outbound = None
        self.ready = False  # the peer receives on it, so we may send
        self.asked = 0  # the tick when the initiator asked for it
        self.rekey_at = None  # deadlines of the Peer
        self.expire_at = None
        self.peer = None
        self.sa = None  # the ISAKMP SA it was made under
        self.replaces = None  # the Pair that goes when this one sends

    def activate(self, random):
        """Make the SAs here, where no kernel does the work."""
        self.inbound = Inbound(self.proposal, self.keys_in)
        self.outbound = Outbound(self.proposal, self.spi_out, self.keys_out, random)
