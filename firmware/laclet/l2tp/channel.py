"""The reliable control channel (RFC 2661 §5.8, Appendix A): Ns and Nr, both windows, retransmission, acknowledgement.

It holds messages, not sockets: the tunnel queues messages with ``queue``, hands arriving sequence numbers to ``accept``
and pulls what must leave now with ``pull``.
"""

from .. import ticks
from ..wire.l2tp import put_u16

# Received messages kept while an earlier one is missing; also the window we advertise. The RFC's default (§4.4.3).
RECEIVE_WINDOW = 4
# Messages kept out of order, however wide the window is: the peer repeats those beyond.
MAX_HELD = 64
# Messages waiting to be sent or acknowledged; more means a peer that lets us talk without answering.
MAX_QUEUE = 512
# §5.8: the cap on the retransmission interval must not be below 8 s.
_MAX_INTERVAL = 8000
# How long an acknowledgement waits for a message to ride on. Our answers leave in the call that brings the question;
# only answers that take thought (a modem, RADIUS) come later, and those are worth an acknowledgement of their own.
_ACK_DELAY = 20

# What accept() says of an arriving message.
DELIVER = 0
DUPLICATE = 1
HELD = 2
OUTSIDE = 3


class Channel:
    """One direction pair of a control connection. Times in ms; sequence numbers modulo 65536."""

    def __init__(self, rws=RECEIVE_WINDOW, max_retries=5, retry_timeout=1000):
        self.rws = rws  # messages we take out of order, as advertised
        self.max_retries = max_retries
        self.retry_timeout = retry_timeout
        self.nr = 0  # Ns expected next
        self.dead = False  # the peer acknowledged nothing through all retries
        self.retransmissions = 0
        self.rtt = None  # ms until the last message that was measured was acknowledged
        self._window = 4  # what the peer advertised; 4 until it did (§4.4.3)
        self._cwnd = 1
        self._ssthresh = 4
        self._acked = 0  # acknowledgements since cwnd last grew (congestion avoidance)
        self._base = 0  # Ns of _queue[0]
        self._queue = []  # (session id at the peer, message with room for the header)
        self._flight = 0  # messages of _queue in flight: sent since the last timeout
        self._out = 0  # messages of _queue sent at least once: what the peer may acknowledge
        self._tries = 0  # timeouts in a row
        self._resend_at = None
        self._timed = None  # (Ns, when it was sent) of a message that is measured
        self._ack_at = None
        self._ack_now = False
        self._held = {}  # Ns -> (start of AVPs, copy); at most rws and MAX_HELD entries

    def set_window(self, rws):
        """The peer's Receive Window Size; 0 is invalid and read as 1."""
        self._window = max(1, rws)
        self._ssthresh = self._window

    def queue(self, session, message):
        """Send ``message`` (12 bytes of room for the header, then AVPs) to the peer's ``session`` (0: the tunnel)."""
        if len(self._queue) < MAX_QUEUE:
            self._queue.append((session, message))
        else:
            self.dead = True

    def idle(self):
        """True when everything sent has been acknowledged."""
        return not self._queue

    def acknowledged(self, nr, now):
        """Take the peer's ``nr``. Values outside what was sent are old or false, and ignored."""
        n = (nr - self._base) & 0xFFFF
        if n == 0 or n > self._out:
            return
        if self._timed is not None and (self._timed[0] - self._base) & 0xFFFF < n:
            self.rtt = ticks.diff(now, self._timed[1])
            self._timed = None
        self._queue = self._queue[n:]
        self._base = nr
        self._out -= n
        self._flight = max(0, self._flight - n)
        self._tries = 0
        for _ in range(n):  # Appendix A: slow start, then one more per window of acknowledgements
            if self._cwnd < self._ssthresh:
                self._cwnd += 1
            else:
                self._acked += 1
                if self._acked >= self._cwnd:
                    self._acked = 0
                    self._cwnd = min(self._cwnd + 1, self._window)
        self._resend_at = ticks.add(now, self.retry_timeout) if self._flight else None

    def accept(self, ns, now):
        """Place an arriving message that is no ZLB: DELIVER it now, it is a DUPLICATE, may be HELD, or is OUTSIDE."""
        ahead = (ns - self.nr) & 0xFFFF
        if ahead == 0:
            self.nr = (ns + 1) & 0xFFFF
            if self._ack_at is None:
                self._ack_at = ticks.add(now, _ACK_DELAY)
            return DELIVER
        if ahead >= 0x8000:
            self._ack_now = True  # a duplicate must be acknowledged: our acknowledgement may have been lost
            return DUPLICATE
        return HELD if ahead < self.rws and ns not in self._held and len(self._held) < MAX_HELD else OUTSIDE

    def hold(self, ns, message):
        """Keep a copy of a message that accept() said may be HELD."""
        self._held[ns] = message

    def next_held(self, now):
        """The message that has become due after a DELIVER, or None."""
        message = self._held.pop(self.nr, None) if self._held else None
        if message is not None:
            self.accept(self.nr, now)
        return message

    def pull(self, now):
        """What must be sent now: ``(session, message)`` with Ns and Nr stamped, ``(0, None)`` for a ZLB, or None.

        A ZLB carries ``next_ns()`` and ``nr``.
        """
        i = self._flight
        if i < len(self._queue) and i < self._cwnd and i < self._window and not self.dead:
            session, message = self._queue[i]
            put_u16(message, 8, self._base + i)
            put_u16(message, 10, self.nr)  # the Nr of a retransmission is the current one (§5.8)
            if i < self._out:
                self.retransmissions += 1
            else:
                self._out = i + 1
                if self._timed is None:
                    self._timed = ((self._base + i) & 0xFFFF, now)
            self._flight = i + 1
            if self._resend_at is None:
                self._resend_at = ticks.add(now, self._interval())
            self._ack_at = None
            self._ack_now = False
            return (session, message)
        if self._ack_now:
            self._ack_now = False
            self._ack_at = None
            return (0, None)
        return None

    def next_ns(self):
        """Ns for a ZLB: that of the next new message; a ZLB does not use it up."""
        return (self._base + self._out) & 0xFFFF

    def _interval(self):
        interval = self.retry_timeout
        for _ in range(self._tries):
            interval *= 2
            if interval >= _MAX_INTERVAL:
                return max(_MAX_INTERVAL, self.retry_timeout)
        return interval

    def poll_at(self):
        """Deadline of the next on_timer()."""
        return ticks.soonest(self._resend_at, self._ack_at)

    def on_timer(self, now):
        """Fire what is due; what to send is then pulled."""
        if ticks.due(self._ack_at, now):
            self._ack_at = None
            self._ack_now = True
        if ticks.due(self._resend_at, now):
            self._resend_at = None
            if self._tries >= self.max_retries:
                self.dead = True
                return
            self._tries += 1
            self._timed = None  # which of the two would be acknowledged (Karn)?
            self._flight = 0  # go back: what was in flight is sent again as the window opens
            self._ssthresh = max(1, self._cwnd // 2)
            self._cwnd = 1
            self._acked = 0
