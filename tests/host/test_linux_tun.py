"""TUN interfaces and routes, in a network namespace: what is up while the link is up, and that nothing is left."""

import json
import os
import socket
import subprocess
import tempfile

import pytest
from linuxloop import TestLoop
from linuxns import in_namespace

from laclet.port import HEADROOM
from laclet_linux import names as names_module
from laclet_linux.ipconfig import IpConfig
from laclet_linux.names import NameServers
from laclet_linux.plane.choose import ChosenInterface
from laclet_linux.routes import PROTOCOL, RouteTable
from laclet_linux.state import State

LNS = ("198.51.100.7", 1701)
SETTINGS = {"local": bytes((10, 0, 0, 2)), "remote": bytes((10, 0, 0, 1)), "dns": [bytes((10, 0, 0, 53))], "mtu": 1400}
OPTIONS = {
    "data_plane": "stream",
    "mss_clamp": False,
    "ifname": None,
    "default_route": False,
    "metric": 0,
    "table": 0,
    "rule_from": [],
    "rule_mark": 0,
    "routes": [],
    "use_peer_dns": False,
}


def ip(*words):
    """``ip -j``, as data."""
    out = subprocess.run(["ip", "-j", *words], capture_output=True, text=True, check=True).stdout
    return json.loads(out or "[]")


def routes():
    """Routes of the main table as ``{(dst, dev, gateway, metric)}``, without those the kernel made."""
    return {
        (r["dst"], r.get("dev"), r.get("gateway"), r.get("metric", 0))
        for r in ip("route")
        if r.get("protocol") != "kernel"
    }


def rules():
    """Rules as ``{(source, mark, table)}``."""
    return {(r["src"], r.get("fwmark"), r["table"]) for r in ip("rule")}


class Link:
    def __init__(self):
        self.sent = []
        self.closed = 0

    def send_ip(self, buf, start, end, now):
        assert start == HEADROOM and len(buf) >= end + 40
        self.sent.append(bytes(buf[start:end]))

    def close(self, now):
        self.closed += 1


