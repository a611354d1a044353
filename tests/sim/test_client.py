"""LAC client and LNS as nodes: bring-up, faults, redial, all on a virtual clock."""

from sim.parties import Pair, client, lns


def test_up_with_chap_in_six_and_a_half_round_trips():
    p = Pair(delay=50)
    assert p.run(5000, p.up)
    assert p.world.elapsed <= 1 + 650 + 50
    assert p.call.status()["address"] == "10.9.0.10"
    assert p.call.status()["dns"] == ["10.9.0.1"]


def test_pap_and_chap_with_and_without_secret():
    for auth in ("pap", "chap"):
        for secret in (None, "tunnelsecret"):
            comes_up(auth, secret)


def comes_up(auth, secret):
    change = {"tunnel_secret": secret} if secret else {}
    p = Pair(lns(auth=[auth], **change), client(tunnel=change))
    assert p.run(5000, p.up), (auth, secret)


def test_wrong_password_names_the_layer_and_tries_again():
    p = Pair(client_tree=client(call={"password": "wrong"}))
    p.run(20_000)
    assert not p.up()
    assert p.call.fault.layer == "auth"
    assert p.shell.said("auth: ") >= 2
    assert not [1 for line in p.shell.lines + p.lns_shell.lines if "wrong" in line[2] and "secret" in line[2]]


def test_a_call_that_is_never_up_is_given_up_in_the_end():
    p = Pair(client_tree=client(call={"password": "wrong"}, tunnel={"max_redials": 2}))
    assert p.run(60_000, lambda: p.call.gave_up)
    assert p.shell.said("auth: ") == 3 and p.shell.said("giving up") == 1


def test_wrong_tunnel_secret():
    p = Pair(lns(tunnel_secret="one"), client(tunnel={"tunnel_secret": "two"}))
    p.run(20_000)
    assert p.dialer.fault.layer == "tunnel-auth"
    assert p.shell.said("dialling again") >= 2


def test_unreachable_lns_then_the_next_one():
    tree = client(tunnel={"server": ["nowhere", "lns"]})
    p = Pair(client_tree=tree)
    assert p.run(60_000, p.up)
    assert p.shell.said("no answer to SCCRQ") == 1


def test_unknown_name_is_a_dns_fault():
    p = Pair()
    p.shell.names["lns"] = None
    p.dialer.stop(None, p.world.now)
    p.dialer.start(p.world.now)
    p.run(1000)
    assert p.dialer.fault.layer == "dns"
    p.shell.names["lns"] = ["lns"]  # DNS is asked again on every dial
    assert p.run(20_000, p.up)


def test_lns_dies_and_returns():
    p = Pair(client_tree=client(tunnel={"hello_interval": 10}, call={"lcp_echo_interval": 5}))
    assert p.run(5000, p.up)
    p.net.link.up = False
    assert p.run(120_000, lambda: p.dialer.tunnel is None)
    assert p.shell.said("LCP") or p.shell.said("lcp: ")
    p.net.link.up = True
    assert p.run(120_000, p.up)


def test_shutdown_is_orderly():
    p = Pair()
    assert p.run(5000, p.up)
    p.node.stop(p.world.now)
    assert not p.node.stopped(p.world.now)
    assert p.run(1000, lambda: p.node.stopped(p.world.now))
    p.run(100)
    assert not p.lns.lns.callers
    assert p.lns.lns.pool._used == set()
    p.node.close()
    assert p.shell.interfaces[0].closed


def test_lns_shuts_down_and_client_dials_again():
    p = Pair()
    assert p.run(5000, p.up)
    p.lns.stop(p.world.now)
    p.run(500)
    assert p.call.settings is None
    assert p.run(60_000, p.up)


def test_at_level_debug_every_control_packet_is_told_and_no_secret():
    tree = client(call={"password": "hunter2-hunter2"})
    tree["log"] = {"level": "debug"}
    p = Pair(lns(users={"user": "hunter2-hunter2"}, auth=["pap"]), tree)
    assert p.run(5000, p.up)
    told = [text for _, _, text in p.shell.lines if text.startswith(("sent [", "rcvd ["))]
    for part in ("L2TP SCCRQ", "L2TP ICCN", "LCP ConfReq", "PAP AuthReq", "IPCP ConfAck"):
        assert [t for t in told if part in t], part
    assert not [t for _, _, t in p.shell.lines if "hunter2" in t]


def test_identification_and_reports_of_what_is_lost():
    both = {"identification": "it is me", "lqr_interval": 2}
    p = Pair(lns(**both), client(call=dict(both, callback=True)))
    assert p.run(5000, p.up)
    p.run(10_000)
    (caller,) = p.lns.lns.callers.values()
    for link in (p.call.link, caller.link):
        status = link.status()
        assert status["identification"] == "it is me"
        assert status["quality"] == {"lost_out": 0, "lost_in": 0}
    caller.link.extras.time_remaining(60, b"maintenance", p.world.now)
    p.run(100)
    assert p.shell.said("the peer will end this in 60 s: maintenance") == 1


def test_an_lns_has_to_prove_itself_where_it_is_asked():
    asked = {"peer_auth": ["chap"], "peer_username": "lns", "peer_password": "theirs"}
    p = Pair(lns(password="theirs"), client(call=asked))
    assert p.run(5000, p.up)
    assert p.call.link.peer_name == b"lns"


def test_an_lns_that_cannot_prove_itself_is_left():
    asked = {"peer_auth": ["chap"], "peer_password": "theirs"}
    for server in ({"password": "another"}, {}):
        left(server, asked)


def left(server, asked):
    p = Pair(lns(**server), client(call=asked))
    p.run(20_000)
    assert not p.up() and p.call.fault.layer == "auth", p.call.fault


def test_avps_are_hidden_by_those_who_want_it():
    for here, there in ((True, True), (True, False), (False, True)):
        assert hiders(here, there) == {"cpe": here, "lns": there}


def hiders(here, there):
    """Who hides AVPs of its call."""
    secret = {"tunnel_secret": "s3cret"}
    p = Pair(lns(hidden_avps=there, **secret), client(tunnel=dict(secret, hidden_avps=here)))
    p.net.trace = []
    assert p.run(5000, p.up)
    found = {"cpe": False, "lns": False}
    for _, source, _, data in p.net.trace:
        at = 12
        while data[0] & 0x80 and at < len(data):
            found[source[0]] = found[source[0]] or bool(data[at] & 0x40)
            at += (data[at] & 3) << 8 | data[at + 1]
    return found
