"""Sequenced data packets back in their order (RFC 2661 §5.4): a few are kept for a short while, none twice."""

from .. import ticks
from ..port import HEADROOM, frame_buffer

# Packets kept while an earlier one is missing, and for how long (ms). TCP takes what comes later than this for lost.
WINDOW = 8
WAIT = 100


class Reorder:
    """The receiving side of one session's sequence numbers."""

    def __init__(self, session):
        self.session = session
        self.lost = 0  # packets that never came
        self.deadline = None  # when the missing packet is given up
        self._expected = None  # Ns of the next packet
        self._held = {}  # Ns -> (buffer with headroom, end); at most WINDOW

    def receive(self, buf, start, end, ns, now):
        """A packet with Ns: delivered, kept for its turn, or dropped as late or repeated."""
        if self._expected is None:
            self._expected = 0 if ns < WINDOW else ns  # it begins at 0, but we may join late
        ahead = (ns - self._expected) & 0xFFFF
        if ahead >= 0x8000 or ns in self._held:
            self.session.drop("late or repeated")
            return
        if ahead == 0:
            self._expected = (ns + 1) & 0xFFFF
            self.session.deliver(buf, start, end, now)
            if self._held:
                self._drain(now)
            return
        copy = frame_buffer(end - start)
        copy[HEADROOM : HEADROOM + end - start] = memoryview(buf)[start:end]
        self._held[ns] = (copy, HEADROOM + end - start)
        while len(self._held) > WINDOW:
            self._skip(now)
        if self.deadline is None and self._held:
            self.deadline = ticks.add(now, WAIT)
            self.session.tunnel.endpoint.timers.update(self.session, now)

    def on_timer(self, now):
        """Give the missing packet up when its time has passed."""
        if ticks.due(self.deadline, now):
            self._skip(now)

    def _skip(self, now):
        """Go on with the earliest packet there is."""
        first = None
        for ns in self._held:
            if first is None or (ns - self._expected) & 0xFFFF < (first - self._expected) & 0xFFFF:
                first = ns
        self.lost += (first - self._expected) & 0xFFFF
        self._expected = first
        self._drain(now)

    def _drain(self, now):
        """Deliver what has come in turn; wait anew for the next gap."""
        held = self._held.pop(self._expected, None)
        while held is not None:
            self._expected = (self._expected + 1) & 0xFFFF
            self.session.deliver(held[0], HEADROOM, held[1], now)
            held = self._held.pop(self._expected, None)
        self.deadline = ticks.add(now, WAIT) if self._held else None
