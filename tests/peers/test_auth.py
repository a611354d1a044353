"""The stronger authentications, encryption and IPv6 with pppd, as its client and as its server."""

import re
import sys

import pytest

from peers.capture import assert_well_formed
from peers.lab import PROGRAMS
from peers.needs import need
from peers.service import Laclet
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"
STRONG = ["mschap", "mschap-v2", "eap"]


def client(server, auth, password="secret", **call):
    config = {
        "tunnel": {"nas": {"server": server}},
        "call": {"vpn": {"tunnel": "nas", "username": "user", "auth": [auth], **call}},
    }
    return config, {"call": {"vpn": {"password": password}}}


def lns_of_ours(auth, **options):
    config = {"lns": {"auth": [auth], "address": LOCAL, "pool": "10.11.0.10-10.11.0.20", **options}}
    return config, {"lns": {"users": {"user": "secret"}}}


def assert_encrypted(capture, here):
    """IP packets crossed the tunnel, and none in clear."""
    frames = assert_well_formed(capture.path, here.address, ("l2tp", "ppp", "lcp", "ccp", "ipcp", "comp_data"))
    return frames


@pytest.mark.parametrize("auth", STRONG)
def test_pppd_believes_us(lab, lns, here, auth):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns, auth) as server, Laclet(here, *client(lns.address, auth)) as service:
        _, own, peer = service.up()
        assert server.up()[1:] == (peer, own)
        assert_passes(here, own, lns, peer)
        assert service.faults() == []
        asked = {"mschap": "MS>", "mschap-v2": "MS-v2>", "eap": "MD5-Challenge"}[auth]
        assert asked in server.pppd_text()


@pytest.mark.parametrize("auth", STRONG)
def test_we_believe_pppd(cpe, here, auth):
    need("xl2tpd", "pppd")
    with Laclet(here, *lns_of_ours(auth)) as service, Xl2tpdClient(cpe, here.address) as caller:
        caller.dial()
        _, own, peer = caller.up()
        assert peer == LOCAL
        service.up()
        assert_passes(cpe, own, here, peer)
        assert service.faults() == []
        if auth == "eap":
            assert "MSCHAPv2 Success" in caller.pppd_text()


@pytest.mark.parametrize("auth", STRONG)
def test_a_wrong_password_is_named(lns, here, auth):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns, auth), Laclet(here, *client(lns.address, auth, "wrong")) as service:
        service.said("auth: .*wrong name or password")


@pytest.mark.parametrize("auth", STRONG)
def test_a_wrong_password_is_refused(cpe, here, auth):
    need("xl2tpd", "pppd")
    with Laclet(here, *lns_of_ours(auth)) as service, Xl2tpdClient(cpe, here.address, password="wrong") as caller:
        caller.dial()
        service.said("auth: .*wrong name or password: user")
        caller.pppd_said("authentication failed|Failure|failed to authenticate")


@pytest.mark.parametrize("auth", ["pap", "chap", "mschap-v2", "eap"])
def test_pppd_and_we_prove_ourselves_to_each_other(lns, here, auth):
    need("xl2tpd", "pppd")
    users = {"user": "secret", "lns": "theirs"}
    password = ("password theirs",) if auth == "pap" else ()
    config, secrets = client(lns.address, auth, peer_auth=[auth], peer_username="lns")
    secrets["call"]["vpn"]["peer_password"] = "theirs"
    with Xl2tpdLns(lns, auth, users=users, pppd=("silent", *password)) as server:
        with Laclet(here, config, secrets) as service:
            _, own, peer = service.up()
            server.up()
            assert_passes(here, own, lns, peer)
            assert service.faults() == []
        server.down()
        secrets["call"]["vpn"]["peer_password"] = "others"
        with Laclet(here, config, secrets) as service:
            service.said("auth: .*the peer gave a wrong name or password: lns")


@pytest.mark.parametrize("bits", ["128", "40"])
def test_traffic_to_pppd_is_encrypted(lab, lns, here, bits):
    need("xl2tpd", "pppd")
    options = {"mppe": "require", "mppe_bits": [bits]}
    with (
        Xl2tpdLns(lns, "mschap-v2", pppd=("silent", f"require-mppe-{bits}")) as server,
        lab.capture(here) as capture,
        Laclet(here, *client(lns.address, "mschap-v2", **options)) as service,
    ):
        _, own, peer = service.up()
        server.up()
        server.pppd_said(f"MPPE {bits}-bit stateless compression enabled")
        assert_passes(here, own, lns, peer, 1_000_000)
        assert service.faults() == []
    assert_encrypted(capture, here)


