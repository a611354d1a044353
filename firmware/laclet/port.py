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
    """Base of every frame port: the join, the events for the owner, the drops by name."""

    def __init__(self):
        self.joined = None  # the port that receives what arrives here from outside
        self.drops = {}  # reason -> count; reasons are literals in the code, so the dict is bounded
        self._events = []

    def drop(self, reason):
        """Count a thing that was dropped under its reason."""
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def next_event(self):
        """The oldest event not yet taken, a tuple ``(name, …)``, or None."""
        return self._events.pop(0) if self._events else None
