"""Callers of our LNS judged by freeradius: every method, the address and the keys it gives, and what it counts."""

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


def lns(auth, secret=SECRET, **options):
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
    with Laclet(rack, *lns(auth)) as service, Xl2tpdClient(cpe, rack.address) as caller:
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
        Laclet(rack, *lns(auth, mppe="require")) as service,
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
        Laclet(rack, *lns(auth)) as service,
        Xl2tpdClient(cpe, rack.address, password="wrong") as caller,
    ):
        caller.dial()
        service.said("auth: .*wrong name or password: user")
        caller.pppd_said("authentication failed|Failure|failed to authenticate")
        assert SECRET not in service.text() and "wrong\n" not in service.text()


def test_calls_are_counted_and_end_in_time(cpe, rack, radius):
    need("xl2tpd", "pppd")
    with Laclet(rack, *lns("chap")) as service, Xl2tpdClient(cpe, rack.address, user="brief") as caller:
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
        with Laclet(rack, *lns("pap", **options)) as service, Xl2tpdClient(cpe, rack.address) as caller:
            caller.dial()
            service.said(said)
            service.said("auth: no answer from a RADIUS server")


def test_the_next_server_is_asked(cpe, rack, radius):
    need("xl2tpd", "pppd")
    servers = ["127.0.0.1:1899", "127.0.0.1"]
    with Laclet(rack, *lns("chap", radius=servers)) as service, Xl2tpdClient(cpe, rack.address) as caller:
        caller.dial()
        assert caller.up()[1] == FIXED
        service.said("no answer from 127.0.0.1 port 1899")
