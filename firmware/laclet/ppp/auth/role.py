"""What both sides of every authentication method share: packets, repetition, patience."""

from ... import ticks
from ...fault import AUTH, Fault
from ...wire import ppp
from ..automaton import MAX_CONFIGURE, RESTART_FIRST, RESTART_LAST

PATIENCE = 30000  # ms to wait for a peer whose move it is


class Role:
    """One side of one method: a subclass sets ``protocol``, ``silence`` and ``CODES``.

    ``CODES``: code -> method(self, identifier, buf, at, end, now), ``at`` behind the header. ``link`` is the PppLink.
    A prover ends with ``link.proven(now)``, a verifier with ``link.verified(name, now)``, either with ``link.fail``.
    """

    protocol = 0
    CODES = {}
    silence = ""  # what is wrong when the peer says nothing

    def __init__(self, link):
        self.link = link
        self.keys = None  # f(bits) -> (send, receive), MPPE start keys, once the method has brought some about
        self._packet = None  # (code, identifier, data) repeated until it is answered
        self._tries = 0
        self._period = 0  # ms
        self._deadline = None

    def start(self, now):
        """LCP is Opened; by default it is the peer's move."""
        self.wait(now)

    def wait(self, now):
        """It is the peer's move."""
        self._packet = None
        self._deadline = ticks.add(now, PATIENCE)

    def say(self, code, identifier, data, now):
        """Send a packet, and again until ``wait`` or ``settle``; repetitions as in RFC 1661 §4.6."""
        self._packet = (code, identifier, data)
        self._tries = MAX_CONFIGURE
        self._period = RESTART_FIRST
        self._repeat(now)

    def expect(self, identifier):
        """A verdict on a packet with this identifier may come, which another has brought for us (RFC 2661 §4.4.5)."""
        self._packet = (0, identifier, b"")

    def answer(self, code, identifier, data, now):
        """Send a packet once."""
        self.link.send(self.protocol, code, identifier, data, now)

    def settle(self):
        """Nothing more is awaited."""
        self._packet = None
        self._deadline = None

    def poll_at(self):
        """Deadline of the repetition, or of our patience."""
        return self._deadline

    def on_timer(self, now):
        """Repeat what was not answered, or give up."""
        if not ticks.due(self._deadline, now):
            return
        if self._packet is not None and self._tries > 0:
            self._repeat(now)
        else:
            self.settle()
            self.link.fail(Fault(AUTH, self.silence), now)

    def _repeat(self, now):
        self._tries -= 1
        self._deadline = ticks.add(now, self._period)
        self._period = min(2 * self._period, RESTART_LAST)
        code, identifier, data = self._packet
        self.link.send(self.protocol, code, identifier, data, now)

    def implied(self, now):
        """The peer already speaks network protocols; a method without a repeated answer may take that for Success."""

    def receive(self, buf, at, end, now):
        """Take a packet of this protocol; False when its code is the business of the other side."""
        end = ppp.packet_end(buf, at, end)
        if end < 0:
            self.link.drop("control packet with a wrong length")
            return True
        handler = self.CODES.get(buf[at])
        if handler is None:
            return False
        handler(self, buf[at + 1], buf, at + ppp.CONTROL_HEADER, end, now)
        return True


def counted(buf, at, end):
    """A string with its length in front: ``bytes``, or None when it runs beyond the packet."""
    if at >= end or at + 1 + buf[at] > end:
        return None
    return bytes(buf[at + 1 : at + 1 + buf[at]])
