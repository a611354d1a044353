"""Multilink with pppd over two serial lines: our LAC carries both links, our LNS has the bundle; one line is lost."""

import pytest

from peers.needs import need
from peers.pppd import PppdSerial
from peers.service import Laclet
from peers.traffic import assert_passes

pytestmark = [pytest.mark.root, pytest.mark.guest]

LOCAL = "10.11.0.1"
MULTILINK = ("multilink", "mrru 1500", "lcp-echo-interval 2", "lcp-echo-failure 2")


@pytest.fixture(scope="module")
def hub(lab):
    """A namespace for the LNS."""
    return lab.namespace("hub")


def lac(server, *devices):
    """Each line has a call, all of them in one tunnel."""
    return {
        "tunnel": {"nas": {"server": server}},
        "line": {f"line{i}": {"device": str(device)} for i, device in enumerate(devices)},
        "call": {f"call{i}": {"tunnel": "nas", "line": f"line{i}"} for i in range(len(devices))},
    }


def packets(service):
    """{session: (sent, received)} of the calls that an LNS of ours has."""
    callers = service.status()["laclet"]["lns"]["callers"]
    sessions = [caller["session"] for caller in callers]
    return {each["local_session"]: (each["tx_packets"], each["rx_packets"]) for each in sessions}


def test_pppd_has_two_serial_lines(cpe, here, hub, cable, second):
    need("pppd")
    config = {"lns": {"auth": ["chap"], "address": LOCAL, "pool": "10.11.0.10-10.11.0.20", "multilink": True}}
    lns = Laclet(hub, config, {"lns": {"users": {"user": "secret"}}}, name="lns")
    with (
        lns as service,
        Laclet(here, lac(hub.address, cable.near, second.near)),
        PppdSerial(cpe, "ttyS0", pppd=MULTILINK, name="first") as host,
    ):
        _, own, peer = host.up()
        assert (own, peer) == ("10.11.0.10", LOCAL)
        other = PppdSerial(cpe, "ttyS2", pppd=MULTILINK, name="second").start()
        service.said("links: 2")
        before = packets(service)
        assert_passes(cpe, own, hub, peer, 300_000)
        after = packets(service)
        assert len(before) == 2 and before.keys() == after.keys()
        for session, (sent, received) in before.items():
            assert after[session][0] - sent > 50 and after[session][1] - received > 50, (before, after)

        second.unplug()
        service.said("call ended")
        other.pppd_said("Link terminated|Connection terminated|Modem hangup", timeout=20.0)
        assert_passes(cpe, own, hub, peer, 100_000)
        assert len(packets(service)) == 1 and host.up()[1] == own
        second.plug()
        other.process.stop()
