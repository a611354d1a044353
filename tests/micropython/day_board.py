"""A day of a LAC on a virtual clock, in one process of MicroPython: the board's shell and node, and the core as LNS.

``main(["", "config.json", SEED])``. The way to the LNS fails, the LNS restarts, its name moves to another address, the
wire is unplugged; a frame passes each way every few seconds in between. Every hour a line of JSON, and what MicroPython
says of its heap.
"""

import gc
import json
import random
import sys

import micropython
from laclet import ticks
from laclet.l2tp.endpoint import Endpoint
from laclet.l2tp.tunnel import TunnelOptions
from laclet.port import Port, frame_buffer, join
from laclet.wire import hdlc
from laclet_mcu.main import _load
from laclet_mcu.shell import Shell

HEADROOM = 72  # of laclet.port, and the period of its ticks: a build folds constants, and forgets their names
PERIOD = 1 << 30
HOUR = 3_600_000  # ms
HOURS = 24
FRAME = 1400
_SPACING = 7_000  # ms between frames
_DELAY = 20  # ms each way
_PATIENCE = 600_000  # ms after the end of a trouble; hellos, retransmissions and the longest back-off fit in
_PORT = 1701


class World:
    """The clock, datagrams and answers under way, and both ends."""

    def __init__(self):
        self.elapsed = 0
        self.queue = []  # (when, serial, call, arguments), the next one last
        self.serial = 0
        self.path = True  # datagrams pass
        self.address = "192.0.2.1"  # where the LNS is; DNS knows

    def now(self):
        return ticks.add(PERIOD - HOUR, self.elapsed)  # the tick counter wraps after an hour

    def later(self, delay, call, *arguments):
        self.serial += 1
        item = (self.elapsed + delay, self.serial, call, arguments)
        at = len(self.queue)
        while at and self.queue[at - 1][:2] < item[:2]:
            at -= 1
        self.queue.insert(at, item)


class Carrier:
    """One end's datagrams: to ``world`` and from there to what ``other()`` gives."""

    def __init__(self, world, own, other, gone=None):
        self.world = world
        self.own = own
        self.other = other
        self.gone = gone
        self.owner = None

    def send(self, buf, start, end, addr):
        if self.world.path:
            self.world.later(_DELAY, self._arrive, bytes(memoryview(buf)[start:end]), addr)

    def _arrive(self, data, addr):
        endpoint = self.other(addr)
        if endpoint is not None:
            buf = frame_buffer(len(data))
            buf[HEADROOM : HEADROOM + len(data)] = data
            endpoint.receive(buf, HEADROOM, HEADROOM + len(data), self.own(), self.world.now())

    def settle(self, addr):
        pass

    def source(self, addr):
        return None

    def close(self):
        self.gone(self.own(), None)


class Wire:
    """A UART whose other end reads all at once."""

    def __init__(self, target, line):
        self.target = target
        self.line = line

    def flush(self):
        self.line.sent(self.line.tx_end - self.line.tx_start)

    def hang_up(self):
        pass

    def close(self):
        pass


class Board(Shell):
    """The shell of a board, with its sockets, UARTs and clock replaced."""

    def __init__(self, config, world):
        self.world = world
        self.endpoint = None
        self.port = 40000
        self.faults = 0
        super().__init__(config)

    def now(self):
        return self.world.now()

    def log(self, level, component, text):
        if level in ("error", "warning"):
            self.faults += 1

    def resolve(self, host, port, done):
        self.world.later(_DELAY, self._resolved, port, done)

    def _resolved(self, port, done):
        done([(self.world.address, port)], None, self.now())

    def open_udp(self, endpoint, local, port, peer):
        self.port = 40000 + (self.port + 1) % 20000
        own = ("198.51.100.7", self.port)
        self.endpoint = endpoint
        self.world.board[own] = endpoint
        return Carrier(self.world, lambda: own, self.world.lns_at, self.world.board.pop)

    def open_line(self, options, target, line):
        wire = Wire(target, line)
        self._wires.append(wire)
        return wire


class Sink(Port):
    """What the LNS has behind its sessions."""

    def __init__(self):
        super().__init__()
        self.frames = 0

    def carry(self, buf, start, end, now):
        if end - start >= FRAME:
            self.frames += 1


