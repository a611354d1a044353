"""LAC role as a node: a PPP host on a wire, tunnelled to an LNS, on a virtual clock."""
# heap: 256K

from laclet.ip.host import Host
from laclet.line.serial import SerialLine
from laclet.port import join
from laclet.ppp.link import PppLink
from sim.net import Network, World
from sim.shell import checked, make
from sim.test_client import lns

LAC = {
    "hostname": "lac",
    "tunnel": {"isp": {"server": "lns", "hello_interval": 10}},
    "line": {"meter": {"device": "uart1"}},
    "call": {"meter": {"tunnel": "isp", "line": "meter"}},
}


class PppHost:
    """What stands behind the line: a link on a SerialLine, and an IP host above."""

    def __init__(self, world, wire, password=b"secret"):
        self.world = world
        self.line = SerialLine()
        self.link = PppLink(world.random.bytes, username=b"user", password=password, accm=b"\0\0\0\0")
        self.host = Host(self.link)
        self.link.above = self.host
        self.settings = None
        self.fault = None
        join(self.line, self.link)
        wire.connect(self.line, self.line)
        world.add(self.link, self.take)

    def call(self):
        self.link.open(self.world.now)
        self.link.lower_up(self.world.now)

    def take(self, now):
        event = self.link.next_event()
        while event is not None:
            if event[0] == "up":
                self.settings = event[2]
                self.host.address = event[2]["local"]
            elif event[0] == "down":
                self.settings = None
                self.fault = event[2]
            event = self.link.next_event()


class Desk:
    def __init__(self, seed=1, lns_tree=None, call=None, **link):
        self.world = World(seed)
        self.net = Network(self.world, **link)
        tree = dict(LAC, call={"meter": dict(LAC["call"]["meter"], **(call or {}))})
        server, lac = checked(lns_tree or lns(), tree)
        self.lns, self.lns_shell = make(self.world, self.net, "lns", server)
        self.node, self.shell = make(self.world, self.net, "lac", lac)
        self.call = self.node.calls["meter"]
        self.wire = self.shell.wires[0]
        self.host = PppHost(self.world, self.wire)
        self.world.add(self.node, self.wire.pump)

    def dial(self):
        """The host begins a call, whatever became of the last one."""
        self.host.link.lower_down(self.world.now)
        self.host.take(self.world.now)
        self.host.call()
        self.wire.pump(self.world.now)

    def up(self):
        return self.host.settings is not None

    def pings(self, count=3):
        self.host.host.events.clear()
        for _ in range(count):
            self.host.host.ping(b"\x0a\x09\x00\x01", self.world.now)
            self.wire.pump(self.world.now)
            self.world.run(300)
        return len([1 for event in self.host.host.events if event[0] == "pong"])


def test_a_wire_is_tunnelled_and_pings_pass():
    d = Desk()
    d.world.run(500)
    d.dial()
    assert d.world.run(5000, d.up)
    assert d.host.settings["local"] == b"\x0a\x09\x00\x0a"
    assert d.pings() == 3
    status = d.node.status()["calls"]["meter"]
    assert status["state"] == "up" and status["line"]["send_accm"] == 0  # learned from the LCP that passed


def test_the_host_hangs_up_and_calls_again():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    for _ in range(3):
        d.host.link.close(d.world.now)
        assert d.world.run(5000, lambda: not d.lns.lns.callers)
        assert d.world.run(5000, lambda: d.call.session is None)
        d.world.run(1000)
        d.dial()
        assert d.world.run(8000, d.up)
        assert d.pings() == 3


def test_the_lns_hangs_up_and_the_host_calls_again():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    caller = next(iter(d.lns.lns.callers.values()))
    caller.link.close(d.world.now)
    assert d.world.run(10_000, lambda: d.call.session is None and not d.up())
    d.dial()
    assert d.world.run(8000, d.up)
    assert d.pings() == 3


def test_the_line_is_unplugged_and_back():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    d.wire.cut(d.world.now)
    d.world.run(1000)
    assert d.call.fault.layer == "line" and not d.lns.lns.callers
    assert d.shell.said("line: the serial line hung up") == 1
    d.wire.plugged = True
    d.dial()
    assert d.world.run(8000, d.up)
    assert d.pings() == 3


def test_the_lns_dies_and_returns():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    d.net.link.up = False
    assert d.world.run(60_000, lambda: d.call.session is None)
    assert d.shell.said("tunnel: the peer no longer answers") == 1
    d.net.link.up = True
    d.dial()
    assert d.world.run(120_000, d.up)
    assert d.pings() == 3


def test_a_host_that_calls_before_the_tunnel_is_up_is_served_when_it_is():
    d = Desk()
    d.net.link.up = False
    d.world.run(60_000)
    d.dial()
    d.world.run(3000)
    d.net.link.up = True
    assert d.world.run(120_000, lambda: d.call.session is not None)


def test_loss_on_the_tunnel():
    for seed in range(6):
        d = Desk(seed, delay=30, loss=20, repeat=10, reorder=10)
        d.dial()
        for _ in range(40):
            if d.world.run(15_000, d.up):
                break
            d.dial()
        assert d.up(), seed


def test_errors_of_the_line_are_told_now_and_then():
    d = Desk(call={"error_reports": 10, "private_group": "blue"})
    d.dial()
    assert d.world.run(8000, d.up)
    (caller,) = d.lns.lns.callers.values()
    for _ in range(3):
        noise = bytearray(40) + b"\x7e\xff\x03\x00\x21\x45\x00\x00\x7e"
        d.call.line.receive(noise, 40, len(noise), d.world.now)
    d.world.run(40_000)
    told = caller.status()
    assert told["line_errors"]["crc"] == 3 and told["private_group"] == "blue"
    assert d.lns_shell.said("reports errors") == 1, "nothing new, nothing told"
    assert d.up()


def test_our_lns_tells_a_lac_what_lcp_has_agreed_for_its_line():
    d = Desk()
    told = []
    d.call.line.set_accm = lambda *maps: told.append(maps)
    d.dial()
    assert d.world.run(8000, d.up)
    d.world.run(100)
    assert told == [(0, 0)] and d.pings() == 3


def test_sli_changes_the_accms_of_the_line():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    (session,) = [s for t in d.lns.tunnels() for s in t.sessions.values()]
    session.set_line(0x000A0000, 0x00000001, d.world.now)
    d.world.run(100)
    status = d.call.line.status()
    assert (status["send_accm"], status["receive_accm"]) == (0x000A0000, 1)
    assert d.pings() == 3
