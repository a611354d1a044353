"""Several LNSes behind one tunnel: fail-over, a hold-down of those that have failed, round robin."""

from sim.net import Network, World
from sim.parties import client, lns
from sim.shell import checked, make


def world_of(*hosts, seed=1, **tunnel):
    """``(world, net, node, shell)`` of a client that knows all of ``hosts``; each is an LNS."""
    world = World(seed)
    net = Network(world)
    mine = client(tunnel=dict(tunnel, server=list(hosts), max_retries=1))
    configs = checked(mine, *[lns(hostname=host) for host in hosts])
    for i in range(len(hosts)):
        make(world, net, hosts[i], configs[1 + i])
    node, shell = make(world, net, "cpe", configs[0])
    return world, net, node, shell


def at(node):
    """The host that the tunnel leads to, or None."""
    tunnel = node.dialers["isp"].tunnel
    return tunnel.peer_name if tunnel is not None and node.calls["net"].settings else None


def test_the_next_server_takes_over_and_dead_ones_are_tried_last():
    world, net, node, shell = world_of("one", "two", "three", holddown=300, hello_interval=5)
    assert world.run(5000, lambda: at(node) == "one")
    net.detach(node.dialers["isp"].addr)
    assert world.run(60_000, lambda: at(node) == "two")
    net.detach(node.dialers["isp"].addr)
    assert world.run(60_000, lambda: at(node) == "three")
    assert shell.said("connecting to one") == shell.said("connecting to two") == 1, "held down"


def test_a_dead_server_gets_another_chance_when_all_others_fail():
    world, net, node, shell = world_of("one", holddown=300)
    assert world.run(5000, lambda: at(node) == "one")
    node.dialers["isp"].tunnel.close(None, world.now)
    assert world.run(20_000, lambda: at(node) is None)
    assert world.run(20_000, lambda: at(node) == "one"), "the only one there is"


def test_after_the_hold_down_the_first_server_is_first_again():
    world, net, node, shell = world_of("one", "two", holddown=20)
    assert world.run(5000, lambda: at(node) == "one")
    node.dialers["isp"].tunnel.close(None, world.now)
    assert world.run(20_000, lambda: at(node) == "two")
    world.run(30_000)
    node.dialers["isp"].tunnel.close(None, world.now)
    assert world.run(20_000, lambda: at(node) == "one")


def test_round_robin_begins_with_another_server_each_time():
    world, net, node, shell = world_of("one", "two", round_robin=True, holddown=0)
    seen = []
    for _ in range(4):
        assert world.run(20_000, lambda: at(node) is not None)
        seen.append(at(node))
        node.dialers["isp"].tunnel.close(None, world.now)
        assert world.run(20_000, lambda: at(node) is None)
    assert seen[:2] == seen[2:] and sorted(seen[:2]) == ["one", "two"], seen


def test_round_robin_of_many_devices_does_not_begin_with_the_same_server():
    assert {first_of(seed) for seed in range(1, 9)} == {"one", "two"}


def first_of(seed):
    """The first server of a device."""
    world, net, node, shell = world_of("one", "two", seed=seed, round_robin=True)
    world.run(5000)
    return at(node)
