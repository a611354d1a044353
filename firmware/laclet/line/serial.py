"""SerialLine: the frame port on a UART, tty or pty, in asynchronous HDLC (RFC 1662)."""
# ruff: noqa: SIM109 - "in" a tuple of names allocates it anew

import sys

from ..fault import LINE, Fault
from ..port import HEADROOM, TAILROOM, Port
from ..wire import hdlc

# Counters stay small ints (31 bits) on 32-bit boards, so that counting allocates nothing.
_COUNTER = 0x3FFFFFFF if sys.maxsize < 1 << 32 else (1 << 62) - 1

# Of LCP (RFC 1661 §5), as in wire.ppp, which a board in the LAC role has no other use for.
_CONFIGURE_REQUEST = 1
_CONFIGURE_ACK = 2
_CODE_REJECT = 7
_CONTROL_HEADER = 4
_FRAME_HEADER = 4  # address, control, protocol
_OPTION_ACCM = 2  # RFC 1662 §7.1
_OPTION_ACCM_SIZE = 6

# Octets that may wait for the wire; a frame of 1500 octets, all of them escaped, takes 3015.
_TX_SIZE = 3072 if sys.implementation.name == "micropython" else 4096

# The two maps, and with them the two directions in which LCP agrees on one.
_SEND = 0  # asked for by a Configure-Request that comes in, agreed by a Configure-Ack that goes out
_RECEIVE = 1  # the other way round
_ACCM_DEFAULT = (hdlc.ACCM_ALL, 0)  # escape all; discard none, because a peer that escapes too little is still a peer


