"""LAC client with several links: one bundle, one interface, a call through each tunnel (RFC 1990)."""

from ..ppp.bundle import Bundle
from ..ppp.link import PppLink
from ..wire.address import ipv4_bytes, ipv4_text
from .client import ClientCall, link_options
from .ncps import add_ncps, multilink_terms


class Leg(ClientCall):
    """One call of a MultilinkCall: dials, calls again and tells its faults as a call of its own does."""

    def __init__(self, call, name, dialer):
        self._bundle = call.bundle
        super().__init__(call.node, call.name + "." + name, call.config, dialer)

    def make_link(self, config):
        """The PPP endpoint; network protocols and interface are the bundle's."""
        link = PppLink(self.node.shell.random, multilink=self._bundle, **link_options(self.node, config))
        link.speed = self.dialer.config["speed"]
        return link

    def close(self):
        """The interface is the bundle's."""
        for machine in (self, self.link):
            self.node.timers.forget(machine)

    def status(self):
        """For people and tools."""
        status = super().status()
        if self.link.bundle is not None:
            status["state"] = "up"
        return status

    def on_event(self, name, source, detail, now):
        """As of a call by itself; and ``joined`` when the link is in the bundle."""
        if name == "joined":
            self._up_at = now
            self.fault = None
            self.node.log("info", self.component, "joined, links: %d" % len(detail.members))
        else:
            super().on_event(name, source, detail, now)


class MultilinkCall:
    """The call of one section [call.NAME] with ``multilink``: ``legs``, their Bundle, its interface."""

    def __init__(self, node, name, config):
        self.node = node
        self.name = name
        self.component = "call." + name
        self.config = config
        self.settings = None  # while IP is up
        self.settings6 = None  # while IPv6 is
        self.fault = None  # the last one
        self._up_at = None
        address = config["address"]
        self.bundle = Bundle(
            node.shell.random,
            multilink_terms(config, node.hostname),
            mtu=config["mtu"],
            address=ipv4_bytes(address) if address else None,
            want_dns=config["use_peer_dns"],
        )
        add_ncps(self.bundle, config)
        node.adopt(self.bundle, self)
        self.interface = self.bundle.above = node.shell.open_interface(config, self.bundle)
        self.legs = [Leg(self, each, node.dialers[each]) for each in config["tunnels"]]

    def start(self, now):
        """Nothing to do before a tunnel is dialled."""

    def stop(self, fault, now):
        """Hang up for good."""
        for leg in self.legs:
            leg.stop(fault, now)

    def close(self):
        """Give back the interface."""
        for leg in self.legs:
            leg.close()
        self.node.timers.forget(self.bundle)
        self.interface.close()

    @property
    def gave_up(self):
        """No leg tries any longer."""
        return all(leg.gave_up for leg in self.legs)

    def status(self):
        """For people and tools; ``legs`` holds what other calls have at the top."""
        states = [leg.status() for leg in self.legs]
        words = [each["state"] for each in states]
        state = "up" if self.settings else "calling" if "calling" in words or "up" in words else words[0]
        status = {
            "tunnel": ", ".join([leg.dialer.name for leg in self.legs]),
            "state": state,
            "fault": str(self.fault) if self.fault else None,
            "redials": sum([each["redials"] for each in states]),
            "session": None,
            "ppp": self.bundle.status(),
            "legs": states,
        }
        if self.settings:
            status["address"] = ipv4_text(self.settings["local"])
            status["peer_address"] = ipv4_text(self.settings["remote"])
            status["dns"] = [ipv4_text(a) for a in self.settings["dns"]]
            status["mtu"] = self.settings["mtu"]
            status["since"] = self._up_at
        return status

    def on_event(self, name, source, detail, now):
        """up and down of the bundle."""
        if name == "up" and detail["family"] == 4:
            self._up(detail, now)
        elif name == "up":
            self.settings6 = detail
        elif name == "down":
            self._down(detail)
        if name == "up" and self.settings is not None and self.settings6 is not None:
            self.interface.up6(self.settings6, now)

    def _up(self, settings, now):
        self.settings = settings
        self._up_at = now
        self.fault = None
        peers = [leg.dialer.addr for leg in self.legs if leg.dialer.addr is not None]
        fault = self.interface.up(dict(settings, others=peers[1:]), peers[0], now)
        if fault is not None:
            self.bundle.fail(fault, now)
            return
        what = (ipv4_text(settings["local"]), ipv4_text(settings["remote"]), settings["mtu"])
        self.node.log("info", self.component, "up: address %s, peer %s, MTU %d" % what)

    def _down(self, fault):
        self.fault = fault
        self.settings6 = None
        if self.settings is not None:
            self.settings = None
            self.interface.down()
        self.node.log("info", self.component, "down with its last link")
