"""MPPE (RFC 3078): one class for each direction of an encrypted link.

A frame goes in and comes out bare (protocol field first) and in place. The keys come from ``crypto.mppe_keys``.
"""

from ..crypto.mppe_keys import next_key, weaken
from ..crypto.rc4 import Rc4

OVERHEAD = 4  # bytes that ``Sender.seal`` puts in front of a frame: protocol 00FD, and two of MPPE's own

_FLUSHED = 0x80  # bit A: the tables were initialized before this packet
_ENCRYPTED = 0x10  # bit D
_SPACE = 0x1000  # of the coherency count
_FLAG = 0xFF  # low byte of the count of a "flag" packet, on which a stateful key changes
# Losses in a row that a receiver follows in stateless mode, where each costs a key change. By its count one late or
# forged packet could ask for 4,095.
MAX_MISSED = 256
# Packets in a row that decrypt to nonsense before the keys are thought to be out of step for good.
MAX_GARBLED = 64
_HEAD = 8  # bytes of a frame that tell whether it makes sense: protocol field, IP header as far as the length
# Linux changes its key when it flushes after a Reset-Request, where RFC 3078 §8.2 keeps it; so a flushed packet is
# tried with the key at hand and with the next ones: this many flushes may have been lost before.
_FLUSH_TRIES = 5


class _Direction:
    """What sender and receiver share: the key, the cipher, the count."""

    def __init__(self, start_key, bits, stateless):
        self.stateless = stateless
        self._bits = bits
        self._start = bytes(start_key[: 16 if bits == 128 else 8])
        self._count = _SPACE - 1  # of the last packet
        self._key = bytearray(next_key(self._start, self._start))  # never changed in place once used
        weaken(self._key, bits)
        self._rc4 = Rc4(self._key)

    def _change_key(self):
        """RFC 3078 §7.3, except that the tables wait for ``_flush``."""
        key = bytearray(next_key(self._start, self._key))
        self._rc4.rekey(key)
        self._rc4.crypt(key, 0, len(key))
        weaken(key, self._bits)
        self._key = key

    def _flush(self):
        self._rc4.rekey(self._key)


class Sender(_Direction):
    """Encrypts what we send."""

    def seal(self, buf, start, end):
        """Encrypt a bare frame that begins with a two-byte protocol field; its new start, OVERHEAD bytes earlier."""
        count = self._count = (self._count + 1) % _SPACE
        bits = _ENCRYPTED
        if self.stateless or count & 0xFF == _FLAG:
            self._change_key()
            self._flush()
            bits |= _FLUSHED
        self._rc4.crypt(buf, start, end)
        buf[start - 4] = 0x00
        buf[start - 3] = 0xFD
        buf[start - 2] = bits | count >> 8
        buf[start - 1] = count & 0xFF
        return start - 4

    def reset(self):
        """The peer lost packets (Reset-Request): let the next one be a "flag" packet, flushed and under a new key.

        To the peer the count seems to have lost some packets more, which every implementation follows alike; about a
        flush between two flag packets they disagree (see _FLUSH_TRIES).
        """
        if not self.stateless:
            self._count = (((self._count + 1) % _SPACE) | _FLAG) - 1


class Receiver(_Direction):
    """Decrypts what the peer sent. ``discarding``: packets were lost in stateful mode, a Reset-Request is wanted."""

    def __init__(self, start_key, bits, stateless):
        _Direction.__init__(self, start_key, bits, stateless)
        self.discarding = False
        self.garbled = 0  # packets in a row that came out as nonsense
        self.why = ""  # why the last packet was refused

    def open(self, buf, start, end):
        """Decrypt what follows the protocol field 00FD; where the inner frame begins, or -1 (``why`` tells)."""
        if end - start < 2 + _HEAD:
            return self._refuse("MPPE packet cut short")
        flags = buf[start]
        if not flags & _ENCRYPTED:
            return self._refuse("MPPE packet in clear")
        count = (flags & 0x0F) << 8 | buf[start + 1]
        ahead = (count - self._count) % _SPACE
        if ahead == 0 or ahead >= _SPACE // 2:
            return self._refuse("MPPE packet late")
        flushed = flags & _FLUSHED
        if self.stateless:
            if not flushed:
                return self._refuse("MPPE packet not flushed")
            if ahead > MAX_MISSED:
                return self._refuse("MPPE packet too far ahead")
            return self._decrypt(buf, start + 2, end, count, ahead, 1)
        if not flushed and (self.discarding or ahead > 1 or count & 0xFF == _FLAG):
            self.discarding = True
            return self._refuse("MPPE packet after a loss")
        if not flushed:
            return self._decrypt(buf, start + 2, end, count, 0, 0)
        # The key changed with every "flag" packet since the last one decrypted, this one included (§8.2).
        changes = (self._count + ahead + 1 >> 8) - (self._count + 1 >> 8)
        return self._decrypt(buf, start + 2, end, count, changes, _FLUSH_TRIES)

    def _decrypt(self, buf, start, end, count, changes, tries):
        """Decrypt after so many key changes, and one more at each further try; 0 tries: the key stream goes on.

        What makes no sense changes neither key nor count.
        """
        key = self._key
        data = start + _HEAD
        head = buf[start:data]
        for _ in range(changes):
            self._change_key()
        for n in range(max(tries, 1)):
            if n:
                buf[start:data] = head
                self._change_key()
            if tries:
                self._flush()
            self._rc4.crypt(buf, start, data)
            if _makes_sense(buf, start, end):
                self._rc4.crypt(buf, data, end)
                self._count = count
                self.discarding = False
                self.garbled = 0
                return start
        self._key = key
        self.garbled += 1
        self.discarding = not self.stateless  # the key stream has moved on
        return self._refuse("MPPE packet garbled")

    def _refuse(self, why):
        self.why = why
        return -1


def _makes_sense(buf, at, end):
    """True when a frame begins as IPv4 or IPv6 whose packet fits into it: by chance, one in 90,000 does."""
    if buf[at] == 0:  # the protocol field may be compressed
        at += 1
    room = end - at - 1
    if buf[at] == 0x21:
        return buf[at + 1] >> 4 == 4 and (buf[at + 3] << 8 | buf[at + 4]) <= room
    if buf[at] == 0x57:
        return buf[at + 1] >> 4 == 6 and (buf[at + 5] << 8 | buf[at + 6]) + 40 <= room
    return False
