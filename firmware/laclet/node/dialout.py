"""Outgoing calls (RFC 2661 §5.2.2, §7.5). As LAC: the LNS asks, a modem dials. As LNS: a LAC is asked to dial."""

from .. import ticks
from ..fault import SESSION, Fault, clean
from ..l2tp import results
from .backoff import Backoff
from .lac import LacCall

_ANALOG = 2
_BEARERS = {"digital": 1, "analog": 2, "any": 3}
# A call that lived this long was a good one: the back-off begins anew (ms).
_GOOD = 10_000

# What the modem says (parts of its Faults) and the result of the CDN that tells it (§4.4.2).
_RESULTS = (
    ("is busy", results.CDN_BUSY),
    ("no dial tone", results.CDN_NO_DIALTONE),
    ("nobody answered", results.CDN_TIMEOUT),
    ("in time", results.CDN_TIMEOUT),
    ("not a number", results.CDN_DESTINATION),
    ("the modem is", results.CDN_BUSY_TEMPORARY),
)


class DialOutCall(LacCall):
    """The call of one section [call.NAME] whose modem also dials what the LNS asks for."""

    def __init__(self, node, name, line, dialer, config):
        super().__init__(node, name, line, dialer, config)
        self._asked = False  # the call in progress is one that the LNS asked for
        dialer.options.bearer |= _ANALOG

    def take(self, session, now):
        """The LNS asks for a call: dial, unless the modem has something else to do; True when it is ours now."""
        if self.session is not None or self._stopping or self.modem.busy():
            return False
        number = clean(session.called)
        self.session = session
        self._asked = True
        session.owner = self
        if session.minimum_bps > self.config["baud"]:
            fault = Fault(SESSION, "the LNS wants at least %d bit/s" % session.minimum_bps)
            self._lost(fault, results.CDN_NO_FACILITY, now)
            return True
        self.node.log("info", self.component, "the LNS asks for a call to " + number)
        session.accept(now)
        self.modem.dial(number, now)
        return True

    def _on_connected(self, source, detail, now):
        if not self._asked or self.session is None:
            LacCall._on_connected(self, source, detail, now)
            return
        tx, rx = detail[0] or self.config["baud"], detail[1] or self.config["baud"]
        session = self.session
        if tx < session.minimum_bps:
            fault = Fault(SESSION, "connected at %d bit/s, the LNS wants at least %d" % (tx, session.minimum_bps))
            self._lost(fault, results.CDN_NO_CARRIER, now)
            return
        self.node.log("info", self.component, "modem connected at %d bit/s" % tx)
        session.tx_speed, session.rx_speed = tx, rx
        session.connected(now)

    def _on_failed(self, source, fault, now):
        result = results.CDN_NO_CARRIER
        for part, number in _RESULTS:
            if part in fault.cause:
                result = number
                break
        self._lost(fault, result, now)

    def _on_call_down(self, session, fault, now):
        self._asked = False
        LacCall._on_call_down(self, session, fault, now)

    _EVENTS = dict(LacCall._EVENTS)
    _EVENTS["connected"] = _on_connected
    _EVENTS["failed"] = _on_failed
    _EVENTS["call-down"] = _on_call_down


class DialOut:
    """One section [dialout.NAME]: while a LAC has a tunnel to us, it is asked to keep a call up.

    ``answer(session, avps, now)`` makes a Caller of a session that has connected.
    """

    def __init__(self, node, name, config, answer):
        self.node = node
        self.component = "dialout." + name
        self.config = config
        self.session = None
        self.fault = None  # the last one
        self.armed = None  # for Timers
        self._answer = answer
        self._tunnel = None
        self._at = None
        self._up_at = None
        first = int(config["holdoff"] * 1000)
        self._backoff = Backoff(node.shell.random, first, int(config["redial_timeout"] * 1000))

    def tunnel_up(self, tunnel, now):
        """A tunnel has come up; True when it is our LAC's."""
        if tunnel.peer_name != self.config["lac"]:
            return False
        if self._tunnel is None:
            self._tunnel = tunnel
            self._dial(now)
        return True

    def tunnel_down(self, tunnel):
        """A tunnel is gone."""
        if tunnel is self._tunnel:
            self._tunnel = None
            self._at = None

    def stop(self, fault, now):
        """Ask no more."""
        self._tunnel = None
        self._at = None
        self.node.timers.forget(self)
        if self.session is not None:
            self.session.close(fault, now)

    def poll_at(self):
        """When the LAC is asked again."""
        return self._at

    def on_timer(self, now):
        """Ask again."""
        if ticks.due(self._at, now):
            self._at = None
            if self._tunnel is not None and self.session is None:
                self._dial(now)

    def status(self):
        """For people and tools."""
        return {
            "state": "up" if self._up_at is not None else "calling" if self.session else "waiting",
            "lac": self.config["lac"],
            "fault": str(self.fault) if self.fault else None,
        }

    def on_event(self, name, source, detail, now):
        """call-accepted, call-up, call-down of the session."""
        if source is not self.session:
            return
        if name == "call-accepted":
            self.node.log("info", self.component, "the LAC dials " + self.config["number"])
        elif name == "call-up":
            self.node.log("info", self.component, "connected at %d bit/s" % source.tx_speed)
            self._up_at = now
            self._answer(source, detail, now).then = self.ended
        elif name == "call-down":
            self.node.fault(self.component, detail)
            self.ended(detail, now)

    def ended(self, fault, now):
        """The call is over, or did not come about: ask again after a while."""
        self.session = None
        self.fault = fault
        if self._up_at is not None and ticks.diff(now, self._up_at) >= _GOOD:
            self._backoff.reset()
        self._up_at = None
        if self._tunnel is not None:
            self._at = ticks.add(now, self._backoff.next())
            self.node.timers.update(self, now)

    def _dial(self, now):
        config = self.config
        self.session = self._tunnel.outgoing_call(
            now,
            called=config["number"].encode(),
            sub_address=(config["sub_address"] or "").encode(),
            bearer=_BEARERS[config["bearer"]],
            minimum_bps=config["minimum_bps"],
            maximum_bps=config["maximum_bps"],
        )
        if self.session is None:
            self.fault = Fault(SESSION, "the LAC places no such calls", "", "let its line dial out")
            self.node.fault(self.component, self.fault)
        else:
            self.session.owner = self
