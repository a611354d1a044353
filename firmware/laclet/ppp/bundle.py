"""A bundle: one network layer over several links (RFC 1990), which may come through different tunnels."""

from ..fault import LCP, Fault
from ..wire import mp, ppp
from .lcp import DEFAULT_MRU, MIN_MRU, Flag
from .multilink import Member, Receiver, Sender
from .network import Network
from .options import Option

MRRU = 17
SHORT_SEQUENCE = 18
ENDPOINT = 19

# Classes of an endpoint discriminator (§5.1.3), and how many bytes of address each has: (least, most).
NULL, LOCAL, IP, MAC, MAGIC, TELEPHONE = range(6)
SIZES = ((0, 0), (1, 20), (4, 4), (6, 6), (4, 20), (1, 15))

MAX_LINKS = 16  # in one bundle


class Mrru(Option):
    """Max-Receive-Reconstructed-Unit (§5.1.1): with it, from both sides, a link can belong to a bundle."""

    def __init__(self, mrru):
        super().__init__(MRRU, "mrru", bytes((mrru >> 8, mrru & 0xFF)))

    def judge(self, value, now):
        if len(value) != 2:
            return bytes((DEFAULT_MRU >> 8, DEFAULT_MRU & 0xFF))
        return value if (value[0] << 8 | value[1]) >= MIN_MRU else bytes((0, MIN_MRU))

    def naked(self, value, now):
        # 1500 bytes are always taken (§5.1.1), and no more than we have room for.
        if self.ours is not None and len(value) == 2 and (value[0] << 8 | value[1]) >= DEFAULT_MRU:
            self.ours = min(self.ours, value)


class Endpoint(Option):
    """Endpoint Discriminator (§5.1.3): a class and an address that tell one system from another."""

    def __init__(self, discriminator):
        super().__init__(ENDPOINT, "endpoint", discriminator)

    def judge(self, value, now):
        return value if well_formed(value) else None

    def naked(self, value, now):
        self.ours = None  # §5.1.3


def well_formed(discriminator):
    """True for a class, known or not, and an address of a length that it may have."""
    if not discriminator:
        return False
    size = len(discriminator) - 1
    if discriminator[0] >= len(SIZES):
        return size <= 20
    least, most = SIZES[discriminator[0]]
    return least <= size <= most and (discriminator[0] != MAGIC or size % 4 == 0)


class Terms:
    """What LCP shall ask of every link that wants to join.

    ``mrru`` is the longest packet that we put together, ``short`` asks for short headers, ``discriminator`` (class and
    address, or None) tells the peer that two links have the same end.
    """

    def __init__(self, mrru=DEFAULT_MRU, short=False, discriminator=None):
        if not MIN_MRU <= mrru <= 0xFFFF:
            raise ValueError("mrru")
        if discriminator is not None and not well_formed(discriminator):
            raise ValueError("discriminator")
        self.mrru = mrru
        self.short = short
        self.discriminator = discriminator

    def equip(self, lcp):
        """Add the options of multilink to a link's LCP."""
        lcp.add(Mrru(self.mrru))
        lcp.add(Flag(SHORT_SEQUENCE, "ssnhf", b"" if self.short else None))
        lcp.add(Endpoint(self.discriminator))


def agreed(link):
    """True when both sides of this link do multilink."""
    mrru = link.lcp.find(MRRU)
    return mrru.ours is not None and mrru.peers is not None


def identity(link):
    """Whose link it is: (endpoint discriminator, authenticated name); (b"", b"") for nobody in particular."""
    discriminator = link.lcp.find(ENDPOINT).peers
    return (discriminator if discriminator and discriminator[0] != NULL else b"", link.peer_name)


