"""The service on the planes tun and stream: what arrives is what was sent, control does not wait."""

import json
import subprocess

import pytest

from peers.needs import need
from peers.service import Laclet
from peers.traffic import assert_passes, exchange, ping
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = pytest.mark.root

COUNT = 10_000_000
LOCAL = "10.11.0.1"


@pytest.fixture(scope="module")
def ends(lab):
    """Two namespaces, with addresses of both IP versions on `eth0`."""
    both = lab.namespace("client"), lab.namespace("server")
    for n, place in enumerate(both):
        place.run("ip", "address", "add", f"fd77::{n + 1}/64", "dev", "eth0", "nodad")
    return both


def answering(**more):
    config = {"auth": ["mschap-v2"], "address": LOCAL, "pool": "10.11.0.10-10.11.0.20", "listen": ["0.0.0.0", "[::]"]}
    return {"lns": {**config, **more}}, {"lns": {"users": {"user": "secret"}}}


def caller(server, tunnel=None, **call):
    call = {"tunnel": "nas", "username": "user", "auth": ["mschap-v2", "chap"], **call}
    config = {"tunnel": {"nas": {"server": server, **(tunnel or {})}}, "call": {"vpn": call}}
    return config, {"call": {"vpn": {"password": "secret"}}}


def shown(service):
    return service.status()["laclet"]


@pytest.mark.parametrize("outer", ["10.77", "fd77::2"])
@pytest.mark.parametrize("planes", ["tun tun", "tun stream", "stream tun", "stream stream"])
def test_what_arrives_is_what_was_sent_by_every_plane(ends, outer, planes):
    need("iperf3")
    here, there = ends
    ours, theirs = planes.split()
    outside = there.address if outer == "10.77" else "[fd77::2]"
    with (
        Laclet(there, *answering(data_plane=theirs, ipv6=True), name="far") as far,
        Laclet(here, *caller(outside, data_plane=ours, ipv6=True), name="near") as near,
    ):
        name, own, peer = near.up()
        assert_passes(here, own, there, peer)
        exchange(here, own, there, peer, COUNT)
        six = json.loads(there.run("ip", "-j", "-6", "address", "show", "dev", far.up()[0]).out)[0]["addr_info"][0]
        near.said("IPv6 is up")
        mine = json.loads(here.run("ip", "-j", "-6", "address", "show", "dev", name).out)[0]["addr_info"][0]
        with there.spawn("iperf3", "-s", "--forceflush", log="iperf3.log") as server:
            server.said("Server listening")
            for way in ((), ("-R",)):
                here.run("iperf3", "-6", "-c", f"{six['local']}%{name}", "-n", "2M", *way)
        assert mine["local"].startswith("fe80")
        call = shown(near)["calls"]["vpn"]
        (answer,) = shown(far)["lns"]["callers"]
        assert (call["plane"], answer["plane"], answer["interface"]) == (ours, theirs, far.up()[0])
        for session in (call["session"], answer["session"]):
            # Both ways a transfer, counted as whole frames.
            assert session["rx_packets"] > COUNT // 1450 and session["tx_packets"] > COUNT // 1450
            assert COUNT < session["rx_bytes"] < 1.6 * COUNT and COUNT < session["tx_bytes"] < 1.6 * COUNT
            assert session["lost"] == 0 and session["drops"] == {}
        assert call["drops"] == {} and near.faults() == far.faults() == []
    here.no_interface(name)


@pytest.mark.guest
def test_tun_with_xl2tpd_at_either_end(lab, lns, cpe, here):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns) as server, Laclet(here, *caller(lns.address, data_plane="tun", auth=["chap"])) as service:
        _, own, peer = service.up()
        server.up()
        exchange(here, own, lns, peer, COUNT)
        assert shown(service)["calls"]["vpn"]["plane"] == "tun" and service.faults() == []
    config = {"lns": {"auth": ["chap"], "address": LOCAL, "pool": "10.11.0.10-10.11.0.20", "data_plane": "tun"}}
    users = {"lns": {"users": {"user": "secret"}}}
    with Laclet(here, config, users) as service, Xl2tpdClient(cpe, here.address) as client:
        client.dial()
        _, own, peer = client.up()
        service.up()
        exchange(cpe, own, here, peer, COUNT)
        assert shown(service)["lns"]["callers"][0]["plane"] == "tun" and service.faults() == []


