"""One bundle over two tunnels with paths of their own: delays, losses, a path that dies and comes back."""

import sys

from sim.net import Link, Network, Random, World
from sim.parties import client, lns
from sim.shell import checked, make


class Desk:
    """A client with two tunnels to the two ports of an LNS. ``one`` and ``two`` are their Links' keywords."""

    def __init__(self, seed=1, one=None, two=None, echo=5, **lns_more):
        self.world = World(seed)
        self.net = Network(self.world)
        self.one = self.net.paths[1701] = Link(self.world, **(one or {}))
        self.two = self.net.paths[1702] = Link(self.world, **(two or {}))
        more = {"multilink": True}
        more.update(lns_more)
        tree = client(call={"multilink": True, "tunnels": ["one", "two"], "lcp_echo_interval": echo})
        del tree["call"]["net"]["tunnel"]
        tree["tunnel"] = {
            "one": {"server": "lns:1701", "hello_interval": 5, "redial_timeout": 5},
            "two": {"server": "lns:1702", "hello_interval": 5, "redial_timeout": 5},
        }
        server, caller = checked(lns(listen=["0.0.0.0:1701", "0.0.0.0:1702"], **more), tree)
        self.lns, self.lns_shell = make(self.world, self.net, "lns", server)
        self.node, self.shell = make(self.world, self.net, "cpe", caller)
        self.call = self.node.calls["net"]
        self.interface = self.shell.interfaces[0]

    def links(self):
        return len(self.call.bundle.members)

    def both(self):
        return self.links() == 2 and self.call.settings is not None

    def far(self):
        """The bundle at the LNS."""
        (guest,) = self.lns.lns.bundles.guests
        return guest

    def transfer(self, count=60, size=600, spacing=20):
        """Packets from the client, with their places at the end of it: what came, and whether it came in order."""
        got = []

        class Sink:
            def receive_ip(self, buf, start, end, now):
                place = buf[start + 1]
                assert buf[start:end] == make_packet(place, size)  # what comes is whole
                got.append(place)

        above, self.far().link.above = self.far().link.above, Sink()
        for i in range(count):
            packet = make_packet(i, size)
            buf = bytearray(72) + packet + bytearray(40)
            self.call.bundle.send_ip(buf, 72, 72 + size, self.world.now)
            self.world.run(spacing)
        self.world.run(2000)
        self.far().link.above = above
        assert got == sorted(got) and len(set(got)) == len(got)  # in order, and once
        return len(got)


def make_packet(i, size):
    return b"\x45" + bytes((i,)) + Random(i).bytes(size - 2)


def test_two_tunnels_one_bundle():
    d = Desk(one={"delay": 5}, two={"delay": 60})
    assert d.world.run(5000, d.both)
    assert len(d.lns.lns.callers) == 2 and len(d.lns.lns.bundles.guests) == 1
    assert d.call.settings["local"] == b"\x0a\x09\x00\x0a" == d.far().settings["remote"]
    before = d.one.sent, d.two.sent
    assert d.transfer() == 60
    assert d.one.sent - before[0] >= 55 and d.two.sent - before[1] >= 55  # fragments took both ways
    assert d.interface.pings(b"\x0a\x09\x00\x01", 3, d.world) == 3
    status = d.node.status()
    assert status["calls"]["net"]["state"] == "up" and status["calls"]["net"]["ppp"]["links"] == 2
    assert status["tunnels"]["one"]["state"] == "up"


def test_what_is_lost_costs_only_its_packet():
    for seed in range(1 if sys.implementation.name == "micropython" else 3):  # a board's heap holds one network
        loses(seed)


def loses(seed):
    d = Desk(seed, {"delay": 10}, {"delay": 40})
    assert d.world.run(60_000, d.both)
    d.one.loss, d.two.loss = 5, 15
    came = d.transfer(100, spacing=10)
    assert 55 <= came <= 95, came  # a packet has two fragments: 0.95 * 0.85 of them stay whole
    receiver = d.far().link.receiver
    assert not receiver._held and receiver.poll_at() is None
    d.one.loss = d.two.loss = 0
    assert d.transfer(20) == 20


def test_one_path_dies_and_returns():
    d = Desk(one={"delay": 10}, two={"delay": 30})
    assert d.world.run(5000, d.both)
    d.two.up = False
    assert d.world.run(60_000, lambda: d.links() == 1)
    assert d.call.settings is not None and d.interface.settings is not None
    assert d.world.run(60_000, lambda: len(d.far().link.members) == 1)
    assert d.transfer(20) == 20
    d.two.up = True
    assert d.world.run(60_000, d.both)
    before = d.two.sent
    assert d.transfer(20) == 20 and d.two.sent - before >= 15
    assert len(d.lns.lns.bundles.guests) == 1 and d.shell.said("up: address") == 1


def test_all_paths_die_and_return():
    d = Desk()
    assert d.world.run(5000, d.both)
    d.one.up = d.two.up = False
    assert d.world.run(60_000, lambda: d.call.settings is None)
    assert d.world.run(60_000, lambda: not d.lns.lns.bundles.guests)
    assert d.lns.lns.pool._used == set() and d.interface.settings is None
    d.one.up = d.two.up = True
    assert d.world.run(60_000, d.both)
    assert d.interface.pings(b"\x0a\x09\x00\x01", 3, d.world) == 3


def test_an_lns_without_multilink_gives_one_link():
    d = Desk(multilink=False)
    assert d.world.run(5000, lambda: d.call.settings is not None)
    d.world.run(3000)
    assert d.links() == 1 and d.interface.pings(b"\x0a\x09\x00\x01", 2, d.world) == 2
    assert d.shell.said("the peer does no multilink") >= 1


def test_shutdown_is_orderly():
    d = Desk()
    assert d.world.run(5000, d.both)
    d.node.stop(d.world.now)
    assert d.world.run(2000, lambda: d.node.stopped(d.world.now))
    d.world.run(500)
    assert not d.lns.lns.callers and not d.lns.lns.bundles.guests and d.lns.lns.pool._used == set()
    d.node.close()
    assert d.interface.closed
