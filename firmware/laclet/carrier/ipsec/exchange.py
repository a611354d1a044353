"""What phase 1 and quick mode share: the step through the table, repetition, and the time one waits."""

from ... import ticks
from ...crypto.hashes import md5
from ...fault import IKE, Fault
from . import payload as p
from . import tables as t

# Retransmission: the first after 1 s, doubling to 4 s, eight times: 27 s of silence are the end, 0.5 % at 30 % loss.
_RETRY_FIRST = 1000
_RETRY_MAX = 4000
_RETRIES = 8
# A responder waits this long for the next message (ms).
_PATIENCE = 30000
# Times that a repeated message is answered by the repeated answer: more than any honest peer repeats one.
_REPEATS = 16


class Exchange:
    """A sequence of messages under one message id. ``owner`` is the ``Ipsec`` it belongs to.

    A subclass has the ``table``, the actions named in it, and: ``transmit(message)`` by its own way; ``open(message)``,
    which gives ``(message in clear, next vector)`` or None; ``garbled(sealed, now)``, the reason for a message that
    makes no sense; ``finished(now)`` and ``failed(fault, now)``, which tell whom it concerns.
    """

    table = ()

    def __init__(self, owner, initiator, state):
        self.owner = owner
        self.initiator = initiator
        self.state = state
        self.said = ""  # what the peer notified while we waited
        self.deadline = None  # of the next retransmission, or of our patience
        self.insists = initiator  # repeats its messages unasked
        self._out = None  # our last flight: repeated on time-out  or when its cause is repeated
        self._heard = b""  # digest of the message that the last flight answered
        self._tries = 0
        self._repeats = 0

    def step(self, message, exchange, now):
        """Take one message. Returns None when it was accepted, or the reason why it was dropped."""
        digest = md5(message)
        if digest == self._heard:
            self.repeat()
            return "repeated"
        row = t.find(self.table, self.state, exchange)
        if row is None:
            return "unexpected message"
        sealed = message[p.FLAGS] & p.ENCRYPTED
        if row[2] != t.EITHER and bool(sealed) != (row[2] == t.SEALED):
            return "encrypted or not"
        iv = None
        if sealed:
            opened = self.open(message)
            if opened is None:
                return "undecryptable"
            message, iv = opened
        found = p.parse(message[p.NEXT], message, p.HEADER, len(message))
        if found is None:
            return self.garbled(sealed, now)
        for kind in row[3]:
            if p.first(found, kind, message) is None:
                return self.garbled(sealed, now) if sealed else "payload missing"
        answer = getattr(self, row[4])(message, found, iv, now)
        if isinstance(answer, str):
            return answer
        self.state = row[5]
        self._heard = digest
        self._tries = self._repeats = 0
        self.flight(answer, now)
        if self.state == t.UP:
            self.finished(now)
        return None

    def repeat(self):
        """Send the last flight again, because the other side missed it."""
        if self._out and self._repeats < _REPEATS:
            self._repeats += 1
            self.transmit(self._out)

    def again(self):
        """Send the last flight again, because nothing came of it."""
        self.transmit(self._out)

    def flight(self, message, now):
        """Send ``message`` (None: there is nothing to say) and wait for what the new state awaits."""
        self._out = message
        if self.state >= t.UP:
            self.deadline = None
        else:
            self.deadline = ticks.add(now, _RETRY_FIRST if self.insists else _PATIENCE)
        if message:
            self.transmit(message)

    def on_timer(self, now):
        """Repeat what was not answered, or give up."""
        if not ticks.due(self.deadline, now):
            return
        self._tries += 1
        if self.insists and self._tries < _RETRIES:
            self.deadline = ticks.add(now, min(_RETRY_FIRST << self._tries, _RETRY_MAX))
            self.again()
        else:
            cause, hint = t.silence(self.table, self.state)
            self.fail(cause, hint, now)

    def fail(self, cause, hint, now):
        """End with a fault of layer "ike"."""
        self.state = t.DEAD
        self.deadline = None
        self._out = None
        self.failed(Fault(IKE, cause, self.said, hint), now)
