"""Tunnels over frame relay, ATM and X.25: the kernel's own ATM and X.25 against ours, the rest between two of ours."""

import sys

import pytest

from peers import circuits
from peers.atm import AtmTcp
from peers.cable import Terminal
from peers.lab import PROGRAMS
from peers.needs import need
from peers.pppd import PppdSerial
from peers.service import Laclet, MicroLaclet
from peers.traffic import assert_passes

pytestmark = [pytest.mark.root]

LOCAL = "10.11.0.1"
FRAME_RELAY, CELLS = 0x6559, 0x88B5  # EtherTypes
IANA, L2TP = "94", "0x0007"  # OUI and PID (RFC 3070, RFC 3355)


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


def passes(server_place, listens, client_place, calls):
    """A tunnel between two of ours comes up, and traffic goes through it."""
    with Laclet(server_place, *lns(listens)) as server:
        server.said("listening on ")
        with Laclet(client_place, *client(calls)) as service:
            _, own, peer = service.up()
            server.up()
            assert_passes(client_place, own, server_place, peer, 20_000)
            service.command("down")
            server.said("tunnel .* ended")
            service.command("up")
            service.up()
            assert service.faults() == []


@pytest.mark.parametrize("circuit", ["fr:eth0:100", "fr:eth0:123456"])
def test_frame_relay(lab, here, far, tmp_path, circuit):
    with lab.capture(here, only="ether proto 0x6559") as capture:
        passes(far, circuit, here, circuit)
    path = circuits.write(tmp_path / "fr.pcap", circuits.FRAME_RELAY, circuits.behind(capture.path, FRAME_RELAY))
    rows = circuits.dissect(path, "fr.dlci", "fr.control", "fr.snap.oui", "llc.iana_pid", "data.data")
    assert {tuple(row[:4]) for row in rows} == {(circuit.split(":")[2], "0x03", IANA, L2TP)}
    circuits.assert_l2tp(tmp_path / "l2tp.pcap", [bytes.fromhex(row[4]) for row in rows])


@pytest.mark.parametrize("circuit", ["aal5:eth0:0.100", "aal5:eth0:1.32:vc"])
def test_cells(lab, here, far, tmp_path, circuit):
    with lab.capture(here, only="ether proto 0x88b5") as capture:
        passes(far, circuit, here, circuit)
    trains = [(f[6:12], f[circuits.ETHERNET :]) for f in circuits.records(capture.path) if f[12:14] == b"\x88\xb5"]
    path = circuits.write(tmp_path / "aal5.pcap", circuits.ERF, circuits.pdus(trains))
    vc_mux = circuit.endswith(":vc")
    kind = ["erf.aal5_type:" + ("Unspecified" if vc_mux else "LLC multiplexed")]
    fields = ("atm.vpi", "atm.vci", "llc.oui", "llc.iana_pid", "data.data", "atm.aal5t_crc", "_ws.expert.message")
    rows = circuits.dissect(path, *fields, options=kind)
    pvc = circuit.split(":")[2].split(".")
    assert {tuple(row[:4]) for row in rows} == {(*pvc, "", "") if vc_mux else (*pvc, IANA, L2TP)}
    assert all(row[5] and "ncorrect" not in row[6] for row in rows)
    circuits.assert_l2tp(tmp_path / "l2tp.pcap", [bytes.fromhex(row[4]) for row in rows])


def test_xot(lab, here, far, tmp_path):
    with lab.capture(here, only="tcp port 1998") as capture:
        passes(far, "xot:0.0.0.0/0815", here, f"xot:{far.address}/0815")
    rows = circuits.dissect(capture.path, "xot.version", "x25.type", "x25.m", keep="xot")
    kinds = ";".join(row[1] for row in rows).split(";")
    assert kinds[:2] == ["0x0b", "0x0f"] and "0x13" in kinds  # CALL, CALL ACCEPTED, CLEAR
    assert {"0", "1"} == set(";".join(row[2] for row in rows if row[2]).split(";"))  # the M bit


@pytest.mark.guest
@pytest.mark.parametrize("vc_mux", ["", ":vc"])
def test_the_kernels_atm(lns, cpe, vc_mux):
    """AF_ATMPVC at both ends, the kernel's AAL5 between them; and what its own tool reads is what RFC 3355 says."""
    need("atmtcp")
    with AtmTcp(lns), AtmTcp(cpe, lns):
        passes(lns, "atm:0.0.100" + vc_mux, cpe, "atm:0.0.100" + vc_mux)
        aread = ["stdbuf", "-oL", "aread", "0.0.101"]
        with lns.spawn(*aread, log="aread.log") as reader, Laclet(cpe, *client("atm:0.0.101" + vc_mux)):
            reader.said("[0-9]+: +C8 02" if vc_mux else "[0-9]+: +AA AA 03 00 00 5E 00 07 C8 02")


