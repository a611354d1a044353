"""The laboratory itself, with no program of ours in it: every peer works against another one."""

import os
import select
import tty

import pytest

from peers.capture import assert_well_formed, measure_setup
from peers.lab import Lab, LabError
from peers.modem import AtModem
from peers.needs import need
from peers.pppd import PppdSerial
from peers.strongswan import StrongSwan
from peers.traffic import assert_passes, ping
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]


class Terminal:
    """A person at a terminal: the near end of the cable."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.descriptor)
        self.seen = b""

    def send(self, data):
        os.write(self.descriptor, data)

    def expect(self, data, seconds=10):
        """Read until `data` has come."""
        while data not in self.seen:
            assert select.select([self.descriptor], [], [], seconds)[0], f"no {data}, only {self.seen}"
            self.seen += os.read(self.descriptor, 4096)
        self.seen = self.seen.partition(data)[2]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self.descriptor)


def test_a_command_has_its_status_output_and_end(lns, here):
    for place in (lns, here):
        result = place.run("echo out; echo err >&2; exit 3", check=False)
        assert (result.rc, result.out, result.err) == (3, "out\n", "err\n")
        with pytest.raises(LabError, match="exit 3"):
            place.run("exit 3 ;")
        with pytest.raises(LabError, match=r"not done in 0\.1 s"):
            place.run("sleep", 60, timeout=0.1)
        with place.spawn("echo begun; exec sleep 60") as program:
            program.said("begun")
            assert program.returncode() is None
        assert program.returncode() == -15


def test_two_laboratories_do_not_meet(lab, here):
    with Lab() as other:
        place = other.namespace("here")
        twin = other.namespace("twin")
        assert len(ping(place, place.address, twin.address)) == 3
        assert twin.address != here.address
        pids = [place.pid, twin.pid, other.net.pid]
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    assert not other.directory.exists()


def test_a_link_has_the_delay_asked_for(lns, here):
    lns.netem(delay=20)
    assert min(ping(here, here.address, lns.address)) >= 40
    lns.netem()
    assert min(ping(here, here.address, lns.address)) < 20


@pytest.mark.parametrize(("auth", "secret"), [("pap", None), ("chap", "tunnelsecret"), ("mschap-v2", None)])
def test_xl2tpd_dials_xl2tpd(lab, lns, cpe, auth, secret):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns, auth, secret) as server, Xl2tpdClient(cpe, lns.address, secret=secret) as client:
        with lab.capture(cpe) as capture:
            client.dial()
            _, own, peer = client.up()
            assert peer == server.local
            assert server.up()[1:] == (peer, own)
            assert_passes(cpe, own, lns, peer)
        setup = measure_setup(capture.path, cpe.address, secret=secret or "")
        assert 13 <= setup.turns <= setup.packets
        assert_well_formed(capture.path, cpe.address, ("l2tp", "ppp", "lcp", "ipcp", "icmp", "tcp"))


def test_xl2tpd_names_a_wrong_password_and_a_wrong_secret(lns, cpe):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns, "chap", "tunnelsecret") as server:
        with Xl2tpdClient(cpe, lns.address, password="wrong", secret="tunnelsecret") as client:
            client.dial()
            server.pppd_said("failed CHAP authentication")
        with Xl2tpdClient(cpe, lns.address, secret="wrong") as client:
            client.dial()
            client.process.said("(?i)invalid challenge|authentication|denying", 15)


@pytest.mark.parametrize("secret", [None, "tunnelsecret"])
def test_xl2tpd_dials_l2tpns(cpe, l2tpns, secret):
    need("xl2tpd", "pppd")
    with Xl2tpdClient(cpe, l2tpns.place.address, secret=secret) as client:
        client.dial()
        _, own, peer = client.up()
        assert peer == l2tpns.local
        assert_passes(cpe, own, l2tpns.place, peer)


@pytest.mark.parametrize("encap", [False, True], ids=["esp", "udp"])
def test_strongswan_carries_xl2tpd(lab, lns, cpe, encap):
    need("xl2tpd", "pppd", "swanctl")
    with (
        StrongSwan(lns, encap=encap) as answering,
        StrongSwan(cpe, lns.address, encap=encap) as calling,
        Xl2tpdLns(lns),
        Xl2tpdClient(cpe, lns.address) as client,
        lab.capture(cpe) as capture,
    ):
        calling.initiate()
        answering.said("established")
        client.dial()
        _, own, peer = client.up()
        assert_passes(cpe, own, lns, peer)
    seen = {protocol for frame in capture.frames() for protocol in frame.protocols}
    assert "esp" in seen
    assert "l2tp" not in seen


def test_the_modem_answers_a_call_and_hears_the_escape_sequence(cable, cpe):
    need("pppd")
    with AtModem(cable, cpe) as modem, Terminal(cable.near) as terminal:
        terminal.send(b"ATZ\r")
        terminal.expect(b"\r\nOK\r\n")
        terminal.send(b"ATD*99#\r")
        terminal.expect(b"CONNECT 115200\r\n")
        terminal.send(b"~~")
        select.select([], [], [], 1.0)  # the guard time
        terminal.send(b"+++")
        terminal.expect(b"OK\r\n")
        terminal.send(b"ATH\r")
        terminal.expect(b"OK\r\n")
        modem.said("hung up")


def test_the_modem_calls_and_loses_the_carrier(cable, cpe):
    need("pppd")
    with AtModem(cable, cpe) as modem, Terminal(cable.near) as terminal:
        modem.ring("5550100")
        terminal.expect(b"\r\nRING\r\n")
        terminal.expect(b"NMBR = 5550100\r\n")
        terminal.send(b"ATA\r")
        terminal.expect(b"CONNECT 115200\r\n")
        terminal.expect(b"~\xff}#\xc0!")  # the caller's pppd begins LCP
        modem.cut()
        terminal.expect(b"NO CARRIER\r\n")


def test_a_cable_can_be_unplugged(cable):
    with Terminal(cable.near) as terminal:
        cable.unplug()
        poll = select.poll()
        poll.register(terminal.descriptor, select.POLLIN)
        assert poll.poll(5000)[0][1] & select.POLLHUP
    assert not os.path.exists(cable.near)
    cable.plug()
    assert os.path.exists(cable.near)


@pytest.mark.parametrize("auth", ["pap", "chap"])
def test_pppd_dials_pppd_through_the_modem(between, lns, cpe, auth):
    need("pppd")
    chat = "connect \"chat -t 5 '' ATZ OK ATD5550100 CONNECT\""
    with AtModem(between, lns, auth=auth) as modem, PppdSerial(cpe, "ttyS1", pppd=[chat]) as client:
        _, own, peer = client.up()
        assert modem.up()[1:] == (peer, own)
        assert_passes(cpe, own, lns, peer, 50_000)
        modem.hang_up()
        client.pppd_said("LCP terminated by peer")
        modem.said("> NO CARRIER")


def test_pppd_dials_pppd_on_a_bare_line_twice(lns, cpe):
    need("pppd")
    with PppdSerial(lns, "ttyS0", auth="chap") as server:
        for _ in range(2):
            with PppdSerial(cpe, "ttyS1") as client:
                _, own, peer = client.up()
                assert_passes(cpe, own, lns, peer, 50_000)
            server.down()
