"""L2TP over IPsec against strongSwan, with xl2tpd and pppd above it: the whole way, and every way to fail."""

import re
import signal
import subprocess
import time

import pytest

from laclet_linux import keys
from peers.capture import frames
from peers.needs import need
from peers.service import LACLET, Laclet
from peers.strongswan import PSK, StrongSwan
from peers.traffic import assert_passes, echoes, ping
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

FAST = "aes128-sha1-modp1024"
PROPOSALS = [
    ("aes128-sha1-modp2048", "aes128-sha1"),
    ("aes256-sha256-modp2048", "aes256-sha256"),
    ("aes256-sha1-modp1536", "aes128gcm16"),
    ("aes128-sha256-modp1024", "aes128-sha256"),
    ("3des-sha1-modp1024", "3des-sha1"),
    ("aes128-sha1-modp1024", "aes128-sha1-modp2048"),
]
LOCAL = "10.11.0.1"
# Lives so short that both phases are renewed within a minute; THEIRS so close that both sides go at once now and then.
OURS = {"ipsec_ikelifetime": 40, "ipsec_salifetime": 30}
THEIRS = {"more": "rekey_time = 15s", "more_child": "rekey_time = 10s"}


def client(server, psk=PSK, **ipsec):
    """The configuration and the secrets of a client of ``server``."""
    config = {
        "tunnel": {"nas": {"server": server, "holdoff": 0.5, "redial_timeout": 2, **ipsec}},
        "call": {"vpn": {"tunnel": "nas", "username": "user", "mtu": 1400, "mru": 1400}},
    }
    return config, {"call": {"vpn": {"password": "secret"}}, "tunnel": {"nas": {"ipsec_psk": psk}}}


def lns_of_ours(psk=PSK, **ipsec):
    config = {"lns": {"address": LOCAL, "pool": "10.11.0.10-10.11.0.20", "mtu": 1400, "mru": 1400, **ipsec}}
    return config, {"lns": {"users": {"user": "secret"}, "ipsec_psk": psk}}


def assert_nothing_in_clear(path, source):
    """Nothing that ``source`` sent shows L2TP: it was IKE and ESP. (A peer without its daemon may well leak.)"""
    sent = [frame for frame in frames(path) if frame.source == source]
    clear = [frame.summary for frame in sent if "l2tp" in frame.protocols or "1701" in frame.summary]
    assert not clear, clear
    assert {"isakmp", "esp"} <= {protocol for frame in sent for protocol in frame.protocols}


def losses(service, source, address, seconds):
    """Ping without a pause; how many requests or answers got lost. Late is not lost: guests have hiccups."""
    before = echoes(service.place)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        service.place.request("ping", 120, source=source, address=address, count=1000, size=400)
    sent, answered = (now - was for now, was in zip(echoes(service.place), before, strict=True))
    assert sent > 10 * seconds
    return sent - answered


@pytest.mark.parametrize(("ike", "esp"), PROPOSALS)
def test_strongswan_takes_us(lab, lns, here, ike, esp):
    need("swanctl", "xl2tpd", "pppd")
    with StrongSwan(lns, ike=ike, esp=esp) as swan, Xl2tpdLns(lns) as server, lab.capture(here) as capture:
        service = Laclet(here, *client(lns.address, ipsec_ike=ike, ipsec_esp=esp))
        with service:
            _, own, peer = service.up()
            server.up()
            assert_passes(here, own, lns, peer)
            assert service.faults() == []
            service.said(re.escape(f"IPsec is up: {ike}, ESP in UDP {esp}"))
        swan.said("deleting IKE_SA")
        server.down()
    assert_nothing_in_clear(capture.path, here.address)


def test_aggressive_mode(lab, lns, here):
    need("swanctl", "xl2tpd", "pppd")
    with (
        StrongSwan(lns, ike=FAST, more="aggressive = yes") as swan,
        Xl2tpdLns(lns) as server,
        lab.capture(here) as capture,
        Laclet(here, *client(lns.address, ipsec_ike=FAST, ipsec_aggressive=True)) as service,
    ):
        _, own, peer = service.up()
        server.up()
        assert_passes(here, own, lns, peer)
        assert service.faults() == []
        swan.said("AGGRESSIVE request")
    assert_nothing_in_clear(capture.path, here.address)


