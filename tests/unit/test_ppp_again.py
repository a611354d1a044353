"""A PPP link that goes down and comes up again."""

from pppwire import BOB, CLIENT, Pair, server


def test_close_and_open_again():
    pair = Pair({}, server())
    pair.run(5000, pair.up)
    pair.a.link.close(pair.world.now)
    assert pair.run(5000, pair.failed)
    assert pair.a.faults[0].cause == "closed by us"
    assert str(pair.b.faults[0]) == "lcp: the peer closed it; the peer said: closed by us"
    assert pair.a.link.phase() == "Dead"
    pair.a.ups = pair.b.ups = 0
    pair.a.link.open(pair.world.now)
    assert pair.run(5000, pair.up)
    assert len(pair.a.faults) == len(pair.b.faults) == 1


def test_lower_layer_goes_and_returns():
    pair = Pair(CLIENT, server("pap"))
    pair.run(5000, pair.up)
    for side in (pair.a, pair.b):
        side.link.lower_down(pair.world.now)
        side.link.lower_down(pair.world.now)
        side.take(pair.world.now)
        assert [str(fault) for fault in side.faults] == ["lcp: the line below went down"]
        side.ups = 0
    assert pair.a.link.poll_at() is None
    for side in (pair.a, pair.b):
        side.link.lower_up(pair.world.now)
    assert pair.run(5000, pair.up)


def test_renegotiation_while_open():
    pair = Pair(CLIENT, server("chap"))
    pair.run(5000, pair.up)
    pair.a.ups = pair.b.ups = 0
    link = pair.b.link  # its LCP starts over, as after a restart of the peer
    link.lcp.down(pair.world.now)
    link.lcp.up(pair.world.now)
    assert pair.run(10000, pair.up)
    assert not pair.a.faults and pair.a.settings["local"] == BOB


def test_ipcp_alone_renegotiates():
    pair = Pair({"address": BOB}, server())
    pair.run(5000, pair.up)
    pair.a.ups = pair.b.ups = 0
    ipcp = pair.a.link.ncps[0]
    ipcp.down(pair.world.now)
    ipcp.up(pair.world.now)
    assert pair.run(5000, pair.up) and not pair.a.faults
