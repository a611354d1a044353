"""A client and a server of IPsec on the virtual network: with and without a NAT between, and a wiretap."""

from laclet.carrier.ipsec import proposals
from laclet.carrier.ipsec.machine import Ipsec
from laclet.carrier.ipsec.policy import Policy
from laclet.port import HEADROOM, TAILROOM
from sim.net import Network, World

CLIENT = "192.0.2.1"
SERVER = "198.51.100.1"
NAT = "203.0.113.1"
LNS = (SERVER, 1701)


def policy(psk=b"a pre-shared key", ike="aes128-sha1-modp1024", esp="aes128-sha1", **options):
    """A Policy in strongSwan's notation; by default with the smallest group, for it is the fastest."""
    made = Policy(psk, proposals.parse("ipsec_ike", ike)[0], proposals.parse("ipsec_esp", esp)[0])
    for name in options:
        setattr(made, name, options[name])
    return made


def listener(**options):
    """A Policy that answers strangers."""
    return policy(accept=True, **options)


def _fixed(host, port):
    return lambda addr: (host, port)


class Above:
    """What stands above a machine: keeps what came."""

    def __init__(self):
        self.got = []  # (addr, bytes)

    def receive(self, buf, start, end, addr, now):
        self.got.append((addr, bytes(buf[start:end])))

    def payloads(self):
        return [data for _, data in self.got]


class Wire(Network):
    """The network; ``nat``: a masquerade before the client. ``tamper(data, source)`` may change or eat what is sent."""

    def __init__(self, world, nat=False, **link):
        Network.__init__(self, world, **link)
        self.trace = []
        self.nat = nat
        self.shift = 20000  # of the ports outside the NAT
        self.tamper = None

    def send(self, data, source, target):
        self.trace.append((self.world.elapsed, source, target, data))
        if self.tamper is not None:
            data = self.tamper(data, source)
            if data is None:
                return
        if self.nat and source[0] == CLIENT:
            source = (NAT, source[1] + self.shift)
        elif self.nat and target[0] == NAT:
            target = (CLIENT, target[1] - self.shift)
        self.link.carry(data, self._deliver, source, target)


class Scene:
    """Two machines at ``hosts``. ``raw``: plain ESP is possible; ``known``: the client knows its own address."""

    def __init__(self, client=None, server=None, seed=1, raw=False, nat=False, known=True, hosts=None, **link):
        self.world = World(seed)
        self.wire = Wire(self.world, nat, **link)
        hosts = hosts or (CLIENT, SERVER)
        self.lns = (hosts[1], 1701)
        self.client = self._machine(client or policy(), hosts[0], raw, known)
        self.server = self._machine(server or listener(), hosts[1], raw, True)

    def _machine(self, policy, host, raw, known):
        machine = Ipsec(policy, self.world.random.bytes)
        machine.endpoint = Above()
        machine.told = []  # events but timers, (name, detail)
        for inlet, port in ((machine.ike, 500), (machine.natt, 4500), (machine.esp, 0)):
            if port or raw:
                self.wire.attach(inlet, (host, port))
                inlet.source = _fixed(host, port) if known else None

        def drain(now):
            event = machine.next_event()
            while event:
                if event[0] != "timer":
                    machine.told.append((event[0], event[2]))
                event = machine.next_event()

        return self.world.add(machine, drain)

    def names(self, machine):
        """Names of the events so far."""
        return [name for name, _ in machine.told]

    def faults(self, machine):
        """Texts of the faults so far."""
        return [str(detail[1]) for name, detail in machine.told if name in ("ike-down", "ike-fault")]

    def send(self, machine, data, addr):
        """L2TP sends."""
        buf = bytearray(HEADROOM + len(data) + TAILROOM)
        buf[HEADROOM : HEADROOM + len(data)] = data
        machine.send(buf, HEADROOM, HEADROOM + len(data), addr)

    def inject(self, inlet, data, addr):
        """A datagram out of nowhere."""
        buf = bytearray(HEADROOM + len(data) + TAILROOM)
        buf[HEADROOM : HEADROOM + len(data)] = data
        inlet.receive(buf, HEADROOM, HEADROOM + len(data), addr, self.world.now)

    def dial(self, ms=3000):
        """The client connects and has something to say at once; the server answers. True when both came through."""
        self.client.connect(self.lns, self.world.now)
        self.send(self.client, b"SCCRQ", self.lns)
        if not self.world.run(ms, lambda: b"SCCRQ" in self.server.endpoint.payloads()):
            return False
        self.send(self.server, b"SCCRP", self.server.endpoint.got[0][0])
        return self.world.run(1000, lambda: self.client.endpoint.payloads() == [b"SCCRP"])

    def esp(self):
        """The ESP packets on the wire so far."""
        return [item for item in self.wire.trace if (item[1][1] == 4500 and item[3][:4] != bytes(4)) or not item[1][1]]
