"""Data packets with numbers, and with a class of service: what the kernel's L2TP and a dissector see of them."""

import pytest

from peers.capture import assert_well_formed
from peers.needs import need
from peers.service import Laclet
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"
NUMBERED = ("pppol2tp_send_seq", "pppol2tp_recv_seq")
DATA = "l2tp.type == 0"


@pytest.fixture(scope="module")
def office(lab):
    """A namespace for an LNS of ours."""
    return lab.namespace("office")


def client(server, **tunnel):
    config = {
        "tunnel": {"nas": {"server": server, **tunnel}},
        "call": {"vpn": {"tunnel": "nas", "username": "user"}},
    }
    return config, {"call": {"vpn": {"password": "secret"}}}


def lns_of_ours(**options):
    config = {"lns": {"auth": ["chap"], "address": LOCAL, "pool": "10.11.0.10-10.11.0.20", **options}}
    return config, {"lns": {"users": {"user": "secret"}}}


def count(capture, source, what):
    """How many packets of `source` match a display filter of tshark."""
    return len(capture.frames(keep=f"ip.src == {source} and ({what})"))


def assert_all(capture, source, what):
    """Of the data packets of `source` there are many, though segments may go as one, and each matches `what`."""
    assert count(capture, source, DATA) > 20
    assert count(capture, source, f"{DATA} and not ({what})") == 0


@pytest.mark.parametrize("ours", [True, False], ids=["both ask", "we follow"])
def test_the_kernel_as_lns_numbers_packets_and_so_do_we(lab, lns, here, ours):
    need("xl2tpd", "pppd")
    # The kernel drops what has no number, and xl2tpd does not tell us so: to follow, we have to hear its pppd first.
    silent = ["silent"] if ours else []
    with Xl2tpdLns(lns, pppd=(*silent, *NUMBERED)) as server, lab.capture(here) as capture:
        with Laclet(here, *client(lns.address, sequencing=ours)) as service:
            _, own, peer = service.up()
            server.up()
            assert_passes(here, own, lns, peer, 300_000)
            assert service.faults() == []
        server.down()
    assert_well_formed(capture.path, here.address)
    assert count(capture, lns.address, f"{DATA} and l2tp.seq_bit == 1") > 100
    assert count(capture, here.address, f"{DATA} and l2tp.seq_bit == 1") > 100
    if ours:
        assert_all(capture, here.address, "l2tp.seq_bit == 1")


def test_the_kernel_as_client_numbers_packets_and_so_do_we(lab, cpe, here):
    need("xl2tpd", "pppd")
    with (
        Laclet(here, *lns_of_ours(sequencing=True)) as service,
        lab.capture(here) as capture,
        Xl2tpdClient(cpe, here.address, pppd=NUMBERED) as caller,
    ):
        caller.dial()
        _, own, peer = caller.up()
        service.up()
        assert_passes(cpe, own, here, peer, 300_000)
        (call,) = service.status()["laclet"]["lns"]["callers"]
        assert call["session"]["lost"] == 0 and service.faults() == []
    assert_well_formed(capture.path, here.address)
    assert_all(capture, here.address, "l2tp.seq_bit == 1")
    assert_all(capture, cpe.address, "l2tp.seq_bit == 1")


def test_packets_are_marked_as_agreed(lab, here, office):
    with (
        Laclet(office, *lns_of_ours(dscp=46), name="lns"),
        lab.capture(here) as capture,
        Laclet(here, *client(office.address, dscp=10)) as service,
    ):
        _, own, peer = service.up()
        assert_passes(here, own, office, peer, 300_000)
        (tunnel,) = service.status()["laclet"]["tunnels"].values()
        assert tunnel["tunnel"]["dscp"] == 46, "who answers has the last word"
    assert_well_formed(capture.path, here.address)
    assert_all(capture, here.address, "ip.dsfield.dscp == 46")
    assert_all(capture, office.address, "ip.dsfield.dscp == 46")


def test_a_peer_that_knows_no_classes_gets_unmarked_packets(lab, lns, here):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns), lab.capture(here) as capture, Laclet(here, *client(lns.address, dscp=46)) as service:
        _, own, peer = service.up()
        assert_passes(here, own, lns, peer)
    assert count(capture, here.address, "ip.dsfield.dscp != 0") == 0


def test_xl2tpd_reads_what_we_hide(lab, lns, here):
    need("xl2tpd", "pppd")
    ours, passwords = client(lns.address, hidden_avps=True)
    passwords["tunnel"] = {"nas": {"tunnel_secret": "tunnelsecret"}}
    with Xl2tpdLns(lns, secret="tunnelsecret") as server, lab.capture(here) as capture:
        with Laclet(here, ours, passwords) as service:
            _, own, peer = service.up()
            server.up()
            assert_passes(here, own, lns, peer)
            assert service.faults() == []
        server.down()
    for message in (10, 12):  # ICRQ, ICCN
        assert count(capture, here.address, f"l2tp.avp.message_type == {message} and l2tp.avp.hidden == 1") == 1
    assert_well_formed(capture.path, here.address, secret="tunnelsecret")
