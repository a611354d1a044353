"""A LAC client with PPP and IP of the firmware: ``network.PPP`` is the host at a line that leads into the tunnel."""

import network

from laclet import ticks
from laclet.fault import LINE, Fault
from laclet.node.backoff import Backoff
from micropython import const

from .hdlcstream import HdlcStream

_LOOK = const(500)  # ms between looks at the interface
_TRY = const(30_000)  # ms that PPP has to come up
_FIRST = const(1000)  # ms of the first pause between attempts
_LONGEST = const(60_000)


class Stack:
    """The wire of a LacCall: see ``open_line`` in docs/architecture.md. ``options``: a checked section [call.NAME]."""

    def __init__(self, shell, options, line):
        self.armed = None  # for Timers
        self._shell = shell
        self._options = options
        self._pipe = HdlcStream()
        self._pipe.line = self._line = line
        self.stream = self._pipe.bell
        self._backoff = Backoff(shell.random, _FIRST, _LONGEST)
        self._protocols = [each for each in options["auth"] if each in ("chap", "pap")]
        self._turn = 0  # which of them is tried: lwIP takes one at a time
        self._ppp = None
        self._up = False
        self._due = None  # when the attempt has failed, or the next one begins
        self._at = shell.now()
        shell.watch(self)
        shell.node.timers.update(self, shell.now())

    def hang_up(self):
        """The call is over: begin anew."""
        self._end(self._shell.now())

    def close(self):
        """Give the interface back."""
        if self.stream is not None:
            self._shell.unwatch(self)
            self.stream = None
            self._at = None
            self._drop()

    def ready(self, events, now):
        """lwIP has written."""
        self._pipe.pump(now)

    def flush(self):
        """The line has something for lwIP."""
        self._pipe.pump(self._shell.now())

    def poll_at(self):
        """The next look."""
        return self._at

    def on_timer(self, now):
        """Look how PPP does."""
        if not ticks.due(self._at, now):
            return
        self._at = ticks.add(now, _LOOK)
        if self._ppp is None:
            if self._due is None or ticks.due(self._due, now):
                self._begin(now)
        elif self._ppp.isconnected() != self._up:
            if self._up:
                self._shell.node.fault("lwip", Fault(LINE, "PPP of the firmware is down"))
                self._end(now)
            else:
                self._up = True
                self._backoff.reset()
                self._shell.log("info", "lwip", "up: address " + self._ppp.ifconfig()[0])
        elif not self._up and ticks.due(self._due, now):
            self._turn += 1
            self._end(now)

    def _begin(self, now):
        options = self._options
        self._due = ticks.add(now, _TRY)
        self._line.reset()
        self._ppp = network.PPP(self._pipe)
        if options["username"] is None or not self._protocols:
            self._ppp.connect()
            return
        protocol = self._protocols[self._turn % len(self._protocols)]
        security = network.PPP.SEC_CHAP if protocol == "chap" else network.PPP.SEC_PAP
        self._ppp.connect(security=security, user=options["username"], key=options["password"])

    def _end(self, now):
        if self._ppp is not None:
            self._drop()
            self._up = False
            self._due = ticks.add(now, self._backoff.next())

    def _drop(self):
        if self._ppp is not None:
            self._ppp.disconnect()
            self._pipe.pump(self._shell.now())  # its last words
            self._ppp = None
