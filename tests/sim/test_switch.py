"""A tunnel switch in the middle: LAC client, switch, LNS, each a node."""

from sim.net import Network, World
from sim.parties import client, lns
from sim.shell import checked, make


def chain():
    world = World(3)
    network = Network(world, delay=10)
    tree = {
        "hostname": "middle",
        "tunnel": {"onward": {"server": "far"}},
        "lns": {"listen": ["0.0.0.0:1701"], "forward": "onward"},
    }
    configs = checked(lns(), tree, client(tunnel={"server": "middle"}))
    server, _ = make(world, network, "far", configs[0])
    middle, shell = make(world, network, "middle", configs[1])
    node, near = make(world, network, "cpe", configs[2])
    return world, server, middle, shell, node, near


def test_ppp_passes_through_both_tunnels():
    world, server, middle, shell, node, near = chain()
    call = node.calls["net"]
    assert world.run(30_000, lambda: call.settings is not None)
    assert call.settings["remote"] == b"\x0a\x09\x00\x01"
    assert near.interfaces[0].pings(b"\x0a\x09\x00\x01", 3, world) == 3
    assert not middle.lns.callers and len(server.lns.callers) == 1


def test_the_end_of_one_call_ends_the_other():
    world, server, middle, shell, node, near = chain()
    call = node.calls["net"]
    assert world.run(30_000, lambda: call.settings is not None)
    node.stop(world.now)
    world.run(2000)
    assert not server.lns.callers
    assert sum(len(t.sessions) for t in middle.tunnels()) == 0
    assert shell.said("call ended") == 1


def test_a_call_that_cannot_go_on_is_refused_with_the_reason():
    world, server, middle, shell, node, near = chain()
    middle.dialers["onward"].stop(None, world.now)
    call = node.calls["net"]
    world.run(5000)
    assert call.fault is not None and "no facilities for now" in call.fault.said
    assert shell.said("cannot go on") >= 1
