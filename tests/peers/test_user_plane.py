"""The userspace plane on real TUN interfaces of two namespaces: iperf3, hashes compared, every way to fall back."""

import json

import pytest

from peers.lab import PROGRAMS
from peers.needs import need
from peers.traffic import assert_passes, exchange

pytestmark = pytest.mark.root

COUNT = 30_000_000


@pytest.fixture(scope="module")
def two(lab):
    """Two namespaces."""
    return lab.namespace("plane-a"), lab.namespace("plane-b")


@pytest.fixture
def joined(two):
    """join(options of a, of b) -> the two processes, with addresses 10.1.0.1 and .2, fd00::1 and ::2 on `t0`."""
    running = []

    def join(first=(), second=()):
        a, b = two
        for place, other, ids, host, options in ((a, b, "1 2 3 4", 1, first), (b, a, "3 4 1 2", 2, second)):
            words = ["t0", place.address, other.address, "1701", *ids.split(), *options]
            process = place.spawn("python3", PROGRAMS / "plane_end.py", *words, log=f"plane-{len(running)}.log")
            process.said("ready")
            running.append(process)
            place.run("ip", "addr", "add", f"10.1.0.{host}", "peer", f"10.1.0.{3 - host}", "dev", "t0")
            place.run("ip", "addr", "add", f"fd00::{host}/64", "dev", "t0", "nodad")
            place.run("ip", "link", "set", "t0", "mtu", "1400", "up")
        return running

    yield join
    for process in running:
        process.stop()


def counters(process):
    """What the end counted, once it has stopped."""
    assert process.stop() == 0
    return json.loads(process.text().splitlines()[-1])


WAYS = {
    "everything": ((), ()),
    "plain": (("plain",), ("plain",)),
    "forwarded": (("forward",), ("forward",)),
    "apart": (("apart",), ("apart",)),
    "bare": (("bare",), ("bare",)),
    "bare and apart": (("bare", "apart"), ("bare", "apart")),
    "one end bare": (("bare",), ()),
    "one end plain and apart": (("plain", "apart"), ()),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_arrives_is_what_was_sent(two, joined, way):
    a, b = two
    ends = joined(*WAYS[way])
    assert_passes(a, "10.1.0.1", b, "10.1.0.2")
    exchange(a, "10.1.0.1", b, "10.1.0.2", COUNT)
    counted = [counters(end) for end in ends]
    for end in counted:
        # A router solicitation while the interface comes up is all that may be refused.
        assert set(end["drops"]) <= {"write: EIO"}, end
        assert set(end["plane"]) <= {"socket: ECONNREFUSED"}  # said of what was sent after the other end had stopped
        assert not end["failed"]
        assert end["rx_packets"] > COUNT // 1348
    for place in two:
        assert "TcpInCsumErrors                 0" in place.run("nstat", "-asz", "TcpInCsumErrors").out


@pytest.mark.parametrize("way", ["everything", "plain", "one end bare"])
def test_iperf3_both_ways_at_once(two, joined, way):
    need("iperf3")
    a, b = two
    ends = joined(*WAYS[way])
    server = b.spawn("iperf3", "-s", "--forceflush", log="iperf3.log")
    server.said("Server listening")
    for address in ("10.1.0.2", "fd00::2"):
        out = json.loads(a.run("iperf3", "-c", address, "-t", "1", "-P", "3", "--bidir", "-J", timeout=30).out)
        for direction in ("sum_received", "sum_received_bidir_reverse"):
            assert out["end"][direction]["bytes"] > 1_000_000, out["end"]
        for size in (64, 3000):  # the larger in fragments
            # A rate at which the receiver's buffer bears a busy machine.
            words = ["iperf3", "-c", address, "-t", "1", "-u", "-b", "1M", "-l", size, "-J"]
            total = json.loads(a.run(*words, timeout=30).out)["end"]["sum"]
            assert total["lost_percent"] < 5, total
    server.stop()
    for end in ends:
        assert set(counters(end)["drops"]) <= {"write: EIO"}


def test_an_interface_deleted_under_the_plane(two, joined):
    a, _ = two
    end, _ = joined()
    a.run("ip", "link", "del", "t0")
    counted = counters(end)
    assert counted["failed"] == "EBADFD"
    assert counted["cpu_s"] < 5  # it does not spin
