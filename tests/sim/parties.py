"""Who takes part in simulations: a client and an LNS."""

from sim.net import Network, World
from sim.shell import checked, make

LNS = {
    "hostname": "lns",
    "lns": {
        "address": "10.9.0.1",
        "pool": "10.9.0.10-10.9.0.20",
        "dns": ["10.9.0.1"],
        "users": {"user": "secret"},
        "listen": ["0.0.0.0:1701"],
        "auth": ["chap"],
    },
}


def client(**changes):
    tree = {
        "hostname": "cpe",
        "tunnel": {"isp": {"server": "lns"}},
        "call": {"net": {"tunnel": "isp", "username": "user", "password": "secret", "use_peer_dns": True}},
    }
    for name in changes:
        tree["tunnel" if name == "tunnel" else "call"]["isp" if name == "tunnel" else "net"].update(changes[name])
    return tree


def lns(**changes):
    tree = {"hostname": LNS["hostname"], "lns": dict(LNS["lns"])}
    tree["lns"].update(changes)
    return tree


class Pair:
    def __init__(self, lns_tree=None, client_tree=None, seed=1, **link):
        self.world = World(seed)
        self.net = Network(self.world, **link)
        server, caller = checked(lns_tree or lns(), client_tree or client())
        self.lns, self.lns_shell = make(self.world, self.net, "lns", server)
        self.node, self.shell = make(self.world, self.net, "cpe", caller)
        self.call = self.node.calls["net"]
        self.dialer = self.node.dialers["isp"]

    def up(self):
        return self.call.settings is not None and any(c.settings for c in self.lns.lns.callers.values())

    def run(self, ms, until=None):
        return self.world.run(ms, until)
