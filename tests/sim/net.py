"""A network on a virtual clock: nodes, and links that delay, lose, repeat and reorder by a seed. On MicroPython too.

Nothing here sleeps: ``World.run`` jumps from one deadline or arrival to the next.
"""

from laclet import ticks
from laclet.port import HEADROOM, TAILROOM


class Random:
    """A small seeded generator (xorshift32), the same on every platform."""

    def __init__(self, seed):
        self._x = (seed * 2654435761 + 1) & 0xFFFFFFFF or 1

    def next(self):
        """32 bits."""
        x = self._x
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._x = x
        return x

    def chance(self, percent):
        """True in ``percent`` of 100 cases."""
        return percent > 0 and self.next() % 100 < percent

    def bytes(self, n):
        """n bytes: the ``random`` that machines are handed."""
        out = bytearray(n)
        for i in range(n):
            out[i] = self.next() >> 11 & 0xFF
        return bytes(out)


class World:
    """The clock, what is under way, and the machines that have deadlines."""

    def __init__(self, seed=1, start=ticks.PERIOD - 5000):
        self.now = start  # near the wrap of the tick counter, so that every test crosses it
        self.elapsed = 0  # ms since the start, not wrapped
        self.random = Random(seed)
        self._queue = []  # [at (elapsed ms), serial, deliver, arguments]
        self._serial = 0
        self._machines = []

    def add(self, machine, after=None):
        """Serve ``machine`` (poll_at, on_timer); ``after(now)`` is called whenever it may have events."""
        self._machines.append((machine, after))
        return machine

    def later(self, delay, call, *args):
        """Call ``call(*args, now)`` in ``delay`` ms."""
        self._serial += 1
        self._queue.append((self.elapsed + delay, self._serial, call, args))

    def settle(self):
        """Let every owner take its events."""
        for _, after in self._machines:
            if after:
                after(self.now)

    def step(self, limit):
        """Go to what happens next; False when nothing does within ``limit`` (elapsed ms)."""
        best = None
        for item in self._queue:
            if best is None or item[:2] < best[:2]:
                best = item
        at = best[0] if best else None
        for machine, _ in self._machines:
            deadline = machine.poll_at()
            if deadline is not None:
                t = self.elapsed + max(0, ticks.diff(deadline, self.now))
                if at is None or t < at:
                    at = t
        if at is None or at > limit:
            self._advance(limit)
            return False
        self._advance(at)
        if best and best[0] == at:
            self._queue.remove(best)
            best[2](*best[3], self.now)
        for machine, _ in self._machines:
            if ticks.due(machine.poll_at(), self.now):
                machine.on_timer(self.now)
        self.settle()
        return True

    def run(self, ms, until=None):
        """Run for ``ms``, or until ``until()`` is true; returns whether it became true. Bounded: 200,000 steps."""
        limit = self.elapsed + ms
        for _ in range(200_000):
            if until is not None and until():
                return True
            if not self.step(limit):
                return until is not None and until()
        raise RuntimeError("the world never comes to rest")

    def _advance(self, at):
        self.now = ticks.add(self.now, at - self.elapsed)
        self.elapsed = at


class Link:
    """One direction of a path. Percentages of loss, repetition and reordering; delay in ms. Counts what it does."""

    def __init__(self, world, delay=5, loss=0, repeat=0, reorder=0):
        self.world = world
        self.delay = delay
        self.loss = loss
        self.repeat = repeat
        self.reorder = reorder
        self.up = True
        self.sent = 0
        self.lost = 0

    def carry(self, data, deliver, *args):
        """Bring a copy of ``data`` to ``deliver(buf, start, end, *args, now)``."""
        self.sent += 1
        r = self.world.random
        if not self.up or r.chance(self.loss):
            self.lost += 1
            return
        for _ in range(2 if r.chance(self.repeat) else 1):
            extra = 1 + r.next() % (3 * self.delay + 20) if r.chance(self.reorder) else 0
            self.world.later(self.delay + extra, self._arrive, data, deliver, args)

    def _arrive(self, data, deliver, args, now):
        buf = bytearray(HEADROOM + len(data) + TAILROOM)
        buf[HEADROOM : HEADROOM + len(data)] = data
        deliver(buf, HEADROOM, HEADROOM + len(data), *args, now)


class Network:
    """Datagrams between addresses. Every pair shares one kind of link; ``trace`` keeps (elapsed, from, to, bytes)."""

    def __init__(self, world, **link):
        self.world = world
        self.link = Link(world, **link)
        self.paths = {}  # port of either end -> Link of its own
        self.trace = None
        self._hosts = {}

    def attach(self, endpoint, addr):
        """Give ``endpoint`` a carrier at ``addr``."""
        endpoint.carrier = Carrier(self, addr)
        self._hosts[addr] = endpoint
        return endpoint

    def detach(self, addr):
        """The host at ``addr`` is dead: its datagrams go nowhere."""
        self._hosts.pop(addr, None)

    def send(self, data, source, target):
        """Called by carriers."""
        if self.trace is not None:
            self.trace.append((self.world.elapsed, source, target, data))
        link = self.paths.get(target[1]) or self.paths.get(source[1]) or self.link
        link.carry(data, self._deliver, source, target)

    def _deliver(self, buf, start, end, source, target, now):
        endpoint = self._hosts.get(target)
        if endpoint is not None:
            endpoint.receive(buf, start, end, source, now)


class Carrier:
    """The sending side of one address."""

    def __init__(self, network, addr):
        self.network = network
        self.addr = addr
        self.settled = None

    def send(self, buf, start, end, addr):
        """A datagram to ``addr``; scribbles over the room around it, as ESP would, to catch those who rely on it."""
        data = bytes(buf[start:end])
        for i in range(end, min(end + TAILROOM, len(buf))):
            buf[i] = 0xA5
        self.network.send(data, self.addr, addr)

    def settle(self, addr):
        """The peer's address is final."""
        self.settled = addr

    def close(self):
        """The socket is gone."""
        self.network.detach(self.addr)