@pytest.mark.parametrize("auth", STRONG)
def test_traffic_from_pppd_is_encrypted(lab, cpe, here, auth):
    need("xl2tpd", "pppd")
    with (
        Laclet(here, *lns_of_ours(auth, mppe="require")) as service,
        lab.capture(here) as capture,
        Xl2tpdClient(cpe, here.address, pppd=("require-mppe-128",)) as caller,
    ):
        caller.dial()
        _, own, peer = caller.up()
        service.up()
        caller.pppd_said("MPPE 128-bit stateless compression enabled")
        assert_passes(cpe, own, here, peer, 1_000_000)
        assert service.faults() == []
    assert_encrypted(capture, here)


def test_pppd_without_encryption_is_left(lns, here):
    need("xl2tpd", "pppd")
    with (
        Xl2tpdLns(lns, "mschap-v2", pppd=("silent", "noccp")),
        Laclet(here, *client(lns.address, "mschap-v2", mppe="require")) as service,
    ):
        service.said("ccp: the peer does not speak this protocol")


def link_local(place, interface):
    """The one link-local address of an interface."""
    found = re.findall(r"inet6 (fe80:[0-9a-f:]+)", place.run("ip", "-6", "address", "show", "dev", interface).out)
    assert len(found) == 1, found
    return found[0]


def assert_passes6(place, interface, other, others):
    """Ping the link-local address of each end from the other."""
    for near, name, address in (
        (place, interface, link_local(other, others)),
        (other, others, link_local(place, interface)),
    ):
        near.run(sys.executable, PROGRAMS / "echo6.py", name, address, "3")


@pytest.mark.parametrize("mppe", ["none", "require"])
def test_ipv6_to_pppd(lns, here, mppe):
    need("xl2tpd", "pppd")
    pppd = ("silent", "+ipv6", *(["require-mppe-128"] if mppe == "require" else []))
    with (
        Xl2tpdLns(lns, "mschap-v2", pppd=pppd) as server,
        Laclet(here, *client(lns.address, "mschap-v2", ipv6=True, mppe=mppe)) as service,
    ):
        interface, own, peer = service.up()
        others, _, _ = server.up()
        service.said("IPv6 is up")
        assert_passes(here, own, lns, peer)
        assert_passes6(here, interface, lns, others)
        assert service.faults() == []


def test_ipv6_from_pppd(cpe, here):
    need("xl2tpd", "pppd")
    with (
        Laclet(here, *lns_of_ours("chap", ipv6=True)) as service,
        Xl2tpdClient(cpe, here.address, pppd=("+ipv6",)) as caller,
    ):
        caller.dial()
        others, own, peer = caller.up()
        caller.pppd_said("remote LL address")
        interface, _, _ = service.up()
        assert_passes(cpe, own, here, peer)
        assert_passes6(cpe, others, here, interface)
        assert service.faults() == []


ROUTER = """
interface {interface} {{
    AdvSendAdvert on;
    UnicastOnly on;
    AdvDefaultLifetime 600;
    prefix 2001:db8:77::/64 {{
        AdvOnLink off;
        AdvAutonomous on;
    }};
}};
"""


def test_a_router_beyond_the_tunnel_gives_an_ipv6_address(lns, here):
    need("xl2tpd", "pppd", "radvd")
    with (
        Xl2tpdLns(lns, "mschap-v2", pppd=("silent", "+ipv6")) as server,
        Laclet(here, *client(lns.address, "mschap-v2", ipv6=True)) as service,
    ):
        interface, _, _ = service.up()
        others, _, _ = server.up()
        service.said("IPv6 is up")
        lns.run("sysctl", "-w", "net.ipv6.conf.all.forwarding=1")
        path = lns.write("radvd.conf", ROUTER.format(interface=others))
        with lns.spawn("radvd", "-n", "-C", path, "-p", f"{lns.directory}/radvd.pid", "-m", "stderr"):
            command = f"ip -6 address show dev {interface} scope global"
            _, own = here.until("output", command, r"inet6 (2001:db8:77:[0-9a-f:]+)", timeout=20.0)
            _, route = here.until("output", "ip -6 route show default", r"default via (\S+) dev " + interface)
            assert route == link_local(lns, others)
            lns.run("ip", "-6", "route", "add", "2001:db8:77::/64", "dev", others)
            lns.run("ip", "address", "add", "2001:db8:66::1/128", "dev", "lo")
            here.run(sys.executable, PROGRAMS / "echo6.py", interface, "2001:db8:66::1", "3")
            lns.run("ip", "address", "del", "2001:db8:66::1/128", "dev", "lo")
            assert own.startswith("2001:db8:77:")
