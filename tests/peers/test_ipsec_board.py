"""IKE and ESP on a board: MicroPython with 192 kB of heap takes pppd on its line to strongSwan and xl2tpd."""

import re
import time

import pytest

from peers.capture import frames
from peers.needs import need
from peers.pppd import PppdSerial
from peers.service import MicroLaclet
from peers.strongswan import PSK, StrongSwan
from peers.test_ipsec import FAST, FAULTS, OURS, THEIRS, assert_nothing_in_clear, client
from peers.test_ipsec_matrix import MATRIX
from peers.traffic import assert_passes, echoes, ping
from peers.xl2tpd import Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

# A board's firmware has neither GCM nor 3DES. Every other one goes through a NAT.
PROPOSALS = [(ike, esp, i % 2) for i, (ike, esp) in enumerate(MATRIX) if "gcm" not in esp and "3des" not in esp]


@pytest.fixture(scope="module")
def above(lns):
    """xl2tpd, for all of them one after the other."""
    need("swanctl", "xl2tpd", "pppd")
    with Xl2tpdLns(lns, "chap") as server:
        yield server


@pytest.fixture
def board(monkeypatch, cable):
    """``board(service's config and secrets)``: a MicroPython with 192 kB of heap, with a serial line for its call."""
    monkeypatch.setattr("peers.service.HEAP", "192K")

    def make(place, config, secrets):
        config["line"] = {"serial": {"device": cable.near}}
        config["call"] = {"access": {"tunnel": "nas", "line": "serial"}}
        del secrets["call"]
        return MicroLaclet(place, config, secrets)

    return make


@pytest.mark.parametrize(("ike", "esp", "nat"), PROPOSALS)
def test_a_boards_proposals(lab, lns, cpe, here, inside, above, board, ike, esp, nat):
    """Called twice: the second time under SAs that are there already."""
    place, seen = (inside, inside.router) if nat else (here, here)
    truncated = "sha256_96 = yes" if esp.endswith("_96") else ""
    with (
        StrongSwan(lns, ike=ike, esp=esp.removesuffix("_96"), more_child=truncated),
        lab.capture(lns) as capture,
        board(place, *client(lns.address, ipsec_ike=ike, ipsec_esp=esp)) as service,
    ):
        for _ in range(2):
            with PppdSerial(cpe) as host:
                _, own, peer = host.up()
                above.up()
                assert_passes(cpe, own, lns, peer, 50_000)
            above.down()
        assert not [fault for fault in service.faults() if fault.startswith("ike")]
        service.said(re.escape(f"IPsec is up: {ike}, ESP in UDP {esp}"))
    assert_nothing_in_clear(capture.path, seen.address)


@pytest.mark.parametrize(("ours", "theirs"), [(OURS, {}), ({}, THEIRS)], ids=["ours", "theirs"])
def test_a_boards_new_keys(lab, lns, cpe, here, above, board, ours, theirs):
    """Both phases are renewed under traffic, by either side, and no packet is lost."""
    with (
        StrongSwan(lns, ike=FAST, **theirs) as swan,
        lab.capture(here) as capture,
        board(here, *client(lns.address, ipsec_ike=FAST, ipsec_esp="aes128-sha1", **ours)) as service,
        PppdSerial(cpe) as host,
    ):
        _, own, peer = host.up()
        above.up()
        before = echoes(cpe)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            ping(cpe, own, peer, 200)  # late is not lost: guests have hiccups
        sent, answered = (now - was for now, was in zip(echoes(cpe), before, strict=True))
        assert sent == answered > 600
        assert service.faults() == []
        text = swan.text()
        assert len(re.findall("CHILD_SA l2tp.* established", text)) >= 3
        assert len(re.findall(r"IKE_SA l2tp\[\d+\] established", text)) >= 2
    above.down()
    assert_nothing_in_clear(capture.path, here.address)


@pytest.mark.parametrize("name", FAULTS)
def test_a_boards_faults(lab, lns, here, above, board, name):
    """One line each, naming IKE and the cause; nothing in clear."""
    options, line = FAULTS[name]
    config, secrets = client(lns.address, ipsec_ike=FAST, ipsec_esp="aes128-sha1", redial=False)
    with (
        lab.capture(here) as capture,
        StrongSwan(lns, **{"ike": FAST, **options}),
        board(here, config, secrets) as service,
    ):
        service.said(line, timeout=60)
        service.said("giving up")
        faults = [fault for fault in service.faults() if fault != "giving up"]
        assert len(faults) == 1 and re.match(line, faults[0])
    assert PSK not in service.text() and "another" not in service.text()
    assert_nothing_in_clear_but_ike(capture.path, here.address)


def test_a_board_names_silence(lab, here, board):
    nowhere = "192.0.2.9"  # behind a router that does not forward
    here.run("ip", "route", "replace", nowhere, "via", lab.net.address)
    with lab.capture(here) as capture, board(here, *client(nowhere, ipsec_ike=FAST)) as service:
        service.said("ike: no answer .*is the address right", timeout=60)
    here.run("ip", "route", "del", nowhere)
    assert_nothing_in_clear_but_ike(capture.path, here.address)


def assert_nothing_in_clear_but_ike(path, source):
    """The same where nothing came up, so that there is no ESP."""
    sent = [frame for frame in frames(path) if frame.source == source]
    assert sent and all("isakmp" in frame.protocols for frame in sent), [frame.summary for frame in sent]
