"""A node that is given a new configuration while it runs: what has not changed loses nothing."""

from sim.net import Network, World
from sim.parties import lns
from sim.shell import checked, make


def tree(**changes):
    """Two tunnels to one LNS, a call in each; ``changes``: "section__name" -> keys to change, or None."""
    made = {
        "hostname": "cpe",
        "tunnel": {"one": {"server": "lns"}, "two": {"server": "lns"}},
        "call": {
            name: {"tunnel": tunnel, "username": "user", "password": "secret"}
            for name, tunnel in (("a", "one"), ("b", "two"))
        },
    }
    for name in changes:
        section, _, key = name.partition("__")
        if changes[name] is None:
            made[section].pop(key)
        elif key:
            made[section].setdefault(key, {}).update(changes[name])
        else:
            made[section] = changes[name]
    return made


TOGETHER = {"call__b": {"tunnel": "one"}, "tunnel__two": None}  # two calls in one tunnel


class Desk:
    def __init__(self, lns_tree=None, client_tree=None):
        self.world = World(1)
        self.net = Network(self.world)
        server, caller = checked(lns_tree or lns(), client_tree or tree())
        self.lns, self.lns_shell = make(self.world, self.net, "lns", server)
        self.node, self.shell = make(self.world, self.net, "cpe", caller)
        assert self.world.run(5000, self.up)
        self.sessions = {name: self.node.calls[name].session for name in self.node.calls}

    def up(self):
        calls = self.node.calls.values()
        return all(call.settings for call in calls) and len(self.lns.lns.callers) == len(calls)

    def reload(self, node, changed):
        return node.reload(checked(changed)[0], self.world.now)

    def same(self):
        """Names of the calls whose session is the one they began with."""
        return sorted(name for name in self.node.calls if self.node.calls[name].session is self.sessions.get(name))

    def ping_all(self):
        """Every call passes packets."""
        for call in self.node.calls.values():
            assert call.interface.pings(bytes((10, 9, 0, 1)), 2, self.world) == 2, call.name


def test_the_same_again_changes_nothing():
    d = Desk()
    d.net.trace = []
    assert d.reload(d.node, tree()) == ([], None) and d.reload(d.lns, lns()) == ([], None)
    assert d.same() == ["a", "b"] and not d.net.trace
    d.ping_all()


def test_a_call_that_changes_leaves_its_tunnel_and_the_others():
    d = Desk(client_tree=tree(**TOGETHER))
    tunnel = d.node.dialers["one"].tunnel
    old = d.node.calls["a"]
    running = d.node.calls["b"].interface
    running.events.clear()
    for _ in range(5):
        running.ping(bytes((10, 9, 0, 1)), d.world.now)
    assert d.reload(d.node, tree(call__a={"mtu": 1400}, **TOGETHER)) == (["call.a: made anew"], None)
    assert old.interface.closed and old.session is None and old not in d.node.dialers["one"].calls
    assert d.world.run(5000, d.up)
    assert d.same() == ["b"] and d.node.dialers["one"].tunnel is tunnel
    assert d.node.calls["a"].settings["mtu"] == 1400
    assert len([1 for event in running.events if event[0] == "pong"]) == 5
    d.ping_all()


def test_a_tunnel_that_changes_takes_its_calls_along_and_no_other():
    d = Desk()
    changes, fault = d.reload(d.node, tree(tunnel__one={"hello_interval": 10}))
    assert changes == ["call.a: made anew", "tunnel.one: made anew"] and fault is None
    assert d.world.run(5000, d.up) and d.same() == ["b"]
    d.world.run(60_000)  # the old tunnel lingers, and its socket goes with it
    assert len(d.node.tunnels()) == 2 and len(d.node.endpoints()) == 2 and len(d.lns.tunnels()) == 2
    d.ping_all()


def test_what_is_added_starts_and_what_is_removed_ends():
    d = Desk()
    changed = tree(tunnel__two=None, call__b=None, tunnel__new={"server": "lns"}, call__d={"tunnel": "new"})
    changed["call"]["d"].update(username="user", password="secret")
    changes, _ = d.reload(d.node, changed)
    assert changes == ["call.b is gone", "call.d is new", "tunnel.new is new", "tunnel.two is gone"]
    assert d.world.run(5000, d.up)
    assert sorted(d.node.calls) == ["a", "d"] and d.same() == ["a"]
    d.ping_all()