class World:
    """A namespace with an uplink "wan" (192.0.2.10/24, default route) and a shell's parts."""

    def __init__(self, metric="0", folder=None):
        for words in (
            "link set lo up",
            "link add wan type veth peer name isp",
            "link set isp up",
            "link set wan up",
            "address add 192.0.2.10/24 dev wan",
            f"route add default via 192.0.2.1 metric {metric}",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        self.log = []
        self.loop = TestLoop()
        self.folder = folder or tempfile.mkdtemp(prefix="laclet-test-")
        self.state = State(f"{self.folder}/state.json")
        self.routes = RouteTable(self.state)
        self.names = NameServers(self.note, self.state)
        self.before = (routes(), [i["ifname"] for i in ip("link")])

    def note(self, level, text):
        self.log.append((level, text))

    def tun(self, link=None, **options):
        options = {**OPTIONS, **options}
        config = IpConfig(options, self.routes, self.names, self.note)
        return ChosenInterface(self.loop, options, link or Link(), config, self.note)

    def end(self, *interfaces):
        """Close all, and look whether anything is left."""
        for each in interfaces:
            each.close()
            each.close()
        self.routes.close()
        self.names.close()
        self.state.close()
        self.loop.close()
        assert os.listdir(self.folder) == []
        os.rmdir(self.folder)
        assert (routes(), [i["ifname"] for i in ip("link")]) == self.before


@in_namespace
def test_up_and_down():
    world = World()
    tun = world.tun(ifname="office", routes=["10.20.0.0/16", "10.30.0.0/16"], metric=7)
    (link,) = ip("address", "show", "office")
    assert "UP" not in link["flags"] and link["addr_info"] == []
    tun.up(SETTINGS, LNS, 0)
    (link,) = ip("-4", "address", "show", "office")
    assert "UP" in link["flags"] and link["mtu"] == 1400
    assert [(a["local"], a["address"]) for a in link["addr_info"]] == [("10.0.0.2", "10.0.0.1")]
    added = {("10.20.0.0/16", "office", None, 7), ("10.30.0.0/16", "office", None, 7)}
    assert routes() - world.before[0] == added
    tun.down()
    assert routes() == world.before[0] and ip("-4", "address", "show", "office") == []
    tun.up(SETTINGS, LNS, 0)
    assert routes() - world.before[0] == added
    assert world.log == []
    world.end(tun)


@in_namespace
def test_packets_both_ways():
    world = World()
    link = Link()
    tun = world.tun(link)
    assert tun.name == "laclet0"
    tun.up(SETTINGS, LNS, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.bind(("10.0.0.2", 5000))
        for i in range(100):
            out.sendto(b"%d" % i, ("10.0.0.1", 6000))
        udp = [p for p in link.sent if p[0] == 0x45]
        world.loop.until(lambda: udp.extend(p for p in link.sent if p[0] == 0x45) or len(udp) >= 100)
        udp = [p for p in link.sent if p[0] == 0x45]
        assert [p[28:] for p in udp] == [b"%d" % i for i in range(100)]
        # The same packet back, addresses and ports turned round: sums stay right.
        packet = bytearray(udp[7])
        packet[12:20] = packet[16:20] + packet[12:16]
        packet[20:24] = packet[22:24] + packet[20:22]
        tun.receive_ip(bytearray(HEADROOM) + packet, HEADROOM, HEADROOM + len(packet), 0)
        out.settimeout(5)
        assert out.recvfrom(99) == (b"7", ("10.0.0.1", 6000))
    tun.down()
    tun.receive_ip(packet, 0, len(packet), 0)
    assert tun.drops == {"interface: Input/output error": 1}
    world.end(tun)


@in_namespace
def test_default_route_in_front_of_another():
    world = World()
    tun = world.tun(default_route=True)
    tun.up(SETTINGS, LNS, 0)
    assert routes() - world.before[0] == {
        (LNS[0], "wan", "192.0.2.1", os.getpid()),
        ("0.0.0.0/1", "laclet0", None, 0),
        ("128.0.0.0/1", "laclet0", None, 0),
    }
    assert ip("route", "get", LNS[0])[0]["dev"] == "wan"
    assert ip("route", "get", "203.0.113.1")[0]["dev"] == "laclet0"
    assert [text for _, text in world.log] == [
        "laclet0: 198.51.100.7 stays on wan via 192.0.2.1",
        "laclet0: the other default route stays, behind ours",
    ]
    tun.down()
    assert ip("route", "get", "203.0.113.1")[0]["dev"] == "wan"
    world.end(tun)


@in_namespace
def test_default_route_before_one_with_a_metric():
    world = World("100")
    tun = world.tun(default_route=True, metric=50)
    tun.up(SETTINGS, LNS, 0)
    assert ("default", "laclet0", None, 50) in routes() and ip("route", "get", "203.0.113.1")[0]["dev"] == "laclet0"
    assert ip("route", "get", LNS[0])[0]["dev"] == "wan"
    world.end(tun)


@in_namespace
def test_lns_is_pinned_when_a_route_or_the_link_would_take_it():
    world = World()
    tun = world.tun(routes=["198.51.100.0/24"])
    tun.up(SETTINGS, LNS, 0)
    assert ip("route", "get", LNS[0])[0]["dev"] == "wan"
    assert ip("route", "get", "198.51.100.8")[0]["dev"] == "laclet0"
    # On the same wire as the LNS there is no gateway.
    other = world.tun(routes=["192.0.2.0/24"], metric=5)
    other.up({**SETTINGS, "local": bytes((10, 0, 1, 2)), "remote": bytes((10, 0, 1, 1))}, ("192.0.2.77", 1701), 0)
    assert ("192.0.2.77", "wan", None, os.getpid()) in routes()
    # The LNS names its end of the link by its public address.
    third = world.tun()
    third.up({**SETTINGS, "local": bytes((10, 0, 2, 2)), "remote": bytes((203, 0, 113, 9))}, ("203.0.113.9", 1701), 0)
    assert ip("route", "get", "203.0.113.9")[0]["dev"] == "wan"
    world.end(tun, other, third)


@in_namespace
def test_an_address_pinned_by_two_goes_with_the_last():
    world = World()
    first, second = world.tun(routes=["198.51.100.0/25"]), world.tun(routes=["198.51.100.0/24"])
    first.up(SETTINGS, LNS, 0)
    second.up({**SETTINGS, "local": bytes((10, 0, 0, 3)), "remote": bytes((10, 0, 0, 9))}, LNS, 0)
    first.down()
    assert ip("route", "get", LNS[0])[0]["dev"] == "wan"
    second.down()
    assert routes() == world.before[0]
    world.end(first, second)


@in_namespace
def test_local_lns_needs_no_pin_and_one_over_ipv6_none_here():
    world = World()
    tun = world.tun(default_route=True)
    for peer in (("127.0.0.1", 1701), ("2001:db8::1", 1701, 0, 0)):
        tun.up(SETTINGS, peer, 0)
        assert {r[0] for r in routes() - world.before[0]} == {"0.0.0.0/1", "128.0.0.0/1"}
    world.end(tun)


@in_namespace
def test_uplink_that_vanishes_takes_the_pinned_route():
    world = World()
    tun = world.tun(default_route=True)
    tun.up(SETTINGS, LNS, 0)
    subprocess.run(["ip", "link", "del", "wan"], check=True)
    tun.close()
    assert routes() == set() and [level for level, _ in world.log] == ["info", "info"]


@in_namespace
def test_what_the_kernel_refuses_is_undone_and_told():
    world = World()
    # No way to the LNS: a default route into the tunnel would be its end.
    subprocess.run(["ip", "route", "del", "default"], check=True)
    tun = world.tun(default_route=True)
    assert str(tun.up(SETTINGS, LNS, 0)) == (
        "interface: laclet0: 198.51.100.7: Network is unreachable (there is no way to it but the tunnel)"
    )
    assert routes() == set()
    assert ip("-4", "address", "show", "laclet0") == []
    # The same network twice.
    rival = world.tun(routes=["10.20.0.0/16"])
    rival.up(SETTINGS, LNS, 0)
    tun = world.tun(routes=["10.20.0.0/16"])
    fault = tun.up({**SETTINGS, "local": bytes((10, 0, 9, 2)), "remote": bytes((10, 0, 9, 1))}, LNS, 0)
    assert str(fault) == (
        "interface: laclet2: 10.20.0.0/16: File exists (another link has this route: give each its own metric)"
    )
    assert routes() == {("10.20.0.0/16", "laclet1", None, 0)}


@in_namespace
def test_an_address_that_another_link_has_is_refused_and_one_of_a_network_is_borrowed():
    world = World()
    first, second = world.tun(ifname="one"), world.tun(ifname="two", default_route=True)
    assert first.up(SETTINGS, LNS, 0) is None
    assert str(second.up(SETTINGS, LNS, 0)) == (
        "interface: two: 10.0.0.2 is what one has already (ask for another one with address, or take that link down)"
    )
    assert routes() == world.before[0] and ip("-4", "address", "show", "two") == []
    first.down()
    assert second.up(SETTINGS, LNS, 0) is None
    assert first.up({**SETTINGS, "local": bytes((192, 0, 2, 10))}, LNS, 0) is None
    world.end(first, second)


@in_namespace
def test_names_that_cannot_be_had():
    world = World()
    first = world.tun(ifname="office")
    with pytest.raises(OSError, match="busy"):
        world.tun(ifname="office")
    with pytest.raises(OSError, match="Invalid argument"):
        world.tun(ifname="wan")
    world.end(first)


@in_namespace
def test_what_a_killed_service_leaves_is_known_and_taken_back(tmp_path):
    world = World(folder=tmp_path)
    before = rules()
    child = os.fork()
    if not child:
        world.tun(default_route=True).up(SETTINGS, LNS, 0)
        other = {**SETTINGS, "local": bytes((10, 0, 1, 2))}
        world.tun(default_route=True, table=7, rule_mark=9).up(other, LNS, 0)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert routes() - world.before[0] == {(LNS[0], "wan", "192.0.2.1", child)}
    assert len(rules() - before) == 2
    subprocess.run(
        ["ip", "route", "add", "198.51.100.9", "dev", "wan", "proto", str(PROTOCOL)], check=True
    )  # another's
    state = State(f"{tmp_path}/state.json")
    left = state.find()
    table = RouteTable(state)
    assert sorted(kind for kind, _ in left) == ["route", "route", "rule", "rule"]
    for kind, what in left:
        table.remove(kind, what)
        table.remove(kind, what)
    assert routes() - world.before[0] == {("198.51.100.9", "wan", None, 0)} and rules() == before
    assert ip("route", "show", "table", "7") == []
    state.close()
    assert os.listdir(tmp_path) == [] and State(f"{tmp_path}/state.json").find() == []


def test_a_state_that_nobody_can_read_is_none(tmp_path):
    path = tmp_path / "state.json"
    for text in ("", "{", "[]", '{"netns": 1}', '{"netns": 1, "things": [["route", {}]]}', "\udcff"):
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        assert State(str(path)).find() == []


@in_namespace
def test_policy_routing_by_source_and_mark():
    world = World()
    before = rules()
    first = world.tun(default_route=True, table=1001, rule_from=["192.0.2.0/24", "10.9.0.0/16"], rule_mark=0x17)
    second = world.tun(default_route=True, table=1002, routes=["203.0.113.0/24"])
    first.up(SETTINGS, LNS, 0)
    second.up({**SETTINGS, "local": bytes((10, 0, 1, 2)), "remote": bytes((10, 0, 1, 1))}, LNS, 0)
    way = [
        (["203.0.113.1"], "wan"),
        (["203.0.113.1", "from", "192.0.2.10"], "laclet0"),
        (["203.0.113.1", "mark", "0x17"], "laclet0"),
        (["203.0.113.1", "mark", "0x18"], "wan"),
        (["203.0.113.1", "from", "10.0.0.2"], "laclet0"),
        (["203.0.113.1", "from", "10.0.1.2"], "laclet1"),
        ([LNS[0], "from", "192.0.2.10"], "wan"),  # the tunnel itself, though its source is ruled into the tunnel
    ]
    assert [ip("route", "get", *words)[0]["dev"] for words, _ in way] == [dev for _, dev in way]
    assert rules() - before == {
        ("10.0.0.2", None, "1001"),
        ("192.0.2.0", None, "1001"),
        ("10.9.0.0", None, "1001"),
        ("all", "0x17", "1001"),
        ("10.0.1.2", None, "1002"),
    }
    first.down()
    assert {rule[2] for rule in rules() - before} == {"1002"}
    second.down()
    assert rules() == before and ip("route", "show", "table", "1001") == ip("route", "show", "table", "1002") == []
    world.end(first, second)


@in_namespace
def test_name_servers_go_to_resolvconf(tmp_path, monkeypatch):
    world = World()
    seen = tmp_path / "seen"
    program = tmp_path / "resolvconf"
    program.write_text(f'#!/bin/sh\n{{ echo "$@"; [ "$1" = -d ] || cat; }} >> {seen}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(names_module, "_RESOLVED", str(tmp_path / "none"))
    tun = world.tun(use_peer_dns=True)
    tun.up(SETTINGS, LNS, 0)
    tun.down()
    tun.up({**SETTINGS, "dns": []}, LNS, 0)
    world.end(tun)
    assert seen.read_text() == "-a laclet0\nnameserver 10.0.0.53\n-d laclet0\n"
    assert world.log == []


@in_namespace
def test_name_servers_go_to_systemd_resolved(tmp_path, monkeypatch):
    world = World()
    seen = tmp_path / "seen"
    program = tmp_path / "resolvectl"
    program.write_text(f'#!/bin/sh\necho "$@" >>{seen}\n[ "$1" != domain ] || {{ echo no bus >&2; exit 1; }}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(names_module, "_RESOLVED", str(tmp_path))
    tun = world.tun(use_peer_dns=True)
    tun.up({**SETTINGS, "dns": [bytes((10, 0, 0, 53)), bytes((10, 0, 0, 54))]}, LNS, 0)
    tun.down()
    world.end(tun)
    assert seen.read_text() == "dns laclet0 10.0.0.53 10.0.0.54\ndomain laclet0 ~.\nrevert laclet0\n"
    assert world.log == [("warning", "resolvectl: no bus")]


@in_namespace
def test_name_servers_that_nobody_takes_are_told_of_except_where_a_hook_takes_them(tmp_path, monkeypatch):
    world = World()
    monkeypatch.setattr(names_module, "_RESOLVED", str(tmp_path / "none"))
    monkeypatch.setattr(names_module.shutil, "which", lambda program: None)
    for told, said in ((False, 1), (True, 0)):
        world.log.clear()
        world.names.set("laclet0", ["10.0.0.53"], told)
        world.names.clear("laclet0")
        assert len([1 for level, text in world.log if level == "warning" and "10.0.0.53 are not used" in text]) == said
    world.end()


@in_namespace
def test_a_connection_through_the_link_gets_a_segment_size_that_passes():
    world = World()
    link = Link()
    tun = world.tun(link, mss_clamp=True)
    tun.up(SETTINGS, LNS, 0)
    with socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460)
        sock.bind(("10.0.0.2", 0))
        subprocess.run(["ip", "link", "set", tun.name, "mtu", "1500"], check=True)  # as for a host behind us
        sock.setblocking(False)
        sock.connect_ex(("10.0.0.1", 80))
        world.loop.until(lambda: any(p[9] == 6 for p in link.sent))
    (syn,) = [p for p in link.sent if p[9] == 6]
    assert syn[40:44] == bytes((2, 4)) + (1360).to_bytes(2, "big") and tcp_sum(syn[20:]) == 0
    world.end(tun)


def tcp_sum(segment):
    """Of a TCP segment from 10.0.0.2 to 10.0.0.1; 0 when its own is right."""
    pseudo = bytes((10, 0, 0, 2, 10, 0, 0, 1, 0, 6)) + len(segment).to_bytes(2, "big")
    return int.from_bytes(pseudo + segment, "big") % 65535
