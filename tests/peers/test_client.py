"""LAC client: our own PPP end, on TUN, against LNS that we did not write."""

import pytest

from peers.capture import assert_well_formed
from peers.needs import need
from peers.service import Laclet
from peers.traffic import assert_passes
from peers.xl2tpd import SECRET, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

SEEN = ("l2tp", "ppp", "lcp", "ipcp", "icmp", "tcp")


def client(server, secret=None, auth=("chap", "pap"), **call):
    """The configuration and the secrets of a client of `server`."""
    config = {
        "tunnel": {"nas": {"server": server}},
        "call": {"vpn": {"tunnel": "nas", "username": "user", "auth": list(auth), **call}},
    }
    secrets = {"call": {"vpn": {"password": "secret"}}}
    if secret:
        secrets["tunnel"] = {"nas": {"tunnel_secret": secret}}
    return config, secrets


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_xl2tpd_takes_us(lab, lns, here, auth, secret):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns, auth, secret) as server, lab.capture(here) as capture:
        with Laclet(here, *client(lns.address, secret)) as service:
            interface, own, peer = service.up()
            assert (own, peer) == ("10.9.0.10", server.local)
            assert server.up()[1:] == (peer, own)
            assert_passes(here, own, lns, peer, 1_000_000)
            assert service.faults() == []
        server.down()
        here.no_interface(interface)
    assert_well_formed(capture.path, here.address, (*SEEN, auth), secret=secret or "")


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_l2tpns_takes_us(lab, here, l2tpns, auth, secret):
    far = l2tpns.place
    with lab.capture(here) as capture, Laclet(here, *client(far.address, secret, [auth])) as service:
        _, own, peer = service.up()
        assert peer == l2tpns.local
        assert_passes(here, own, far, peer, 1_000_000)
        assert service.faults() == []
    assert_well_formed(capture.path, here.address, (*SEEN, auth), secret=secret or "")


def test_the_way_to_the_lns_does_not_lead_into_the_tunnel(lns, here):
    need("xl2tpd", "pppd")
    before = here.run("ip", "route").out
    with Xl2tpdLns(lns) as server, Laclet(here, *client(lns.address, default_route=True)) as service:
        interface, own, _ = service.up()
        server.up()
        assert interface in here.run("ip", "route", "get", "192.0.2.1").out
        assert "eth0" in here.run("ip", "route", "get", lns.address).out
        assert_passes(here, own, lns, server.local)
    assert here.run("ip", "route").out == before
