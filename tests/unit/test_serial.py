"""SerialLine: frames both ways, ACCMs learned from LCP, the frame kept before a join, a line that is behind."""

import sys

from laclet import port
from laclet.line.serial import SerialLine
from laclet.port import HEADROOM, TAILROOM, Port
from laclet.wire import hdlc

ON_BOARD = sys.implementation.name == "micropython"
ALL = 0xFFFFFFFF
NOW = 5
REQUEST, ACK, NAK, ECHO = 1, 2, 3, 9
ACCM_ZERO = b"\x02\x06\x00\x00\x00\x00"
ACCM_XON = b"\x02\x06\x00\x0a\x00\x00"
DATA = b"\xff\x03\x00\x21" + bytes(range(40))


class Sink(Port):
    """A port that notes what it is told to carry."""

    def __init__(self):
        super().__init__()
        self.frames = []

    def carry(self, buf, start, end, now):
        assert start >= HEADROOM and end + TAILROOM <= len(buf) and now == NOW
        self.frames.append(bytes(buf[start:end]))


def rig(**options):
    line, sink = SerialLine(**options), Sink()
    port.join(line, sink)
    return line, sink


def lcp(code, options=b"", identifier=1, length=None):
    n = 4 + len(options) if length is None else length
    return b"\xff\x03\xc0\x21" + bytes([code, identifier, n >> 8, n & 0xFF]) + options


def wire(frame, accm=ALL):
    out = bytearray(2 * len(frame) + 20)
    end = hdlc.encode(bytearray(frame), 0, len(frame), out, 0, accm)
    return b"~" + bytes(out[:end])


def carry(line, frame):
    """Send a frame into the line; what comes out on the wire."""
    buf = bytearray(HEADROOM) + frame + bytearray(TAILROOM)
    line.carry(buf, HEADROOM, HEADROOM + len(frame), NOW)
    return drain(line)


def drain(line):
    data = bytes(line.tx[line.tx_start : line.tx_end])
    line.sent(len(data))
    assert line.tx_start == line.tx_end == 0
    return data


def receive(line, data):
    line.receive(bytearray(data), 0, len(data), NOW)


def events(line):
    names = [event[0] for event in line.events]
    line.events.clear()
    return names


def maps(line):
    status = line.status()
    return status["send_accm"], status["receive_accm"]


def test_frames_in():
    line, sink = rig()
    receive(line, wire(DATA) + wire(DATA[2:]))
    assert sink.frames == [DATA, DATA[2:]]
    for octet in wire(DATA):
        receive(line, bytes([octet]))
    assert sink.frames[2:] == [DATA] and line.drops == {}
    assert (line.rx_frames, line.rx_bytes) == (3, 3 * len(DATA) - 2)


def test_frames_out():
    line, sink = rig()
    assert carry(line, DATA) == wire(DATA)
    assert carry(line, DATA[2:]) == wire(DATA)  # FF 03 is put in front
    assert carry(line, b"\x21compressed protocol") == wire(b"\xff\x03\x21compressed protocol")
    assert (line.tx_frames, line.tx_bytes) == (3, 2 * len(DATA) + 22)
    assert carry(line, b"") == b"" and line.drops == {"empty frame": 1}
    assert sink.frames == [] and line.poll_at() is None


def test_back_to_back_frames_share_a_flag():
    line, _ = rig()
    buf = bytearray(HEADROOM) + DATA + bytearray(TAILROOM)
    for _ in range(2):
        line.carry(buf, HEADROOM, HEADROOM + len(DATA), NOW)
    assert drain(line) == wire(DATA) + wire(DATA)[1:]


def test_bad_frames_are_named():
    line, sink = rig(mru=60)
    receive(line, b"noise~ab~abcdef}~" + wire(bytes(80)) + wire(DATA))
    assert line.drops == {"bad FCS": 1, "runt": 1, "abort": 1, "oversize": 1}
    assert sink.frames == [DATA]


