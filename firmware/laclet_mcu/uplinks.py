"""The ways of a board to the network: WiFi, Ethernet, a modem. The best of those that are up carries the tunnels."""

from laclet.fault import Fault
from laclet.node.dialer import HOLDOFF
from micropython import const

from .udp import Udp

LAYER = "uplink"
_WAITING_MAX = const(16)  # questions kept until there is an uplink; a dialer has one at a time


class Uplinks:
    """All sections [uplink.NAME] of a configuration. Tunnels are bound to the one that is used, and follow it."""

    def __init__(self, shell, config):
        self.shell = shell
        self.current = None  # the one that is used, or was when none is up
        self._address = None  # that it had
        self._waiting = []  # questions to DNS
        self._fixed = []  # (endpoint, local, port, peer) of carriers that outlive their tunnels
        sections = config["uplink"]
        self._all = []
        for name in sorted(sections, key=lambda each: (sections[each]["metric"], each)):
            if sections[name]["kind"] == "modem":
                from .pppuplink import PppUplink as kind
            else:
                from .nic import Nic as kind
            self._all.append(kind(self, name, sections[name], config))

    def start(self, now):
        """Connect them all, and keep them so."""
        for each in self._all:
            each.start(now)

    def close(self):
        """Give lines back."""
        for each in self._all:
            each.close()

    def ready(self):
        """True while one is up."""
        return self.current is not None and self.current.up

    def changed(self, now):
        """One has come up or gone down: use the best."""
        best = None
        for each in self._all:
            if each.up:
                best = each
                break
        if best is None:
            self.shell.log("warning", LAYER, "none is up")
            return
        if best is not self.current or best.address != self._address:
            self._move(best, now)
        else:
            self.shell.log("info", LAYER, best.name + " is up again")
        waiting = self._waiting
        self._waiting = []
        for host, port, done in waiting:
            best.resolve(host, port, done)

    def _move(self, best, now):
        first = self.current is None
        self.current = best
        self._address = best.address
        shell = self.shell
        shell.log("info", LAYER, best.name + " is used, address " + best.address)
        fault = Fault(LAYER, "the way is another now: " + best.name)
        for dialer in shell.node.dialers.values():
            if dialer.tunnel is not None:
                dialer.tunnel.close(fault, now)  # it is dialled again, through the new one
            elif dialer.state == HOLDOFF and not first:
                dialer.stop(None, now)
                dialer.start(now)
        for endpoint, local, port, peer in self._fixed:
            endpoint.carrier.close()
            try:
                endpoint.carrier = best.open_udp(endpoint, local, port, peer)
            except OSError as error:
                shell.log("error", LAYER, "port %d: %s" % (port, error))
        shell.node.settle(now)

    def resolve(self, host, port, done):
        """Ask as soon as there is an uplink."""
        if self.ready():
            self.current.resolve(host, port, done)
        elif len(self._waiting) < _WAITING_MAX:
            self._waiting.append((host, port, done))

    def open_udp(self, endpoint, local, port, peer):
        """A carrier through the uplink that is used; one that listens does so everywhere."""
        if peer is None:
            return Udp(self.shell, endpoint, local, port, peer, self.shell.rx)
        if not self.ready():
            raise OSError("no uplink is up")
        if port:
            self._fixed.append((endpoint, local, port, peer))
        return self.current.open_udp(endpoint, local, port, peer)

    def status(self):
        """For people and tools."""
        return {each.name: each.status() for each in self._all}
