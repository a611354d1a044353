"""The kernel plane in guests: the kernel's L2TP and PPP move the packets of our sessions with xl2tpd and pppd."""

import re

import pytest

from peers.capture import assert_well_formed
from peers.needs import need
from peers.service import Laclet
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"
SECRETS = {"call": {"vpn": {"password": "secret"}}}
USERS = {"lns": {"users": {"user": "secret"}}}
SESSIONS = "/proc/net/pppol2tp"


def client(server, tunnel=None, **call):
    """A client of `server` with the kernel plane."""
    call = {"tunnel": "nas", "username": "user", "data_plane": "kernel", **call}
    return {"tunnel": {"nas": {"server": server, **(tunnel or {})}}, "call": {"vpn": call}}


def server(**lns):
    """An LNS with the kernel plane."""
    return {
        "lns": {
            "auth": ["chap"],
            "address": LOCAL,
            "pool": "10.11.0.10-10.11.0.20",
            "data_plane": "kernel",
            **lns,
        }
    }


def sessions(guest):
    """``(our session id, peer's, packets sent, received)`` of each session that the kernel of a guest has."""
    found = re.findall(
        r"SESSION 'sess \d+/(?!0')\d+' \S+ \w+/(\w+) -> \w+/(\w+) .*\n.*\n\s+\S+ (\d+)/\d+/\d+ (\d+)/",
        guest.run("cat", SESSIONS).out,
    )
    return [(int(own, 16), int(peer, 16), int(sent), int(received)) for own, peer, sent, received in found]


def packets(guest, interface):
    """``(sent, received)`` of an interface by the kernel's count."""
    folder = f"/sys/class/net/{interface}/statistics"
    return int(guest.run("cat", f"{folder}/tx_packets").out), int(guest.run("cat", f"{folder}/rx_packets").out)


def assert_nothing_left(guest, service):
    """The service has ended, and with it everything it had in the kernel."""
    assert service.stop() == 5
    assert "TUNNEL '" not in guest.run("cat", SESSIONS).out
    assert "ppp" not in guest.run("ip", "-br", "link").out
    assert "proto 172" not in guest.run("ip", "route").out


def test_the_kernel_moves_the_packets_of_our_session(lab, lns, cpe):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns) as there, lab.capture(cpe) as capture:
        with Laclet(cpe, client(lns.address, ifname="office", routes=["10.99.0.0/24"]), SECRETS) as service:
            interface, own, peer = service.up("office")
            assert (own, peer) == ("10.9.0.10", there.local)
            there.up()
            assert "10.99.0.0/24 dev office" in cpe.run("ip", "route").out
            (before,) = sessions(cpe)
            assert_passes(cpe, own, lns, peer, 1_000_000)
            (after,) = sessions(cpe)
            assert min(after[2] - before[2], after[3] - before[3]) > 500
            assert min(packets(cpe, interface)) > 500
            call = service.status()["laclet"]["calls"]["vpn"]
            assert (call["interface"], call["plane"]) == ("office", "kernel")
            assert (call["session"]["local_session"], call["session"]["peer_session"]) == after[:2]
            assert min(call["session"]["tx_packets"], call["session"]["rx_packets"]) > 500
            assert service.faults() == []
            assert_nothing_left(cpe, service)
        there.down()
    assert_well_formed(capture.path, cpe.address, ("l2tp", "lcp", "chap", "ipcp", "icmp", "tcp"))
