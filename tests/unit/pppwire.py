"""Two PPP links face to face, or one link and a peer that the test plays, on the virtual clock of ``sim.net``."""

from laclet.port import HEADROOM, frame_buffer
from laclet.ppp.link import PppLink
from laclet.wire import ppp
from sim.net import Link, Random, World

ALICE = b"\x0a\x00\x00\x01"
BOB = b"\x0a\x00\x00\x02"


class Pipe:
    """What a link is joined to: brings its frames to the other side through one direction of a path."""

    def __init__(self, path, target):
        self.path = path
        self.target = target
        self.frames = []  # every frame sent, with its time

    def carry(self, buf, start, end, now):
        data = bytes(buf[start:end])
        self.frames.append((now, data))
        self.path.carry(data, self.target.carry)


class Above:
    """Keeps the packets that come out of a link."""

    def __init__(self):
        self.packets = []

    def receive_ip(self, buf, start, end, now):
        self.packets.append(bytes(buf[start:end]))


class Side:
    """A link and what its owner hears."""

    def __init__(self, link):
        self.link = link
        self.settings = None
        self.ups = 0
        self.faults = []
        link.above = Above()

    def take(self, now):
        event = self.link.next_event()
        while event is not None:
            name, source, detail = event
            assert source is self.link
            if name == "up":
                self.settings = detail
                self.ups += 1
            elif name == "down":
                self.faults.append(detail)
            else:
                assert name == "timer"
            event = self.link.next_event()

    def up(self):
        return self.ups > 0


class Pair:
    """``a`` and ``b``: keyword arguments of two PppLinks. Starts them; ``run`` the clock."""

    def __init__(self, a, b, seed=1, delay=5, **path):
        self.world = World(seed)
        random = Random(seed + 1000).bytes
        self.a = Side(PppLink(random, **a))
        self.b = Side(PppLink(random, **b))
        self.path = Link(self.world, delay, **path)
        self.a.link.joined = Pipe(self.path, self.b.link)
        self.b.link.joined = Pipe(self.path, self.a.link)
        for side in (self.a, self.b):
            self.world.add(side.link, side.take)
            side.link.open(self.world.now)
        for side in (self.b, self.a):
            side.link.lower_up(self.world.now)

    def run(self, ms, until=None):
        return self.world.run(ms, until)

    def up(self):
        return self.a.ups > 0 and self.b.ups > 0

    def failed(self):
        return self.a.faults and self.b.faults

    def decided(self):
        return self.up() or self.failed()

    def frames(self, side):
        """The frames that a side sent, without their times; forgets them."""
        pipe = side.link.joined
        frames = [data for _, data in pipe.frames]
        pipe.frames = []
        return frames


def secrets(**users):
    """A ``secret_of`` for these names and passwords."""
    table = {name.encode(): password.encode() for name, password in users.items()}
    return table.get


CLIENT = {"username": b"bob", "password": b"builder"}


def server(*demand, **more):
    """Keyword arguments of the side that authenticates bob and gives him an address."""
    more["demand"] = demand
    more["secret_of"] = secrets(bob="builder")
    more["address"] = ALICE
    more["peer_address"] = BOB
    return more


class Peer:
    """One link under test; the test itself is the peer."""

    def __init__(self, **options):
        self.sent = []
        self.link = PppLink(Random(5).bytes, **options)
        self.link.joined = self
        self.side = Side(self.link)
        self.now = 1000
        self.link.open(self.now)
        self.link.lower_up(self.now)

    def carry(self, buf, start, end, now):
        head = ppp.head(buf, start, end)
        at = start + (head >> 16)
        self.sent.append((head & 0xFFFF, buf[at], buf[at + 1], bytes(buf[at + 4 : end])))

    def take(self):
        """What the link sent: [(protocol, code, identifier, data)]."""
        sent = self.sent
        self.sent = []
        return sent

    def say(self, protocol, code, identifier, data=b"", padding=b""):
        """Give a control packet to the link."""
        buf = frame_buffer(1600)
        end = ppp.write(buf, HEADROOM, protocol, code, identifier, data)
        buf[end : end + len(padding)] = padding
        self.link.carry(buf, HEADROOM, end + len(padding), self.now)

    def wait(self, ms):
        self.now += ms
        self.link.on_timer(self.now)

    def open_lcp(self, options=b""):
        """Bring LCP up, the peer asking ``options``."""
        _, _, identifier, data = self.take()[0]
        self.say(ppp.LCP, ppp.CONFIGURE_REQUEST, 1, options)
        self.say(ppp.LCP, ppp.CONFIGURE_ACK, identifier, data)

    def fault(self):
        """The fault of the ("down", …) event, if it came."""
        self.side.take(self.now)
        return self.side.faults[-1] if self.side.faults else None
