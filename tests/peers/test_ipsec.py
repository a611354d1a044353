"""L2TP over IPsec against strongSwan, with xl2tpd or pppd above it: the whole way, and every way to fail."""

import pytest

from peers.needs import need
from peers.service import Laclet
from peers.strongswan import PSK, StrongSwan
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]


def client(server, psk=PSK, **ipsec):
    """The configuration and the secrets of a client of ``server``."""
    config = {
        "tunnel": {"nas": {"server": server, **ipsec}},
        "call": {"vpn": {"tunnel": "nas", "username": "user", "mtu": 1400, "mru": 1400}},
    }
    return config, {"call": {"vpn": {"password": "secret"}}, "tunnel": {"nas": {"ipsec_psk": psk}}}


@pytest.mark.parametrize(("ike", "esp"), [("aes128-sha1-modp2048", "aes128-sha1")])
def test_strongswan_takes_us(lab, lns, here, ike, esp):
    need("swanctl", "xl2tpd", "pppd")
    with StrongSwan(lns, ike=ike, esp=esp) as swan, Xl2tpdLns(lns) as server:
        with lab.capture(here) as capture, Laclet(here, *client(lns.address)) as service:
            _, own, peer = service.up()
            server.up()
            assert_passes(here, own, lns, peer, 1_000_000)
            assert service.faults() == []
            print(service.text(), swan.security_associations(), capture.path)
