"""Proxy LCP and authentication beside programs that know nothing of them: an LNS that negotiates, a host on a line."""

import pytest

from peers.capture import assert_well_formed
from peers.needs import need
from peers.pppd import PppdSerial
from peers.service import Laclet
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"


@pytest.mark.parametrize("pppd", ["silent", "nosilent"])
@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_xl2tpd_heeds_no_proxy_avps(lab, lns, here, auth, pppd):
    need("xl2tpd", "pppd")
    config = {
        "tunnel": {"nas": {"server": lns.address}},
        "call": {"vpn": {"tunnel": "nas", "username": "user", "auth": [auth], "proxy": True}},
    }
    options = ("silent",) if pppd == "silent" else ()
    with Xl2tpdLns(lns, auth, pppd=options) as server, lab.capture(here) as capture:
        with Laclet(here, config, {"call": {"vpn": {"password": "secret"}}}) as service:
            _, own, peer = service.up()
            server.up()
            assert_passes(here, own, lns, peer)
            assert service.faults() == []
        server.down()
    assert_well_formed(capture.path, here.address, ("l2tp", "ppp", "lcp", "ipcp", auth))


def lac(server, device):
    """A LAC that hears the host on its line before the LNS does."""
    return {
        "tunnel": {"nas": {"server": server}},
        "line": {"serial": {"device": device}},
        "call": {"access": {"tunnel": "nas", "line": "serial", "proxy": True}},
    }


def test_pppd_on_a_line_logs_in_at_an_lns_that_negotiates(lns, cpe, here, cable):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns) as server, Laclet(here, lac(lns.address, cable.near)), PppdSerial(cpe) as host:
        _, own, peer = host.up()
        assert (own, peer) == ("10.9.0.10", server.local)
        server.up()
        assert_passes(cpe, own, lns, peer)


@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_pppd_on_a_line_logs_in_at_an_lns_that_accepts(cpe, here, cable, auth):
    need("pppd")
    config = {"lns": {"auth": [auth], "address": LOCAL, "pool": "10.11.0.10-10.11.0.20", "proxy": "accept"}}
    lns = Laclet(here, config, {"lns": {"users": {"user": "secret"}}}, name="lns")
    other = ["refuse-chap"] if auth == "pap" else []
    with lns as service, Laclet(here, lac(here.address, cable.near)), PppdSerial(cpe, pppd=other) as host:
        _, own, peer = host.up()
        assert (own, peer) == ("10.11.0.10", LOCAL)
        assert_passes(cpe, own, here, peer)
        text = host.pppd_text()
        assert text.count("sent [LCP ConfAck") == 1, "LCP was negotiated again"
        (caller,) = service.status()["laclet"]["lns"]["callers"]
        assert caller["name"] == "user" and service.faults() == []
