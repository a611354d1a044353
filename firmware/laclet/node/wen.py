"""Errors of a LAC's line, told to the LNS now and then (WAN-Error-Notify, RFC 2661 §6.13); loaded only when wanted.

Some LNSes end a call, or the whole tunnel, over such a message: it has to be asked for.
"""

from .. import ticks

# Reasons of a SerialLine's drops for each of the six counters (§4.4.6 Call Errors).
_REASONS = (
    ("bad FCS",),
    ("abort", "runt"),
    (),  # hardware overruns: what the UART has lost is seen as a bad FCS
    ("line busy", "oversize"),
    (),
    (),
)


class LineErrors:
    """Counts from the start of a call; ``interval`` (ms) between reports, and none while nothing new is wrong."""

    def __init__(self, node, line, interval):
        self.armed = None  # for Timers
        self._node = node
        self._line = line
        self._interval = interval
        self._session = None
        self._base = None  # counters when the call began
        self._told = None
        self._at = None

    def begin(self, session, now):
        """The call is up."""
        self._session = session
        self._base = self._counters()
        self._told = self._base
        self._wait(now)

    def end(self):
        """The call is over."""
        self._session = None
        self._at = None
        self._node.timers.forget(self)

    def poll_at(self):
        """When it is looked again."""
        return self._at

    def on_timer(self, now):
        """Tell, when there is something new."""
        if ticks.due(self._at, now) and self._session is not None:
            counters = self._counters()
            if counters != self._told:
                self._told = counters
                self._session.tell_errors([counters[i] - self._base[i] for i in range(len(counters))], now)
            self._wait(now)

    def _wait(self, now):
        self._at = ticks.add(now, self._interval)
        self._node.timers.update(self, now)

    def _counters(self):
        drops = self._line.drops
        return [sum([drops.get(reason, 0) for reason in reasons]) for reasons in _REASONS]