class Bundle(Network):
    """The network layer of links made with ``multilink=bundle``: they join when they are authenticated, in any order.

    With a peer that does no multilink it is the network layer of one link. Keyword arguments as in ``PppLink``; the
    ``speed`` of a link decides how much of the traffic it gets.

    Events: ``("up", bundle, settings)`` as of a PppLink; ``("down", bundle, Fault)`` when the last link has left;
    ``("timer", bundle, None)``. The links' own "down" events tell of each of them.
    """

    def __init__(self, random, terms, mtu=None, address=None, peer_address=None, dns=(), want_dns=False, nbns=()):
        super().__init__(random, mtu or terms.mrru)
        self.terms = terms
        self.members = []
        self._identity = None  # of the first link: all others must have the same
        self.multilink = False  # the links have agreed on it
        self.sender = Sender(self, self.members)
        self.receiver = Receiver(self, self.members, terms.mrru + 4)  # FF 03 and the protocol come on top
        self.joined = self.sender
        self.machines.append(self.receiver)
        self.add_ipcp(address, peer_address, dns, want_dns, nbns)

    # -- links --------------------------------------------------------------------------------------

    def equip(self, lcp):
        """Add the options of multilink to a link's LCP."""
        self.terms.equip(lcp)

    def admit(self, link, now):
        """A link is authenticated: it joins, or fails because it cannot."""
        fault = self._objection(link)
        if fault is not None:
            link.fail(fault, now)
            return
        lcp = link.lcp
        if not self.members:
            self._begin(link)
        short = lcp.find(SHORT_SEQUENCE).peers is not None
        member = Member(link, self.receiver, lcp.peer_mru() - (mp.SHORT if short else mp.LONG))
        if self.members:  # a fragment on the others comes before the first one on this (§6)
            member.credit = -self.terms.mrru
            self.members[0].credit += self.terms.mrru
        self.members.append(member)
        self._share()
        link.bundle = self
        link.inputs.update(self.inputs)
        if self.multilink:
            link.inputs[ppp.MULTILINK] = member.receive
        link.tell(now)
        link.event("joined", self)
        if not self.network:
            self.network = True
            self.start_ncps(now)
        self.rearm()

    def _objection(self, link):
        """The Fault that keeps a link from joining, or None."""
        if not self.members:
            return None
        if not self.multilink or not agreed(link):
            return Fault(LCP, "the peer does no multilink, so there is one link already", hint="set multilink off")
        if identity(link) != self._identity:
            return Fault(LCP, "the peer is another system than that of the bundle's first link")
        if len(self.members) >= MAX_LINKS:
            return Fault(LCP, "the bundle has %d links already" % MAX_LINKS)
        lcp = link.lcp
        short = lcp.find(SHORT_SEQUENCE)
        if (short.ours is not None) != self.receiver.short or (short.peers is not None) != self.sender.short:
            return Fault(LCP, "the links of the bundle have other sequence numbers")
        return None

    def _begin(self, link):
        """The first link decides what the bundle is."""
        lcp = link.lcp
        self.fault = None
        self._blamed = None
        self._identity = identity(link)
        self.peer_name = link.peer_name
        self.roles = list(link.roles)  # whose keys encrypt
        self.multilink = agreed(link)
        self.limit_mtu(int.from_bytes(lcp.find(MRRU).peers, "big") if self.multilink else lcp.peer_mru())
        short = lcp.find(SHORT_SEQUENCE)
        self.sender.short = short.peers is not None
        self.sender.number = 0
        self.receiver.short = short.ours is not None
        self.receiver.reset()

    def _share(self):
        """Divide the traffic by the links' speeds; in equal parts when one is not known."""
        total = 0
        known = True
        for member in self.members:
            total += member.link.speed
            known = known and member.link.speed > 0
        for member in self.members:
            member.share = member.link.speed * 1024 // total if known else 1024 // len(self.members)

    def leave(self, link, now):
        """A link is down; what it owes us will not come."""
        for member in self.members:
            if member.link is link:
                self.members.remove(member)
                if self.members:
                    self.members[0].credit += member.credit
                break
        for protocol in self.inputs:
            link.inputs.pop(protocol, None)
        link.inputs.pop(ppp.MULTILINK, None)
        link.bundle = None
        if self.members:
            self._share()
            self.receiver.settle(now)
            return
        self.network = False
        self.receiver.reset()
        self.stop_ncps(now)
        self.event(
            "down", self.fault or self._blamed or link.fault or link.lcp.why or Fault(LCP, "the last link closed")
        )

    def close(self, now):
        """We want it no longer."""
        self.fail(Fault(LCP, "closed by us"), now)

    # -- frames -------------------------------------------------------------------------------------

    def carry(self, buf, start, end, now):
        """A frame put together from fragments."""
        head = ppp.head(buf, start, end)
        protocol = head & 0xFFFF
        at = start + (head >> 16)
        handler = self.inputs.get(protocol)
        if handler is not None:
            handler(buf, at, end, now)
            if protocol & 0x8000:
                self.rearm()
        elif not self.members or protocol == 0:
            self.drop("frame without a protocol")
        elif protocol != ppp.LCP:
            self.members[0].link.reject_protocol(protocol, buf, at, end, now)
        elif end > at and buf[at] > ppp.TERMINATE_ACK:
            self.members[0].link.carry(buf, start, end, now)
        else:
            self.drop("LCP negotiation in a bundle")  # "MUST silently discard" (§2)

    def send(self, protocol, code, identifier, data, now):
        """Send a control packet of an NCP; over which link does not matter (§2)."""
        if self.members:
            self.members[0].link.send(protocol, code, identifier, data, now)
        else:
            self.drop("no link in the bundle")

    def fail(self, fault, now):
        """Close all links, because of this."""
        if self.fault is None:
            self.fault = fault
        for member in list(self.members):
            member.link.fail(fault, now)

    def status(self):
        """For people: plain values, no secrets."""
        status = self.ncp_status()
        status["links"] = len(self.members)
        status["multilink"] = self.multilink
        status["lost"] = self.receiver.lost
        return status


class Bundles:
    """The bundles of a server, one for each peer: links made with ``multilink=bundles`` find theirs.

    ``make(link)`` gives a new Bundle for the peer of this link; it must be told to ``forget`` when it is down.
    """

    def __init__(self, terms, make):
        self.terms = terms
        self._make = make
        self._bundles = {}  # identity -> Bundle

    def equip(self, lcp):
        """Add the options of multilink to a link's LCP."""
        self.terms.equip(lcp)

    def admit(self, link, now):
        """A link is authenticated: §5.1.3, but what says nothing of itself is not taken for another that does so."""
        who = identity(link) if agreed(link) else (b"", b"")
        bundle = self._bundles.get(who)
        if bundle is None:
            bundle = self._make(link)
            if who != (b"", b""):
                self._bundles[who] = bundle
        bundle.admit(link, now)

    def forget(self, bundle):
        """This one is down."""
        for who in self._bundles:
            if self._bundles[who] is bundle:
                del self._bundles[who]
                return
