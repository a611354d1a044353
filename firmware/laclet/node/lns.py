"""LNS at the premises: peers open tunnels to us, and each call gets a PppLink that asks who it is."""

from ..fault import SESSION, Fault, clean
from ..l2tp import results
from ..l2tp.tables import LNS_INCOMING
from ..ppp.link import PppLink
from ..wire.address import ipv4_bytes, ipv4_text
from .dialer import tunnel_options
from .ncps import add_extras, add_ncps

# A dead link in a bundle takes its share of every packet with it: it is looked for so often (ms).
_ECHO = 3000


class Pool:
    """IPv4 addresses ``first`` to ``last`` (4 bytes each), given out in turn."""

    def __init__(self, first, last):
        self._first = int.from_bytes(first, "big")
        self._size = int.from_bytes(last, "big") - self._first + 1
        self._next = 0
        self._used = set()

    def take(self):
        """An address as 4 bytes, or None when all are in use."""
        if len(self._used) >= self._size:
            return None
        while self._next in self._used:
            self._next = (self._next + 1) % self._size
        n = self._next
        self._used.add(n)
        self._next = (n + 1) % self._size
        return (self._first + n).to_bytes(4, "big")

    def give_back(self, address):
        """The address is free again."""
        self._used.discard(int.from_bytes(address, "big") - self._first)


class Guest:
    """The IP side of a caller: its address and its interface, above ``link``, a PppLink or a Bundle."""

    def __init__(self, lns, component):
        self.lns = lns
        self.component = component
        self.link = None
        self.address = None
        self.settings = None
        self.settings6 = None  # of IPv6
        self.interface = None

    def assign(self, name):
        """The address for the caller of this name, or None when there is none left."""
        if self.address is None:
            self.address = self.lns.pool.take()
        return self.address

    def up(self, settings, addr, now):
        """A network protocol is up; ``addr`` is the L2TP peer's."""
        node = self.lns.node
        if settings["family"] == 6:
            self.settings6 = settings
        else:
            self.settings = settings
            if self.interface is None:
                self.interface = node.shell.open_interface(self.lns.config, self.link)
                self.link.above = self.interface
            fault = self.interface.up(settings, addr, now)
            if fault is not None:
                self.link.fail(fault, now)
                return
            who = clean(self.link.peer_name) or "a caller without a name"
            node.log("info", self.component, "%s is up: address %s" % (who, ipv4_text(settings["remote"])))
        if self.interface is not None and self.settings6 is not None:
            self.interface.up6(self.settings6, now)

    def leave(self):
        """The caller is gone: take everything back."""
        if self.interface is not None:
            self.interface.down()
            self.interface.close()
        if self.address is not None:
            self.lns.pool.give_back(self.address)


class Caller(Guest):
    """One call to us: a session, the link joined to it; what is above it, unless that is a bundle."""

    def __init__(self, lns, session):
        super().__init__(lns, "lns.%d/%d" % (session.tunnel.tid, session.sid))
        node = lns.node
        config = lns.config
        self.session = session
        self.link = PppLink(
            node.shell.random,
            mru=config["mru"],
            mtu=config["mtu"],
            demand=config["auth"],
            name=lns.options.host_name.encode(),
            secret_of=lns.secret_of,
            address=lns.address,
            peer_address=self.assign,
            dns=lns.dns,
            multilink=lns.bundles,
            echo_interval=0 if lns.bundles is None else _ECHO,
            echo_failure=3,
        )
        if lns.bundles is None:
            add_ncps(self.link, config)
        add_extras(self.link, config)
        node.adopt(self.link, self)
        node.watch(self.link, self.component)

    def on_event(self, name, source, detail, now):
        """call-up, call-down of the session; up, down of the link."""
        node = self.lns.node
        if name == "call-up":
            self.link.speed = self.session.tx_speed
            node.join(self.link, self.session, self.lns.config)
            if not self.lns.take_over(self.link, detail, now):
                self.link.open(now)
                self.link.lower_up(now)
            node.timers.update(self.link, now)
        elif name == "up":
            self.up(detail, self.session.tunnel.addr, now)
        elif name == "joined":
            node.log("info", self.component, "joined %s, links: %d" % (detail.owner.component, len(detail.members)))
        elif name == "down":
            node.fault(self.component, detail)
            self.session.close(detail, now)
        elif name == "call-down":
            node.part(self.link)
            self.link.owner = None
            node.timers.forget(self.link)
            self.link.lower_down(now)
            self.leave()
            self.lns.callers.pop(self.session, None)
            node.log("info", self.component, "call ended: " + str(detail))

    def status(self):
        """For people and tools."""
        return {
            "peer": self.session.tunnel.addr,
            "name": clean(self.link.peer_name),
            "address": ipv4_text(self.settings["remote"]) if self.settings else None,
            "session": self.session.status(),
            "ppp": self.link.status(),
        }