class SerialLine(Port):
    """Frames of the joined port to and from the octets of a serial line.

    The shell calls ``receive`` with what it reads, writes ``tx[tx_start:tx_end]`` and calls ``sent(n)``, at once and
    with nothing between: ``tx`` moves. Both ACCMs are learned from the LCP packets that pass.

    Events: ``traffic`` when a frame comes while there is no join; ``hung_up`` with a Fault.
    """

    def __init__(self, mru=1500, tx_size=_TX_SIZE):
        """``mru``: longest information field that can arrive; ``tx_size``: octets that may wait for the wire."""
        super().__init__()
        self.up = True  # False while a modem in front has no carrier: nothing is sent then
        self.decoder = hdlc.Decoder(mru + _FRAME_HEADER)
        self.tx = bytearray(tx_size)
        self.tx_start = 0
        self.tx_end = 0
        self.rx_frames = 0
        self.tx_frames = 0
        self.rx_bytes = 0  # of good frames, without their framing
        self.tx_bytes = 0
        self._accm = list(_ACCM_DEFAULT)
        self._request = [-1, -1]  # Identifier of the last Configure-Request for either map
        self._kept = None  # the latest frame that came while there was no join, with room around it
        self._announced = False  # ``traffic`` was said

    # -- the wire -----------------------------------------------------------------------------------

    def receive(self, buf, start, end, now):
        """Octets from the line; each good frame goes to the joined port, in place."""
        decoder = self.decoder
        while start < end:
            start = decoder.feed(buf, start, end)
            if decoder.end:
                self._deliver(decoder.buf, decoder.start, decoder.end, now)
            elif decoder.why is not None:
                self.drop(decoder.why)

    def sent(self, n):
        """``n`` octets of ``tx`` have been written to the wire."""
        self.tx_start += n
        if self.tx_start >= self.tx_end:
            self.tx_start = self.tx_end = 0

    def write(self, data):
        """Put octets on the wire as they are: the words of a modem."""
        self._make_room()
        end = self.tx_end + len(data)
        if end > len(self.tx):
            self.drop("line busy")
            return
        self.tx[self.tx_end : end] = data
        self.tx_end = end

    def hung_up(self, now):
        """The shell saw the line hang up or vanish; it may be used again as soon as it is back."""
        self.reset()
        self.event("hung_up", Fault(LINE, "the serial line hung up"))

    def reset(self):
        """Begin anew: nothing half received, nothing waiting to be sent, the ACCMs of an idle link."""
        self.decoder.reset()
        self.tx_start = self.tx_end = 0
        self._accm[:] = _ACCM_DEFAULT
        self._request[:] = (-1, -1)
        self._kept = None
        self._announced = False

    # -- the port -----------------------------------------------------------------------------------

    def carry(self, buf, start, end, now):
        """Send a bare PPP frame, with ``FF 03`` in front; it is dropped when the line is behind by too much."""
        if not self.up:
            self.drop("no carrier")
            return
        if end <= start:
            self.drop("empty frame")
            return
        if buf[start] != 0xFF:  # no protocol field begins with FF (RFC 1662 §3.2)
            start -= 2
            buf[start] = 0xFF
            buf[start + 1] = 0x03
        code = self._lcp_code(buf, start, end)
        # §7: LCP packets that may find the peer without our options are sent as if there were none.
        accm = hdlc.ACCM_ALL if 0 < code <= _CODE_REJECT else self._accm[_SEND]
        if not self._enqueue(buf, start, end, accm):
            self.drop("line busy")
            return
        if code == _CONFIGURE_REQUEST or code == _CONFIGURE_ACK:
            self._watch(code, buf, start + _FRAME_HEADER, end, _RECEIVE if code == _CONFIGURE_REQUEST else _SEND)
        self.tx_frames = (self.tx_frames + 1) & _COUNTER
        self.tx_bytes = (self.tx_bytes + end - start) & _COUNTER

    def release(self, now):
        """After a join: bring on the frame that came before it. Without one: forget it. ``traffic`` is armed again."""
        kept = self._kept
        self._kept = None
        self._announced = False
        if kept is not None and self.joined is not None:
            self.joined.carry(kept, HEADROOM, len(kept) - TAILROOM, now)

    def set_accm(self, send, receive):
        """Maps told by the LNS (RFC 2661 §6.14): octets to escape, octets to discard; until LCP negotiates again."""
        self._set_accm(_SEND, send)
        self._set_accm(_RECEIVE, receive)

    def poll_at(self):
        """A line waits for nothing."""
        return None

    def on_timer(self, now):
        """Nothing to do."""

    def status(self):
        """For people and tools."""
        return {
            "rx_frames": self.rx_frames,
            "tx_frames": self.tx_frames,
            "rx_bytes": self.rx_bytes,
            "tx_bytes": self.tx_bytes,
            "queued": self.tx_end - self.tx_start,
            "send_accm": self._accm[_SEND],
            "receive_accm": self._accm[_RECEIVE],
            "drops": dict(self.drops),
        }

    # -- inside -------------------------------------------------------------------------------------

    def _deliver(self, buf, start, end, now):
        self.rx_frames = (self.rx_frames + 1) & _COUNTER
        self.rx_bytes = (self.rx_bytes + end - start) & _COUNTER
        at = start if buf[start] == 0xFF else start - 2
        code = self._lcp_code(buf, at, end)
        if code == _CONFIGURE_REQUEST or code == _CONFIGURE_ACK:
            self._watch(code, buf, at + _FRAME_HEADER, end, _SEND if code == _CONFIGURE_REQUEST else _RECEIVE)
        if self.joined is not None:
            self.joined.carry(buf, start, end, now)
            return
        if self._kept is not None:
            self.drop("not joined")
        self._kept = bytearray(HEADROOM + end - start + TAILROOM)
        self._kept[HEADROOM : HEADROOM + end - start] = buf[start:end]
        if not self._announced:
            self._announced = True
            self.event("traffic")

    def _enqueue(self, buf, start, end, accm):
        for _ in range(2):
            at = self.tx_end
            if at == 0:
                self.tx[0] = hdlc.FLAG  # §4.4.2: after a pause a frame has an opening flag of its own
                at = 1
            new = hdlc.encode(buf, start, end, self.tx, at, accm)
            if new:
                self.tx_end = new
                return True
            if not self.tx_start:
                return False
            self._make_room()
        return False

    def _make_room(self):
        if self.tx_start:
            hdlc.move(self.tx, 0, self.tx_start, self.tx_end)
            self.tx_end -= self.tx_start
            self.tx_start = 0

    def _lcp_code(self, buf, start, end):
        """The Code of the LCP packet in a frame with room for ``FF 03`` at ``start``; 0 when it is none."""
        if end - start > _FRAME_HEADER and buf[start + 2] == 0xC0 and buf[start + 3] == 0x21:
            return buf[start + _FRAME_HEADER]
        return 0

    def _watch(self, code, buf, at, end, which):
        """A Configure-Request or -Ack passes; ``which`` map it is about. A request brings back that map's default."""
        if end - at < _CONTROL_HEADER:
            return
        identifier = buf[at + 1]
        if code == _CONFIGURE_REQUEST:
            self._request[which] = identifier
            self._set_accm(which, _ACCM_DEFAULT[which])
            return
        if identifier != self._request[which]:
            return  # an Ack that its receiver will not take either
        stop = at + (buf[at + 2] << 8 | buf[at + 3])
        if stop > end:
            return
        at += _CONTROL_HEADER
        while stop - at >= 2:
            size = buf[at + 1]
            if size < 2 or size > stop - at:
                return
            if buf[at] == _OPTION_ACCM and size == _OPTION_ACCM_SIZE:
                self._set_accm(which, buf[at + 2] << 24 | buf[at + 3] << 16 | buf[at + 4] << 8 | buf[at + 5])
            at += size

    def _set_accm(self, which, accm):
        self._accm[which] = accm
        if which == _RECEIVE:
            self.decoder.set_accm(accm)
