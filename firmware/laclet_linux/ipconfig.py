"""What an interface has while its link is up, and not longer: addresses, MTU, routes, name servers, hooks."""

import errno
import socket
import time

from laclet.fault import INTERFACE, Fault
from laclet.wire.address import ipv4_bytes, ipv4_text


class IpConfig:
    """Of one link. ``options``: a checked section [call.NAME]; [lns] has no routes.

    ``routes`` is the shell's RouteTable, ``names`` its NameServers; ``log(level, text)``; ``hooks`` a CallHooks, or
    None. ``since``: when the link came up, on the monotonic clock in seconds, or None.
    """

    def __init__(self, options, routes, names, log, hooks=None):
        self.since = None
        self._name = None  # of the interface, from the first up() on
        self._index = 0
        self._options = options
        self._routes = routes
        self._names = names
        self._log = log
        self._hooks = hooks
        self._counted = (0, 0)  # bytes before it came up
        self._pinned = []  # (address of an LNS, table), while it has a route of its own there
        self._rules = []

    def quiet6(self, name):
        """Let the kernel invent no IPv6 address for a new interface: the link's own end decides on it."""
        self._routes.quiet6(name)

    def up(self, name, settings, peer):
        """The link over interface ``name`` is up: ``settings`` has ``local``, ``remote``, ``dns`` (bytes) and ``mtu``.

        ``peer`` is the LNS, ``others`` in ``settings`` are the LNSes of the other links of a bundle. Returns None; or
        the Fault of a configuration that the kernel refuses, undone, for the link to be closed with.
        """
        self.down()
        self.since = time.monotonic()
        self._name = name
        try:
            self._index = self._routes.index(name)
            self._configure(settings, peer)
            if self._hooks is not None:
                self._counted = self._routes.counters(self._index)
                self._hooks.up(name, settings)
        except OSError as error:
            self.down()
            return Fault(INTERFACE, f"{name}: {error.strerror}")
        return None

    def up6(self, settings):
        """IPv6 is up as well, after IPv4: ``local`` and ``remote`` are link-local addresses of 16 bytes."""
        try:
            self._routes.up6(self._index, self._name, socket.inet_ntop(socket.AF_INET6, settings["local"]))
        except OSError as error:
            self._log("warning", f"{self._name}: no IPv6: {error.strerror}")

    def down(self):
        """The link is down: take everything back, while the interface is still there."""
        if self.since is None:
            return
        seconds = int(time.monotonic() - self.since)
        self.since = None
        self._names.clear(self._name)
        if self._hooks is not None:
            self._tell_hooks(seconds)
        undo = [(self._routes.remove, ("rule", rule)) for rule in self._rules]
        undo.append((self._routes.down, (self._index,)))
        undo += [(self._routes.unpin, pinned) for pinned in self._pinned]
        for back, arguments in undo:
            try:
                back(*arguments)
            except OSError as error:
                self._log("warning", f"{self._name}: {error.strerror}")
        self._pinned = []
        self._rules = []

    def _configure(self, settings, peer):
        options = self._options
        local, remote = ipv4_text(settings["local"]), ipv4_text(settings["remote"])
        table = options.get("table", 0)
        rival = self._routes.rival(local) if "table" in options else None  # an LNS has one address on all of its links
        if rival is not None:
            mend = "ask for another one with address, or take that link down"
            raise OSError(errno.EADDRINUSE, f"{local} is what {rival} has already ({mend})")
        peers = [addr[0] for addr in (peer, *settings.get("others", ())) if len(addr) == 2]
        for lns in peers:
            tables = {0} if lns == remote else set()
            for where in tables | {table} if self._takes(lns) else tables:
                self._say(self._routes.pin(lns, where))
                self._pinned.append((lns, where))
        # An LNS that calls its end of the link by its public address must not be looked for inside the tunnel.
        self._routes.up(self._index, local, None if remote in peers else remote, settings["mtu"])
        if options.get("default_route") and not self._routes.add_default(self._index, options["metric"], table):
            self._say("the other default route stays, behind ours")
        for network in options.get("routes", ()):
            self._routes.add(network, self._index, options["metric"], table)
        if table:
            for source in (local + "/32", *options["rule_from"]):
                self._rules.append(self._routes.add_rule(table, source))
            if options["rule_mark"]:
                self._rules.append(self._routes.add_rule(table, mark=options["rule_mark"]))
        if options.get("use_peer_dns") and settings["dns"]:
            told = self._hooks is not None and self._hooks.any()
            self._names.set(self._name, [ipv4_text(server) for server in settings["dns"]], told)

    def _takes(self, address):
        """True when the routes into the link would take ``address`` along."""
        options = self._options
        return options.get("default_route") or any(_holds(network, address) for network in options.get("routes", ()))

    def _tell_hooks(self, seconds):
        sent, received = self._counted
        try:
            now_sent, now_received = self._routes.counters(self._index)
        except OSError as error:
            self._log("warning", f"{self._name}: {error.strerror}")
            now_sent, now_received = self._counted
        self._hooks.down(seconds, now_sent - sent, now_received - received)

    def _say(self, text):
        if text:
            self._log("info", f"{self._name}: {text}")


def _holds(network, address):
    """True when ``network`` ("192.0.2.0/24") holds ``address``."""
    base, _, bits = network.partition("/")
    shift = 32 - int(bits)
    return int.from_bytes(ipv4_bytes(base), "big") >> shift == int.from_bytes(ipv4_bytes(address), "big") >> shift
