"""Callers of an LNS: who is behind each session, the address and the interface he gets."""

from ..fault import clean
from ..ppp.link import PppLink
from ..wire.address import ipv4_text
from .ncps import add_extras, add_ncps

# A dead link in a bundle takes its share of every packet with it: it is looked for so often (ms).
_ECHO = 3000
# The counters of a WEN (RFC 2661 §4.4.6 Call Errors).
_ERRORS = ("crc", "framing", "hardware_overruns", "buffer_overruns", "timeouts", "alignment")


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

    def claim(self, address):
        """This address is in use, whoever has given it."""
        n = int.from_bytes(address, "big") - self._first
        if 0 <= n < self._size:
            self._used.add(n)

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
        pool = self.lns.pool
        if self.address is None:
            self.address = self.granted()
            if self.address is None and pool is not None:
                self.address = pool.take()
            elif pool is not None:
                pool.claim(self.address)
        return self.address

    def granted(self):
        """The address that whoever judges log-ins gives, or None."""
        return None

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
        if self.address is not None and self.lns.pool is not None:
            self.lns.pool.give_back(self.address)


class Caller(Guest):
    """One call to us: a session, the link joined to it; what is above it, unless that is a bundle."""

    def __init__(self, lns, session):
        super().__init__(lns, "lns.%d/%d" % (session.tunnel.tid, session.sid))
        node = lns.node
        config = lns.config
        self.session = session
        self.then = None  # then(fault, now): told when the call has ended
        self.accm = None  # 4 bytes: what the LAC was told to escape on its line (SLI)
        self.line_errors = None  # what the LAC last told of its line (WEN)
        self.link = PppLink(
            node.shell.random,
            mru=config["mru"],
            mtu=config["mtu"],
            demand=config["auth"],
            auth=("mschap-v2", "chap", "eap", "mschap", "pap") if config["password"] else (),
            username=lns.options.host_name.encode(),
            password=(config["password"] or "").encode(),
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
        self.account = None  # at a RADIUS server
        if lns.radius is not None:
            from .aaa import Account

            self.account = Account(self, lns.radius)
        node.adopt(self.link, self)
        node.watch(self.link, self.component)

    def granted(self):
        """As of any Guest."""
        return self.account.address() if self.account is not None else None

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
            self._tell_line(now)
            self.up(detail, self.session.tunnel.addr, now)
            if self.account is not None:
                self.account.up(now)
        elif name == "joined":
            if self.account is not None:
                self.account.up(now)
            node.log("info", self.component, "joined %s, links: %d" % (detail.owner.component, len(detail.members)))
        elif name == "down":
            node.fault(self.component, detail)
            self.session.close(detail, now)
        elif name == "call-down":
            node.part(self.link)
            self.link.owner = None
            node.timers.forget(self.link)
            if self.account is not None:
                self.account.down(detail)
            self.link.lower_down(now)
            self.leave()
            self.lns.callers.pop(self.session, None)
            node.log("info", self.component, "call ended: " + str(detail))
            if self.then is not None:
                self.then(detail, now)
        elif name == "line-errors":
            self.line_errors = dict(zip(_ERRORS, detail))
            node.log("info", self.component, "the LAC reports errors of its line: %s" % (self.line_errors,))

    def _tell_line(self, now):
        """Who asked for an ACCM sits behind an asynchronous line, and its LAC may not have looked into LCP."""
        wanted = self.link.lcp.accm.peers
        if wanted is not None and wanted != self.accm:
            self.accm = wanted
            self.session.set_line(int.from_bytes(wanted, "big"), 0, now)  # who escapes too little is still a peer

    def status(self):
        """For people and tools."""
        return {
            "peer": self.session.tunnel.addr,
            "name": clean(self.link.peer_name),
            "address": ipv4_text(self.settings["remote"]) if self.settings else None,
            "calling": clean(self.session.calling),
            "called": clean(self.session.called),
            "private_group": clean(self.session.private_group),
            "speeds": [self.session.tx_speed, self.session.rx_speed],
            "line_errors": self.line_errors,
            "session": self.session.status(),
            "ppp": self.link.status(),
        }
