"""IPv6 Control Protocol: interface identifiers, and with them the link-local addresses (RFC 5072)."""

from ..fault import IPV6CP, Fault
from ..wire import ppp
from .ncp import Ncp
from .options import Option

INTERFACE_IDENTIFIER = 1
SIZE = 8  # bytes
NONE = bytes(SIZE)


def link_local(identifier):
    """The link-local address made of an interface identifier (§5): 16 bytes."""
    return b"\xfe\x80\0\0\0\0\0\0" + identifier


class InterfaceIdentifier(Option):
    """Both identifiers (§4.1): ``ours`` ours, ``peers`` the peer's; they must differ, and neither is zero."""

    def __init__(self, link, identifier):
        self._random = link.random
        super().__init__(INTERFACE_IDENTIFIER, "addr", identifier or self._fresh())
        self._suggested = self._fresh()  # for a peer without one, or with ours
        self._asked = False  # a Nak asked a peer that sent none; once is enough

    def _fresh(self):
        value = self._random(SIZE)
        return bytes((value[0] & 0xFD,)) + value[1:7] + bytes((value[7] | 1,))  # local ("u" bit 0), not zero

    def begin(self):
        self.ours = self.wish
        self._asked = False

    def _suggestion(self):
        while self._suggested == self.ours:
            self._suggested = self._fresh()
        return self._suggested

    def judge(self, value, now):
        return self._suggestion() if len(value) != SIZE or value == NONE or value == self.ours else value

    def missing(self, now):
        if self._asked:
            return None
        self._asked = True
        return self._suggestion()

    def naked(self, value, now):
        if self.ours is None or len(value) != SIZE:
            return
        # Our own suggestion coming back is a line that loops, or a peer that thinks as we do.
        self.ours = self._fresh() if value in (NONE, self._suggested) else value


class Ipv6cp(Ncp):
    """``identifier``: our interface identifier, 8 bytes, best one that lasts; None for a random one."""

    protocol = ppp.IPV6CP
    layer = IPV6CP
    data_protocol = ppp.IPV6
    version = 6

    def __init__(self, link, identifier=None):
        super().__init__(link)
        self.interface = self.add(InterfaceIdentifier(link, identifier))

    def agreed(self, now):
        """Without both identifiers there is no IPv6; IPv4 goes on."""
        if self.interface.ours is not None and self.interface.peers is not None:
            return True
        self.why = Fault(IPV6CP, "no interface identifiers could be agreed on")
        self.close(now)
        return False

    def settings(self):
        """``{"family": 6, "local", "remote": link-local addresses of 16 bytes, "dns": [], "mtu": bytes}``."""
        return {
            "family": 6,
            "local": link_local(self.interface.ours),
            "remote": link_local(self.interface.peers),
            "dns": [],
            "mtu": self.link.mtu,
        }
