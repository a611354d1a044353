# cpython only: both nodes and every module need more than a board has
"""Strong authentication, encryption and IPv6, from the configuration of two nodes to the interfaces."""

from sim.parties import Pair, client, lns

STRONG = {"auth": ["mschap-v2"], "mppe": "require", "ipv6": True}


def test_encrypted_with_both_families():
    p = Pair(lns(**STRONG), client(call=STRONG))
    p.net.trace = []
    assert p.run(5000, p.up)
    p.run(2000)
    ours, theirs = p.shell.interfaces[0], p.lns_shell.interfaces[0]
    assert ours.settings6["local"] == theirs.settings6["remote"]
    assert ours.settings6["remote"] == theirs.settings6["local"]
    assert ours.pings(b"\x0a\x09\0\x01", 3, p.world) == 3
    for _, _, _, frame in p.net.trace:
        assert b"\xff\x03\0\x21" not in frame  # no IPv4 in clear
    assert p.call.settings["mtu"] == 1446
    p.net.link.up = False
    p.run(600_000, lambda: p.call.settings is None)
    assert ours.settings6 is None and p.call.settings6 is None


def test_a_server_that_does_not_encrypt_is_left_and_named():
    p = Pair(lns(auth=["mschap-v2"]), client(call=STRONG))
    p.run(5000)
    assert p.call.settings is None or p.call.settings6 is None
    assert "ccp: the peer does not speak this protocol" in str(p.call.fault)


def test_encryption_that_is_preferred_is_done_without():
    p = Pair(lns(auth=["chap"]), client(call={"mppe": "prefer"}))
    assert p.run(5000, p.up)
    assert p.shell.interfaces[0].pings(b"\x0a\x09\0\x01", 3, p.world) == 3
