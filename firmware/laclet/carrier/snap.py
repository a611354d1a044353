"""What frame relay, ATM and X.25 have in common: L2TP by its SNAP number, IANA's OUI 00-00-5E and PID 00-07."""

OUI_PID = b"\x00\x00\x5e\x00\x07"


def is_l2tp(buf, at):
    """True when the five bytes at ``at`` say L2TP; the caller has checked the bounds."""
    return all(buf[at + i] == OUI_PID[i] for i in range(5))


class Carrier:
    """Base of the carriers: an ``endpoint`` above that receives, a ``carrier`` below that sends, and drops by name."""

    def __init__(self):
        self.owner = None  # free for the node
        self.endpoint = None  # receive(buf, start, end, addr, now)
        self.carrier = None  # send(buf, start, end, addr)
        self.drops = {}  # reason -> count; reasons are literals in the code

    def drop(self, reason):
        """Count a thing that was dropped under its reason."""
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def settle(self, addr):
        """A circuit has one far end: nothing to settle."""

    def close(self):
        """Close what is below."""
        self.carrier.close()
