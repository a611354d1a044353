"""LNS at the premises: peers open tunnels to us, and each call gets a PppLink that asks who it is."""

from ..fault import SESSION, Fault
from ..l2tp import results
from ..l2tp.tables import LNS_INCOMING
from ..wire.address import ipv4_bytes
from .callers import Caller, Pool
from .dialer import tunnel_options


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
        self.radius = node.shell.open_radius(config) if config["radius"] else None
        self.bundles = None
        if config["multilink"]:
            from .guests import BundledGuests

            self.bundles = BundledGuests(self)
        self.dialouts = []
        for name in sorted(node.config["dialout"]):
            from .dialout import DialOut

            self.dialouts.append(DialOut(node, name, node.config["dialout"][name], self.answer))
        self._users = {}
        self.set_users(config["users"])

    def start(self, now):
        """Listen."""
        secured = bool(self.config["ipsec_psk"] or self.config["ipsec_cert"])
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
            for dialout in self.dialouts:
                dialout.tunnel_up(source, now)
        elif name == "tunnel-down":
            self.node.log("info", "lns", "tunnel %d ended: %s" % (source.tid, detail))
            for dialout in self.dialouts:
                dialout.tunnel_down(source)
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
            self._take(source)
            source.accept(now)

    def _take(self, session):
        """Somebody is behind this session: find out who, as soon as it is up."""
        caller = Caller(self, session)
        self.callers[session] = caller
        session.owner = caller
        return caller

    def answer(self, session, avps, now):
        """The Caller of an outgoing call that has connected."""
        caller = self._take(session)
        caller.on_event("call-up", session, avps, now)
        return caller

    def _lose(self, addr, fault, now):
        """The SAs with a peer are gone, and with them its tunnels."""
        for tunnel in self.node.tunnels():
            if tunnel.owner is None and tunnel.addr[0] == addr[0] and tunnel.addr[2:] == addr[2:]:
                tunnel.cut(fault, now)

    def stop(self, fault, now):
        """End all calls and tunnels."""
        for dialout in self.dialouts:
            dialout.stop(fault, now)
        for caller in list(self.callers.values()):
            caller.link.close(now)
        for tunnel in self.node.tunnels():
            if tunnel.owner is None:
                tunnel.close(fault, now, results.STOP_SHUTDOWN)

    def close(self):
        """Give back the callers' interfaces, and what else the shell gave."""
        if self.radius is not None:
            self.radius.close()
        for caller in self.callers.values():
            if caller.interface is not None:
                caller.interface.close()
        if self.bundles is not None:
            self.bundles.close()

    def status(self):
        """For people and tools."""
        status = {"callers": [caller.status() for caller in self.callers.values()]}
        if self.dialouts:
            status["dialouts"] = {dialout.component: dialout.status() for dialout in self.dialouts}
        if self.bundles is not None:
            status["bundles"] = [guest.status() for guest in self.bundles.guests]
        return status
