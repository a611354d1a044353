"""LNS: xl2tpd with pppd calls us."""

import subprocess

import pytest

from peers.capture import assert_well_formed
from peers.needs import need
from peers.service import Laclet
from peers.traffic import assert_passes, exchange, ping
from peers.xl2tpd import SECRET, Xl2tpdClient

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"


def lns_of_ours(auth, secret=None):
    config = {"lns": {"auth": [auth], "address": LOCAL, "pool": "10.11.0.10-10.11.0.20", "dns": [LOCAL]}}
    secrets = {"lns": {"users": {"user": "secret"}, **({"tunnel_secret": secret} if secret else {})}}
    return config, secrets


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_xl2tpd_calls_us(lab, cpe, here, auth, secret):
    need("xl2tpd", "pppd")
    with Laclet(here, *lns_of_ours(auth, secret)) as service, lab.capture(here) as capture:
        with Xl2tpdClient(cpe, here.address, secret=secret) as caller:
            caller.dial()
            _, own, peer = caller.up()
            assert (own, peer) == ("10.11.0.10", LOCAL)
            service.up()
            assert_passes(cpe, own, here, peer, 1_000_000)
            assert service.faults() == []
        here.no_address("laclet[0-9]+|tun[0-9]+")
    assert_well_formed(capture.path, here.address, ("l2tp", "ppp", "lcp", auth, "ipcp", "icmp", "tcp"))


def test_xl2tpd_with_a_wrong_password_is_refused(cpe, here):
    need("xl2tpd", "pppd")
    with Laclet(here, *lns_of_ours("chap")) as service:
        with Xl2tpdClient(cpe, here.address, password="wrong") as caller:
            caller.dial()
            caller.pppd_said("CHAP authentication failed")
            service.said("auth: .*user")
        with Xl2tpdClient(cpe, here.address) as caller:
            caller.dial()
            caller.up()


def test_callers_reach_the_network_behind_us(lab, cpe, here):
    """The kernel forwards between the interfaces of callers and the premises."""
    need("xl2tpd", "pppd")
    lan = lab.namespace("premises")
    lan.run("ip", "link", "set", "eth0", "down")
    cable = f"nsenter -t {here.pid} -n ip link add lan type veth peer name lan netns {lan.pid}"
    subprocess.run(cable.split(), check=True)
    for place, n in ((here, 1), (lan, 2)):
        place.run("ip", "address", "add", f"172.30.0.{n}/24", "dev", "lan")
        place.run("ip", "link", "set", "lan", "up")
    lan.run("ip", "route", "add", "10.11.0.0/24", "via", "172.30.0.1")
    here.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    try:
        with Laclet(here, *lns_of_ours("chap")) as service, Xl2tpdClient(cpe, here.address) as caller:
            caller.dial()
            interface, own, _ = caller.up()
            service.up()
            cpe.run("ip", "route", "add", "172.30.0.0/24", "dev", interface)
            assert len(ping(cpe, own, "172.30.0.2")) == 3
            exchange(cpe, own, lan, "172.30.0.2", 500_000)
            assert service.faults() == []
    finally:
        here.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        here.run("ip", "link", "delete", "lan")
