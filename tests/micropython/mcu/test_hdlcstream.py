"""The stream of network.PPP: what lwIP asks of it, also in interrupt context."""

import gc
import select

import micropython
from laclet.port import HEADROOM, Port, frame_buffer, join
from laclet.wire import fast, hdlc
from laclet_mcu.hdlcstream import HdlcStream

LCP = b"\xff\x03\xc0\x21\x01\x01\x00\x04"
PACKET = b"\xff\x03\x00\x21" + bytes(range(256)) * 5


class Far(Port):
    """The other end of the join."""

    def __init__(self):
        Port.__init__(self)
        self.heard = []

    def carry(self, buf, start, end, now):
        self.heard.append(bytes(buf[start:end]))


def stream():
    made, far = HdlcStream(), Far()
    join(made.line, far)
    return made, far


def framed(frame, accm=hdlc.ACCM_ALL):
    out = bytearray(4096)
    out[0] = hdlc.FLAG
    buf = frame_buffer(len(frame))
    buf[HEADROOM : HEADROOM + len(frame)] = frame
    end = hdlc.encode(buf, HEADROOM, HEADROOM + len(frame), out, 1, accm)
    return bytes(out[:end])


def carry(to, frame):
    buf = frame_buffer(len(frame))
    buf[HEADROOM : HEADROOM + len(frame)] = frame
    to.carry(buf, HEADROOM, HEADROOM + len(frame), 0)


def test_copy():
    target = bytearray(6)
    fast.copy(b"abcdef", 1, 5, target, 2)
    assert target == b"\0\0bcde"


def test_frames_pass_both_ways():
    of, far = stream()
    octets = framed(LCP)
    assert of.write(octets[:3]) == 3 and of.write(octets[3:]) == len(octets) - 3
    of.pump(0)
    assert far.heard == [LCP]
    read = []

    def handler(source):
        buf = bytearray(100)
        n = source.readinto(buf)
        while n:
            read.append(bytes(buf[:n]))
            n = source.readinto(buf)
        assert n is None

    of.irq(handler, of.IRQ_RXIDLE)
    carry(of.line, PACKET)
    of.pump(0)
    assert b"".join(read) == framed(PACKET) and len(read) > 10
    of.irq(None)
    carry(of.line, LCP)
    of.pump(0)


def test_many_frames_go_round_the_ring():
    of, far = stream()
    octets = framed(PACKET)
    for _ in range(20):
        for at in range(0, len(octets), 300):
            assert of.write(octets[at : at + 300]) == len(octets[at : at + 300])
        of.pump(0)
    assert far.heard == [PACKET] * 20 and of.lost == 0


def test_what_finds_no_room_is_lost_whole_and_counted():
    of, far = stream()
    octets = framed(PACKET)
    taken = 0
    while of.lost == 0:
        assert of.write(octets) == len(octets)
        taken += 1
    of.pump(0)
    assert far.heard == [PACKET] * (taken - 1) and of.lost == len(octets)
    of.write(framed(LCP))
    of.pump(0)
    assert far.heard[-1] == LCP


def test_poll_tells_when_lwip_has_written():
    of, _ = stream()
    poll = select.poll()
    poll.register(of.bell, select.POLLIN)
    assert poll.poll(0) == []
    of.write(b"~")
    assert poll.poll(1000)[0][1] == select.POLLIN
    of.pump(0)
    assert poll.poll(0) == []


def test_neither_way_allocates_or_raises_with_the_heap_locked():
    of, _ = stream()
    octets = framed(LCP)
    buf = bytearray(64)
    carry(of.line, LCP)

    def interrupt():
        at = 0
        while at < 500:  # round the ring, and into a full one
            if of.write(octets) != len(octets):
                return False
            at += 1
        return of.readinto(buf) and of.readinto(buf) is None

    micropython.heap_lock()
    try:
        ok = interrupt()
    finally:
        micropython.heap_unlock()
    assert ok and of.lost
    gc.collect()
    before = gc.mem_alloc()
    interrupt()
    assert gc.mem_alloc() == before
