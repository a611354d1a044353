"""An outgoing call end to end: our LNS asks, our LAC has the AT modem dial, and pppd answers."""

import pytest

from peers.capture import assert_well_formed
from peers.modem import AtModem
from peers.needs import need
from peers.service import Laclet, MicroLaclet
from peers.traffic import assert_passes

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"
# pppd answers, shows who it is, and takes the address that it is given.
ANSWERING = ("user user", "password secret", "ipcp-accept-local", "ipcp-accept-remote")


@pytest.fixture(scope="module")
def asker(lab):
    """A namespace for the LNS."""
    return lab.namespace("asker")


def lns(**dialout):
    config = {
        "lns": {"auth": ["chap"], "address": LOCAL, "pool": "10.11.0.10-10.11.0.20"},
        "dialout": {"meter": {"lac": "lac", "number": "5550123", "holdoff": 1, **dialout}},
    }
    return config, {"lns": {"users": {"user": "secret"}}}


def lac(server, device):
    return {
        "hostname": "lac",
        "tunnel": {"nas": {"server": server}},
        "line": {"serial": {"device": device, "modem": "answer", "dial_out": True}},
        "call": {"access": {"tunnel": "nas", "line": "serial"}},
    }


@pytest.mark.parametrize("kind", [Laclet, MicroLaclet], ids=["cpython", "micropython"])
def test_our_lns_has_a_modem_dialled(lab, cpe, here, asker, cable, kind):
    need("pppd")
    with (
        AtModem(cable, cpe, auth="none", pppd=ANSWERING) as modem,
        lab.capture(asker) as capture,
        Laclet(asker, *lns(), name="lns") as service,
        kind(here, lac(asker.address, cable.near), name="lac") as device,
    ):
        modem.said("< ATD5550123")
        _, own, peer = modem.up()
        assert (own, peer) == ("10.11.0.10", LOCAL)
        assert_passes(cpe, own, asker, peer)
        (caller,) = service.status()["laclet"]["lns"]["callers"]
        assert caller["name"] == "user" and caller["called"] == "5550123"
        device.said("the LNS asks for a call to 5550123")

        modem.cut()  # the LNS asks again
        service.said("CDN 1: carrier lost")
        modem.said("< ATD5550123", count=2, timeout=20.0)
        assert modem.up()[2] == LOCAL
    for place in (asker, here):
        assert_well_formed(capture.path, place.address, ("l2tp", "ppp", "lcp", "ipcp"))


def test_a_number_that_nobody_should_dial(cpe, here, asker, cable):
    need("pppd")
    with (
        AtModem(cable, cpe, auth="none") as modem,
        Laclet(asker, *lns(number="1;+CFUN=0"), name="lns") as service,
        Laclet(here, lac(asker.address, cable.near), name="lac"),
    ):
        service.said("CDN 6: invalid destination")
        assert not [line for line in modem.lines if "CFUN" in line]