def test_strongswan_calls_in_aggressive_mode(cpe, here):
    need("swanctl", "xl2tpd", "pppd")
    with (
        Laclet(here, *lns_of_ours(ipsec_ike=FAST, ipsec_aggressive=True)) as service,
        StrongSwan(cpe, here.address, ike=FAST, more="aggressive = yes") as swan,
        Xl2tpdClient(cpe, here.address) as caller,
    ):
        swan.initiate()
        caller.dial()
        _, own, peer = caller.up()
        service.up()
        assert_passes(cpe, own, here, peer)
        assert service.faults() == []


def test_defaults_agree_with_strongswan(lns, here):
    need("swanctl", "xl2tpd", "pppd")
    with (
        StrongSwan(lns, ike="default", esp="default"),
        Xl2tpdLns(lns) as server,
        Laclet(here, *client(lns.address)) as service,
    ):
        _, own, peer = service.up()
        server.up()
        assert_passes(here, own, lns, peer)


@pytest.mark.parametrize("how", ["yes", "force"])
def test_messages_in_pieces(lns, here, how):
    """strongSwan's come in pieces of 200 bytes; our offer of 60 proposals is too long for one datagram."""
    need("swanctl", "xl2tpd", "pppd")
    offer = ",".join(["aes-sha"] * 60)
    with (
        StrongSwan(lns, ike=FAST, more=f"fragmentation = {how}", fragment=200) as swan,
        Xl2tpdLns(lns) as server,
        Laclet(here, *client(lns.address, ipsec_ike=FAST, ipsec_esp=offer)) as service,
    ):
        _, own, peer = service.up()
        server.up()
        assert_passes(here, own, lns, peer, 20_000)
        assert service.faults() == []
        swan.said("received fragment #2")
        swan.said("splitting IKE message .* into")


def test_behind_a_nat(lab, lns, inside):
    need("swanctl", "xl2tpd", "pppd")
    with (
        StrongSwan(lns, ike=FAST) as swan,
        Xl2tpdLns(lns) as server,
        lab.capture(lns) as capture,
        Laclet(inside, *client(lns.address)) as service,
    ):
        _, own, peer = service.up()
        server.up()
        assert_passes(inside, own, lns, peer, 1_000_000)
        assert service.faults() == []
        sas = swan.security_associations()
        assert "remote '10.78.0.2' @ " + inside.router.address in sas and "TRANSPORT-in-UDP" in sas
    assert_nothing_in_clear(capture.path, inside.router.address)


@pytest.mark.parametrize(("ours", "theirs"), [(OURS, {}), ({}, THEIRS)], ids=["ours", "theirs"])
def test_new_keys_under_traffic(lab, lns, here, ours, theirs):
    """Both phases are renewed, by either side, and no packet is lost."""
    need("swanctl", "xl2tpd", "pppd")
    with (
        StrongSwan(lns, ike=FAST, **theirs) as swan,
        Xl2tpdLns(lns) as server,
        lab.capture(here) as capture,
        Laclet(here, *client(lns.address, **ours)) as service,
    ):
        _, own, peer = service.up()
        server.up()
        assert losses(service, own, peer, 60) == 0
        assert service.faults() == []
        text = swan.text()
        assert len(re.findall("CHILD_SA l2tp.* established", text)) >= 3
        assert len(re.findall(r"IKE_SA l2tp\[\d+\] established", text)) >= 2
    assert_nothing_in_clear(capture.path, here.address)


