"""An uplink with an interface of the firmware's own: a WiFi station, or Ethernet."""

import network

from laclet import ticks
from laclet.node.backoff import Backoff
from micropython import const

from .hardware import about
from .udp import Udp

_LOOK = const(500)  # ms between looks at the interface
_TRY = const(15_000)  # ms that a network has to let us in
_FIRST = const(1000)  # ms of the first pause between attempts
_LONGEST = const(60_000)
# Names of the states of a WiFi station that explain something.
_REASONS = (
    ("STAT_WRONG_PASSWORD", "it refuses the password"),
    ("STAT_NO_AP_FOUND", "no such network is in reach"),
    ("STAT_CONNECT_FAIL", "it refuses us"),
    ("STAT_BEACON_TIMEOUT", "it is out of reach"),
    ("STAT_ASSOC_FAIL", "it refuses us"),
    ("STAT_HANDSHAKE_TIMEOUT", "it refuses the password"),
)


class Nic:
    """One section [uplink.NAME] of kind wifi or ethernet. It is connected again for ever."""

    def __init__(self, uplinks, name, config, whole):
        self.name = name
        self.component = "uplink." + name
        self.up = False
        self.address = ""
        self.armed = None  # for Timers
        self._uplinks = uplinks
        self._config = config
        self._hostname = whole["hostname"]
        self._nic = None
        self._said = None  # the last complaint
        self._at = None  # the next look
        self._due = None  # when an attempt has failed, or the next one is due
        self._trying = False
        self._backoff = Backoff(uplinks.shell.random, _FIRST, _LONGEST)

    def start(self, now):
        """Connect."""
        self._at = self._due = now
        self._uplinks.shell.node.timers.update(self, now)

    def close(self):
        """The interface stays as it is: the next configuration may want it."""
        self._at = None

    def poll_at(self):
        """The next look."""
        return self._at

    def on_timer(self, now):
        """Look how it is."""
        if not ticks.due(self._at, now):
            return
        self._at = ticks.add(now, _LOOK)
        try:
            self._look(now)
        except (OSError, RuntimeError) as error:  # a driver that finds no chip or no cable
            self._nic = None if self._nic is not None and not self._trying else self._nic
            self._pause(str(error), now)

    def resolve(self, host, port, done):
        """Ask the firmware's DNS."""
        self._uplinks.shell.ask(host, port, done)

    def open_udp(self, endpoint, local, port, peer):
        """A socket that is bound to our address: what it sends takes this way or none."""
        shell = self._uplinks.shell
        return Udp(shell, endpoint, local or (None if ":" in peer[0] else self.address), port, peer, shell.rx)

    def status(self):
        """For people and tools."""
        return {"kind": self._config["kind"], "up": self.up, "address": self.address, "fault": self._said}

    def _look(self, now):
        if self._nic is None:
            if not ticks.due(self._due, now):
                return
            self._make()
        if self._nic.isconnected() and self._nic.ifconfig()[0] != "0.0.0.0":
            if not self.up or self._nic.ifconfig()[0] != self.address:
                self._rise(now)
        elif self.up:
            self.up = False
            self._say("the connection is lost")
            self._trying = False
            self._due = now
            self._uplinks.changed(now)
        elif ticks.due(self._due, now):
            if self._trying:
                self._pause(self._reason(), now)
            else:
                self._connect(now)

    def _rise(self, now):
        self.up = True
        self.address = self._nic.ifconfig()[0]
        self._trying = False
        self._said = None
        self._backoff.reset()
        self._uplinks.changed(now)

    def _make(self):
        config = self._config
        if self._hostname and hasattr(network, "hostname"):
            network.hostname(self._hostname)
        nic = network.WLAN(network.STA_IF) if config["kind"] == "wifi" else _ethernet()
        nic.active(True)
        if config["address"] is not None:
            servers = list(config["dns"]) or [config["gateway"]]
            nic.ifconfig((config["address"], config["netmask"], config["gateway"], servers[0]))
        self._nic = nic

    def _connect(self, now):
        self._trying = True
        self._due = ticks.add(now, _TRY)
        if self._config["kind"] == "wifi":
            self._nic.connect(self._config["ssid"], self._config["password"])

    def _pause(self, reason, now):
        """An attempt has failed: the next one later."""
        self._say(reason)
        self._due = ticks.add(now, self._backoff.next())
        if self._trying and self._config["kind"] == "wifi":
            try:
                self._nic.disconnect()
            except OSError:
                pass
        self._trying = False

    def _reason(self):
        if self._config["kind"] != "wifi":
            return "no cable, or nobody gives an address"
        status = self._nic.status()
        for name, text in _REASONS:
            if getattr(network, name, None) == status:
                return text
        return "no connection"

    def _say(self, text):
        if text != self._said:
            self._said = text
            self._uplinks.shell.log("warning", self.component, text)


def _ethernet():
    """The interface that /board.json describes."""
    wanted = about().get("ethernet", {})
    arguments = {}
    for key, pin in wanted.get("pins", {}).items():
        from machine import Pin

        arguments[key] = Pin(pin)
    for key, value in wanted.get("constants", {}).items():
        arguments[key] = getattr(network, value) if isinstance(value, str) else value
    return getattr(network, wanted.get("driver", "LAN"))(**arguments)
