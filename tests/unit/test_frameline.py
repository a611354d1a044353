"""Frames of frame relay in HDLC on a serial line: whole, cut anywhere, spoilt, and too many at once."""

from laclet.carrier.framerelay import FrameRelay
from laclet.carrier.line import FrameLine
from laclet.port import HEADROOM, TAILROOM

ADDR = ("fr", "serial", 100)


class Above:
    """What stands above: keeps what came."""

    def __init__(self):
        self.got = []

    def receive(self, buf, start, end, addr, now):
        self.got.append((addr, bytes(buf[start:end])))


class Wire:
    """What the shell gives."""

    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


def end():
    """A FrameRelay on a FrameLine."""
    relay, line = FrameRelay("serial", (100,)), FrameLine()
    relay.carrier, relay.endpoint = line, Above()
    line.endpoint, line.wire = relay, Wire()
    return relay, line


def send(relay, data):
    """L2TP sends; the octets on the wire."""
    buf = bytearray(HEADROOM + len(data) + TAILROOM)
    buf[HEADROOM : HEADROOM + len(data)] = data
    relay.send(buf, HEADROOM, HEADROOM + len(data), ADDR)
    line = relay.carrier
    octets = bytes(line.tx[line.tx_start : line.tx_end])
    line.sent(len(octets))
    return octets


def test_datagrams_cut_anywhere():
    data = [b"", b"\x7e\x7d\x5e", bytes(range(256)), bytes(1500)]
    relay, _ = end()
    octets = b"".join([send(relay, each) for each in data])
    for size in (1, 7, len(octets)):
        other, line = end()
        for at in range(0, len(octets), size):
            line.receive(octets[at : at + size], 0, len(octets[at : at + size]), 0)
        assert other.endpoint.got == [(ADDR, each) for each in data]
        assert other.drops == {} and line.drops == {}


def test_spoilt_frames_are_named():
    relay, line = end()
    octets = bytearray(send(relay, b"one"))
    octets[6] ^= 1
    line.receive(octets, 0, len(octets), 0)
    line.receive(b"\x7e" + bytes(2000) + b"\x7e", 0, 2002, 0)
    line.receive(b"\x7eab\x7e", 0, 4, 0)
    assert line.drops == {"bad FCS": 1, "oversize": 1, "runt": 1}
    good = send(relay, b"two")
    line.receive(good, 0, len(good), 0)
    assert relay.endpoint.got == [(ADDR, b"two")]


def test_a_line_that_is_behind():
    relay, line = end()
    buf = bytearray(HEADROOM + 1500 + TAILROOM)
    for _ in range(4):
        relay.send(buf, HEADROOM, HEADROOM + 1500, ADDR)
    assert line.drops == {"line busy": 2}
    line.sent(100)
    relay.send(buf, HEADROOM, HEADROOM + 40, ADDR)
    assert line.drops == {"line busy": 2} and line.tx_start == 0
    line.hung_up(0)
    assert line.tx_end == 0
    relay.close()
    assert line.wire.closed