FAULTS = {
    "psk": ({"psk": "another"}, r"ike: the pre-shared key differs; .*\(compare ipsec_psk\)"),
    "ike": ({"ike": "aes256-sha256-modp2048"}, f"ike: no common IKE proposal; we offered {FAST}; .*NO-PROPOSAL-CHOSEN"),
    "esp": ({"esp": "aes256-sha256"}, "ike: no common ESP proposal; we offered aes128-sha1; .*NO-PROPOSAL-CHOSEN"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_name_ike_and_the_cause(lab, lns, here, name):
    """One line each time; nothing in clear; and once it is mended, it recovers by itself."""
    need("swanctl", "xl2tpd", "pppd")
    options, line = FAULTS[name]
    config, secrets = client(lns.address, ipsec_ike=FAST, ipsec_esp="aes128-sha1")
    with Xl2tpdLns(lns) as server, lab.capture(here) as capture:
        swan = StrongSwan(lns, **{"ike": FAST, **options}).start()
        with Laclet(here, config, secrets) as service:
            try:
                service.said(line, count=2, timeout=40)
                faults = service.faults()
            finally:
                swan.stop()
            assert all(re.match(line, fault) for fault in faults), faults
            with StrongSwan(lns, ike=FAST):
                _, own, peer = service.up(timeout=60)
                server.up()
                assert_passes(here, own, lns, peer)
    assert PSK not in service.text() and "another" not in service.text()
    assert_nothing_in_clear(capture.path, here.address)


def test_silence_is_named(lab, here):
    need("swanctl")
    nowhere = "192.0.2.9"  # behind a router that does not forward
    here.run("ip", "route", "add", nowhere, "via", lab.net.address)
    with Laclet(here, *client(nowhere)) as service, lab.capture(here) as capture:
        service.said("ike: no answer .*is the address right", timeout=60)
        assert len(service.faults()) == 1
    here.run("ip", "route", "del", nowhere)
    assert not [frame for frame in frames(capture.path) if "l2tp" in frame.protocols]


def test_sas_that_end_do_not_end_the_tunnel(lab, lns, here):
    """strongSwan restarts, xl2tpd does not: the tunnel and its call go on, and nothing goes in clear meanwhile."""
    need("swanctl", "xl2tpd", "pppd")
    with (
        Xl2tpdLns(lns) as server,
        lab.capture(here) as capture,
        Laclet(here, *client(lns.address)) as service,
    ):
        with StrongSwan(lns, ike=FAST):
            _, own, peer = service.up()
            server.up()
            assert_passes(here, own, lns, peer)
        service.said("ike: the peer deleted the SA")
        with StrongSwan(lns, ike=FAST):
            service.said("IPsec is up again")
            assert_passes(here, own, lns, peer)
    assert service.text().count("call connected") == 1
    assert_nothing_in_clear(capture.path, here.address)


def test_a_server_that_restarts(lab, lns, here):
    need("swanctl", "xl2tpd", "pppd")
    config, secrets = client(lns.address)
    config["tunnel"]["nas"] |= {"max_retries": 3, "retry_timeout": 0.5}
    with lab.capture(here) as capture, Laclet(here, config, secrets) as service:
        for count in (1, 2):
            with Xl2tpdLns(lns) as server:
                with StrongSwan(lns, ike=FAST):
                    _, own, peer = service.up(timeout=60)
                    server.up()
                    assert_passes(here, own, lns, peer)
                server.kill()
            service.said("ike: the peer deleted the SA", count=count)
    assert_nothing_in_clear(capture.path, here.address)


def test_who_was_killed_says_that_it_begins_anew(lns, here):
    """INITIAL-CONTACT: strongSwan forgets what it had with us."""
    need("swanctl", "xl2tpd", "pppd")
    config, secrets = client(lns.address, ipsec_ike=FAST)
    with StrongSwan(lns, ike=FAST) as swan, Xl2tpdLns(lns) as server:
        first = Laclet(here, config, secrets).start()
        first.up()
        first.process.kill(signal.SIGKILL)
        server.kill()
        first.process.wait()
        here.no_address("laclet[0-9]+|tun[0-9]+")
        with Xl2tpdLns(lns) as server, Laclet(here, config, secrets, name="second") as service:
            _, own, peer = service.up()
            server.up()
            assert_passes(here, own, lns, peer, 20_000)
            swan.said(r"parsed ID_PROT request 0 \[ ID HASH N\(INITIAL_CONTACT\) \]", count=2)
            assert swan.security_associations().count("ESTABLISHED") == 1


def test_strongswan_asks_whether_we_are_alive(lns, here):
    """RFC 3706; it asks only where nothing else tells."""
    need("swanctl", "xl2tpd", "pppd")
    with (
        StrongSwan(lns, ike=FAST, more="dpd_delay = 1s") as swan,
        Xl2tpdLns(lns) as server,
        Laclet(here, *client(lns.address, ipsec_ike=FAST)) as service,
    ):
        service.up()
        server.up()
        swan.said(r"parsed INFORMATIONAL_V1 request \d+ \[ HASH N\(DPD_ACK\) \]", count=2, timeout=20)
        assert service.faults() == []


def test_a_peer_that_dies_is_found_out(lns, here):
    need("swanctl", "xl2tpd", "pppd")
    with StrongSwan(lns, ike=FAST) as swan, Xl2tpdLns(lns), Laclet(here, *client(lns.address)) as service:
        service.up()
        swan.process.kill(signal.SIGSTOP)
        lns.run("ip", "xfrm", "state", "flush")  # or its kernel would go on answering
        try:
            service.said("ike: the peer does not answer any more", timeout=90)
        finally:
            swan.process.kill(signal.SIGCONT)


@pytest.mark.parametrize(("ike", "esp"), PROPOSALS[:3])
def test_strongswan_calls_us(lab, cpe, here, ike, esp):
    need("swanctl", "xl2tpd", "pppd")
    ipsec = {"ipsec_ike": ike, "ipsec_esp": esp}
    with Laclet(here, *lns_of_ours(**ipsec)) as service, lab.capture(here) as capture:
        with StrongSwan(cpe, here.address, ike=ike, esp=esp) as swan, Xl2tpdClient(cpe, here.address) as caller:
            swan.initiate()
            caller.dial()
            _, own, peer = caller.up()
            assert peer == LOCAL
            service.up()
            assert_passes(cpe, own, here, peer)
            assert service.faults() == []
        here.no_address("laclet[0-9]+|tun[0-9]+")
    assert_nothing_in_clear(capture.path, here.address)


def test_new_keys_for_a_caller(lab, cpe, here):
    """strongSwan calls, and renews both phases under traffic: no packet is lost."""
    need("swanctl", "xl2tpd", "pppd")
    with (
        Laclet(here, *lns_of_ours(ipsec_ike=FAST, ipsec_esp="aes128-sha1")) as service,
        lab.capture(here) as capture,
        StrongSwan(cpe, here.address, ike=FAST, **THEIRS) as swan,
        Xl2tpdClient(cpe, here.address) as caller,
    ):
        swan.initiate()
        caller.dial()
        _, own, peer = caller.up()
        service.up()
        before = echoes(cpe)
        end = time.monotonic() + 45
        while time.monotonic() < end:
            ping(cpe, own, peer, 500)  # late is not lost: guests have hiccups
        sent, answered = (now - was for now, was in zip(echoes(cpe), before, strict=True))
        assert sent == answered > 1000
        assert service.faults() == []
        assert len(re.findall(r"IKE_SA l2tp\[\d+\] established", swan.text())) >= 2
    assert_nothing_in_clear(capture.path, here.address)


def test_callers_that_we_refuse(cpe, here):
    need("swanctl", "xl2tpd")
    with Laclet(here, *lns_of_ours(ipsec_ike=FAST, ipsec_esp="aes128-sha1")) as service:
        for options, line in (
            ({"psk": "another"}, "ike: .*pre-shared key differs"),
            ({"ike": "aes256-sha256-modp2048"}, "ike: no common IKE proposal"),
            ({"esp": "aes256-sha256"}, "ike: no common ESP proposal"),
        ):
            with StrongSwan(cpe, here.address, **{"ike": FAST, **options}) as swan:
                swan.swanctl("--initiate", "--child", "l2tp", "--timeout", "4", check=False)
                service.said(line)
        with Xl2tpdClient(cpe, here.address) as caller:  # without IPsec: nobody is there
            caller.dial()
            assert here.holds("log", service.process.log, "tunnel.*is up", 1, timeout=3.0) is None


@pytest.mark.parametrize(("ike", "esp"), [PROPOSALS[0], PROPOSALS[1], PROPOSALS[2]])
def test_tshark_reads_it_with_our_keys(lab, lns, here, tmp_path, ike, esp):
    need("swanctl", "xl2tpd", "pppd")
    with (
        StrongSwan(lns, ike=ike, esp=esp),
        Xl2tpdLns(lns) as server,
        lab.capture(here) as capture,
        Laclet(here, *client(lns.address, ipsec_ike=ike, ipsec_esp=esp)) as service,
    ):
        _, own, peer = service.up()
        server.up()
        assert_passes(here, own, lns, peer, 10_000)
        path = tmp_path / "keys"
        words = ["capture", service.name, "--keys", path, "-o", tmp_path / "own.pcapng"]
        with here.spawn(LACLET, *words, log="capture.log", env={"LACLET_RUN_DIR": f"{here.directory}/{service.name}/"}):
            here.until("log", str(path), "esp_sa", 2)
    command = ["tshark", "-r", capture.path, *keys.options(path), "-T", "fields", "-e", "_ws.col.Protocol"]
    command += ["-e", "isakmp.exchangetype", "-e", "esp.icv_good", "-e", "_ws.malformed", "-e", "l2tp.avp.message_type"]
    command += ["-e", "udp.payload"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    # A message that is sent again it takes for the next one, and cannot decrypt: only the first time counts.
    first = {row[5]: row for row in reversed(rows)}
    assert not [row for row in first.values() if row[3]], done.stdout
    messages = [row[4] for row in rows if row[4]]
    assert messages[0] == "1" and {"2", "10"} <= set(messages)  # SCCRQ, SCCRP, ICRQ
    assert {"1", "True"} & {row[2] for row in rows}
    assert not {"0", "False"} & {row[2] for row in rows}
