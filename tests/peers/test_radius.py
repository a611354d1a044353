"""Callers of our LNS judged by freeradius: every method, the address and the keys it gives, and what it counts."""

import re

import pytest

from peers.needs import need
from peers.radius import SECRET, FreeRadius
from peers.service import Laclet
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdClient

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"
FIXED = "10.11.0.77"
USERS = {
    "user": ("secret", [f"Framed-IP-Address = {FIXED}", "Class = 0x626c7565"]),
    "brief": ("secret", ["Session-Timeout = 3"]),
}


@pytest.fixture(scope="module")
def rack(lab):
    """A namespace for the LNS and its RADIUS server."""
    return lab.namespace("rack")


@pytest.fixture(scope="module")
def radius(rack):
    need("freeradius")
    with FreeRadius(rack, USERS) as server:
        yield server


def lns_with(auth, secret=SECRET, **options):
    config = {
        "auth": [auth],
        "address": LOCAL,
        "pool": "10.11.0.10-10.11.0.20",
        "radius": "127.0.0.1",
        "radius_accounting": "127.0.0.1",
        "radius_timeout": 1,
        "radius_retries": 1,
        **options,
    }
    return {"lns": config}, {"lns": {"radius_secret": secret}}


@pytest.mark.parametrize("auth", ["pap", "chap", "mschap", "mschap-v2", "eap"])
def test_freeradius_judges_and_gives_an_address(cpe, rack, radius, auth):
    need("xl2tpd", "pppd")
    with Laclet(rack, *lns_with(auth)) as service, Xl2tpdClient(cpe, rack.address) as caller:
        caller.dial()
        _, own, peer = caller.up()
        assert (own, peer) == (FIXED, LOCAL)
        service.up()
        assert_passes(cpe, own, rack, peer)
        (call,) = service.status()["laclet"]["lns"]["callers"]
        assert call["name"] == "user" and service.faults() == []


@pytest.mark.parametrize("auth", ["mschap", "mschap-v2", "eap"])
def test_keys_of_freeradius_encrypt(cpe, rack, radius, auth):
    need("xl2tpd", "pppd")
    with (
        Laclet(rack, *lns_with(auth, mppe="require")) as service,
        Xl2tpdClient(cpe, rack.address, pppd=("require-mppe-128",)) as caller,
    ):
        caller.dial()
        _, own, peer = caller.up()
        caller.pppd_said("MPPE 128-bit stateless compression enabled")
        service.up()
        assert_passes(cpe, own, rack, peer)
        assert service.faults() == []


@pytest.mark.parametrize("auth", ["pap", "chap", "mschap", "mschap-v2", "eap"])
def test_freeradius_refuses(cpe, rack, radius, auth):
    need("xl2tpd", "pppd")
    with (
        Laclet(rack, *lns_with(auth)) as service,
        Xl2tpdClient(cpe, rack.address, password="wrong") as caller,
    ):
        caller.dial()
        service.said("auth: .*wrong name or password: user")
        caller.pppd_said("authentication failed|Failure|failed to authenticate")
        assert SECRET not in service.text() and "wrong\n" not in service.text()


def test_calls_are_counted_and_end_in_time(cpe, rack, radius):
    need("xl2tpd", "pppd")
    with Laclet(rack, *lns_with("chap")) as service, Xl2tpdClient(cpe, rack.address, user="brief") as caller:
        caller.dial()
        _, own, peer = caller.up()
        assert (own, peer) == ("10.11.0.10", LOCAL)
        assert_passes(cpe, own, rack, peer)
        service.said("the caller's time is over")
        caller.down()
        radius.accounted("Acct-Terminate-Cause = Session-Timeout")
    text = rack.read("raddb/detail")
    start, stop = [part for part in text.split("\n\n") if 'User-Name = "brief"' in part]
    assert "Acct-Status-Type = Start" in start and "Framed-IP-Address = 10.11.0.10" in start
    assert "Acct-Status-Type = Stop" in stop and "Acct-Input-Octets = " in stop


def test_no_server_and_another_secret(cpe, rack, radius):
    need("xl2tpd", "pppd")
    for options, said in (
        ({"radius": "127.0.0.1:1899"}, "no answer from 127.0.0.1 port 1899"),
        ({"secret": "another"}, "no answer from a RADIUS server"),
    ):
        with Laclet(rack, *lns_with("pap", **options)) as service, Xl2tpdClient(cpe, rack.address) as caller:
            caller.dial()
            service.said(said)
            service.said("auth: no answer from a RADIUS server")


def test_the_next_server_is_asked(cpe, rack, radius):
    need("xl2tpd", "pppd")
    servers = ["127.0.0.1:1899", "127.0.0.1"]
    with Laclet(rack, *lns_with("chap", radius=servers)) as service, Xl2tpdClient(cpe, rack.address) as caller:
        caller.dial()
        assert caller.up()[1] == FIXED
        service.said("no answer from 127.0.0.1 port 1899")


def test_what_the_kernel_moves_is_counted(lns, cpe):
    """LNS and RADIUS server in a guest, whose kernel carries the packets of callers."""
    need("xl2tpd", "pppd", "freeradius")
    config, secrets = lns_with("chap", data_plane="kernel")
    with FreeRadius(lns, USERS) as server:
        with Laclet(lns, config, secrets) as service, Xl2tpdClient(cpe, lns.address) as caller:
            caller.dial()
            _, own, peer = caller.up()
            service.up("laclet[0-9]+|ppp[0-9]+")
            assert_passes(cpe, own, lns, peer, 200_000)
        server.accounted("Acct-Status-Type = Stop")
        text = lns.read("raddb/detail")
    octets = [int(number) for number in re.findall(r"Acct-(?:Input|Output)-Octets = (\d+)", text)]
    assert len(octets) == 2 and min(octets) > 200_000, text
