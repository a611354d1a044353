"""A client's bundle and a server's, and links between them that join and leave, on the virtual clock of ``sim.net``."""

from pppwire import ALICE, BOB, Pipe

from laclet.port import HEADROOM, frame_buffer
from laclet.ppp.bundle import Bundle, Bundles, Terms
from laclet.ppp.link import PppLink
from sim.net import Link, Random, World

USER = {"username": b"user", "password": b"secret"}


class Wire(Pipe):
    """Counts fragments instead of keeping frames."""

    def __init__(self, path, target):
        super().__init__(path, target)
        self.fragments = 0
        self.bytes = 0

    def carry(self, buf, start, end, now):
        if buf[start] == 0 and buf[start + 1] == 0x3D:
            self.fragments += 1
            self.bytes += end - start
        if self.path.up:
            self.path.carry(bytes(buf[start:end]), self.target.carry)


class Above:
    """Counts and sums up the packets that come out of a bundle, in order."""

    def __init__(self):
        self.packets = 0
        self.sum = 0

    def receive_ip(self, buf, start, end, now):
        self.packets += 1
        for i in range(start, end):
            self.sum = (self.sum * 31 + buf[i]) & 0xFFFFFF


class Owner:
    """Takes the events of bundles and links."""

    def __init__(self):
        self.ups = []
        self.downs = []

    def take(self, machine):
        event = machine.next_event()
        while event is not None:
            if event[0] == "up":
                self.ups.append(event[2])
            elif event[0] == "down":
                self.downs.append(event[2])
            event = machine.next_event()


class Desk:
    """``client`` and ``server``: keyword arguments of their Terms; ``cable()`` puts one more link between them."""

    def __init__(self, client=None, server=None, seed=1):
        self.world = World(seed)
        self.random = Random(seed + 7).bytes
        self.client = self._watch(Bundle(self.random, Terms(**(client or {})), mtu=1450))
        self.bundles = Bundles(Terms(**(server or {})), self._make)
        self.made = []

    def _watch(self, bundle):
        bundle.owner = Owner()
        bundle.above = Above()
        self.world.add(bundle, lambda now: bundle.owner.take(bundle))
        return bundle

    def _make(self, link):
        last = 2 + len(self.made)
        bundle = Bundle(self.random, self.bundles.terms, address=ALICE, peer_address=BOB[:3] + bytes((last,)))
        self.made.append(self._watch(bundle))
        return bundle

    def cable(self, user=USER, delay=5, speed=0, client=None, server=None, **path):
        """A link; returns what there is to it."""
        return Cable(self, user, delay, speed, client, server, path)

    def send(self, bundle, count=1, size=1400, spacing=5):
        """Packets, whose sum is returned; the clock goes on between them."""
        total = 0
        for i in range(count):
            buf = frame_buffer(size)
            buf[HEADROOM : HEADROOM + size] = b"\x45" + bytes((i & 0xFF,)) * (size - 1)
            for each in buf[HEADROOM : HEADROOM + size]:
                total = (total * 31 + each) & 0xFFFFFF
            bundle.send_ip(buf, HEADROOM, HEADROOM + size, self.world.now)
            self.world.run(spacing)
        self.world.run(1000)
        return total


class Cable:
    """Two links face to face; ``client``, ``server``: keywords of a PppLink that is not to be in the Desk's bundle."""

    def __init__(self, desk, user, delay, speed, client, server, path):
        self.desk = desk
        world = desk.world
        more = {"multilink": desk.client} if client is None else client
        self.a = PppLink(desk.random, echo_interval=1000, echo_failure=2, **user, **more)
        more = {"multilink": desk.bundles} if server is None else server
        self.b = PppLink(desk.random, demand=("chap",), secret_of={b"user": b"secret"}.get, auth=(), **more)
        self.a.speed = self.b.speed = speed
        self.path = Link(world, delay, **path)
        self.a.joined = Wire(self.path, self.b)
        self.b.joined = Wire(self.path, self.a)
        for link in (self.a, self.b):
            link.owner = Owner()
            world.add(link, lambda now, link=link: link.owner.take(link))
            link.open(world.now)
            link.lower_up(world.now)

    def sent(self):
        """Fragments that either side sent since the last time: (from the client, from the server)."""
        counts = self.a.joined.fragments, self.b.joined.fragments
        self.a.joined.fragments = self.b.joined.fragments = 0
        return counts
