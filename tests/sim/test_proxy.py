"""Proxy LCP and authentication (RFC 2661 §4.4.5): round trips of every way to IP, clients and hosts behind a LAC."""

from laclet.ppp import proxy
from sim.lacdesk import LAC, Desk, PppHost
from sim.net import Network, World
from sim.parties import Pair, client, lns
from sim.shell import checked, make

DELAY = 100  # ms one way
DNS = 1  # ms for the name
ACK = 20  # ms until an acknowledgment flies by itself


def setup(server=None, caller=None):
    """Round trips from the SCCRQ until IP is up at the caller."""
    p = Pair(lns(**(server or {})), client(call=caller or {}), delay=DELAY)
    assert p.run(20_000, lambda: p.call.settings is not None)
    trips = (p.world.elapsed - DNS) / (2 * DELAY)
    assert p.run(5000, p.up)
    assert p.shell.interfaces[0].pings(b"\x0a\x09\x00\x01", 2, p.world) == 2
    assert [fault for fault in p.shell.lines + p.lns_shell.lines if fault[0] in ("warning", "error")] == []
    return trips


def test_four_round_trips_with_a_willing_lns():
    for auth in ("chap", "pap"):
        assert setup({"proxy": "accept", "auth": [auth]}, {"proxy": True, "auth": [auth]}) == 4
    assert setup({"proxy": "accept", "auth": []}, {"proxy": True}) == 4  # who asks no proof may be given one


def test_falling_back_costs_nothing_with_an_lns_that_negotiates():
    for auth in ("chap", "pap"):
        plain = setup({"auth": [auth]})
        assert setup({"auth": [auth]}, {"proxy": True}) <= plain + 1
        # It accepts none of what we offer, for it wants another proof.
        other = {"chap": "pap", "pap": "chap"}[auth]
        trips = setup({"auth": [auth], "proxy": "accept"}, {"proxy": True, "auth": [other, auth]})
        assert trips <= plain + 1, (auth, plain, trips)


def silent(node):
    """Make an LNS one that heeds no proxy AVPs and lets the caller begin."""
    take_over = node.lns.take_over

    def wait(link, avps, now):
        take_over(link, avps, now)
        link.open(now)
        link.lcp.state = 3  # Stopped: it waits for a Configure-Request
        return True

    node.lns.take_over = wait


def test_falling_back_costs_one_round_trip_with_an_lns_that_waits():
    trips = [with_a_silent_lns(wanted) for wanted in (False, True)]
    assert trips[1] <= trips[0] + 1 + (proxy.GRACE + ACK) / (2 * DELAY), trips


def with_a_silent_lns(wanted):
    """Round trips until IP is up."""
    p = Pair(lns(), client(call={"proxy": wanted}), delay=DELAY)
    silent(p.lns)
    assert p.run(20_000, lambda: p.call.settings is not None)
    assert p.shell.said("lcp: ") == 0
    return (p.world.elapsed - DNS) / (2 * DELAY)


def test_a_wrong_password_is_told_and_the_next_try_negotiates():
    p = Pair(lns(proxy="accept"), client(call={"proxy": True, "password": "wrong"}))
    p.run(20_000)
    assert p.call.fault.layer == "auth" and p.lns_shell.said("wrong name or password") >= 2


def test_what_cannot_be_proxied_is_negotiated():
    p = Pair(lns(proxy="accept", auth=["mschap-v2"]), client(call={"proxy": True, "auth": ["mschap-v2"]}))
    assert p.run(5000, p.up)


def test_loss_and_repetition():
    for seed in range(4):
        comes_up(seed)


def comes_up(seed):
    p = Pair(lns(proxy="accept"), client(call={"proxy": True}), seed, delay=30, loss=20, repeat=20, reorder=20)
    assert p.run(600_000, p.up), seed


class ProxyDesk(Desk):
    """The Desk of lacdesk, whose LAC hears the host first."""

    def __init__(self, lns_tree, password=b"secret", **link):
        self.world = World(1)
        self.net = Network(self.world, **link)
        tree = dict(LAC, call={"meter": dict(LAC["call"]["meter"], proxy=True)})
        server, lac = checked(lns_tree, tree)
        self.lns, self.lns_shell = make(self.world, self.net, "lns", server)
        self.node, self.shell = make(self.world, self.net, "lac", lac)
        self.call = self.node.calls["meter"]
        self.wire = self.shell.wires[0]
        self.host = PppHost(self.world, self.wire, password)
        self.world.add(self.node, self.wire.pump)


def test_a_host_on_a_line_is_heard_by_the_lac_and_judged_by_the_lns():
    for how in ("accept", "renegotiate"):
        for auth in ("chap", "pap"):
            is_heard_and_judged(how, auth)


def is_heard_and_judged(how, auth):
    d = ProxyDesk(lns(proxy=how, auth=[auth]))
    d.world.run(500)
    if auth == "pap":
        d.host.link.auth = ("pap",)
    d.dial()
    assert d.world.run(9000, d.up), (how, auth, d.shell.lines)
    assert d.pings() == 3
    (caller,) = d.lns.lns.callers.values()
    assert caller.link.peer_name == b"user" and caller.link.lcp.proxied == (how == "accept")
    assert d.call.line.joined is d.call.session
    d.host.link.close(d.world.now)  # and once more
    assert d.world.run(9000, lambda: d.call.session is None)
    d.world.run(2000)
    d.dial()
    assert d.world.run(9000, d.up), (how, auth)


def test_an_lns_that_waits_is_woken():
    d = ProxyDesk(lns())
    silent(d.lns)
    d.world.run(500)
    d.dial()
    assert d.world.run(9000, d.up) and d.pings() == 3


def test_a_host_with_a_wrong_password_is_sent_away_by_the_lns():
    d = ProxyDesk(lns(proxy="accept"), b"wrong")
    d.world.run(500)
    d.dial()
    assert d.world.run(9000, lambda: d.host.fault is not None)
    assert d.host.fault.layer == "auth" and d.lns_shell.said("wrong name or password") >= 1
    assert d.world.run(9000, lambda: d.call.session is None)


def test_a_host_that_will_not_say_who_it_is():
    d = ProxyDesk(lns(proxy="accept"))
    d.host.link.auth = ()
    d.world.run(500)
    d.dial()
    assert d.world.run(60_000, lambda: d.call.fault is not None)
    assert d.call.session is None and d.call._screen is None and not d.lns.lns.callers
    assert d.call.fault.layer == "auth"
