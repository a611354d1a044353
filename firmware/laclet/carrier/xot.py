"""XOT (RFC 1613): X.25 packets in a TCP stream; each behind version 0 and its length, two octets each."""

from ..port import HEADROOM, TAILROOM
from .snap import Carrier

PORT = 1998
_HEADER = 4
# The longest packet: 4096 octets of data and their header, or a call with all its facilities.
_MAX_PACKET = 4096 + 16


class Xot(Carrier):
    """One TCP connection. Above stands an ``X25`` without restarts, below ``write(buf, start, end)`` of the stream.

    ``broken`` tells that the other side speaks no XOT: the owner closes the connection.
    """

    def __init__(self, write):
        Carrier.__init__(self)
        self.broken = False
        self._write = write
        self._buf = bytearray(HEADROOM + _MAX_PACKET + TAILROOM)
        self._have = 0  # bytes of the header or packet in the making
        self._want = _HEADER
        self._in_packet = False

    def send(self, buf, start, end, addr):
        """A packet; needs 4 bytes of headroom."""
        size = end - start
        start -= _HEADER
        buf[start] = buf[start + 1] = 0
        buf[start + 2] = size >> 8
        buf[start + 3] = size & 0xFF
        self._write(buf, start, end)

    def receive(self, buf, start, end, addr, now):
        """Bytes of the stream, cut anywhere."""
        while start < end and not self.broken:
            size = min(end - start, self._want - self._have)
            to = HEADROOM + self._have
            self._buf[to : to + size] = buf[start : start + size]
            self._have += size
            start += size
            if self._have == self._want:
                self._have = 0
                self._whole(addr, now)

    def _whole(self, addr, now):
        at = HEADROOM
        if self._in_packet:
            size = self._want
            self._in_packet, self._want = False, _HEADER
            self.endpoint.receive(self._buf, at, at + size, addr, now)
            return
        size = self._buf[at + 2] << 8 | self._buf[at + 3]
        if self._buf[at] or self._buf[at + 1] or not 3 <= size <= _MAX_PACKET:
            self.broken = True  # §3: there is no way to find the next packet
            self.drop("not XOT")
            return
        self._in_packet, self._want = True, size

    def close(self):
        """The owner has the connection."""
