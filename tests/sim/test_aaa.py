# cpython only: boards ask no RADIUS server
"""Callers whose log-ins another judges: what they are granted, how long they may stay, and what is counted."""

from sim.parties import Pair, client, lns


def pair(delay=40, **granted):
    p = Pair(lns(radius="127.0.0.1", radius_secret="s3cret", users={}), client())
    p.radius = p.lns_shell.radius
    p.radius.delay = delay
    p.radius.users[b"user"] = (b"secret", granted)
    return p


def test_the_address_is_the_servers():
    p = pair(address=b"\x0a\x09\0\x0c", session_timeout=None)
    assert p.run(5000, p.up)
    assert p.call.status()["address"] == "10.9.0.12"
    (asked,) = p.radius.asked
    assert asked[0]["method"] == "chap" and asked[1]["session"][:4] == "lns."
    assert 2 in p.lns.lns.pool._used, "the pool gives it to nobody else"


def test_without_one_it_is_the_pools():
    p = pair()
    assert p.run(5000, p.up)
    assert p.call.status()["address"] == "10.9.0.10"


def test_a_wrong_password_and_a_silent_server():
    p = pair()
    p.radius.users[b"user"] = (b"another", {})
    p.run(5000)
    assert p.call.fault.layer == "auth" and not p.radius.counted
    p = pair(delay=None)
    p.run(60_000)
    assert not p.up() and p.call.fault.layer == "auth" and len(p.radius.asked) > 1


def test_begin_and_end_are_counted():
    p = pair(**{"class": [b"blue"]})
    assert p.run(5000, p.up)
    p.run(2000)
    ((what, about),) = p.radius.counted
    assert what == "start" and about["name"] == b"user" and about["address"] == "10.9.0.10"
    p.node.stop(p.world.now)
    p.run(5000)
    what, about, cause = p.radius.counted[1]
    assert what == "stop" and about["class"] == [b"blue"] and about["name"] == b"user" and about["rx_bytes"] > 0
    assert "call cleared by the peer" in cause and len(p.radius.counted) == 2
    p.lns.close()
    assert p.radius.closed


def test_a_time_that_is_over_ends_the_call():
    for seconds in (3, 2 * 86_400 + 5):  # the second takes longer than one deadline of the core may
        over(seconds)


def over(seconds):
    p = pair(session_timeout=seconds)
    p.call.config["lcp_echo_interval"] = 0
    assert p.run(5000, p.up)
    begin = p.world.elapsed
    assert p.run((seconds + 10) * 1000, lambda: p.lns_shell.said("the caller's time is over") > 0)
    assert seconds * 1000 - 200 <= p.world.elapsed - begin <= seconds * 1000 + 200
