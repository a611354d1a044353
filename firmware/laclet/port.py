"""What all frame ports share: room around a frame, the join, and counters of what was dropped."""

# Bytes before a frame that lower layers may write: L2TP header 14, PPP 4, multilink 6, ESP + UDP 32, SNAP 10.
HEADROOM = 72
# Bytes after a frame: HDLC FCS 2, ESP padding, trailer and ICV up to 34, AAL5 padding is made elsewhere.
TAILROOM = 40


def frame_buffer(size):
    """A zeroed buffer for frames of up to ``size`` bytes, with headroom and tailroom around them."""
    return bytearray(HEADROOM + size + TAILROOM)


def join(a, b):
    """Join two ports: what comes out of one goes into the other."""
    a.joined = b
    b.joined = a


def part(a):
    """Undo a join, from either side. Frames that still arrive are dropped and counted."""
    b = a.joined
    a.joined = None
    if b is not None and b.joined is a:
        b.joined = None


class Port:
    """Base of every frame port: the join, the events for the owner, the drops by name.

    An event is ``(name, source, detail)``. The owner may give many machines one list for their ``events``, and then
    need not ask each of them. The event ``timer`` says that poll_at() may have moved earlier.
    """

    def __init__(self):
        self.joined = None  # the port that receives what arrives here from outside
        self.drops = {}  # reason -> count; reasons are literals in the code, so the dict is bounded
        self.events = []
        self.owner = None  # free for the node
        self.armed = None  # for Timers

    def drop(self, reason):
        """Count a thing that was dropped under its reason."""
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def event(self, name, detail=None):
        """Tell the owner."""
        self.events.append((name, self, detail))

    def next_event(self):
        """The oldest event not yet taken, ``(name, source, detail)``, or None."""
        return self.events.pop(0) if self.events else None