@pytest.mark.guest
def test_the_kernels_x25_is_called(lns, here):
    """Our packet layer over XOT calls the kernel's, under which an AF_X25 socket of ours listens."""
    lns.run("modprobe", "-a", "-d", "/run/mod", "tun", "x25")
    with lns.spawn(sys.executable, PROGRAMS / "x25tun.py", "listen", "1998", "47", log="x25tun.log") as bridge:
        bridge.said("ready")
        passes(lns, "x25:0815", here, f"xot:{lns.address}/0815")
        bridge.said("closed")


@pytest.mark.guest
def test_the_kernels_x25_calls(lns, here):
    lns.run("modprobe", "-a", "-d", "/run/mod", "tun", "x25")
    words = [PROGRAMS / "x25tun.py", "connect", here.address, "1998", "0815"]
    with lns.spawn(sys.executable, *words, log="x25tun.log") as bridge:
        bridge.said("ready")
        passes(here, "xot:0.0.0.0/0815", lns, "x25:0815")


@pytest.mark.guest
def test_a_number_that_nobody_has(lns, here):
    """The kernel's packet layer clears our call, and says why."""
    lns.run("modprobe", "-a", "-d", "/run/mod", "tun", "x25")
    with lns.spawn(sys.executable, PROGRAMS / "x25tun.py", "listen", "1998", "47", log="x25tun.log") as bridge:
        bridge.said("ready")
        with Laclet(here, *client(f"xot:{lns.address}/4711")) as service:
            service.said(r"line: the X.25 call was cleared; the peer said: not obtainable|incompatible|cleared")


def test_an_interface_that_is_not_there(here):
    with Laclet(here, *client("fr:nowhere0:100")) as service:
        service.said(r"line: no circuit fr:nowhere0:100: No such device \(is the interface there", count=2)
        assert "Traceback" not in service.text()


def board(near, circuit, **lines):
    """The configuration of a board that tunnels what its line brings through a circuit."""
    config = {
        "tunnel": {"nas": {"circuit": circuit, "holdoff": 0.5, "redial_timeout": 2}},
        "line": {"serial": {"device": near}, **lines},
        "call": {"access": {"tunnel": "nas", "line": "serial"}},
    }
    return config, {}


@pytest.mark.guest
@pytest.mark.parametrize("dlci", [100, 123456])
def test_a_board_speaks_frame_relay(lab, cpe, here, cable, dlci):
    """HDLC on a second serial line of the board, to a line of ours at the LNS; pppd at the first one gets through."""
    need("pppd")
    wire = lab.cable(f"frames{dlci}", far=Terminal)
    listens = lns(f"fr:frames:{dlci}")
    listens[0]["line"] = {"frames": {"device": wire.ends[1].name}}
    listens[0]["lns"]["auth"] = ["chap"]
    with (
        Laclet(here, *listens, name="lns") as server,
        MicroLaclet(here, *board(cable.near, f"fr:frames:{dlci}", frames={"device": wire.near})) as service,
        PppdSerial(cpe) as host,
    ):
        _, own, peer = host.up()
        server.up()
        assert_passes(cpe, own, here, peer, 20_000)
        assert service.faults() == [] and server.faults() == []


@pytest.mark.guest
def test_a_board_speaks_xot(lns_kernel, cpe, here, cable, monkeypatch):
    """Its packet layer calls the kernel's X.25, and pppd at its line gets through; its queues want 192 kB of heap."""
    need("pppd")
    monkeypatch.setattr("peers.service.HEAP", "192K")
    place, listens = lns_kernel
    listens[0]["lns"]["auth"] = ["chap"]
    with Laclet(place, *listens) as server:
        server.said("listening on x25")
        calls = board(cable.near, f"xot:{place.address}/0815")
        with MicroLaclet(here, *calls) as service, PppdSerial(cpe) as host:
            _, own, peer = host.up()
            server.up()
            assert_passes(cpe, own, place, peer, 20_000)
            assert service.faults() == []


@pytest.fixture
def lns_kernel(lns):
    """A guest with an LNS at the kernel's X.25, reached by XOT, and its configuration."""
    lns.run("modprobe", "-a", "-d", "/run/mod", "tun", "x25")
    with lns.spawn(sys.executable, PROGRAMS / "x25tun.py", "listen", "1998", "47", log="x25tun.log") as bridge:
        bridge.said("ready")
        yield lns, _lns("x25:0815")


_lns = lns  # the fixture of that name hides it in tests