def test_control_goes_on_while_data_fill_the_tunnel(ends):
    """Echoes twice a second, of which three may fail, and HELLOs: a flood of both ways does not end the call."""
    need("iperf3")
    here, there = ends
    impatient = {"hello_interval": 0.5, "retry_timeout": 0.5, "max_retries": 3}
    with (
        Laclet(there, *answering(data_plane="tun"), name="far") as far,
        Laclet(
            here,
            *caller(there.address, impatient, data_plane="tun", lcp_echo_interval=0.5, lcp_echo_failure=3),
            name="near",
        ) as near,
    ):
        _, _, peer = near.up()
        session = shown(near)["calls"]["vpn"]["session"]["local_session"]
        server = there.spawn("iperf3", "-s", "--forceflush", log="iperf3.log")
        server.said("Server listening")
        words = ["iperf3", "-c", peer, "-t", "4", "-J", "--bidir"]
        here.run(*words, "-u", "-b", "0", "-l", "64", timeout=40)
        here.run(*words, timeout=40)
        server.stop()
        call = shown(near)["calls"]["vpn"]
        assert (call["state"], call["redials"], call["session"]["local_session"]) == ("up", 0, session)
        assert near.faults() == far.faults() == []


def test_who_cannot_says_why(ends):
    here, there = ends
    with Laclet(there, *answering(mppe="prefer"), name="far"):
        with Laclet(here, *caller(there.address, mppe="require", auth=["mschap-v2"]), name="near") as near:
            near.said(r"data plane stream \(.*tun: packets are encrypted by MPPE\)")
            _, own, peer = near.up()
            assert len(ping(here, own, peer)) == 3 and near.faults() == []
        only = caller(there.address, mppe="require", auth=["mschap-v2"], data_plane="tun")
        with Laclet(here, *only, name="near") as near:
            near.said("interface: no data plane for this link: tun: packets are encrypted by MPPE .data_plane = auto")
            assert "laclet" not in here.run("ip", "-o", "-4", "address").out


@pytest.mark.parametrize("plane", ["tun", "stream"])
def test_an_interface_that_is_deleted_comes_back(ends, plane):
    here, there = ends
    with (
        Laclet(there, *answering(), name="far"),
        Laclet(here, *caller(there.address, {"holdoff": 0.1}, data_plane=plane), name="near") as near,
    ):
        name, *_ = near.up()
        near.said("up: address")
        here.run("ip", "link", "delete", name)
        near.said(f"interface: {name} was deleted")
        near.said("up: address", count=2)
        _, own, peer = near.up()
        assert_passes(here, own, there, peer)


@pytest.mark.parametrize("plane", ["tun", "stream"])
def test_forwarded_connections_get_segments_that_pass(lab, ends, plane):
    """A host behind the client knows nothing of the tunnel's MTU, and no ICMP tells it."""
    here, there = ends
    lan = lab.namespace(f"lan-{plane}")
    lan.run("ip", "link", "set", "eth0", "down")
    cable = f"nsenter -t {here.pid} -n ip link add lan type veth peer name lan netns {lan.pid}"
    subprocess.run(cable.split(), check=True)
    for place, n in ((here, 1), (lan, 2)):
        place.run("ip", "address", "add", f"172.30.0.{n}/24", "dev", "lan")
        place.run("ip", "link", "set", "lan", "up")
    lan.run("ip", "route", "add", "default", "via", "172.30.0.1")
    here.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    try:
        with (
            Laclet(there, *answering(data_plane=plane, mtu=1000, mru=1000), name="far") as far,
            Laclet(here, *caller(there.address, data_plane=plane, mtu=1000, mru=1000), name="near") as near,
        ):
            _, _, peer = near.up()
            there.run("ip", "route", "add", "172.30.0.0/24", "dev", far.up()[0])
            with there.spawn("tcpdump", "-lnni", "any", "tcp[tcpflags] & tcp-syn != 0", log="syn.log") as heard:
                heard.said("listening")
                exchange(lan, "172.30.0.2", there, peer, 2_000_000)
                heard.said("mss 960")
                assert "mss 1460" not in heard.text()
    finally:
        here.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        here.run("ip", "link", "delete", "lan")
