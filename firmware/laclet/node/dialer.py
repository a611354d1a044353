"""A dialer keeps one tunnel up: names asked of DNS on every dial, all addresses in turn, redial with back-off.

An address that has failed is tried last for a while. With ``round_robin`` every dial begins with another server.
"""

from .. import ticks
from ..fault import SESSION, TUNNEL, UDP, Fault
from ..l2tp import results
from ..l2tp.tables import LNS_INCOMING
from ..l2tp.tunnel import TunnelOptions
from .backoff import Backoff

IDLE = "idle"
RESOLVING = "resolving"
CONNECTING = "connecting"
UP = "up"
HOLDOFF = "holdoff"
FAILED = "failed"  # redial is off, or its limit reached

# A tunnel that lived this long was a good one: the back-off begins anew (ms).
_GOOD = 10_000
# Addresses taken from one answer of DNS.
_MAX_ADDRESSES = 16


def tunnel_options(config, hostname):
    """TunnelOptions from a checked section [tunnel.NAME] or [lns]."""
    secret = config["tunnel_secret"]
    options = TunnelOptions(config["hostname"] or hostname, secret.encode() if secret else None)
    options.hello_interval = int(config["hello_interval"] * 1000)
    options.hide = config["hidden_avps"] and options.secret is not None
    options.sequencing = config["sequencing"]
    options.dscp = config["dscp"]
    if "rws" in config:
        options.max_retries = config["max_retries"]
        options.retry_timeout = int(config["retry_timeout"] * 1000)
        options.rws = config["rws"]
        options.tie_breaker = config["tie_breaker"]
    return options


