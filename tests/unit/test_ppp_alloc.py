"""The way of a packet through a PPP link allocates nothing (measured on MicroPython)."""

import gc

from pppwire import ALICE, BOB, Peer

from laclet import port
from laclet.ip.host import Host
from laclet.wire import ip, ppp

PACKETS = 100
mem_alloc = getattr(gc, "mem_alloc", lambda: 0)


class Count:
    """A port and an IP side that only count bytes."""

    def __init__(self):
        self.packets = 0
        self.bytes = 0

    def carry(self, buf, start, end, now):
        self.packets += 1
        self.bytes += end - start

    receive_ip = carry


def up():
    """A link that is up, by a peer that the test plays."""
    peer = Peer(address=BOB)
    peer.open_lcp()
    _, _, identifier, data = peer.take()[-1]
    peer.say(ppp.IPCP, ppp.CONFIGURE_REQUEST, 1, b"\x03\x06" + ALICE)
    peer.say(ppp.IPCP, ppp.CONFIGURE_ACK, identifier, data)
    assert peer.link.phase() == "Network" and peer.fault() is None
    return peer.link


def allocated(work):
    """Bytes allocated by ``PACKETS`` turns of ``work``, the first not counted."""
    work()
    gc.collect()
    gc.disable()
    before = mem_alloc()
    for _ in range(PACKETS):
        work()
    after = mem_alloc()
    gc.enable()
    return after - before


def test_the_measure_itself():
    assert allocated(lambda: bytearray(64)) >= 64 * PACKETS or not hasattr(gc, "mem_alloc")


def test_packets_out():
    link = up()
    sink = link.joined = Count()
    buf = port.frame_buffer(1400)
    start = port.HEADROOM
    buf[start] = 0x45

    def work():
        link.send_ip(buf, start, start + 1400, 5)

    assert allocated(work) == 0
    assert sink.packets == PACKETS + 1 and sink.bytes == (PACKETS + 1) * 1402


def test_packets_in():
    link = up()
    sink = link.above = Count()
    for head in (b"\xff\x03\x00\x21", b"\x00\x21", b"\x21"):
        buf = port.frame_buffer(1404)
        start = port.HEADROOM
        end = start + len(head) + 1400
        buf[start : start + len(head)] = head
        sink.packets = sink.bytes = 0

        def work(buf=buf, start=start, end=end):
            link.carry(buf, start, end, 5)

        assert allocated(work) == 0
        assert sink.packets == PACKETS + 1 and sink.bytes == (PACKETS + 1) * 1400


def test_dropped_packets():
    link = up()
    buf = port.frame_buffer(1501)
    start = port.HEADROOM
    buf[start] = 0x45

    def work():
        link.send_ip(buf, start, start + 1501, 5)

    assert allocated(work) == 0
    assert link.drops == {"IP packet above the MTU": PACKETS + 1}


def test_echo_is_answered_in_place():
    link = up()
    sink = link.joined = Count()
    host = link.above = Host(link)
    host.address = BOB
    buf = port.frame_buffer(102)
    start = port.HEADROOM
    buf[start + 1] = ppp.IP
    at = start + 2 + ip.HEADER
    buf[at] = ip.ECHO_REQUEST
    ip.put16(buf, at + 2, ip.checksum(buf, at, start + 102))

    def work():
        ip.write_header(buf, start + 2, 100, ip.ICMP, ALICE, BOB, 7)
        buf[at] = ip.ECHO_REQUEST
        link.carry(buf, start, start + 102, 5)

    assert allocated(work) == 0
    assert host.echoed == sink.packets == PACKETS + 1 and not host.drops
