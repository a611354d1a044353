"""Tunnels over frame relay, ATM and X.25: between two of ours, over packet sockets and TCP."""

import pytest

from peers.service import Laclet
from peers.traffic import assert_passes

pytestmark = [pytest.mark.root]

LOCAL = "10.11.0.1"


def client(circuit):
    """The configuration and the secrets of a client whose LNS is at the far end of ``circuit``."""
    config = {
        "tunnel": {"nas": {"circuit": circuit, "holdoff": 0.5, "redial_timeout": 2}},
        "call": {"vpn": {"tunnel": "nas", "username": "user", "mtu": 1400, "mru": 1400}},
    }
    return config, {"call": {"vpn": {"password": "secret"}}}


def lns(*circuits):
    config = {"lns": {"address": LOCAL, "pool": "10.11.0.10-10.11.0.20", "mtu": 1400, "mru": 1400}}
    config["lns"]["circuits"] = list(circuits)
    return config, {"lns": {"users": {"user": "secret"}}}


@pytest.fixture(scope="module")
def far(lab):
    """A namespace for an LNS of ours."""
    return lab.namespace("far")


CIRCUITS = ["fr:eth0:100", "fr:eth0:123456", "aal5:eth0:0.100", "aal5:eth0:1.32:vc", "xot:{}/0815"]


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_between_two_of_ours(here, far, circuit):
    server = Laclet(far, *lns(circuit.format("0.0.0.0")))
    with server, Laclet(here, *client(circuit.format(far.address))) as service:
        _, own, peer = service.up()
        server.up()
        assert_passes(here, own, far, peer)
        assert service.faults() == []
