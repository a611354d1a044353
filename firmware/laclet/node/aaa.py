"""Callers of an LNS whose log-ins a RADIUS server judges, and whose calls it counts; loaded when there is one.

``shell.open_radius(config)`` gives ``authenticate(evidence, about, done)``, ``start(about)``, which returns what
``stop(call, about, cause)`` takes, and ``close()``. ``about`` is a dict of what a caller is known by.
"""

from .. import ticks
from ..fault import AUTH, Fault, clean
from ..wire.address import ipv4_text

# The clock of the core wraps after days: longer times are waited for in steps (s).
_STEP = 86_400


class Account:
    """Of one Caller: the judge of its link, what it was granted, and the time that it has."""

    def __init__(self, caller, radius):
        self.armed = None  # for Timers
        self._caller = caller
        self._radius = radius
        self._granted = {}
        self._name = b""  # whom the server believed the caller to be
        self._call = None  # what the server counts
        self._left = None  # s of Session-Timeout still to be waited for
        self._at = None
        caller.link.judge = self.judge

    def judge(self, evidence, done, now):
        """As ``ppp.auth.remote`` wants it."""
        node = self._caller.lns.node

        def told(verdict, now):
            if verdict["right"]:
                self._granted = verdict
                self._name = evidence["name"]
            done(verdict, now)
            node.timers.update(self._caller.link, now)
            node.settle(now)

        self._radius.authenticate(evidence, self._about(), told)

    def address(self):
        """The address (4 bytes) that the server gives to the caller, or None."""
        return self._granted.get("address")

    def up(self, now):
        """The caller has its address: count from now on."""
        if self._call is None:
            self._call = self._radius.start(self._about())
            self._left = self._granted.get("session_timeout")
            self._wait(now)

    def down(self, fault):
        """The call has ended."""
        self._at = None
        self._caller.lns.node.timers.forget(self)
        if self._call is not None:
            self._radius.stop(self._call, self._about(), fault)
            self._call = None

    def poll_at(self):
        """When the caller's time is over."""
        return self._at

    def on_timer(self, now):
        """It may be."""
        if not ticks.due(self._at, now):
            return
        if self._left:
            self._wait(now)
            return
        self._at = None
        self._caller.link.fail(Fault(AUTH, "the caller's time is over"), now)

    def _wait(self, now):
        if self._left is not None:
            step = min(self._left, _STEP)
            self._left -= step
            self._at = ticks.add(now, step * 1000)
            self._caller.lns.node.timers.update(self, now)

    def _about(self):
        caller = self._caller
        session = caller.session
        settings = caller.settings
        return {
            "session": caller.component,
            "port": session.sid,
            "name": self._name,
            "calling": clean(session.calling),
            "called": clean(session.called),
            "address": ipv4_text(settings["remote"]) if settings else None,
            "class": self._granted.get("class", ()),
            "rx_bytes": session.rx_bytes,
            "tx_bytes": session.tx_bytes,
            "rx_packets": session.rx_packets,
            "tx_packets": session.tx_packets,
        }
