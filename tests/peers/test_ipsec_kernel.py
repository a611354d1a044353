"""IKE ours, ESP the kernel's (XFRM), in a guest: both roles, new keys, and L2TP never in clear, whoever tries."""

import re
import struct
import time

import pytest

from peers.capture import frames
from peers.needs import need
from peers.service import Laclet
from peers.strongswan import MODULES, StrongSwan
from peers.test_ipsec import FAST, LOCAL, OURS, THEIRS, assert_nothing_in_clear, client, lns_of_ours, losses
from peers.traffic import assert_passes, echoes, ping
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]


@pytest.fixture
def kernel(cpe):
    """A guest whose kernel can do ESP, and has none left at the end."""
    need("swanctl", "xl2tpd", "pppd")
    cpe.run("modprobe", "-q", "-a", "-d", "/run/mod", "tun", *MODULES, check=False)
    yield cpe
    assert cpe.run("ip xfrm policy; ip xfrm state").out == ""


@pytest.mark.parametrize(
    ("esp", "encaps"), [("aes128-sha1", False), ("aes256-sha256", True), ("aes128gcm16", False), ("aes128gcm16", True)]
)
def test_we_call(lab, lns, kernel, esp, encaps):
    """Plain or in UDP; new keys cost nothing."""
    options = {"ipsec_plane": "kernel", "ipsec_forceencaps": encaps, "ipsec_esp": esp, **OURS}
    with (
        StrongSwan(lns, ike=FAST, esp=esp) as swan,
        Xl2tpdLns(lns) as server,
        lab.capture(kernel) as capture,
        Laclet(kernel, *client(lns.address, **options)) as service,
    ):
        interface, own, peer = service.up("laclet[0-9]+|ppp[0-9]+")
        server.up()
        assert_passes(kernel, own, lns, peer)
        assert losses(service, own, peer, 45) == 0
        assert "TRANSPORT-in-UDP" in swan.security_associations() or not encaps
        assert "encap" in kernel.run("ip", "xfrm", "state").out or not encaps
        assert service.faults() == []
        swan.swanctl("--terminate", "--ike", "l2tp")
        service.said("IPsec is up again")
        assert_passes(kernel, own, lns, peer)
    kernel.no_interface(interface)
    assert_nothing_in_clear(capture.path, kernel.address)


def test_they_renew(lns, kernel):
    """strongSwan renews both phases every few seconds, and now and then at the same time as we do."""
    options = {"ipsec_plane": "kernel", "ipsec_esp": "aes128-sha1"}
    with (
        StrongSwan(lns, ike=FAST, esp="aes128-sha1", **THEIRS) as swan,
        Xl2tpdLns(lns) as server,
        Laclet(kernel, *client(lns.address, **options)) as service,
    ):
        _, own, peer = service.up("laclet[0-9]+|ppp[0-9]+")
        server.up()
        assert losses(service, own, peer, 45) == 0
        assert service.faults() == []
        assert len(re.findall("CHILD_SA l2tp.* established", swan.text())) >= 3


@pytest.mark.parametrize(("esp", "encaps"), [("aes128-sha1", False), ("aes256-sha256", True)])
@pytest.mark.parametrize("port", [1701, 2701])
def test_we_are_called(lab, lns, kernel, esp, encaps, port):
    """The LNS at the premises, with new keys under traffic, whatever port the caller has."""
    options = {"ipsec_plane": "kernel", "ipsec_forceencaps": encaps, "ipsec_esp": esp, **OURS}
    ports = f"dynamic[udp/{port}]"
    with (
        Laclet(kernel, *lns_of_ours(**options)) as service,
        lab.capture(kernel) as capture,
        StrongSwan(lns, kernel.address, ike=FAST, esp=esp, local_ts=ports) as swan,
        Xl2tpdClient(lns, kernel.address, port=port) as caller,
    ):
        swan.initiate()
        caller.dial()
        _, own, peer = caller.up()
        assert peer == LOCAL
        service.up("laclet[0-9]+|ppp[0-9]+")
        assert_passes(lns, own, kernel, peer)
        before = echoes(lns)
        end = time.monotonic() + 45
        while time.monotonic() < end:
            ping(lns, own, peer, 200)  # late is not lost: guests have hiccups
        sent, answered = (now - was for now, was in zip(echoes(lns), before, strict=True))
        lost = [place.run("grep -v '\\s0$' /proc/net/xfrm_stat", check=False).out for place in (lns, kernel)]
        assert sent == answered > 400, lost
        assert len(re.findall("CHILD_SA l2tp.* established", swan.text())) >= 2
        assert service.faults() == []
        assert ("encap" in kernel.run("ip", "xfrm", "state").out) == encaps
    assert_nothing_in_clear(capture.path, kernel.address)


