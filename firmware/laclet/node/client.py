"""LAC client (voluntary tunnel): our own PPP endpoint joined to a session."""

from .. import ticks
from ..ppp.link import PppLink
from ..wire.address import ipv4_bytes, ipv4_text
from .backoff import Backoff
from .ncps import add_extras, add_ncps

# A link that lived this long was a good one: the back-off begins anew (ms).
_GOOD = 10_000


def _of_peer(config):
    """f(name) -> the password that an LNS of this name must know, or None."""
    wanted = (config["peer_username"] or "").encode()
    password = (config["peer_password"] or "").encode()
    return lambda name: password if wanted in (b"", bytes(name)) else None


def link_options(node, config):
    """The keyword arguments of a PppLink that concern the link itself, of a checked section [call.NAME]."""
    return {
        "mru": config["mru"],
        "username": (config["username"] or "").encode(),
        "password": (config["password"] or "").encode(),
        "auth": config["auth"],
        "demand": config["peer_auth"],
        "secret_of": _of_peer(config) if config["peer_auth"] else None,
        "name": node.hostname.encode(),
        "echo_interval": int(config["lcp_echo_interval"] * 1000),
        "echo_failure": config["lcp_echo_failure"],
    }


class ClientCall:
    """The call of one section [call.NAME] without a line. The link and its interface live as long as the node."""

    def __init__(self, node, name, config, dialer):
        self.node = node
        self.name = name
        self.component = "call." + name
        self.config = config
        self.dialer = dialer
        self.session = None
        self.settings = None  # while IP is up
        self.settings6 = None  # while IPv6 is
        self.fault = None  # the last one
        self.gave_up = False  # until the tunnel is dialled again
        self.armed = None  # for Timers
        self._cause = None  # why the call in progress fails, in the words of the layer that knew first
        tunnel = dialer.config
        first = int(tunnel["holdoff"] * 1000)
        self._backoff = Backoff(node.shell.random, first, int(tunnel["redial_timeout"] * 1000), tunnel["max_redials"])
        self._at = None
        self._up_at = None  # when IP came up, of this call
        self._stopping = False
        self._shortcut = None  # proxy LCP and authentication, where they are wanted
        self._proxied = False  # the call in progress tries them
        self.interface = None
        self.link = self.make_link(config)
        add_extras(self.link, config)
        node.adopt(self.link, self)
        node.watch(self.link, self.component)
        if config["proxy"]:
            from ..ppp.proxy import Shortcut

            self._shortcut = Shortcut(self.link, node.shell.random)
        dialer.calls.append(self)

    def make_link(self, config):
        """The PPP endpoint, with its interface."""
        address = config["address"]
        link = PppLink(
            self.node.shell.random,
            mtu=config["mtu"],
            address=ipv4_bytes(address) if address else None,
            want_dns=config["use_peer_dns"],
            **link_options(self.node, config),
        )
        add_ncps(link, config)
        self.interface = link.above = self.node.shell.open_interface(config, link)
        return link

    def start(self, now):
        """Nothing to do before the tunnel is dialled."""

    def dialled(self, now):
        """The tunnel is there, or on its way: ask for the call."""
        if self.session is None and not self._stopping:
            self._at = None
            self._cause = None
            self.gave_up = False
            offer = None
            if self._shortcut is not None and not self._proxied:  # what has failed is not tried again at once
                offer = self._shortcut.offer()
            self._proxied = offer is not None
            self.session = self.dialer.tunnel.incoming_call(now, proxy=offer or ())
            if self.session is not None:
                self.session.owner = self

    def stop(self, fault, now):
        """Hang up for good."""
        self._stopping = True
        self._at = None
        if self.session is not None:
            self._cause = fault
            self.link.close(now)
            self.session.close(fault, now)

    def close(self):
        """Give back the interface."""
        for machine in (self, self.link):
            self.node.timers.forget(machine)
        self.interface.close()

    def poll_at(self):
        """End of the hold-off."""
        return self._at

    def on_timer(self, now):
        """Call again."""
        if ticks.due(self._at, now):
            self._at = None
            if self.dialer.usable():
                self.dialled(now)

    def status(self):
        """For people and tools."""
        status = {
            "tunnel": self.dialer.name,
            "state": "up" if self.settings else "calling" if self.session else "holdoff" if self._at else "waiting",
            "fault": str(self.fault) if self.fault else None,
            "redials": self._backoff.tries,
            "session": self.session.status() if self.session is not None else None,
            "ppp": self.link.status(),
        }
        if self.settings:
            status["address"] = ipv4_text(self.settings["local"])
            status["peer_address"] = ipv4_text(self.settings["remote"])
            status["dns"] = [ipv4_text(a) for a in self.settings["dns"]]
            status["mtu"] = self.settings["mtu"]
            status["since"] = self._up_at
        return status

    # -- events of session and link -------------------------------------------------------------------

    def on_event(self, name, source, detail, now):
        """call-up, call-acked, call-down of the session; up, down of the link."""
        if source is self.link:
            if name == "up":
                self._up(detail, now)
            elif name == "down":
                self._link_down(detail, now)
            elif name == "time-remaining":
                self.node.log("info", self.component, "the peer will end this in %d s: %s" % detail)
        elif source is not self.session:
            return
        elif name == "call-up":
            self.node.log("info", self.component, "call connected, negotiating PPP")
            self.node.join(self.link, source, self.config)
            if self._proxied:
                self._shortcut.start(now)
            else:
                self.link.open(now)
                self.link.lower_up(now)
            self.node.timers.update(self.link, now)
        elif name == "call-acked":
            self._shortcut.acked(now) if self._proxied else self.link.kick(now)
        elif name == "call-down":
            self._call_down(source, detail, now)

    def _up(self, settings, now):
        if settings["family"] == 6:
            self.settings6 = settings
        else:
            self.settings = settings
            self._up_at = now
            self._proxied = False
            self.fault = None
            fault = self.interface.up(settings, self.dialer.addr, now)
            if fault is not None:
                self.link.fail(fault, now)
                return
            what = (ipv4_text(settings["local"]), ipv4_text(settings["remote"]), settings["mtu"])
            self.node.log("info", self.component, "up: address %s, peer %s, MTU %d" % what)
        if self.settings is not None and self.settings6 is not None:
            self.node.log("info", self.component, "IPv6 is up")
            self.interface.up6(self.settings6, now)

    def _ip_down(self):
        self.settings6 = None
        if self.settings is not None:
            self.settings = None
            self.interface.down()

    def _link_down(self, fault, now):
        self._ip_down()
        if self.session is not None:
            self._cause = self._cause or fault
            self.session.close(fault, now)

    def _call_down(self, session, fault, now):
        self.node.part(self.link)
        self.session = None
        was_up = self.settings is not None
        up_at, self._up_at = self._up_at, None
        cause = self._cause or fault
        self._cause = cause  # the link's own words about the loss of its lower layer say less
        self.link.lower_down(now)
        self._ip_down()
        if self._stopping:
            self.node.log("info", self.component, "hung up")
            return
        self.fault = cause
        if cause is session.tunnel.fault:  # the dialer tells of it, and dials again
            if was_up:
                self.node.log("info", self.component, "down with its tunnel")
            return
        self.node.fault(self.component, cause)
        if up_at is not None and ticks.diff(now, up_at) >= _GOOD:
            self._backoff.reset()
        wait = self._backoff.next() if self.dialer.config["redial"] else None
        if wait is None:
            self.gave_up = True
            self.node.log("error", self.component, "giving up")
        elif self.dialer.usable():
            self._at = ticks.add(now, wait)
            self.node.timers.update(self, now)
            self.node.log("info", self.component, "calling again in %.1f s" % (wait / 1000))
