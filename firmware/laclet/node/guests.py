"""Callers with several links: at the LNS their bundles, each with one address and one interface (RFC 1990)."""

from ..fault import clean
from ..ppp.bundle import Bundle, Bundles
from ..wire.address import ipv4_text
from .callers import Guest
from .ncps import add_ncps, multilink_terms


class BundledGuest(Guest):
    """One bundle of callers' links, and what is above it."""

    def __init__(self, bundles, number):
        super().__init__(bundles.lns, "lns.bundle%d" % number)
        node = self.lns.node
        self._bundles = bundles
        self.link = Bundle(
            node.shell.random,
            bundles.terms,
            mtu=self.lns.config["mtu"],
            address=self.lns.address,
            peer_address=self.assign,
            dns=self.lns.dns,
        )
        add_ncps(self.link, self.lns.config)
        node.adopt(self.link, self)

    def granted(self):
        """As of any Guest: what was given to the first link."""
        return self.link.members[0].link.owner.granted() if self.link.members else None

    def on_event(self, name, source, detail, now):
        """up and down of the bundle."""
        if name == "up" and self.link.members:
            self.up(detail, self.link.members[0].link.joined.tunnel.addr, now)
        elif name == "down":
            self.lns.node.timers.forget(self.link)
            self.link.owner = None
            self.leave()
            self._bundles.forget(self.link)
            self._bundles.guests.remove(self)
            self.lns.node.log("info", self.component, "ended with its last link: " + str(detail))

    def status(self):
        """For people and tools."""
        return {
            "name": clean(self.link.peer_name),
            "address": ipv4_text(self.settings["remote"]) if self.settings else None,
            "ppp": self.link.status(),
        }


class BundledGuests(Bundles):
    """The bundles of an LNS."""

    def __init__(self, lns):
        super().__init__(multilink_terms(lns.config, lns.options.host_name), self._guest)
        self.lns = lns
        self.guests = []
        self._number = 0

    def _guest(self, link):
        self._number += 1
        guest = BundledGuest(self, self._number)
        self.guests.append(guest)
        return guest.link

    def close(self):
        """Give back the interfaces."""
        for guest in self.guests:
            if guest.interface is not None:
                guest.interface.close()
