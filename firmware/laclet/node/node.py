"""A node: everything that one configuration asks for, and the shell that gives it sockets, lines and a clock.

The shell calls ``receive`` of endpoints and lines directly (data packets make no detour), then ``settle``; and
``on_timer`` when ``poll_at`` says so.
"""

from .. import ticks
from ..fault import TUNNEL, Fault
from ..l2tp.endpoint import Endpoint
from ..l2tp.tables import LINGER
from ..port import join, part
from ..timers import Timers
from .dialer import Dialer

# How long stop() waits for peers to acknowledge (ms).
_STOP_TIME = 3000
# What a line to the firmware's PPP is.
_STACK = {"device": "lwip", "modem": "none", "baud": 10_000_000, "dial_out": False, "channel": None}


class Node:
    """``config`` as node.config.check() returns it; ``shell`` as docs/architecture.md describes."""

    def __init__(self, config, shell):
        self.config = config
        self.shell = shell
        self.hostname = config["hostname"] or shell.hostname()
        self.debug = config["log"]["level"] == "debug"
        self.timers = Timers()
        self.events = []
        self._settling = False  # events are being taken: what they bring is taken in its turn
        self.dialers = {}
        self.calls = {}
        self.lns = None
        self.faults = 0  # how many there were
        self.fixed = {}  # (local address, local port) -> Endpoint, of fixed ports
        self._loose = []  # Endpoints of ephemeral ports
        self.kept = []  # Endpoints that others made
        self.bypasses = {}  # port -> what the shell has put beside its join
        self._stop_at = None
        for name in sorted(config["tunnel"]):
            self.add_dialer(name)
        for name in sorted(config["call"]):
            self.add_call(name)
        if config["lns"]:
            self.add_lns()

    # A role loads only the modules it uses: on a board they cost heap.

    def add_dialer(self, name):
        """Make the Dialer of [tunnel.NAME]."""
        kind = Dialer
        tunnel = self.config["tunnel"][name]
        if tunnel["ipsec_psk"] or tunnel["ipsec_cert"]:
            from .secure import SecureDialer as kind
        elif tunnel["circuit"]:
            from .circuit import CircuitDialer as kind

        self.dialers[name] = kind(self, name, tunnel)
        return self.dialers[name]

    def add_call(self, name):
        """Make the call of [call.NAME]."""
        call = self.config["call"][name]
        dialer = self.dialers[call["tunnel"]]
        if call["line"] or (call.get("interface") == "lwip" and self.shell.has_stack()):
            # The firmware's own PPP is a host at a line, too.
            line = self.config["line"][call["line"]] if call["line"] else dict(call, **_STACK)
            if line["dial_out"]:
                from .dialout import DialOutCall as kind
            else:
                from .lac import LacCall as kind

            self.calls[name] = kind(self, name, line, dialer, call)
        elif call["multilink"]:
            from .multilink import MultilinkCall

            self.calls[name] = MultilinkCall(self, name, call)
        else:
            from .client import ClientCall

            self.calls[name] = ClientCall(self, name, call, dialer)
        return self.calls[name]

    def add_lns(self):
        """Make the LNS of [lns]."""
        from .lns import Lns

        self.lns = Lns(self, self.config["lns"])

    # -- for the shell ------------------------------------------------------------------------------

    def start(self, now):
        """Listen and dial."""
        if self.lns is not None:
            self.lns.start(now)
        for call in self.calls.values():
            call.start(now)
        for dialer in self.dialers.values():
            dialer.start(now)
        self.settle(now)

    def stop(self, now):
        """Hang up and close everything in order; ``stopped`` tells when peers have acknowledged it."""
        fault = Fault(TUNNEL, "shut down")
        for call in self.calls.values():
            call.stop(fault, now)
        if self.lns is not None:
            self.lns.stop(fault, now)
        for dialer in self.dialers.values():
            dialer.stop(fault, now)
        self._stop_at = ticks.add(now, _STOP_TIME)
        self.settle(now)

    def stopped(self, now):
        """True when nothing is left to wait for after stop()."""
        if ticks.due(self._stop_at, now):
            return True
        return all(tunnel.state >= LINGER for tunnel in self.tunnels())

    def close(self):
        """Give back interfaces, lines and sockets."""
        for bypass in self.bypasses.values():
            bypass.close()
        for call in self.calls.values():
            call.close()
        if self.lns is not None:
            self.lns.close()
        for endpoint in self.endpoints():
            endpoint.carrier.close()

    def reload(self, config, now):
        """Take a new configuration; what has not changed does not notice. See ``reload`` in node/reload.py."""
        from .reload import reload

        return reload(self, config, now)

    def poll_at(self):
        """Deadline of the next on_timer(), or None."""
        return self.timers.poll_at()

    def on_timer(self, now):
        """Fire what is due."""
        self.timers.on_timer(now)
        self.settle(now)

    def settle(self, now):
        """Bring events to their owners; call it after input. Costs nothing when there is none."""
        if self._settling or not self.events:
            return
        self._settling = True
        i = 0
        while i < len(self.events):  # taking an event may bring others
            name, source, detail = self.events[i]
            i += 1
            if name == "timer":
                self.timers.update(source, now)
                continue
            if name == "tunnel-gone":
                self._release()
                continue
            owner = source.owner
            if owner is None:  # a call that the peer places in a tunnel of ours is the tunnel's
                owner = (source.tunnel.owner if name == "call-offered" else None) or self.lns or self
            owner.on_event(name, source, detail, now)
        self.events.clear()
        self._settling = False

    def status(self):
        """For people and tools: plain values, no secrets."""
        status = {
            "hostname": self.hostname,
            "tunnels": {name: self.dialers[name].status() for name in self.dialers},
            "calls": {name: self.calls[name].status() for name in self.calls},
            "drops": {},
        }
        if self.lns is not None:
            status["lns"] = self.lns.status()
        for endpoint in self.endpoints():
            for reason in endpoint.drops:
                status["drops"][reason] = status["drops"].get(reason, 0) + endpoint.drops[reason]
        return status

    def forget_call(self, name):
        """The next reload makes this call anew, whatever its section says: its interface could not be had."""
        calls = dict(self.config["call"])
        calls[name] = dict(calls[name], ifname=None, anew=True)
        self.config = dict(self.config, call=calls)

    # -- for dialers, calls and the LNS ---------------------------------------------------------------

    def adopt(self, machine, owner):
        """Take the events of a port from now on."""
        machine.owner = owner
        machine.events = self.events

    def join(self, port, session, config):
        """Join the ports of a call, ``config`` being its section; a shell may know a shorter way between them."""
        join(port, session)
        bypass = getattr(self.shell, "bypass", None)
        if bypass is not None:
            bypass = bypass(port, session, config)
            if bypass is not None:
                self.bypasses[port] = bypass

    def part(self, port):
        """Undo ``join``."""
        bypass = self.bypasses.pop(port, None)
        if bypass is not None:
            bypass.close()
        part(port)

    def watch(self, link, component):
        """At log level debug: every control frame of a PppLink is logged, in pppd's words."""
        link.tap = None
        if self.debug:
            from ..ppp.describe import describe

            link.tap = self._tap(component, describe)

    def watch_endpoint(self, endpoint):
        """At log level debug: every control message of an Endpoint is logged. A shell may want to watch more of it."""
        on_endpoint = getattr(self.shell, "on_endpoint", None)
        if on_endpoint is not None:
            on_endpoint(endpoint)
        endpoint.tap = None
        if self.debug:
            from ..l2tp.describe import describe

            endpoint.tap = self._tap("l2tp", describe)

    def _tap(self, component, describe):
        def tap(received, buf, start, end):
            self.log("debug", component, ("rcvd [" if received else "sent [") + describe(buf, start, end) + "]")

        return tap

    def endpoint(self, address, port, peer):
        """The Endpoint at a local address and port (0: a new one, with a free port) that can reach ``peer``."""
        key = (address, port)
        endpoint = self.fixed.get(key) if port else None
        if endpoint is None:
            endpoint = Endpoint(self.shell.random, None, self.timers, self.events, self.settle)
            endpoint.carrier = self.shell.open_udp(endpoint, address, port, peer)
            self.watch_endpoint(endpoint)
            if port:
                self.fixed[key] = endpoint
            else:
                self._loose.append(endpoint)
        return endpoint

    def keep(self, endpoint):
        """Take care of an Endpoint that somebody else made, until the node is closed."""
        self.watch_endpoint(endpoint)
        self.kept.append(endpoint)

    def _release(self):
        """Close what has a port of its own and no tunnel any more."""
        for each in list(self._loose):
            if not each.tunnels:
                each.carrier.close()
                self._loose.remove(each)

    def endpoints(self):
        """All endpoints there are."""
        return list(self.fixed.values()) + self._loose + self.kept

    def tunnels(self):
        """All tunnels there are."""
        return [tunnel for endpoint in self.endpoints() for tunnel in endpoint.tunnels.values()]

    def log(self, level, component, text):
        """One line for people."""
        self.shell.log(level, component, text)

    def fault(self, component, fault):
        """A failure, as one line that names layer and cause."""
        self.faults += 1
        self.shell.log("warning", component, str(fault))

    def on_event(self, name, source, detail, now):
        """Events nobody owns: a peer asks for a call, and we are no LNS and have no line to dial."""
        if name == "call-offered":
            source.close(Fault(TUNNEL, "no calls are taken here"), now, 4)