class Lns:
    """The section [lns]."""

    def __init__(self, node, config):
        self.node = node
        self.config = config
        self.options = tunnel_options(config, node.hostname)
        self.address = ipv4_bytes(config["address"]) if config["address"] else None
        self.pool = Pool(*[ipv4_bytes(end) for end in config["pool"]]) if config["pool"] else None
        self.dns = tuple([ipv4_bytes(a) for a in config["dns"]])
        self.callers = {}  # Session -> Caller
        self.bundles = None
        if config["multilink"]:
            from .guests import BundledGuests

            self.bundles = BundledGuests(self)
        self._users = {}
        self.set_users(config["users"])

    def start(self, now):
        """Listen."""
        secured = bool(self.config["ipsec_psk"])
        for host, port in self.config["listen"]:
            if secured:
                from .secure import secure_endpoint

                secure_endpoint(self.node, self, self.config, host, port, None, self.options)
            else:
                self.node.endpoint(host, port, None).accept = self.options
            text = "listening at %s port %d%s" % (host, port, ", over IPsec only" if secured else "")
            self.node.log("info", "lns", text)
        for circuit in self.config["circuits"]:
            from .circuit import circuit_endpoint

            circuit_endpoint(self.node, self, circuit, self.options)
            self.node.log("info", "lns", "listening on " + circuit)

    def set_users(self, users):
        """Callers log in with these names and passwords (text) from now on; what was before: bytes -> bytes."""
        before = self._users
        self._users = {name.encode(): users[name].encode() for name in users}
        return before

    def take_over(self, link, avps, now):
        """Let a caller's link be what its LAC has negotiated; False when there is no such thing, or it will not do."""
        if self.config["proxy"] != "accept":
            return False
        from ..ppp.proxy import accept

        return accept(link, avps, now)

    def secret_of(self, name):
        """The password of a user, or None."""
        return self._users.get(bytes(name))

    def on_event(self, name, source, detail, now):
        """What happens in tunnels that peers opened, until a Caller owns the session."""
        if name == "tunnel-up":
            text = "tunnel %d with %s (%s) is up" % (
                source.tid,
                source.peer_name,
                self.node.shell.address_text(source.addr),
            )
            self.node.log("info", "lns", text)
        elif name == "tunnel-down":
            self.node.log("info", "lns", "tunnel %d ended: %s" % (source.tid, detail))
        elif name == "ike-up":
            self.node.log("info", "lns", "IPsec with %s is up: %s" % (detail[0], source.summary(detail)))
        elif name == "ike-down":
            self.node.log("info", "lns", "IPsec with %s ended: %s" % (detail[0][0], detail[1]))
            self._lose(detail[0], detail[1], now)
        elif name == "ike-fault":
            self.node.fault("lns", detail[1])
        elif name == "call-offered":
            if source.kind is not LNS_INCOMING:
                source.close(Fault(SESSION, "we have no line to dial"), now, results.CDN_NO_FACILITY)
                return
            if self.config["forward"]:
                from .switch import SwitchedCall

                SwitchedCall(self.node, source, self.node.dialers[self.config["forward"]]).start(now)
                return
            caller = Caller(self, source)
            self.callers[source] = caller
            source.owner = caller
            source.accept(now)

    def _lose(self, addr, fault, now):
        """The SAs with a peer are gone, and with them its tunnels."""
        for tunnel in self.node.tunnels():
            if tunnel.owner is None and tunnel.addr[0] == addr[0] and tunnel.addr[2:] == addr[2:]:
                tunnel.cut(fault, now)

    def stop(self, fault, now):
        """End all calls and tunnels."""
        for caller in list(self.callers.values()):
            caller.link.close(now)
        for tunnel in self.node.tunnels():
            if tunnel.owner is None:
                tunnel.close(fault, now, results.STOP_SHUTDOWN)

    def close(self):
        """Give back the callers' interfaces."""
        for caller in self.callers.values():
            if caller.interface is not None:
                caller.interface.close()
        if self.bundles is not None:
            self.bundles.close()

    def status(self):
        """For people and tools."""
        status = {"callers": [caller.status() for caller in self.callers.values()]}
        if self.bundles is not None:
            status["bundles"] = [guest.status() for guest in self.bundles.guests]
        return status
