"""The shell of a board: sockets, UARTs, a clock and randomness for a Node, and the loop that serves them."""

import os
import select
import socket
import sys
import time

from laclet import ticks
from laclet.fault import DNS, Fault
from laclet.node.node import Node
from laclet.port import frame_buffer
from micropython import const

from . import forget
from .udp import Udp, address

_PPP_IS_SAFE = ("rp2", "pyboard", "mimxrt")  # values of sys.platform
_LEVELS = ("error", "warning", "info", "debug")
_DATAGRAM_MAX = const(2048)  # an MTU of 1500 and all headers, with room for long control messages
_LONGEST = const(60_000)  # ms; the loop wakes up now and then all the same
_SHORT = const(100)  # ms; while the last words are exchanged
_MASK = const(0x3FFFFFFF)  # ticks.PERIOD - 1


class Shell:
    """One node on this board. ``config`` as node.config.check() or store.load() returns it.

    ``run()`` serves it until Ctrl-C; a program with a loop of its own calls ``start()``, then ``turn(ms)`` for ever;
    one with asyncio awaits ``aio.run(shell)``.
    """

    def __init__(self, config):
        self._level = 0
        self._poll = select.poll()
        self._ports = []  # what has a ``stream`` to be polled
        self._wires = []
        self._questions = []  # (host, port, done) for DNS
        self.rx = frame_buffer(_DATAGRAM_MAX)  # whatever comes in, from sockets and lines: one thing at a time
        self.random = os.urandom
        self.keeper = None  # ``watch()``es every new node
        self.uplinks = None  # Uplinks, where they are configured
        self._make(config)

    def _make(self, config):
        """A node, and the uplinks it needs."""
        self._level = _LEVELS.index(config["log"]["level"])
        self.node = Node(config, self)
        self.uplinks = None
        if config["uplink"]:
            from .uplinks import Uplinks

            self.uplinks = Uplinks(self, config)

    # -- the loop -------------------------------------------------------------------------------------

    def now(self):
        """The core's clock."""
        return time.ticks_ms() & _MASK

    def run(self):
        """Serve until Ctrl-C; then close calls and tunnels in order, and let KeyboardInterrupt go on."""
        self.start()
        try:
            while True:
                self.turn(_LONGEST)
        except KeyboardInterrupt:
            self.log("info", "node", "shutting down")
            self.node.stop(self.now())
            while not self.node.stopped(self.now()):
                self.turn(_LONGEST)
            raise
        finally:
            self.close()

    def close(self):
        """Give back sockets and lines, as things are."""
        self.node.close()
        if self.uplinks is not None:
            self.uplinks.close()
        self._wires.clear()

    def end(self):
        """Close calls and tunnels in order, then everything."""
        self.node.stop(self.now())
        while not self.node.stopped(self.now()):
            self.turn(_SHORT)
        self.close()

    def renew(self, config):
        """Serve another configuration; from a timer, not while input is taken.

        What has not changed does not notice, unless uplinks have changed, or memory does not suffice for that.
        """
        if self._reload(config):
            return
        self.end()
        self._make(config)
        if self.keeper is not None:
            self.keeper.watch()
        self.start()

    def _reload(self, config):
        """Have the node take what has changed; False when all has to be made anew."""
        node = self.node
        if config["uplink"] != node.config["uplink"]:
            return False
        try:
            changes, fault = node.reload(config, self.now())
        except MemoryError:
            self.log("warning", "node", "no memory for a change in flight: all is made anew")
            return False
        finally:
            forget("laclet.node", "reload")
        self._level = _LEVELS.index(config["log"]["level"])
        for text in changes:
            self.log("info", "config", text)
        if fault is not None:
            node.fault("lns", fault)
        # A wire that was closed has no device, and waits for none.
        self._wires = [each for each in self._wires if each.stream is not None or each.poll_at() is not None]
        self.flush()
        return True

    def start(self):
        """Begin to listen and to dial."""
        if self.uplinks is not None:
            self.uplinks.start(self.now())
        self.node.start(self.now())
        self.flush()

    def turn(self, longest):
        """Wait for something to do, at most ``longest`` ms, and do it; True when something had come in."""
        # In small pieces: a call of a function with more than eleven names and temporaries takes heap while it runs.
        busy = self._serve(self._wait(longest))
        if self._questions:
            self._ask()
        self._tick(self.now())
        self.flush()
        return busy

    def _wait(self, longest):
        """Milliseconds until something is due, at most ``longest``."""
        if self._questions or longest == 0:
            return 0
        at = self.node.poll_at()
        if at is None:
            return longest
        left = ticks.diff(at, self.now())
        if left >= longest:
            return longest
        return left if left > 0 else 0

    def _serve(self, ms):
        for ready in self._poll.ipoll(ms):
            ms = -1
            self._bring(ready[0], ready[1])
        return ms == -1

    def _bring(self, stream, events):
        ports = self._ports
        i = len(ports)
        while i:
            i -= 1
            if ports[i].stream is stream:
                ports[i].ready(events, self.now())
                return

    def _tick(self, now):
        node = self.node
        if ticks.due(node.poll_at(), now):
            node.on_timer(now)
        node.settle(now)

    def flush(self):
        """Write out what lines have to send."""
        for wire in self._wires:
            wire.flush()

    def watch(self, port):
        """Call ``port.ready(events, now)`` when its ``stream`` is ready."""
        self._ports.append(port)
        self._poll.register(port.stream, select.POLLIN)

    def watch_room(self, port, wanted):
        """Call it also when its stream takes more, or not any longer."""
        self._poll.modify(port.stream, select.POLLIN | select.POLLOUT if wanted else select.POLLIN)

    def unwatch(self, port):
        """Forget the port, before its stream is closed."""
        self._ports.remove(port)
        self._poll.unregister(port.stream)

    # -- what a node asks for: see docs/architecture.md -----------------------------------------------

    def hostname(self):
        """The name that this board has on the network."""
        try:
            import network

            return network.hostname()
        except ImportError:
            return "laclet"

    def log(self, level, component, text):
        """One line on the console."""
        if _LEVELS.index(level) <= self._level:
            at = time.localtime()
            print("[%02d:%02d:%02d][%s][%s]: %s" % (at[3], at[4], at[5], level[0].upper(), component, text))

    def address_text(self, addr):
        """An address for people."""
        return "%s port %d" % addr[:2]

    def resolve(self, host, port, done):
        """Addresses of a name; with uplinks as soon as one is up."""
        if self.uplinks is not None:
            self.uplinks.resolve(host, port, done)
        else:
            self.ask(host, port, done)

    def ask(self, host, port, done):
        """Ask the firmware's DNS at the next turn; MicroPython waits for the answer, whatever we do."""
        self._questions.append((host, port, done))

    def _ask(self):
        host, port, done = self._questions.pop(0)
        found = []
        fault = None
        try:
            for info in socket.getaddrinfo(host, port):
                addr = address(info[-1])
                if addr not in found:  # one per kind of socket on some ports
                    found.append(addr)
        except OSError as error:
            fault = Fault(DNS, "cannot find " + host, str(error), "check the name and the name servers")
        done(found, fault, self.now())

    def open_udp(self, endpoint, local, port, peer):
        """A carrier of datagrams."""
        if self.uplinks is not None:
            return self.uplinks.open_udp(endpoint, local, port, peer)
        return Udp(self, endpoint, local, port, peer, self.rx)

    def open_datagrams(self, handler):
        """A UDP socket for questions: see laclet.ip.query. Raises OSError."""
        if self.uplinks is not None and hasattr(self.uplinks.current, "host"):
            return self.uplinks.current.host.open_udp(handler)
        from .datagrams import Datagrams

        return Datagrams(self, handler)

    def open_circuit(self, endpoint, circuit, listen, events):
        """A carrier of X.25; for frame relay the node opens a line."""
        if circuit[0] != "xot" or listen:
            raise OSError("not on a board")
        from .xot import XotCarrier

        return XotCarrier(self, endpoint, circuit, events)

    def open_line(self, options, target, line):
        """A wire."""
        if options["device"] == "lwip":
            from .stack import Stack

            wire = Stack(self, options, line)
        else:
            from .uart import Wire  # a LAC client or an LNS has none

            wire = Wire(self, options, target, line, self.rx)
        self._wires.append(wire)
        return wire

    def has_stack(self):
        """True where network.PPP takes a stream of ours. On ESP32 lwIP writes from a thread without an interpreter."""
        try:
            import network
        except ImportError:
            return False
        if sys.platform in _PPP_IS_SAFE and hasattr(network, "PPP"):
            return True
        self.log("warning", "lwip", "network.PPP is not safe here: laclet's own IP is used")
        return False

    def open_interface(self, options, link):
        """An IP host of our own: no operating system takes packets here."""
        from .interface import Interface

        return Interface(link)