def test_a_port_that_is_given_up_is_free_at_once():
    d = Desk(client_tree=tree(tunnel__one={"source_port": 1701}, tunnel__two={"source_port": 1702}))
    d.reload(d.node, tree(tunnel__one={"source_port": 1703}, tunnel__two={"source_port": 1702}))
    assert list(d.node.fixed) == [(None, 1702)]
    assert d.world.run(5000, d.up) and d.same() == ["b"]
    assert sorted(d.node.fixed) == [(None, 1702), (None, 1703)]
    d.world.run(60_000)
    assert len(d.lns.tunnels()) == 2
    d.ping_all()


def test_users_of_an_lns_come_and_go():
    d = Desk(client_tree=tree(**TOGETHER))
    assert d.reload(d.lns, lns(users={"user": "secret", "other": "x"})) == ([], None)
    d.world.run(1000)
    assert d.same() == ["a", "b"] and d.lns.lns.secret_of(b"other") == b"x"
    assert d.reload(d.lns, lns(users={"user": "changed"})) == ([], None)
    d.world.run(1000)
    assert not d.lns.lns.callers and d.node.dialers["one"].tunnel is not None
    d.world.run(10_000)
    assert d.node.calls["a"].fault.layer == "auth"
    d.reload(d.lns, lns())
    assert d.world.run(200_000, d.up)


def test_an_lns_that_changes_ends_its_calls_and_takes_new_ones():
    d = Desk()
    assert d.reload(d.lns, lns(pool="10.9.0.50-10.9.0.60")) == (["lns: made anew"], None)
    assert d.world.run(60_000, d.up) and not d.same()
    assert d.node.calls["a"].settings["local"][3] >= 50


def test_an_lns_that_cannot_listen_is_tried_again_by_the_next_reload():
    d = Desk()
    open_udp = d.lns_shell.open_udp

    def taken(*args):
        raise OSError("cannot listen")

    d.lns_shell.open_udp = taken
    changes, fault = d.reload(d.lns, lns(listen=["0.0.0.0:1800"]))
    assert changes == ["lns is gone"] and str(fault).startswith("udp: cannot listen")
    d.lns_shell.open_udp = open_udp
    assert d.reload(d.lns, lns()) == (["lns is new"], None)
    assert d.world.run(200_000, d.up)


def test_log_level_debug_from_now_on_and_no_longer():
    d = Desk(client_tree=tree(call__a={"lcp_echo_interval": 1}))
    d.reload(d.node, tree(call__a={"lcp_echo_interval": 1}, log={"level": "debug"}))
    d.world.run(3000)
    assert d.shell.said("sent [LCP EchoReq") >= 2 and d.same() == ["a", "b"]
    d.reload(d.node, tree(call__a={"lcp_echo_interval": 1}))
    before = len(d.shell.lines)
    d.world.run(5000)
    assert len(d.shell.lines) == before


def test_the_line_of_a_lac_is_opened_anew_when_it_changes():
    from sim.lacdesk import PppHost  # nothing that the other tests have heap for

    def lac(baud):
        return {
            "tunnel": {"isp": {"server": "lns"}},
            "line": {name: {"device": name, "baud": baud if name == "uart1" else 9600} for name in ("uart1", "uart2")},
            "call": {name: {"tunnel": "isp", "line": name} for name in ("uart1", "uart2")},
        }

    world = World(1)
    net = Network(world)
    server, before, config = checked(lns(), lac(9600), lac(19200))
    make(world, net, "lns", server)
    node, shell = make(world, net, "lac", before)
    hosts = [PppHost(world, wire) for wire in shell.wires]
    for wire in shell.wires:
        world.add(node, wire.pump)
    for host in hosts:
        host.call()
    assert world.run(5000, lambda: hosts[0].settings and hosts[1].settings)
    other = node.calls["uart2"].session
    assert node.reload(config, world.now) == (["call.uart1: made anew"], None)
    assert len(shell.wires) == 3 and node.calls["uart2"].session is other
    assert node.calls["uart1"].line is not shell.wires[0] and node.calls["uart1"].session is None
