"""The state of a board as an LED shows it."""

from laclet import ticks
from laclet.node.dialer import UP
from micropython import const

_STEP = const(125)  # ms; a pattern has sixteen
SAFE = const(0b1010101010101010)  # quick: safe mode
EMPTY = const(0b1111111100000000)  # slow: nothing is configured
NO_UPLINK = const(0b1000000000000000)  # one flash: no way to the network
NO_TUNNEL = const(0b1010000000000000)  # two: no tunnel is up
NO_CALL = const(0b1010100000000000)  # three: no call is up
WORKS = const(0b1111111111111110)  # on, with a wink: a call is up
_DIM = (8, 8, 8)  # of an RGB LED


def pattern(shell, safe):
    """What is to be shown."""
    node = shell.node
    if safe:
        return SAFE
    if not node.calls and node.lns is None:
        return EMPTY
    if shell.uplinks is not None and not shell.uplinks.ready():
        return NO_UPLINK
    for call in node.calls.values():
        if (call.line.joined if hasattr(call, "line") else call.settings) is not None:
            return WORKS
    if node.lns is not None and node.lns.callers:
        return WORKS
    if node.lns is not None:
        return NO_CALL
    for dialer in node.dialers.values():
        if dialer.state == UP:
            return NO_CALL
    return NO_TUNNEL


class Led:
    """A machine of the node. ``about``: its part of /board.json."""

    def __init__(self, shell, about, safe):
        self.armed = None  # for Timers
        self._shell = shell
        self._safe = safe
        self._set = _setter(about)
        self._on = None
        self._step = 0
        self._pattern = 0
        self._at = shell.now()

    def poll_at(self):
        """The next step."""
        return self._at

    def on_timer(self, now):
        """Take a step."""
        if not ticks.due(self._at, now):
            return
        self._at = ticks.add(now, _STEP)
        if self._step == 0:
            self._pattern = pattern(self._shell, self._safe)
        on = self._pattern >> (15 - self._step) & 1
        self._step = (self._step + 1) & 15
        if on != self._on:
            self._on = on
            self._set(on)


def _setter(about):
    from machine import Pin

    if about.get("kind") == "rgb":
        from neopixel import NeoPixel

        pixel = NeoPixel(Pin(about["pin"], Pin.OUT), 1)

        def light(on):
            pixel[0] = _DIM if on else (0, 0, 0)
            pixel.write()

        return light
    pin = Pin(about["pin"], Pin.OUT)
    high = about.get("on", 1)

    def switch(on):
        pin.value(high if on else 1 - high)

    return switch
