"""A LAC, the host on its line, and their LNS."""

from laclet.ip.host import Host
from laclet.line.serial import SerialLine
from laclet.port import join
from laclet.ppp.link import PppLink
from sim.net import Network, World
from sim.parties import lns
from sim.shell import checked, make

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
