"""A shell on the virtual clock: what a node asks for, made of the simulated network. Runs on MicroPython too."""

import sys

from laclet.fault import DNS, Fault
from laclet.ip.host import Host
from laclet.node.node import Node
from sim.wire import Wire


class SimShell:
    """One machine at ``host`` in ``network``; ``names`` is its DNS: name -> list of hosts, or None when it fails."""

    def __init__(self, world, network, host, names=None):
        self.world = world
        self.network = network
        self.host = host
        self.names = {} if names is None else names
        self.random = world.random.bytes
        self.lines = []  # (level, component, text)
        self.interfaces = []
        self.wires = []
        self.radius = None
        self._port = 40000

    def hostname(self):
        return self.host

    def log(self, level, component, text):
        self.lines.append((level, component, text))

    def said(self, part):
        """How many log lines contain ``part``."""
        return len([1 for line in self.lines if part in line[2]])

    def address_text(self, addr):
        return addr[0] + " port " + str(addr[1])

    def resolve(self, host, port, done):
        found = self.names.get(host, [host])
        fault = None if found else Fault(DNS, "no address for " + host, "", "check the name and the name server")
        self.world.later(1, done, [(h, port) for h in found or []], fault)

    def open_udp(self, endpoint, address, port, peer):
        if not port:
            self._port += 1
            port = self._port
        self.network.attach(endpoint, (self.host, port))
        return endpoint.carrier

    def open_radius(self, options):
        from sim.radius import Radius

        self.radius = Radius(self.world)
        return self.radius

    def open_line(self, options, target, line):
        wire = Wire(self.world, options, target, line)
        self.wires.append(wire)
        return wire

    def open_interface(self, options, link):
        interface = Interface(link)
        self.interfaces.append(interface)
        return interface


class Interface(Host):
    """The IP side of a link: a host in user space."""

    def __init__(self, link):
        super().__init__(link)
        self.settings = None
        self.settings6 = None
        self.closed = False

    def up(self, settings, peer, now):
        self.settings = settings
        self.address = settings["local"]

    def up6(self, settings, now):
        self.settings6 = settings

    def down(self):
        self.settings = None
        self.settings6 = None

    def close(self):
        self.closed = True

    def pings(self, address, count, world, spacing=200):
        """Send ``count`` pings over the link; how many came back. Takes simulated time."""
        self.events.clear()
        for _ in range(count):
            self.ping(address, world.now)
            world.run(spacing)
        world.run(3000)
        return len([1 for event in self.events if event[0] == "pong"])


def checked(*trees):
    """The configurations of trees. A board keeps what checks once came to; on MicroPython CPython makes them for us."""
    if sys.implementation.name == "micropython":
        from run import ask as check
    else:
        from laclet.node.config import check

    configs = []
    for tree in trees:
        config, problems = check(tree)
        assert not problems, problems
        configs.append(config)
    return configs


def make(world, network, host, config, names=None):
    """A started node of a checked configuration; returns (node, shell)."""
    shell = SimShell(world, network, host, names)
    node = Node(config, shell)
    world.add(node, node.settle)
    node.start(world.now)
    return node, shell