def test_accm_is_learned_from_acks():
    line, sink = rig()
    assert maps(line) == (ALL, 0)
    # The host asks to be sent controls in the clear; the far end agrees.
    receive(line, wire(lcp(REQUEST, b"\x01\x04\x05\xdc" + ACCM_ZERO)))
    assert maps(line) == (ALL, 0)
    ack = lcp(ACK, b"\x01\x04\x05\xdc" + ACCM_ZERO)
    assert carry(line, ack) == wire(ack, ALL)
    assert maps(line) == (0, 0)
    assert carry(line, DATA) == wire(DATA, 0)
    # The far end asks too; the host agrees.
    request = lcp(REQUEST, ACCM_XON, 7)
    assert carry(line, request) == wire(request, ALL)  # RFC 1662 §7
    assert maps(line) == (0, 0)
    receive(line, wire(lcp(ACK, ACCM_XON, 7)))
    assert maps(line) == (0, 0x000A0000)
    receive(line, wire(DATA).replace(b"}", b"\x11}\x13"))  # flow control characters put in on the way
    assert sink.frames[-1] == DATA and line.drops == {}


def test_lcp_is_always_escaped():
    line, _ = rig()
    line.set_accm(0, 0)
    for code in range(16):
        packet = lcp(code, b"\x00\x01")
        assert carry(line, packet) == wire(packet, ALL if 1 <= code <= 7 else 0), code
        line.set_accm(0, 0)
    assert carry(line, lcp(ECHO)[2:]) == wire(lcp(ECHO), 0)
    assert carry(line, lcp(NAK)[2:]) == wire(lcp(NAK), ALL)


def test_a_request_brings_back_the_default_of_its_map():
    line, _ = rig()
    line.set_accm(0, ALL)
    receive(line, wire(lcp(REQUEST)[2:]))  # the host's, address and control compressed
    assert maps(line) == (ALL, ALL)
    carry(line, lcp(REQUEST))
    assert maps(line) == (ALL, 0)
    # the far end repeats its request: what the host was granted stands
    receive(line, wire(lcp(REQUEST, ACCM_ZERO)))
    carry(line, lcp(ACK, ACCM_ZERO))
    carry(line, lcp(REQUEST, b"", 2))
    assert maps(line) == (0, 0)


def test_acks_that_teach_nothing():
    for ack in (
        lcp(ACK, ACCM_ZERO, identifier=2),  # of another request
        lcp(ACK, b""),
        lcp(ACK, b"\x02\x06\x00\x00\x00"),  # cut short
        lcp(ACK, b"\x02\x05\x00\x00\x00"),
        lcp(ACK, b"\x02\x07\x00\x00\x00\x00\x00"),
        lcp(ACK, b"\x05\x00" + ACCM_ZERO),  # an option that has no length
        lcp(ACK, b"\x05\x01" + ACCM_ZERO),
        lcp(ACK, b"\x05\xff" + ACCM_ZERO),
        lcp(ACK, ACCM_ZERO, length=200),
        lcp(ACK, ACCM_ZERO, length=4),
        lcp(ACK, ACCM_ZERO, length=0),
        lcp(NAK, ACCM_ZERO),
        b"\xff\x03\x80\x21" + lcp(ACK, ACCM_ZERO)[4:],
    ):
        line, sink = rig()
        receive(line, wire(lcp(REQUEST)))
        carry(line, ack)
        assert maps(line) == (ALL, 0), ack
        carry(line, lcp(REQUEST))
        receive(line, wire(ack))
        assert maps(line) == (ALL, 0), ack
        assert sink.frames == [lcp(REQUEST), ack]
    line, _ = rig()  # without a request seen
    carry(line, lcp(ACK, ACCM_ZERO))
    receive(line, wire(lcp(ACK, ACCM_ZERO)))
    assert maps(line) == (ALL, 0)


def test_every_truncated_lcp_packet_passes():
    for code in (REQUEST, ACK):
        whole = lcp(code, ACCM_XON + ACCM_ZERO)
        for n in range(1, len(whole)):
            line, sink = rig()
            for first in (whole[:n], whole[2:n]):
                if first:
                    assert carry(line, first)
                if len(first) > 1:
                    receive(line, wire(first))
                    assert sink.frames[-1] == first
            assert line.drops == {}


