"""The main job: a PPP link that arrives on a serial line, behind an AT modem, is tunnelled to an LNS."""

import signal

import pytest

from peers.capture import assert_well_formed
from peers.modem import AtModem
from peers.needs import need
from peers.pppd import PppdSerial
from peers.service import Laclet, MicroLaclet
from peers.traffic import assert_passes
from peers.xl2tpd import SECRET, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

SEEN = ("l2tp", "ppp", "lcp", "ipcp", "icmp", "tcp")
ON = pytest.mark.parametrize("kind", [Laclet, MicroLaclet], ids=["cpython", "micropython"])


def lac(server, device, secret=None, **line):
    """The configuration and the secrets of a LAC between the line `device` and `server`."""
    config = {
        "tunnel": {"nas": {"server": server}},
        "line": {"serial": {"device": device, **line}},
        "call": {"access": {"tunnel": "nas", "line": "serial"}},
    }
    return config, {"tunnel": {"nas": {"tunnel_secret": secret}}} if secret else {}


def end_pppd(guest):
    """End the pppd of a guest in good order, as its administrator would."""
    guest.run("kill -TERM $(pidof pppd)")


@ON
def test_a_ringing_modem_reaches_the_lns(lab, lns, cpe, here, cable, kind):
    need("xl2tpd", "pppd")
    service = kind(here, *lac(lns.address, cable.near, SECRET, modem="answer"))
    with Xl2tpdLns(lns, "chap", SECRET) as server, AtModem(cable, cpe) as modem, lab.capture(here) as capture:
        with service:
            modem.ring("5550100")
            modem.said("< ATA")
            _, own, peer = modem.up()
            assert (own, peer) == ("10.9.0.10", server.local)
            assert server.up()[1:] == (peer, own)
            assert_passes(cpe, own, lns, peer)

            modem.hang_up()
            modem.said("hung up: pppd has ended")
            server.down()

            modem.ring()
            assert modem.up()[2] == server.local
            server.up()
            end_pppd(lns)
            modem.said("hung up", count=2)
            modem.down()

            modem.ring()
            assert modem.up()[2] == server.local
            modem.cut()
            server.down()

            modem.ring()
            modem.up()
            server.up()
        modem.said("hung up", count=4)
        server.down()
    assert_well_formed(capture.path, here.address, SEEN, secret=SECRET)


@ON
def test_a_bare_line_reaches_the_lns(lab, lns, cpe, here, cable, kind):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns, "pap") as server, kind(here, *lac(lns.address, cable.near)), lab.capture(here) as capture:
        for _ in range(2):
            with PppdSerial(cpe) as host:
                _, own, peer = host.up()
                assert peer == server.local
                assert_passes(cpe, own, lns, peer)
            server.down()
    assert_well_formed(capture.path, here.address, SEEN)


@ON
def test_a_line_that_is_unplugged_comes_back(lns, cpe, here, cable, kind):
    need("xl2tpd", "pppd")
    with Xl2tpdLns(lns) as server, kind(here, *lac(lns.address, cable.near)) as service:
        with PppdSerial(cpe) as host:
            host.up()
            cable.unplug()
            service.said(r"\[W\].*line.*hung up|\bline: ")
            server.down()
            host.process.kill(signal.SIGTERM)
        cable.plug()
        with PppdSerial(cpe) as host:
            _, own, peer = host.up()
            assert_passes(cpe, own, lns, peer)
