"""Bring-up over bad paths: loss 0 to 30 %, repetition, reordering, delay; then data, then an orderly end."""

from sim.net import Network, World
from sim.parties import client, lns
from sim.shell import checked, make

# (loss, repeat, reorder) in percent, one-way delay in ms
PATHS = (
    (0, 0, 0, 1),
    (0, 30, 0, 10),
    (0, 0, 50, 40),
    (5, 5, 5, 20),
    (10, 10, 10, 150),
    (20, 0, 0, 50),
    (20, 20, 40, 300),
    (30, 0, 0, 20),
    (30, 30, 30, 80),
)


def scenario(seed, path, auth, secret):
    """From nothing to up and back; returns simulated ms. Every failure on the way must name a layer."""
    loss, repeat, reorder, delay = path
    change = {"tunnel_secret": "s3cret"} if secret else {}
    world = World(seed)
    network = Network(world, delay=delay, loss=loss, repeat=repeat, reorder=reorder)
    configs = checked(lns(auth=[auth], **change), client(tunnel=change))
    server, server_shell = make(world, network, "lns", configs[0])
    node, shell = make(world, network, "cpe", configs[1])
    call = node.calls["net"]

    def up():
        return call.settings is not None and any(c.settings for c in server.lns.callers.values())

    what = (seed, path, auth, secret)
    assert world.run(900_000, up), (what, shell.lines)
    for _, _, text in shell.lines:
        assert "Traceback" not in text
    for fault in (call.fault, node.dialers["isp"].fault):
        assert fault is None or fault.layer in ("tunnel", "session", "lcp", "auth", "ipcp"), (what, fault)
    # On a path that is whole again, data passes both ways; late copies of what set it up may disturb it until then.
    network.link.loss = network.link.repeat = network.link.reorder = 0
    world.run(10_000)
    assert world.run(60_000, up), what
    local, remote = call.settings["local"], call.settings["remote"]
    assert remote == b"\x0a\x09\x00\x01" and local[:3] == b"\x0a\x09\x00"
    assert shell.interfaces[0].pings(remote, 5, world) == 5, what
    assert server_shell.interfaces[-1].pings(local, 5, world) == 5, what
    network.link.loss, network.link.repeat, network.link.reorder = loss, repeat, reorder
    node.stop(world.now)
    assert world.run(60_000, lambda: node.stopped(world.now)), what
    node.close()
    world.run(400_000)
    assert not node.tunnels() and not server.tunnels(), what
    assert not server.lns.pool._used, what
    return world.elapsed


def test_every_path_every_authentication():
    for path in PATHS:
        for auth in ("pap", "chap"):
            for secret in (False, True):
                scenario(1, path, auth, secret)


def test_many_seeds_on_the_worst_path():
    for seed in range(2, 12):
        scenario(seed, PATHS[-1], "chap", True)
