"""A board whose uplink is PPP on a UART: pppd at its end, dnsmasq behind it, and xl2tpd in the net."""

import re

import pytest

from peers.modem import AtModem
from peers.needs import need
from peers.pppd import CLIENT, PppdSerial
from peers.service import MicroLaclet
from peers.services import Dnsmasq
from peers.traffic import ping
from peers.xl2tpd import SECRET, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest, pytest.mark.micropython]


@pytest.fixture(autouse=True)
def heap(monkeypatch):
    """Two PPP links, a host in user space and a modem need more than a LAC: this is a Pico's."""
    monkeypatch.setattr("peers.service.HEAP", "192K")


@pytest.fixture
def routed(lns, cpe):
    """`cpe` is a router between the serial line and the net of `lns`."""
    cpe.run("sysctl -qw net.ipv4.ip_forward=1")
    lns.run(f"ip route replace {CLIENT} via {cpe.address}")
    yield
    lns.run(f"ip route del {CLIENT}")


def board(here, cable, **line):
    """A LAC client behind a modem."""
    return MicroLaclet(
        here,
        {
            "tunnel": {"lns": {"server": "lns.example", "holdoff": 0.2}},
            "line": {"port": {"device": str(cable.near), **line}},
            "uplink": {"cell": {"kind": "modem", "line": "port", "username": "user"}},
            "call": {"office": {"tunnel": "lns", "username": "user"}},
        },
        {
            "tunnel": {"lns": {"tunnel_secret": SECRET}},
            "uplink": {"cell": {"password": "secret"}},
            "call": {"office": {"password": "secret"}},
        },
        name="board",
    )


def test_a_tunnel_through_ppp_on_a_wire(lns, cpe, here, cable, routed):
    need("xl2tpd", "pppd", "dnsmasq")
    with Xl2tpdLns(lns, "chap", SECRET), PppdSerial(cpe, auth="chap"), Dnsmasq(cpe, {"lns.example": lns.address}):
        with board(here, cable) as laclet:
            laclet.said(rf"\[uplink\]: cell is used, address {re.escape(CLIENT)}")
            laclet.said(rf"connecting to {re.escape(lns.address)} port 1701")
            laclet.said(r"\[call.office\]: up: address 10\.9\.0\.10, peer 10\.9\.0\.1")
            for size in (56, 1350):
                assert len(ping(lns, "10.9.0.1", "10.9.0.10", size=size)) == 3
        assert not [fault for fault in laclet.faults() if "shut" not in fault]


def test_the_modem_is_dialled_again_and_the_tunnel_comes_back(lns, cpe, here, cable, routed):
    need("xl2tpd", "pppd", "dnsmasq")
    with (
        Xl2tpdLns(lns, "chap", SECRET),
        Dnsmasq(cpe, {"lns.example": lns.address}),
        AtModem(cable, cpe, auth="chap") as modem,
        board(here, cable, modem="dial", number="*99#", init=['AT+CGDCONT=1,"IP","internet"']) as laclet,
    ):
        laclet.said(r"\[call.office\]: up: address 10\.9\.0\.10")
        modem.hang_up()
        laclet.said("none is up")
        laclet.said("cell is up again", timeout=60)
        assert len(ping(lns, "10.9.0.1", "10.9.0.10")) == 3  # the tunnel has not noticed: the address is the same
