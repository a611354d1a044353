"""Who calls an ``Ipsec`` unasked: what a flood of them can cost, and what becomes of those who prove themselves."""

from ... import ticks
from ...fault import IKE, Fault
from . import tables
from .peer import Peer
from .phase1 import Phase1

# Strangers in the middle of phase 1: what a flood of first messages can cost; the oldest unproved one makes room.
MAX_HALF_OPEN = 16
# Peers at a time.
MAX_PEERS = 1024
# A stranger can make us tell of a fault so often (ms).
_FAULT_INTERVAL = 1000


class Callers:
    """The strangers of ``owner``, an ``Ipsec``."""

    def __init__(self, owner):
        self.half_open = []  # Phase1 objects, the oldest first
        self._owner = owner
        self._number = 0  # of the last one that became a peer
        self._fault_at = None  # when one may cause the next fault

    def first(self, message, exchange, inlet, addr, now):
        """A first message: ``(Phase1, None)``, or ``(None, reason)`` why it was dropped."""
        if len(self.half_open) >= MAX_HALF_OPEN:
            for sa in self.half_open:
                if sa.state in (tables.MAIN_3, tables.AGGRESSIVE_3):  # it has not shown that its address is its own
                    self._owner.end(sa)
                    self._owner.drop("half-open pushed out")
                    break
            else:
                return None, "too many half-open"
        sa = Phase1(self._owner, inlet, addr)
        reason = sa.step(message, exchange, now)
        if reason is None:
            self.half_open.append(sa)
            return sa, None
        if reason == "no common proposal":
            self.fault(addr, Fault(IKE, "no common IKE proposal", "", "compare ipsec_ike"), now)
        return None, reason

    def proved(self, sa, now):
        """A stranger has proved itself; False when it cannot become a peer."""
        owner = self._owner
        self.half_open.remove(sa)
        if sa.initial_contact:
            self._contact_anew(sa, now)
        for peer in owner.peers:
            if peer.addr == sa.addr:
                sa.peer = peer
        return sa.peer is not None or self._admit(sa, now)

    def fault(self, addr, fault, now):
        """Tell of a caller that came to nothing: not of each, for anybody may call."""
        if self._fault_at is None or ticks.due(self._fault_at, now):
            self._fault_at = ticks.add(now, _FAULT_INTERVAL)
            self._owner.trouble(addr, fault)
        else:
            self._owner.drop("fault untold")

    def _admit(self, sa, now):
        owner = self._owner
        if len(owner.peers) >= MAX_PEERS:
            owner.drop("too many peers")
            return False
        # Two clients behind one NAT have the same host and port: the number tells them apart; the kernel cannot.
        self._number += 1
        tail = (self._number,)
        if owner.kernel is not None:
            tail = sa.addr[2:]
            self._contact_anew(sa, now)
            if any(peer.addr[0] == sa.addr[0] for peer in owner.peers):
                fault = Fault(IKE, "a second peer behind one address", "", 'ipsec_plane = "user" can tell them apart')
                self.fault(sa.addr, fault, now)
                return False
        sa.peer = Peer(owner, sa.inlet, sa.addr, (sa.addr[0], 0) + tail, 0)
        owner.peers.append(sa.peer)
        return True

    def _contact_anew(self, sa, now):
        """INITIAL-CONTACT (RFC 2407 §4.6.3.3): who sends it has lost all that there was."""
        for peer in list(self._owner.peers):
            if any(old.identity == sa.identity and old.addr[0] == sa.addr[0] for old in peer.sas):
                peer.forget()
                self._owner.peer_down(peer, Fault(IKE, "the peer began anew"), now)
