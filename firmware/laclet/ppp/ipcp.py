"""IP Control Protocol: addresses (RFC 1332 §3.3) and name servers (RFC 1877), both sides."""

from ..fault import IPCP, Fault
from ..wire import ppp
from .ncp import Ncp
from .options import Option

ADDRESS = 3
DNS = (129, 131)  # primary, secondary (RFC 1877 §1.1, §1.3)
NBNS = (130, 132)

NONE = b"\0\0\0\0"


class Address(Option):
    """Both addresses: ``ours`` ours, ``peers`` the peer's.

    ``address`` is the one we wish (None: any). ``peer_address`` is None at the side that is given its address, else the
    four bytes for the peer or a function ``f(name) -> bytes | None`` asked once per negotiation.
    """

    def __init__(self, link, address, peer_address):
        super().__init__(ADDRESS, "addr", address or (NONE if peer_address is None else None))
        self.gives = peer_address is not None
        self._link = link
        self._peer_address = peer_address
        self._for_peer = None  # the address that this negotiation gives

    def begin(self):
        self.ours = self.wish
        give = self._peer_address
        self._for_peer = give(self._link.peer_name) if callable(give) else give

    def judge(self, value, now):
        if self.gives:
            return self._for_peer
        # The peer has its own address, or none: we have none for it (a Nak with 0.0.0.0 would lead nowhere).
        return value if len(value) == 4 and value != NONE else None

    def naked(self, value, now):
        if not self.gives and len(value) == 4 and value != NONE:
            self.ours = value
            self.wish = value  # what we were given is what we ask next time


class Server(Option):
    """A name server: one we would like to know (``wanted``), or one we give to the peer (``give``)."""

    def __init__(self, type, name, wanted, give):
        super().__init__(type, name, wanted)
        self._give = give

    def judge(self, value, now):
        return self._give

    def naked(self, value, now):
        if self.ours is not None and len(value) == 4:
            self.ours = value


class Ipcp(Ncp):
    """``want_dns``: ask for name servers, ``dns`` first; otherwise ``dns`` and ``nbns`` are what the peer is given."""

    protocol = ppp.IPCP
    layer = IPCP
    data_protocol = ppp.IP
    version = 4

    def __init__(self, link, address, peer_address, dns, want_dns, nbns):
        super().__init__(link)
        self.address = self.add(Address(link, address, peer_address))
        self._want_dns = want_dns
        for i in range(2):
            # Who asks for a second one hears of the only one again: a rejection costs a round trip more than a Nak.
            server = dns[i] if i < len(dns) else dns[-1] if dns and not want_dns else None
            if want_dns:
                self.add(Server(DNS[i], "dns%d" % (i + 1), server or NONE, None))
            elif server:
                self.add(Server(DNS[i], "dns%d" % (i + 1), None, server))
            if i < len(nbns):
                self.add(Server(NBNS[i], "wins%d" % (i + 1), None, nbns[i]))

    def agreed(self, now):
        fault = None
        if self.address.gives:
            if self.address.peers is None:
                fault = Fault(IPCP, "the peer did not take an address", hint="is there one left for it?")
        elif (self.address.ours or self.address.wish) == NONE:
            fault = Fault(IPCP, "the peer gave us no address", hint="set address, if the peer expects us to know it")
        if fault is not None:
            self.link.fail(fault, now)
        return fault is None

    def settings(self):
        """``{"family": 4, "local", "remote": 4 bytes (remote 0.0.0.0: unknown), "dns": [4 bytes], "mtu": bytes}``."""
        dns = []
        if self._want_dns:
            for option in self.options:
                if option.type in DNS and option.ours not in (None, NONE) and option.ours not in dns:
                    dns.append(option.ours)
        return {
            "family": 4,
            "local": self.address.ours or self.address.wish or NONE,
            "remote": self.address.peers or NONE,
            "dns": dns,
            "mtu": self.link.mtu,
        }
