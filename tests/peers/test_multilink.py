"""Multilink with pppd over two L2TP tunnels: both roles, fragments on both links, the loss of one."""

import pytest

from peers.capture import assert_well_formed
from peers.needs import need
from peers.service import Laclet
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"
SEEN = ("l2tp", "ppp", "lcp", "chap", "mp", "ipcp", "icmp", "tcp")
# pppd fragments a packet for all links that are idle; each gets its part of a large one.
MULTILINK = ("multilink", "mrru 1500", "lcp-echo-interval 2", "lcp-echo-failure 2")


def client(server):
    """Two tunnels to one LNS, with one bundle in them."""
    tunnel = {"server": server, "hello_interval": 2, "max_retries": 2, "redial_timeout": 2}
    call = {"tunnels": ["one", "two"], "multilink": True, "username": "user", "lcp_echo_interval": 2}
    config = {"tunnel": {"one": tunnel, "two": dict(tunnel)}, "call": {"vpn": {**call, "lcp_echo_failure": 2}}}
    return config, {"call": {"vpn": {"password": "secret"}}}


def sessions(service):
    """``(packets sent, packets received)`` of every link that we have as a client."""
    (call,) = service.status()["laclet"]["calls"].values()
    return [(leg["session"]["tx_packets"], leg["session"]["rx_packets"]) for leg in call["legs"] if leg["session"]]


def assert_spread(before, after):
    """Every link has carried its part of a transfer, both ways."""
    assert len(before) == len(after) == 2
    for old, new in zip(before, after, strict=True):
        assert new[0] - old[0] > 100 and new[1] - old[1] > 100, (before, after)


def test_we_call_pppd_through_two_tunnels(lab, lns, here):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns, pppd=("silent", *MULTILINK)) as server, lab.capture(here) as capture:
        with Laclet(here, *client(lns.address)) as service:
            service.said("links: 2")
            _, own, peer = service.up()
            server.up()
            before = sessions(service)
            assert_passes(here, own, lns, peer, 500_000)
            assert_spread(before, sessions(service))
            assert service.faults() == []
        server.down()
    assert_well_formed(capture.path, here.address, SEEN)


class Cut:
    """Nothing passes from or to a UDP port of a namespace, as long as this lasts."""

    def __init__(self, place, port):
        self.place = place
        self.port = port

    def __enter__(self):
        self.place.run("nft", "add table ip cut")
        for hook, way in (("output", "sport"), ("input", "dport")):
            chain = f"add chain ip cut {hook} {{ type filter hook {hook} priority 0; }}"
            self.place.run("nft", chain)
            self.place.run("nft", f"add rule ip cut {hook} udp {way} {self.port} drop")

    def __exit__(self, *exc):
        self.place.run("nft", "delete table ip cut")


def test_one_of_our_links_is_lost_and_returns(lns, here):
    need("xl2tpd", "pppd", "nft")
    config, secrets = client(lns.address)
    config["tunnel"]["two"]["source_port"] = 1799
    with Xl2tpdLns(lns, pppd=("silent", *MULTILINK)) as server, Laclet(here, config, secrets) as service:
        service.said("links: 2")
        _, own, peer = service.up()
        server.up()
        with Cut(here, 1799):
            service.said("lcp: no answer|tunnel: the peer no longer answers")
            server.pppd_said("Link terminated", timeout=20.0)  # until then it sends into the dead link
            assert_passes(here, own, lns, peer, 100_000)
        service.said("links: 2", count=2)
        before = sessions(service)
        assert_passes(here, own, lns, peer, 500_000)
        assert_spread(before, sessions(service))
        assert service.text().count(f"up: address {own}") == 1


def test_pppd_calls_us_through_two_tunnels(lab, cpe, here):
    need("xl2tpd", "pppd")
    config = {"lns": {"auth": ["chap"], "address": LOCAL, "pool": "10.11.0.10-10.11.0.20", "multilink": True}}
    one, two = [
        Xl2tpdClient(cpe, here.address, pppd=MULTILINK, name=f"client{port}", port=port) for port in (1701, 1702)
    ]
    with Laclet(here, config, {"lns": {"users": {"user": "secret"}}}) as service, lab.capture(here) as capture:
        with one:
            two.start()
            one.dial()
            _, own, peer = one.up()
            two.dial()
            service.said("links: 2")
            assert (own, peer) == ("10.11.0.10", LOCAL)
            service.up()
            assert_passes(cpe, own, here, peer, 500_000)
            for caller in service.status()["laclet"]["lns"]["callers"]:
                assert min(caller["session"]["tx_packets"], caller["session"]["rx_packets"]) > 100
            two.process.stop(9)  # one link is dead
            service.said("no answer to")
            assert_passes(cpe, own, here, peer, 100_000)
        here.no_address("laclet[0-9]+|tun[0-9]+")
        service.said("ended with its last link")
    assert_well_formed(capture.path, here.address, SEEN)
