"""What LCP can say beside the necessary: RFC 1570's extensions, and reports of the link's quality (RFC 1989)."""

from .. import ticks
from ..fault import clean
from ..wire import ppp
from .automaton import OPENED
from .options import Option

QUALITY = 4
CALLBACK = 13

REPORT = 48  # bytes of a Link-Quality-Report
MIN_PERIOD = 1000  # ms; a peer that wants reports more often hears them so often
MAX_PERIOD = 3600000
# Fields of a report, four bytes each (RFC 1989 §2.6).
_FIELDS = 12
LAST_OUT_LQRS, LAST_OUT_PACKETS, LAST_OUT_OCTETS = 1, 2, 3
PEER_IN_LQRS, PEER_IN_PACKETS, PEER_IN_DISCARDS, PEER_IN_ERRORS, PEER_IN_OCTETS = 4, 5, 6, 7, 8
PEER_OUT_LQRS, PEER_OUT_PACKETS, PEER_OUT_OCTETS = 9, 10, 11

_MASK = 0xFFFFFFFF


class Callback(Option):
    """Callback (RFC 1570 §2.3): asked only of a peer whose Nak says that it wants to call back. We never do."""

    def __init__(self):
        super().__init__(CALLBACK, "callback")

    def naked(self, value, now):
        if value:
            self.ours = value


class Quality(Option):
    """Quality-Protocol (RFC 1989 §2.4) with Link-Quality-Reports; the period is in hundredths of a second."""

    def __init__(self, period):
        super().__init__(QUALITY, "quality", _quality(period // 10) if period else None)

    def judge(self, value, now):
        if len(value) == 6 and value[0] << 8 | value[1] == ppp.LQR:
            return value
        return _quality(0)  # reports in answer to the peer's own

    def naked(self, value, now):
        if self.ours is not None and len(value) == 6 and value[0] << 8 | value[1] == ppp.LQR:
            self.ours = value


def _quality(hundredths):
    return bytes((ppp.LQR >> 8, ppp.LQR & 0xFF)) + hundredths.to_bytes(4, "big")


class Extras:
    """A machine of ``link``, made before it is opened. All are optional:

    ``identification``  text (bytes) that we tell the peer when LCP is Opened
    ``quality``         ask for Link-Quality-Reports every so many ms; the peer gets them when it asks
    ``callback``        let the peer say that it will call back

    Event ``("time-remaining", link, (seconds, text))``. ``status()`` tells what is lost either way.
    """

    def __init__(self, link, identification=b"", quality=0, callback=False):
        self.link = link
        self._identification = identification
        self._quality = link.lcp.add(Quality(quality))
        if callback:
            link.lcp.add(Callback())
        self._period = 0  # ms between our reports; 0: only in answer
        self._deadline = None
        self._out = 0  # reports sent
        self._in = 0  # reports received
        self._last = None  # fields of the last report received, and what we had received then
        self._save = None
        self.lost_out = None  # packets lost on the way to the peer between its last two reports
        self.lost_in = None
        link.extras = self
        link.machines.append(self)
        link.inputs[ppp.LQR] = self.receive
        link.lcp.CODES = dict(link.lcp.CODES)
        link.lcp.CODES[ppp.TIME_REMAINING] = _on_time_remaining

    # -- life -----------------------------------------------------------------------------------------

    def up(self, now):
        """LCP is Opened."""
        link = self.link
        if self._identification:
            link.send(ppp.LCP, ppp.IDENTIFICATION, link.next_identifier(), self._magic() + self._identification, now)
        self._out = self._in = 0
        self._last = self._save = None
        value = self._quality.peers
        self._period = 0
        if value is not None:
            wanted = int.from_bytes(value[2:6], "big") * 10
            self._period = max(MIN_PERIOD, min(wanted, MAX_PERIOD)) if wanted else 0
        self._deadline = ticks.add(now, self._period) if self._period else None

    def down(self):
        """LCP is no longer Opened."""
        self._deadline = None

    def poll_at(self):
        """When the next report is due."""
        return self._deadline

    def on_timer(self, now):
        """Send it."""
        if ticks.due(self._deadline, now):
            self._deadline = ticks.add(now, self._period)
            self._report(now)

    def time_remaining(self, seconds, text, now):
        """Tell the peer how long the session will last (RFC 1570 §1.2)."""
        link = self.link
        if link.lcp.state == OPENED:
            data = self._magic() + seconds.to_bytes(4, "big") + text
            link.send(ppp.LCP, ppp.TIME_REMAINING, link.next_identifier(), data, now)

    def status(self):
        """For people: packets lost between the last two reports, None when not known."""
        return {"lost_out": self.lost_out, "lost_in": self.lost_in}

    # -- reports (RFC 1989 §2.6, §2.7) ----------------------------------------------------------------

    def _magic(self):
        return self.link.lcp.magic.ours or b"\0\0\0\0"

    def _counts(self):
        """``(packets out, octets out, packets in, octets in, discards)`` of what the link is joined to."""
        port = self.link.joined
        counts = []
        for way in ("tx", "rx"):
            packets = getattr(port, way + "_packets", None)
            counts.append(packets if packets is not None else getattr(port, way + "_frames", 0))
            counts.append(getattr(port, way + "_bytes", 0))
        return counts[0], counts[1], counts[2], counts[3], sum(getattr(port, "drops", {}).values())

    def _report(self, now):
        fields = [0] * _FIELDS
        out_packets, out_octets = self._counts()[:2]
        self._out += 1
        if self._last is not None:
            last = self._last
            fields[LAST_OUT_LQRS:PEER_IN_LQRS] = last[PEER_OUT_LQRS:]
            fields[PEER_IN_LQRS:PEER_OUT_LQRS] = self._save
        fields[PEER_OUT_LQRS:] = (self._out, out_packets + 1, out_octets + REPORT + 2)
        data = self._magic() + b"".join([(n & _MASK).to_bytes(4, "big") for n in fields[1:]])
        self.link.send_data(ppp.LQR, data, now)

    def receive(self, buf, at, end, now):
        """A Link-Quality-Report."""
        if end - at < REPORT:
            self.link.drop("Link-Quality-Report cut short")
            return
        if bytes(buf[at : at + 4]) == self._magic() != b"\0\0\0\0":
            self.link.drop("Link-Quality-Report looped back")
            return
        fields = [int.from_bytes(buf[at + 4 * i : at + 4 * i + 4], "big") for i in range(_FIELDS)]
        _, _, in_packets, in_octets, discards = self._counts()
        self._in += 1
        last, save = self._last, self._save
        self._last = fields
        self._save = (self._in, in_packets, discards, 0, in_octets)
        if last is not None:
            sent = fields[LAST_OUT_PACKETS] - last[LAST_OUT_PACKETS] & _MASK
            self.lost_out = max(0, sent - (fields[PEER_IN_PACKETS] - last[PEER_IN_PACKETS] & _MASK))
            sent = fields[PEER_OUT_PACKETS] - last[PEER_OUT_PACKETS] & _MASK
            self.lost_in = max(0, sent - (in_packets - save[1]))
        if not self._period:
            self._report(now)


def _on_time_remaining(lcp, buf, at, end, now):
    if lcp.state == OPENED and end - at >= 12:
        seconds = int.from_bytes(buf[at + 8 : at + 12], "big")
        lcp.link.event("time-remaining", (seconds, clean(buf[at + 12 : end])))
