"""Frames of HDLC on a serial line, as a UART can have them: octets stuffed, FCS-16 (RFC 1662 §4); for frame relay.

A synchronous line stuffs bits, which no UART does: both ends must be of this kind, or a converter stand between.
"""

from ..wire import hdlc
from .snap import Carrier

# A datagram of L2TP and what frame relay puts before it.
_MRU = 1600
_QUEUE = 4096  # octets that may wait for the wire


class FrameLine(Carrier):
    """A line as the shell wants it (``tx``, ``sent``) and a carrier of frames; ``wire`` is what the shell gave."""

    def __init__(self):
        Carrier.__init__(self)
        self.up = True
        self.wire = None
        self.tx = bytearray(_QUEUE)
        self.tx_start = 0
        self.tx_end = 0
        self._decoder = hdlc.Decoder(_MRU)

    def send(self, buf, start, end, addr):
        """A frame without flags and FCS; it is dropped when the line is behind by too much."""
        if self.tx_start:
            hdlc.move(self.tx, 0, self.tx_start, self.tx_end)
            self.tx_end -= self.tx_start
            self.tx_start = 0
        at = self.tx_end
        if at == 0:
            self.tx[0] = hdlc.FLAG
            at = 1
        new = hdlc.encode(buf, start, end, self.tx, at, 0)
        if new:
            self.tx_end = new
        else:
            self.drop("line busy")

    def sent(self, n):
        """``n`` octets of ``tx`` have been written to the wire."""
        self.tx_start += n
        if self.tx_start >= self.tx_end:
            self.tx_start = self.tx_end = 0

    def receive(self, buf, start, end, now):
        """Octets from the line; each good frame goes up, in place."""
        decoder = self._decoder
        while start < end:
            start = decoder.feed(buf, start, end)
            if decoder.end:
                self.endpoint.receive(decoder.buf, decoder.start, decoder.end, None, now)
            elif decoder.why is not None:
                self.drop(decoder.why)

    def hung_up(self, now):
        """The line vanished; it may be used again as soon as it is back."""
        self._decoder.reset()
        self.tx_start = self.tx_end = 0

    def close(self):
        """Give back the device."""
        self.wire.close()