class Day(World):
    """All of it."""

    def __init__(self, config, seed):
        super().__init__()
        random.seed(seed)
        self.board = {}  # (host, port) -> Endpoint
        self.sink = Sink()
        self.frame = frame_buffer(FRAME)
        for i in range(HEADROOM, HEADROOM + FRAME):
            self.frame[i] = 0x41 + i % 16
        self.frame[HEADROOM : HEADROOM + 2] = b"\x00\x21"
        self.octets = bytearray(FRAME + 64)
        self.size = hdlc.encode(self.frame, HEADROOM, HEADROOM + FRAME, self.octets, 0, 0)
        self.lns = None
        self.restart()
        self.shell = Board(config, self)
        self.line = self.shell.node.calls["call"].line
        self.troubles = {}
        self.longest = 0  # ms that it took to come back

    def lns_at(self, addr):
        return self.lns if addr == (self.address, _PORT) else None

    def restart(self):
        """A new LNS, which knows nothing of the old one's tunnels."""
        self.lns = Endpoint(self.random, TunnelOptions("lns", secret=b"geheim"))
        self.lns.carrier = Carrier(self, lambda: (self.address, _PORT), self.board.get)
        self.session = None

    def random(self, n):
        return bytes([random.getrandbits(8) for _ in range(n)])

    def serve_lns(self):
        while True:
            event = self.lns.next_event()
            if event is None:
                return
            if event[0] == "call-offered":
                event[1].accept(self.now())
            elif event[0] == "call-up":
                self.session = event[1]
                join(event[1], self.sink)
            elif event[0] == "call-down" and self.session is event[1]:
                self.session = None

    def run(self, until):
        """Go on to the moment ``until``."""
        node = self.shell.node
        while True:
            at = until
            if self.queue:
                at = min(at, self.queue[-1][0])
            for machine in (node, self.lns):
                due = machine.poll_at()
                if due is not None:
                    at = min(at, self.elapsed + max(0, ticks.diff(due, self.now())))
            self.elapsed = at
            if self.queue and self.queue[-1][0] == at:
                _, _, call, arguments = self.queue.pop()
                call(*arguments)
            now = self.now()
            if ticks.due(self.lns.poll_at(), now):
                self.lns.on_timer(now)
            self.serve_lns()
            self.shell._tick(now)
            self.shell.flush()
            if at >= until:
                return

    def traffic(self):
        """A frame each way; True when both passed."""
        up, down = self.sink.frames, self.line.tx_frames
        self.line.receive(self.octets, 0, self.size, self.now())
        self.shell._tick(self.now())
        if self.session is not None:
            self.session.carry(self.frame, HEADROOM, HEADROOM + FRAME, self.now())
        self.run(self.elapsed + _SPACING)
        return self.sink.frames > up and self.line.tx_frames > down

    def trouble(self):
        """One of those that a day brings."""
        kind = random.choice(("path", "restart", "name", "wire"))
        if kind == "path":
            self.path = False
            for _ in range(random.randrange(1, 40)):
                self.traffic()
            self.path = True
        elif kind == "restart":
            self.restart()
        elif kind == "name":
            self.address = f"192.0.2.{random.randrange(1, 250)}"
            self.restart()
        else:
            self.line.hung_up(self.now())
        self.troubles[kind] = self.troubles.get(kind, 0) + 1
        since = self.elapsed
        while not (self.traffic() and self.traffic()):
            if self.elapsed - since > _PATIENCE:
                raise RuntimeError("it does not come back after " + kind)
        self.longest = max(self.longest, self.elapsed - since)

    def tell(self, hour):
        gc.collect()
        print(json.dumps({"hour": hour, "free": gc.mem_free(), "troubles": self.troubles, "longest": self.longest}))
        micropython.mem_info()


def main(argv):
    """A day."""
    gc.threshold(2048)
    config = _load(argv[1], False, False)
    day = Day(config, int(argv[2]))
    gc.collect()
    gc.threshold(16384)
    day.shell.start()
    next_trouble = 0
    for hour in range(HOURS):
        while day.elapsed < (hour + 1) * HOUR:
            day.traffic()
            if day.elapsed >= next_trouble:
                day.trouble()
                next_trouble = day.elapsed + random.randrange(180_000, 1_200_000)
        day.shell.node.status()
        day.tell(hour + 1)
    print(json.dumps({"frames": day.sink.frames, "faults": day.shell.faults}))
    sys.exit(0)
