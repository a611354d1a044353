"""LAC: the PPP host behind a serial line, with or without a modem, is tunnelled to the LNS (compulsory tunnel)."""

from .. import ticks
from ..fault import SESSION, Fault
from ..l2tp import results
from ..line.serial import SerialLine
from ..port import join, part
from .backoff import Backoff

# Bearer Type AVP (§4.4.4): a wire is digital, a modem analog.
_DIGITAL = 1
_ANALOG = 2
# An LNS that says nothing to what its LAC has heard of the host is woken no longer after such a wait (ms).
_LAST_WAKE = 10_000


class LacCall:
    """The call of one section [call.NAME] with a line; the line answers again whenever a call has ended.

    A wire has a call as soon as the host behind it sends a PPP frame. A modem that rings is answered when the LNS has
    accepted the call; one that dials has its call when it has connected.
    """

    def __init__(self, node, name, config, dialer, call):
        self.node = node
        self.name = name
        self.component = "call." + name
        self.config = config
        self.dialer = dialer
        self.session = None
        self.fault = None  # the last one
        self.line = SerialLine()
        self.modem = None
        self.armed = None  # for Timers
        self._call = call
        self._wanted = False  # a host on the line waits for a call
        self._proxy = call["proxy"]  # LCP and log-in of the host are heard here, and told to the LNS
        self._screen = None  # the Screen that does so, while there is one
        self._proof = ()  # what it has heard
        self._wake_at = None  # when an LNS that says nothing to it is woken
        self._wake_wait = 0  # ms
        self._speeds = (config["baud"], config["baud"])  # towards the host, from it
        self._wire = None
        group = (call["private_group"] or "").encode()
        self._about = {"private_group": group, "physical": config["channel"]}  # what the LNS is told of the line
        self._errors = None  # what reports the line's, if anything
        self._backoff = None  # of a modem that dials
        self._at = None  # when it dials again
        self._stopping = False
        node.adopt(self.line, self)
        if config["modem"] != "none":
            from ..line.modem import Modem

            self.modem = Modem(
                self.line,
                init=config["init"],
                answer_rings=config["answer_rings"],
                dial_timeout=int(config["dial_timeout"] * 1000),
            )
            node.adopt(self.modem, self)
        if config["modem"] == "dial":
            tunnel = dialer.config
            first = int(tunnel["holdoff"] * 1000)
            self._backoff = Backoff(node.shell.random, first, int(tunnel["redial_timeout"] * 1000))
        if call["error_reports"]:
            from .wen import LineErrors

            self._errors = LineErrors(node, self.line, int(call["error_reports"] * 1000))
        dialer.calls.append(self)

    def start(self, now):
        """Open the line; a modem is made ready."""
        self._wire = self.node.shell.open_line(self.config, self.modem or self.line, self.line)
        if self.modem is not None:
            self.modem.start(now)
            self._dial(now)

    def dialled(self, now):
        """The tunnel is there, or on its way: ask for a call if a host waits for one."""
        if self._wanted and self.session is None:
            self._place(now)

    def stop(self, fault, now):
        """Hang up for good."""
        self._stopping = True
        self._wanted = False
        self._at = None
        if self.session is not None:
            self.session.close(fault, now)

    def close(self):
        """Give back the line."""
        if self._wire is not None:
            self._wire.close()
        for machine in (self, self.line, self.modem):
            if machine is not None:
                self.node.timers.forget(machine)

    def poll_at(self):
        """When the modem dials again, or the LNS is woken."""
        return ticks.soonest(self._at, self._wake_at)

    def on_timer(self, now):
        """Dial again."""
        if ticks.due(self._at, now):
            self._at = None
            self._dial(now)
        if ticks.due(self._wake_at, now):
            self._wake_at = None
            if self.session is not None and not self.session.rx_packets:
                from ..ppp.proxy import wake

                wake(self.session, now)
                self._wake_later(2 * self._wake_wait, now)

    def status(self):
        """For people and tools."""
        return {
            "tunnel": self.dialer.name,
            "device": self.config["device"],
            "state": "up" if self.line.joined is not None else "calling" if self.session else "waiting",
            "fault": str(self.fault) if self.fault else None,
            "session": self.session.status() if self.session is not None else None,
            "line": self.line.status(),
            "modem": self.modem.status() if self.modem is not None else None,
        }

    # -- events of line, modem and session ------------------------------------------------------------

    def on_event(self, name, source, detail, now):
        """One method per event: ``_on_traffic`` …"""
        handler = self._EVENTS.get(name)
        if handler is not None and (
            source is self.line or source is self.modem or source is self.session or source is self._screen
        ):
            handler(self, source, detail, now)

    def _on_traffic(self, source, detail, now):
        """The host behind the line speaks PPP and has no call."""
        if self.modem is not None or self._screen is not None:
            return
        if self._proxy:
            self._hear(now)
            return
        self._want(now)

    def _want(self, now):
        """A host waits for a call."""
        self._wanted = True
        self.dialled(now) if self.dialer.usable() else self._cannot(now)

    def _hear(self, now):
        """Be the host's peer until it has said who it is."""
        from ..ppp.proxy import Screen

        screen = Screen(self.node.shell.random, self.node.hostname.encode(), ("chap", "pap"), b"\0\0\0\0")
        self._screen = screen
        self.node.adopt(screen, self)
        self.node.watch(screen, self.component)
        join(self.line, screen)
        screen.open(now)
        screen.lower_up(now)
        self.node.timers.update(screen, now)
        self.line.release(now)

    def _unscreen(self, now):
        """The host's peer is another from now on, or there is no host."""
        screen, self._screen = self._screen, None
        self._proof = ()
        if screen is not None:
            screen.owner = None
            self.node.timers.forget(screen)
            part(screen)
            screen.lower_down(now)

    def _on_proof(self, screen, avps, now):
        """The host has said who it is: the LNS shall judge that."""
        self._proof = avps
        if self.session is not None:  # the LNS took the call while it rang
            self.session.proxy = avps
            self.session.connected(now)
        else:
            self._want(now)

    def _on_screen_down(self, screen, fault, now):
        """The host and we could not agree, or it has gone."""
        self._unscreen(now)
        self._wanted = False
        self._lost(fault, results.CDN_CARRIER, now)
        self.line.release(now)

    def _on_ring(self, source, detail, now):
        """The modem rings: ask the LNS whether it takes the call."""
        if self.session is not None or self._stopping:
            return
        if not self.dialer.usable():
            self._cannot(now)
            return
        self.node.log("info", self.component, "the line rings" + (", caller " + detail if detail else ""))
        self.session = self.dialer.tunnel.ringing_call(now, calling=detail.encode(), bearer=_ANALOG, **self._about)
        if self.session is not None:
            self.session.owner = self

    def _on_accepted(self, source, detail, now):
        """The LNS takes the call that rings."""
        self.modem.answer(now)

    def _on_connected(self, source, detail, now):
        """The modem has a carrier; ``detail`` is (speed towards the host, speed from it), 0 when it does not say."""
        self._speeds = (detail[0] or self.config["baud"], detail[1] or self.config["baud"])
        self.node.log("info", self.component, "modem connected at %d bit/s" % self._speeds[0])
        if self.session is not None:  # it rang, and the LNS waits for this
            self.session.tx_speed, self.session.rx_speed = self._speeds
            if not self._proxy:
                self.session.connected(now)
                return
        if self._proxy:
            self._hear(now)
        else:
            self._want(now)

    def _on_hung_up(self, source, fault, now):
        """The host, its modem or the wire is gone; or the modem has hung up as it was told."""
        self._wanted = False
        self._unscreen(now)
        if source is self.line or self.session is not None:
            self._lost(fault, results.CDN_CARRIER, now)
        self._dial_later(now)

    def _on_failed(self, source, fault, now):
        """The modem could not answer or dial, does not work, or has given up as it was told."""
        self._lost(fault, results.CDN_NO_CARRIER, now)
        self._dial_later(now)

    def _lost(self, fault, result, now):
        self.fault = fault
        self.node.fault(self.component, fault)
        if self.session is not None:
            self.session.close(fault, now, result)

    def _on_dtr(self, source, detail, now):
        """The modem wants DTR dropped."""
        self._wire.hang_up()

    def _on_call_up(self, session, detail, now):
        self._wanted = False
        self._unscreen(now)
        self.node.log("info", self.component, "call connected, PPP passes between line and LNS")
        if self._backoff is not None:
            self._backoff.reset()
        self.node.join(self.line, session, self._call)
        self.line.release(now)
        if self._errors is not None:
            self._errors.begin(session, now)

    def _on_acked(self, session, detail, now):
        """The LNS has heard all about the host; one that heeds no proxy AVPs may wait for the host to begin."""
        if session.proxy and not session.rx_packets:
            from ..ppp.proxy import GRACE

            self._wake_later(GRACE, now)

    def _wake_later(self, wait, now):
        """Its first packet may come before what is to hear it has started, so it is repeated, ever more slowly."""
        if wait < _LAST_WAKE:
            self._wake_wait = wait
            self._wake_at = ticks.add(now, wait)
            self.node.timers.update(self, now)

    def _on_accm(self, session, detail, now):
        """The LNS tells the line's ACCMs (SLI, RFC 2661 §6.14)."""
        self.line.set_accm(detail[0], detail[1])
        bypass = self.node.bypasses.get(self.line)
        if bypass is not None:
            bypass.set_accm(detail[0], detail[1])

    def _on_call_down(self, session, fault, now):
        self._unscreen(now)
        self.node.part(self.line)
        self.session = None
        self._wake_at = None
        if self._errors is not None:
            self._errors.end()
        self.line.release(now)  # whatever came last belongs to the call that is over
        if fault is session.tunnel.fault:  # the dialer tells of it, and dials again
            self.fault = fault
            self.node.log("info", self.component, "down with its tunnel")
        elif fault is not self.fault and not self._stopping:  # a hang-up has told of itself
            self.fault = fault
            self.node.fault(self.component, fault)
        if self.modem is None:
            self._wire.hang_up()
        elif self.modem.busy():
            self.modem.hang_up(now)

    _EVENTS = {
        "traffic": _on_traffic,
        "proof": _on_proof,
        "down": _on_screen_down,
        "ring": _on_ring,
        "call-accepted": _on_accepted,
        "connected": _on_connected,
        "hung_up": _on_hung_up,
        "failed": _on_failed,
        "dtr": _on_dtr,
        "call-up": _on_call_up,
        "call-acked": _on_acked,
        "accm": _on_accm,
        "call-down": _on_call_down,
    }

    # -- inside -------------------------------------------------------------------------------------

    def _place(self, now):
        """Ask the LNS for a call for the host that is connected."""
        bearer = _DIGITAL if self.modem is None else _ANALOG
        speeds = self._speeds
        about = {"bearer": bearer, "tx_speed": speeds[0], "rx_speed": speeds[1], "proxy": self._proof}
        about.update(self._about)
        self.session = self.dialer.tunnel.incoming_call(now, **about)
        if self.session is not None:
            self.session.owner = self

    def _cannot(self, now):
        """A host wants a call while the tunnel is down; a wire waits, a modem hangs up."""
        self.fault = Fault(SESSION, "no call without tunnel " + self.dialer.name)
        self.node.fault(self.component, self.fault)
        if self.modem is not None and self._wanted:
            self._wanted = False
            self.modem.hang_up(now)

    def _dial(self, now):
        if self._backoff is not None and not self._stopping:
            self.modem.dial(self.config["number"], now)

    def _dial_later(self, now):
        if self._backoff is not None and not self._stopping:
            self._at = ticks.add(now, self._backoff.next())
            self.node.timers.update(self, now)
