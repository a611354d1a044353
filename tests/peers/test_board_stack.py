"""A LAC client with ``network.PPP`` over HdlcStream: pppd stands in for lwIP, at the other side of the same stream."""

import pytest

from peers.lab import PROGRAMS
from peers.needs import need
from peers.pppd import PppdSerial
from peers.service import MicroLaclet
from peers.traffic import assert_passes
from peers.xl2tpd import SECRET, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest, pytest.mark.micropython]


class StackLaclet(MicroLaclet):
    """programs/stackboard.py; its PPP is at the tty ``device``."""

    module = "stackboard"

    def __init__(self, place, device, config, secrets):
        super().__init__(place, config, secrets, name="stack")
        self.environment = (("LACLET_PPPD", str(device)), ("MICROPYPATH", f"{PROGRAMS}:.frozen"))


def test_a_ppp_of_the_firmware_reaches_the_lns_through_the_stream(lns, cpe, here, cable):
    need("xl2tpd", "pppd")
    config = {
        "tunnel": {"lns": {"server": lns.address}},
        "call": {"office": {"tunnel": "lns", "username": "user", "interface": "lwip"}},
    }
    secrets = {"tunnel": {"lns": {"tunnel_secret": SECRET}}, "call": {"office": {"password": "secret"}}}
    with Xl2tpdLns(lns, "chap", SECRET) as server, PppdSerial(cpe) as client:
        with StackLaclet(here, cable.near, config, secrets) as laclet:
            laclet.said("network.PPP: security 2 user user")
            _, own, peer = client.up()
            assert (own, peer) == ("10.9.0.10", server.local)
            server.up()
            assert_passes(cpe, own, lns, peer)
            laclet.said(r"\[lwip\]: up: address")
        server.down()
        assert not laclet.faults()
