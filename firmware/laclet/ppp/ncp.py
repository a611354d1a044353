"""What every Network Control Protocol shares: its way up and down with the link, and its network's packets."""

from .automaton import INITIAL, OPENED, REQ_SENT, STARTING
from .options import Negotiation


class Ncp(Negotiation):
    """A subclass sets ``protocol`` and ``layer``, and for a version of IP ``data_protocol`` and ``version``.

    ``agreed(now)`` may refuse what was negotiated by failing the link; ``settings()`` go into the link's "up" event.
    """

    data_protocol = 0  # PPP protocol number of the packets it opens the way for; 0: none
    version = 0  # IP version of these packets

    def __init__(self, link):
        super().__init__(link)
        self.vj = None  # the Vj that compresses headers
        self.early = False  # our first request flew before the peer could take it: one rejection is forgiven

    def start(self, now):
        """The link lets network protocols speak; a request that flew early is repeated at once."""
        if self.state == INITIAL:
            self.open(now)
        if self.state == STARTING:
            self.up(now)
        else:
            self.kick(now)

    def start_early(self, now):
        """Send the first request along with our authentication."""
        self.start(now)
        self.early = True

    def refused(self, now):
        """The peer rejected our protocol number."""
        if self.early:
            self.early = False
            self.link.drop("Protocol-Reject of an early request")
        else:
            self.reject(now)

    def poll_at(self):
        """Before the link lets it speak, an early request waits."""
        return self._deadline if self.link.network else None

    def on_timer(self, now):
        """Fire the restart timer when it is due."""
        if self.link.network:
            super().on_timer(now)

    def carry_in(self, buf, at, end, now):
        """A packet of our network came out of the link."""
        cipher = self.link.cipher
        if cipher is not None and cipher.insists():
            self.link.drop("network packet in clear")
        else:
            self.deliver(buf, at, end, now)

    def deliver(self, buf, at, end, now):
        """Bring a packet to the IP side."""
        link = self.link
        if self.state != OPENED:
            link.drop("network packet before its NCP is open")
        elif link.above is None:
            link.drop("nothing above")
        else:
            link.above.receive_ip(buf, at, end, now)

    def agreed(self, now):
        """Opened: False (after ``link.fail``) when this cannot be lived with."""
        return True

    def settings(self):
        """What the interface above must know, or None when there is no interface."""
        return None

    def code_rejected(self, code):
        """No NCP has codes that the peer may do without."""

    def on_up(self, now):
        self.early = False
        if self.agreed(now):
            self.link.ncp_up(self, now)

    def on_down(self, now):
        self.link.ncp_down(self, now)

    def on_finished(self, now):
        self.link.ncp_finished(self, now)

    def negotiating(self):
        """True while it is open, or may yet be."""
        return self.state >= REQ_SENT