CLEAR = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.bind(("", int(sys.argv[2])))
s.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[1], 1701))
try:
    print(s.recv(2000).hex())
except OSError:
    pass
"""


def sccrq():
    """One as any stranger sends it: message type, protocol version, framing, host name, tunnel id (RFC 2661 §6.1)."""
    values = (0, b"\0\1"), (2, b"\1\0"), (3, b"\0\0\0\3"), (7, b"stranger"), (9, b"\0\7")
    body = b"".join(struct.pack(">HHH", 0x8006 + len(value), 0, kind) + value for kind, value in values)
    return (struct.pack(">HHHHHH", 0xC802, 12 + len(body), 0, 0, 0, 0) + body).hex()


def clear_sccrq(place, target, port):
    """Send an SCCRQ in clear from a port; what comes back within a second."""
    return place.run("python3", "-c", CLEAR, target, port, sccrq()).out.strip()


def test_who_speaks_in_clear_is_not_heard(lab, lns, kernel, here):
    """Before, while and after there are SAs, from the caller itself and from strangers."""
    options = {"ipsec_plane": "kernel", "ipsec_esp": "aes128-sha1"}
    config, secrets = lns_of_ours()
    del secrets["lns"]["ipsec_psk"]
    with Laclet(here, config, secrets) as unprotected:
        unprotected.said("listening at")
        assert clear_sccrq(lns, here.address, 3000), "the SCCRQ is such that an LNS without IPsec answers it"
    with Laclet(kernel, *lns_of_ours(**options)) as service, lab.capture(kernel) as capture:
        service.said("listening at")
        assert not clear_sccrq(lns, kernel.address, 1701)
        assert not clear_sccrq(here, kernel.address, 3000)
        with StrongSwan(lns, kernel.address, ike=FAST, esp="aes128-sha1") as swan:
            swan.initiate()
            service.said("IPsec with .* is up")
            assert not clear_sccrq(lns, kernel.address, 3001)
            assert not clear_sccrq(here, kernel.address, 1701)
        service.said("IPsec with .* ended")
        assert not clear_sccrq(lns, kernel.address, 1701)
        assert "tunnel" not in service.text()
    sent = [frame for frame in frames(capture.path) if frame.source == kernel.address]
    assert not [frame.summary for frame in sent if "l2tp" in frame.protocols]


def test_a_killed_service_leaves_nothing_for_long(lns, kernel):
    """Policies and states outlive it, so that nothing goes in clear; the next one takes them back."""
    options = {"ipsec_plane": "kernel", "ipsec_esp": "aes128-sha1"}
    with StrongSwan(lns, ike=FAST, esp="aes128-sha1"), Xl2tpdLns(lns):
        service = Laclet(kernel, *client(lns.address, **options)).start()
        service.up("laclet[0-9]+|ppp[0-9]+")
        service.process.stop(9)
        assert "sport 1701" in kernel.run("ip", "xfrm", "policy").out
        with Laclet(kernel, *client(lns.address, ipsec_plane="user")) as service:
            service.said("left behind is taken back")
            assert kernel.run("ip xfrm policy; ip xfrm state").out == ""