def test_first_frame_waits_for_the_join():
    line, sink = SerialLine(), Sink()
    receive(line, wire(DATA) + wire(lcp(REQUEST, b"", 1)) + wire(lcp(REQUEST, b"", 2)))
    assert events(line) == ["traffic"] and line.drops == {"not joined": 2}
    line.release(NOW)  # not joined after all: forgotten, and said again when there is more
    receive(line, wire(lcp(REQUEST, b"", 3)))
    assert events(line) == ["traffic"]
    port.join(line, sink)
    line.release(NOW)
    assert sink.frames == [lcp(REQUEST, b"", 3)]
    line.release(NOW)
    receive(line, wire(DATA))
    assert sink.frames[1:] == [DATA] and events(line) == []
    port.part(line)
    receive(line, wire(DATA))
    assert events(line) == ["traffic"]


def test_hang_up_begins_anew():
    line, sink = rig()
    receive(line, wire(lcp(REQUEST)) + b"~half")
    carry(line, lcp(ACK, ACCM_ZERO))
    buf = bytearray(HEADROOM) + DATA + bytearray(TAILROOM)
    line.carry(buf, HEADROOM, HEADROOM + len(DATA), NOW)
    line.hung_up(NOW)
    name, source, fault = line.next_event()
    assert name == "hung_up" and source is line and str(fault) == "line: the serial line hung up"
    assert drain(line) == b"" and maps(line) == (ALL, 0)
    carry(line, lcp(ACK, ACCM_ZERO))
    assert maps(line) == (ALL, 0)  # of a request before the hang-up
    receive(line, wire(DATA))
    assert sink.frames == [lcp(REQUEST), DATA] and line.drops == {}


def test_a_line_that_is_behind_drops_frames():
    line, _ = rig(tx_size=256)
    frame = b"\xff\x03\x00\x21" + b"x" * 60
    buf = bytearray(HEADROOM) + frame + bytearray(TAILROOM)

    def more():
        line.carry(buf, HEADROOM, HEADROOM + len(frame), NOW)

    for _ in range(5):
        more()
    assert line.drops == {"line busy": 2} and line.tx_frames == 3
    out = bytes(line.tx[:100])
    line.sent(100)
    more()  # what waits is moved down
    assert line.drops == {"line busy": 2} and line.tx_start == 0
    line.write(b"x" * 200)
    assert line.drops == {"line busy": 3}
    out += drain(line)
    assert out == wire(frame) + 3 * wire(frame)[1:]
    line.up = False
    more()
    assert line.drops == {"line busy": 3, "no carrier": 1} and drain(line) == b""
    line.up = True
    assert carry(line, b"\xff\x03\x00\x21" + bytes(300)) == b""  # more than the buffer can ever take
    assert line.drops["line busy"] == 4


def test_raw_octets():
    line, _ = rig(tx_size=64)
    line.write(b"ATZ\r")
    line.write(b"ATE0\r")
    line.sent(3)
    assert drain(line) == b"\rATE0\r"


def test_no_allocation():
    if not ON_BOARD:
        return
    import gc

    one, two = SerialLine(), SerialLine()
    echo = Echo()
    port.join(one, echo)
    frame = bytearray(HEADROOM + 500 + TAILROOM)
    frame[HEADROOM : HEADROOM + 4] = b"\xff\x03\x00\x21"
    tx = one.tx

    def cycle():
        two.carry(frame, HEADROOM, HEADROOM + 500, NOW)
        one.receive(two.tx, two.tx_start, two.tx_end, NOW)  # comes back out of one.tx
        two.sent(two.tx_end - two.tx_start)
        if one.tx_end > len(tx) - 1100:
            one.sent(one.tx_end - one.tx_start - 300)  # a line that is always behind

    for _ in range(10):
        cycle()
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(100):
        cycle()
    assert gc.mem_alloc() == before
    assert one.rx_frames == one.tx_frames == 110 and one.drops == {} and one.tx is tx


class Echo(Port):
    """Sends every frame back."""

    def carry(self, buf, start, end, now):
        self.joined.carry(buf, start, end, now)
