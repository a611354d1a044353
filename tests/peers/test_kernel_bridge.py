"""A LAC that relays in the kernel: a tty's PPP channel bridged to that of its L2TP session, pppd at both ends."""

import os

import pytest

from laclet.line.serial import SerialLine
from laclet_linux.loop import Loop
from laclet_linux.plane.kernel_bridge import objection
from laclet_linux.tty import Tty
from peers.lab import Daemon
from peers.needs import need
from peers.pppd import PppdSerial
from peers.service import Laclet
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]


class Ptys(Daemon):
    """Two ttys of a guest, the one at the other end of the other."""

    def __init__(self, place, name="ptys"):
        self.place = place
        self.name = name
        self.ends = [f"{place.directory}/{name}-{end}" for end in "ab"]

    def start(self):
        words = [f"pty,raw,echo=0,link={end}" for end in self.ends]
        self.process = self.place.spawn("socat", *words, log=f"{self.name}.log")
        for end in self.ends:
            self.place.until("exists", end, pid=self.process.pid)
        return self

    def stop(self):
        self.process.stop()


def lac(server, device, **call):
    return {
        "tunnel": {"nas": {"server": server}},
        "line": {"wire": {"device": device, "modem": "none"}},
        "call": {"vpn": {"tunnel": "nas", "line": "wire", **call}},
    }


def counters(service):
    """``(frames from the line, frames to it, octets that the service itself has read, written)``."""
    line = service.status()["laclet"]["calls"]["vpn"]["line"]
    return line["rx_frames"], line["tx_frames"]


def test_the_kernel_relays_a_serial_line(lns, cpe):
    need("xl2tpd", "pppd", "socat")
    with Xl2tpdLns(lns) as server, Ptys(cpe) as wire, Laclet(cpe, lac(lns.address, wire.ends[1])) as service:
        for call in (1, 2):
            with PppdSerial(cpe, ".." + wire.ends[0]) as host:
                service.said("bridged to the LNS in the kernel", count=call)
                _, own, peer = host.up()
                assert peer == server.local
                before = counters(service)
                assert_passes(cpe, own, lns, peer, 500_000)
                after = counters(service)
                assert min(after[0] - before[0], after[1] - before[1]) > 300, (before, after)
                assert "sess" in cpe.run("cat", "/proc/net/pppol2tp").out
            service.said("call ended|session:", count=call)
        assert "TUNNEL '" not in cpe.run("cat", "/proc/net/pppol2tp").out
        assert service.stop() == 5


def test_a_bridged_line_that_vanishes_is_waited_for(lns, cpe):
    need("xl2tpd", "pppd", "socat")
    with Xl2tpdLns(lns) as server, Ptys(cpe) as wire, Laclet(cpe, lac(lns.address, wire.ends[1])) as service:
        for call in (1, 2):
            host = PppdSerial(cpe, ".." + wire.ends[0])
            with host:
                service.said("bridged to the LNS in the kernel", count=call)
                host.up()
                if call == 1:
                    wire.stop()  # the cable is pulled
                    service.said("ptys-b: hung up; waiting for it to come back")
                    server.down()
            if call == 1:
                wire.start()
                service.said("ptys-b: open at", count=2)
        assert service.stop() == 5


def test_a_line_whose_errors_are_reported_is_relayed_here(lns, cpe):
    """The log says why the kernel does not have it."""
    need("xl2tpd", "pppd", "socat")
    with Xl2tpdLns(lns) as server, Ptys(cpe) as wire:
        config = lac(lns.address, wire.ends[1], data_plane="kernel", error_reports=3600)
        with Laclet(cpe, config) as service, PppdSerial(cpe, ".." + wire.ends[0]) as host:
            service.said("relayed here, not in the kernel: the kernel does not count the line's errors")
            _, own, peer = host.up()
            assert peer == server.local
            assert_passes(cpe, own, lns, peer, 100_000)


def test_a_modem_without_carrier_detect_keeps_its_line_here():
    """Only what it says tells of the end of a call."""
    near, far = os.openpty()
    loop = Loop()
    options = {"device": os.ttyname(far), "baud": 115200, "flow": "none", "modem": "answer"}
    wire = Tty(loop, options, SerialLine(), SerialLine(), lambda level, text: None)
    call = {"error_reports": 0, "proxy": False}
    assert "NO CARRIER must be read" in (objection(wire, call) or "")
    wire.close()
    assert objection(wire, call) == "the line is not open"
    loop.close()
    os.close(near)
    os.close(far)