class Dialer:
    """The tunnel of one section [tunnel.NAME]. ``calls`` are told: dialled(now) when one may be placed."""

    def __init__(self, node, name, config):
        self.node = node
        self.name = name
        self.component = "tunnel." + name
        self.config = config
        self.calls = []
        self.state = IDLE
        self.tunnel = None
        self.addr = None  # the LNS being tried or used
        self.fault = None  # the last one
        self.armed = None  # for Timers
        self.options = tunnel_options(config, node.hostname)
        first = int(config["holdoff"] * 1000)
        self._backoff = Backoff(node.shell.random, first, int(config["redial_timeout"] * 1000), config["max_redials"])
        self._turn = node.shell.random(1)[0] if config["round_robin"] else 0  # whose turn it is to be first
        self._servers = config["server"] or ()
        self._server = 0  # how many servers have been asked for in this dial
        self._addresses = []  # still to be tried of this server
        self._last = []  # failed lately: tried when all others have failed, too
        self._failed = {}  # addr -> until when it is tried last
        self._asked = 0  # serial of the question to DNS that still counts
        self._at = None  # end of the hold-off
        self._up_at = 0

    def start(self, now):
        """Dial."""
        if self.config["round_robin"]:
            self._turn += 1
        self._server = 0
        self._last = []
        self._resolve(now)

    def stop(self, fault, now):
        """Close the tunnel; it stays closed."""
        self.state = IDLE
        self._asked += 1
        self._at = None
        if self.tunnel is not None:
            self.tunnel.close(fault, now)

    def usable(self):
        """True while calls may be placed in ``tunnel``."""
        return self.tunnel is not None and self.tunnel.usable()

    def poll_at(self):
        """End of the hold-off."""
        return self._at

    def on_timer(self, now):
        """Dial again."""
        if ticks.due(self._at, now):
            self._at = None
            self.start(now)

    def status(self):
        """For people and tools."""
        return {
            "state": self.state,
            "server": self.addr,
            "fault": str(self.fault) if self.fault else None,
            "redials": self._backoff.tries,
            "tunnel": self.tunnel.status() if self.tunnel is not None else None,
        }

    # -- dialling -----------------------------------------------------------------------------------

    def _resolve(self, now):
        self.state = RESOLVING
        self._asked += 1
        asked = self._asked
        servers = self._servers
        host, port = servers[(self._turn + self._server) % len(servers)]

        def done(addresses, fault, now):
            if asked == self._asked and self.state == RESOLVING:
                first = self._turn % len(addresses) if addresses else 0
                self._addresses = (list(addresses[first:]) + list(addresses[:first]))[:_MAX_ADDRESSES]
                self._next(fault, now)
                self.node.settle(now)

        self.node.shell.resolve(host, port, done)

    def _next(self, fault, now):
        """Try the next address, of this server or the next one; after the last, hold off."""
        if fault is not None:
            self.fault = fault
            self.node.fault(self.component, fault)
        while self._addresses:
            addr = self._addresses.pop(0)
            if addr not in self._failed or ticks.due(self._failed[addr], now):
                self._open(addr, now)
                return
            self._last.append(addr)
        self._server += 1
        if self._server < len(self._servers):
            self._resolve(now)
        elif self._last:
            self._open(self._last.pop(0), now)
        else:
            self._hold(now)

    def _blame(self, addr, now):
        """Let this address wait until the others have had their turn."""
        wait = int(self.config["holddown"] * 1000)
        if wait:
            for each in list(self._failed):
                if ticks.due(self._failed[each], now) or len(self._failed) > _MAX_ADDRESSES:
                    del self._failed[each]
            self._failed[addr] = ticks.add(now, wait)

    def _open(self, addr, now):
        self.addr = addr
        self.state = CONNECTING
        self.node.log("info", self.component, "connecting to " + self.where(addr))
        try:
            self.connect(addr, now)
        except OSError as error:
            self._next(Fault(UDP, "cannot send to " + self.where(addr), str(error)), now)

    def connect(self, addr, now):
        """Open the tunnel; another kind of dialer has other things to do first. Raises OSError."""
        endpoint = self.node.endpoint(self.config["source_address"], self.config["source_port"], addr)
        self.open_tunnel(endpoint, now)

    def open_tunnel(self, endpoint, now):
        """There is a carrier: send the SCCRQ."""
        self.tunnel = endpoint.open(self.addr, self.options, now)
        self.tunnel.owner = self
        for call in self.calls:
            call.dialled(now)  # calls asked for now travel with the SCCCN

    def where(self, addr):
        """The LNS at ``addr``, for people."""
        return self.node.shell.address_text(addr)

    def _hold(self, now):
        wait = self._backoff.next() if self.config["redial"] else None
        if wait is None:
            self.state = FAILED
            self.node.log("error", self.component, "giving up")
            return
        self.state = HOLDOFF
        self._at = ticks.add(now, wait)
        self.node.timers.update(self, now)
        self.node.log("info", self.component, "dialling again in %.1f s" % (wait / 1000))

    # -- events of the tunnel -----------------------------------------------------------------------

    def on_event(self, name, source, detail, now):
        """tunnel-up, tunnel-down; call-offered: the LNS places a call in our tunnel."""
        if name == "call-offered":
            self._offered(source, detail, now)
            return
        if source is not self.tunnel:
            return
        if name == "tunnel-up":
            self.state = UP
            self._up_at = now
            text = "up with %s (%s)" % (source.peer_name or "a peer without a name", source.peer_vendor or "no vendor")
            self.node.log("info", self.component, text)
        elif name == "tunnel-down":
            self.down(detail, now)

    def _offered(self, session, avps, now):
        """An outgoing call is for a line that dials out and is free; an incoming one for our LNS, if there is one."""
        if session.kind is LNS_INCOMING:
            (self.node.lns or self.node).on_event("call-offered", session, avps, now)
            return
        takers = [call for call in self.calls if hasattr(call, "take")]
        for call in takers:
            if call.take(session, now):
                return
        cause, result = "no line is free to dial", results.CDN_BUSY_TEMPORARY
        if not takers:
            cause, result = "we have no line to dial", results.CDN_NO_FACILITY
        session.close(Fault(SESSION, cause), now, result)

    def down(self, fault, now):
        """The tunnel is no more: try the next address, or hold off."""
        was = self.state
        self.tunnel = None
        if was == IDLE:
            self.node.log("info", self.component, "closed")
            return
        self._blame(self.addr, now)
        if was == CONNECTING:
            if fault.layer == TUNNEL and not fault.said:
                fault = Fault(fault.layer, fault.cause + " from " + self.where(self.addr), "", fault.hint)
            self._next(fault, now)
        else:
            self.fault = fault
            self.node.fault(self.component, fault)
            if ticks.diff(now, self._up_at) >= _GOOD:
                self._backoff.reset()
            self._hold(now)
