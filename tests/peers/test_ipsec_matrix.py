"""Every proposal with strongSwan, xl2tpd above it, with and without a NAT between; callers' ports."""

import re

import pytest

from peers.needs import need
from peers.service import Laclet
from peers.strongswan import StrongSwan
from peers.test_ipsec import FAST, LOCAL, assert_nothing_in_clear, client, lns_of_ours
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

GROUPS = "modp1024", "modp1536", "modp2048"
CIPHERS = "aes128-sha1", "aes256-sha1", "aes128-sha256", "aes256-sha256"
# The ESP proposals go along, so that each cipher and hash of them comes up with each group of IKE.
MATRIX = [
    (f"{cipher}-{group}", CIPHERS[(i + j) % 4]) for i, group in enumerate(GROUPS) for j, cipher in enumerate(CIPHERS)
]
MATRIX += [
    ("3des-sha1-modp1024", "3des-sha1"),
    (FAST, "aes128gcm16"),
    (FAST, "aes256gcm16"),
    (FAST, "aes128-sha256_96"),
]


@pytest.fixture(scope="module")
def above(lns):
    """xl2tpd, for all proposals one after the other."""
    need("swanctl", "xl2tpd", "pppd")
    with Xl2tpdLns(lns) as server:
        yield server


@pytest.mark.parametrize("nat", ["direct", "nat"])
@pytest.mark.parametrize(("ike", "esp"), MATRIX)
def test_each_proposal(lab, lns, here, inside, above, ike, esp, nat):
    place, seen = (inside, inside.router) if nat == "nat" else (here, here)
    identity = "10.78.0.2" if nat == "nat" else here.address
    truncated = "sha256_96 = yes" if esp.endswith("_96") else ""
    theirs = esp.removesuffix("_96")
    with (
        StrongSwan(lns, ike=ike, esp=theirs, more_child=truncated) as swan,
        lab.capture(lns) as capture,
        Laclet(place, *client(lns.address, ipsec_ike=ike, ipsec_esp=esp)) as service,
    ):
        _, own, peer = service.up()
        above.up()
        assert_passes(place, own, lns, peer, 50_000)
        assert service.faults() == []
        service.said(re.escape(f"IPsec is up: {ike}, ESP in UDP {esp}"))
        assert f"remote '{identity}' @ {seen.address}[" in swan.security_associations().replace("  ", " ")
    above.down()
    assert_nothing_in_clear(capture.path, seen.address)


@pytest.mark.parametrize("port", [1701, 2701])
def test_callers_at_any_port(lab, cpe, here, port):
    need("swanctl", "xl2tpd", "pppd")
    with (
        Laclet(here, *lns_of_ours(ipsec_ike=FAST, ipsec_esp="aes128-sha1")) as service,
        lab.capture(here) as capture,
        StrongSwan(cpe, here.address, ike=FAST, local_ts=f"dynamic[udp/{port}]") as swan,
        Xl2tpdClient(cpe, here.address, port=port) as caller,
    ):
        swan.initiate()
        caller.dial()
        _, own, peer = caller.up()
        assert peer == LOCAL
        service.up()
        assert_passes(cpe, own, here, peer, 50_000)
        assert service.faults() == []
    assert_nothing_in_clear(capture.path, here.address)
