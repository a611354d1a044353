"""X.25 circuits between two packet layers: call, data in both directions, windows, resets, clearing, XOT framing."""

from laclet import ticks
from laclet.carrier import x25wire as w
from laclet.carrier.x25 import MAX_DATAGRAM, X25
from laclet.carrier.x25table import READY, T20, T21, T23, TABLE
from laclet.carrier.xot import Xot
from laclet.port import HEADROOM, TAILROOM

A = ("x25", "x25", "4711")  # as the other side knows it
B = ("x25", "x25", "0815")


class Above:
    def __init__(self):
        self.got = []

    def receive(self, buf, start, end, addr, now):
        self.got.append((addr, bytes(buf[start:end])))


class Wire:
    """One direction of a link: packets in order, delivered when asked to."""

    def __init__(self):
        self.packets = []
        self.seen = []

    def send(self, buf, start, end, addr):
        self.packets.append(bytes(buf[start:end]))
        self.seen.append(self.packets[-1])


class Pair:
    def __init__(self, restarts=False, **b):
        self.now = ticks.PERIOD - 100
        self.a = X25("x25", "4711", restarts=restarts)
        self.b = X25("x25", "0815", dce=True, restarts=restarts, **b)
        for side in (self.a, self.b):
            side.carrier, side.endpoint = Wire(), Above()

    def deliver(self, limit=10000):
        """Bring packets over until there are none."""
        while (self.a.carrier.packets or self.b.carrier.packets) and limit:
            limit -= 1
            for one, other in ((self.a, self.b), (self.b, self.a)):
                if one.carrier.packets:
                    inject(other, one.carrier.packets.pop(0), self.now)
        assert limit, "they never come to rest"

    def later(self, ms):
        self.now = ticks.add(self.now, ms)
        self.a.on_timer(self.now)
        self.b.on_timer(self.now)
        self.deliver()


def inject(side, data, now=0):
    side.receive(bytearray(HEADROOM) + bytearray(data) + bytearray(TAILROOM), HEADROOM, HEADROOM + len(data), None, now)


def send(side, data, addr):
    side.send(bytearray(HEADROOM) + bytearray(data) + bytearray(TAILROOM), HEADROOM, HEADROOM + len(data), addr)


def up(**options):
    pair = Pair(**options)
    send(pair.a, b"SCCRQ", B)
    pair.deliver()
    assert pair.b.endpoint.got == [(A, b"SCCRQ")]
    return pair


def told(side):
    """Events but timers."""
    return [event for event in side.events if event[0] != "timer"]


def names(side):
    return [event[0] for event in told(side)]


def test_golden_call():
    pair = Pair()
    send(pair.a, b"x", B)
    # DTE: channel 16, call request; lengths 4 and 4, 0815 4711; size 1024, window 7; SNAP of L2TP.
    assert pair.a.carrier.packets == [bytes.fromhex("10100b" + "44" + "08154711" + "06420a0a430707" + "8000005e0007")]
    pair.deliver()
    assert pair.b.carrier.seen[0] == bytes.fromhex("10100f" + "44" + "08154711" + "06420a0a430707")
    assert pair.a.carrier.seen[1] == b"\x10\x10\x00x"
    assert pair.b.carrier.seen[1] == b"\x10\x10\x21"  # RR, P(R) 1
    assert names(pair.a) == names(pair.b) == ["x25-up"]


def test_both_ways_and_every_length():
    pair = up()
    send(pair.b, b"SCCRP", A)
    pair.deliver()
    assert pair.a.endpoint.got == [(B, b"SCCRP")]
    for size in list(range(1, 40)) + [1023, 1024, 1025, 1500, MAX_DATAGRAM]:
        data = (bytes(range(256)) * 9)[:size]
        send(pair.a, data, B)
        send(pair.b, data, A)
        pair.deliver()
        assert pair.b.endpoint.got[-1] == (A, data) and pair.a.endpoint.got[-1] == (B, data), size
        pair.a.endpoint.got.clear()
        pair.b.endpoint.got.clear()
        pair.a.carrier.seen.clear()
        pair.b.carrier.seen.clear()
    assert pair.a.drops == pair.b.drops == {}


def test_more_bit_and_window():
    pair = Pair()
    send(pair.a, bytes(500), B)
    call = bytearray(pair.a.carrier.packets[0])
    call[9], call[10], call[12], call[13] = 7, 7, 2, 2  # 128 octets, window 2
    pair.a.carrier.packets[0] = bytes(call)
    inject(pair.b, pair.a.carrier.packets.pop(0))
    inject(pair.a, pair.b.carrier.packets.pop(0))
    kinds = [data[2] for data in pair.a.carrier.packets]
    assert kinds == [0x10, 0x12]  # P(S) 0 and 1 with M; then the window is full
    assert [len(data) for data in pair.a.carrier.packets] == [131, 131]
    pair.deliver()
    assert pair.b.endpoint.got == [(A, bytes(500))]
    assert [data[2] & 0x1E for data in pair.a.carrier.seen[1:]] == [0x10, 0x12, 0x14, 0x06]


def test_receive_not_ready_stops_and_ready_goes_on():
    pair = up()
    inject(pair.a, b"\x10\x10\x25")  # RNR, P(R) 1
    send(pair.a, b"waits", B)
    assert pair.a.carrier.packets == []
    inject(pair.a, b"\x10\x10\x21")
    pair.deliver()
    assert pair.b.endpoint.got[-1] == (A, b"waits")


def test_queue_and_length_are_bounded():
    pair = Pair()
    for _ in range(20):
        send(pair.a, b"x", B)
    send(pair.a, bytes(MAX_DATAGRAM + 1), B)
    assert pair.a.drops == {"queue full": 4, "too long": 1}
    pair.deliver()
    assert len(pair.b.endpoint.got) == 16


def test_endless_datagram():
    pair = up()
    for i in range(1, 8):
        inject(pair.b, b"\x10\x10" + bytes([0x10 | (i & 7) << 1]) + bytes(1024))
    inject(pair.b, b"\x10\x10\x00" + bytes(10))
    assert pair.b.drops == {"too long": 1}
    assert pair.b.endpoint.got == [(A, b"SCCRQ")]


def test_bad_numbers_reset_the_circuit():
    for bad in (b"\x10\x10\x06x", b"\x10\x10\xe2x", b"\x10\x10\xa1", b"\x10\x10\x02" + bytes(1025)):
        pair = up()
        inject(pair.b, bad, pair.now)
        assert pair.b.carrier.packets[-1][2] == w.RESET
        pair.deliver()
        assert pair.a.drops == {"reset": 1} and pair.b.drops == {"reset": 1}
        send(pair.a, b"goes on", B)
        send(pair.b, b"here too", A)
        pair.deliver()
        assert pair.b.endpoint.got[-1] == (A, b"goes on") and pair.a.endpoint.got[-1] == (B, b"here too")


def test_interrupts_and_qualified_data():
    pair = up()
    inject(pair.b, b"\x10\x10\x23\x01")
    assert pair.b.carrier.packets.pop() == b"\x10\x10\x27"
    inject(pair.b, b"\x90\x10\x02control")
    assert pair.b.drops == {"qualified data": 1} and len(pair.b.endpoint.got) == 1
    assert pair.b.carrier.packets.pop() == b"\x10\x10\x41"


def test_clearing():
    pair = up()
    pair.a.hang_up(B, pair.now)
    pair.deliver()
    assert names(pair.b) == ["x25-up", "x25-down"]
    fault = told(pair.b)[1][2][1]
    assert str(fault) == (
        "line: the X.25 call was cleared; the peer said: cleared by the far end (cause 0, diagnostic 0)"
    )
    assert pair.a._circuits == {} and pair.b._circuits == {}
    send(pair.a, b"again", B)
    pair.deliver()
    assert pair.b.endpoint.got[-1] == (A, b"again")


def test_busy_number():
    pair = Pair()
    send(pair.a, b"x", B)
    pair.a.carrier.packets.clear()
    inject(pair.a, b"\x10\x10\x13\x01\x00")
    assert pair.a.carrier.packets == [b"\x10\x10\x17"]
    assert "number busy" in str(told(pair.a)[0][2][1])
    assert pair.a._circuits == {} and pair.a._by_addr == {}


def test_calls_that_are_not_for_us():
    for call in (
        b"\x10\x05\x0b\x00\x00\xcc",  # IP
        b"\x10\x05\x0b\x00\x00",  # no user data
        b"\x10\x05\x0b\x44\x08",  # cut short
        b"\x10\x05\x0b\x00\x05\x42",
        b"\x10\x05\x0b",
    ):
        pair = Pair()
        inject(pair.b, call, pair.now)
        assert pair.b.drops == {"call refused": 1}
        assert pair.b.carrier.packets == [b"\x10\x05\x13\x00\x00"]
        inject(pair.b, b"\x10\x05\x17")
        assert pair.b._circuits == {}
    pair = Pair(answers=False)
    send(pair.a, b"x", B)
    pair.deliver()
    assert names(pair.a) == ["x25-down"] and pair.b.drops == {"call refused": 1}


def test_silence_after_a_call():
    pair = Pair()
    send(pair.a, b"x", B)
    pair.a.carrier.packets.clear()
    pair.later(1)  # the deadline is made when there is a clock
    assert ticks.diff(pair.a.poll_at(), pair.now) == T21
    pair.now = pair.a.poll_at()
    pair.a.on_timer(pair.now)
    assert pair.a.carrier.packets == [b"\x10\x10\x13\x00\x31"]
    assert str(told(pair.a)[0][2][1]).startswith("line: no answer to the X.25 call")
    pair.a.carrier.packets.clear()
    pair.now = ticks.add(pair.now, T23)
    pair.a.on_timer(pair.now)
    assert pair.a.carrier.packets == [b"\x10\x10\x13\x00\x00"]  # until it is confirmed
    inject(pair.a, b"\x10\x10\x17")
    assert pair.a.poll_at() is None


def test_data_on_a_channel_without_a_call():
    pair = Pair()
    inject(pair.b, b"\x10\x07\x00data")
    assert pair.b.carrier.packets.pop() == b"\x10\x07\x13\x00\x24"
    inject(pair.b, b"\x10\x07\x13\x00\x00")
    assert pair.b.carrier.packets.pop() == b"\x10\x07\x17"
    inject(pair.b, b"\x10\x07\x17")
    assert pair.b.carrier.packets == [] and pair.b.drops == {"no such circuit": 3}


def test_restart():
    pair = Pair(restarts=True)
    send(pair.a, b"early", B)
    assert pair.a.carrier.packets == []  # nothing before the restart
    pair.a.start(pair.now)
    pair.deliver()
    assert pair.a.carrier.seen[0] == b"\x10\x00\xfb\x00\x00" and pair.b.carrier.seen[0] == b"\x10\x00\xff"
    assert pair.b.endpoint.got == [(A, b"early")]
    pair.b.start(pair.now)
    pair.deliver()
    assert names(pair.a) == ["x25-up", "x25-down"]
    assert pair.a._circuits == {}
    send(pair.a, b"after", B)
    pair.b._circuits.clear()  # who restarts has forgotten everything
    pair.b._by_addr.clear()
    pair.deliver()
    assert pair.b.endpoint.got[-1] == (A, b"after")


def test_restarts_that_cross_and_one_that_is_lost():
    pair = Pair(restarts=True)
    pair.a.start(pair.now)
    pair.b.start(pair.now)
    pair.deliver()
    assert len(pair.a.carrier.seen) == len(pair.b.carrier.seen) == 1
    pair = Pair(restarts=True)
    pair.a.start(pair.now)
    pair.a.carrier.packets.clear()
    pair.later(T20)
    assert len(pair.a.carrier.seen) == 2
    assert pair.a.poll_at() is None


def test_calls_that_collide():
    """Both call on the same channel: the DTE's own call goes on, the network's side takes it."""
    pair = Pair()
    send(pair.a, b"from a", B)
    for _ in range(15):  # so that b's next free channel from the bottom is 16
        pair.b._new(("x25", "x25", str(_)))
    send(pair.b, b"from b", A)
    assert pair.b.carrier.packets[0][1] == pair.a.carrier.packets[0][1] == 16
    pair.deliver()
    assert pair.a.drops == {"call collision": 1}
    assert pair.b.endpoint.got == [(A, b"from a")]
    send(pair.b, b"again", A)
    pair.deliver()
    assert pair.a.endpoint.got == [(B, b"again")]


def test_channels_are_bounded():
    pair = Pair()
    for i in range(16):
        send(pair.a, b"x", ("x25", "x25", "1%02d" % i))
    send(pair.a, b"x", ("x25", "x25", "200"))
    assert pair.a.drops == {"no free channel": 1}
    inject(pair.a, b"\x10\x40\x0b\x00\x00" + w.USER_DATA)
    assert pair.a.drops == {"no free channel": 2}


def test_table():
    """No state has two rows for one event; every action exists."""
    keys = [(row[0], row[1]) for row in TABLE]
    assert len(keys) == len(set(keys))
    for row in TABLE:
        assert row[2] is None or hasattr(X25, "_do_" + row[2])
    assert {row[3] for row in TABLE} == {row[0] for row in TABLE}
    assert READY == 0


def test_every_state_takes_every_packet():
    kinds = (w.CALL, w.CALL_ACCEPTED, w.CLEAR, w.CLEAR_CONFIRMATION, w.DATA, w.RR, w.RNR, w.RESET, w.RESET_CONFIRMATION)
    kinds += (w.INTERRUPT, w.INTERRUPT_CONFIRMATION, w.RESTART, w.RESTART_CONFIRMATION, w.DIAGNOSTIC, 0x55, 0xFF)
    for first in kinds:
        for second in kinds:
            for body in (b"", b"\x00", b"\x44\x08\x15", b"\x00\x00" + w.USER_DATA):
                pair = Pair()
                send(pair.a, b"x", B)
                inject(pair.a, b"\x10\x10" + bytes([first]) + body, pair.now)
                inject(pair.a, b"\x10\x10" + bytes([second]) + body, pair.now)
                assert len(pair.a._circuits) <= 1


def test_facilities_of_all_classes():
    # A 1 octet, B 2, C 3, D as its length says; then ours. §7.1
    text = (
        b"\x00"
        + b"\x13"
        + b"\x01\xaa"
        + b"\x41\x01\x02"
        + b"\x81\x01\x02\x03"
        + b"\xc1\x02\x01\x02"
        + b"\x42\x08\x09"
        + b"\x43\x02\x03"
    )
    assert w.parse_call(text, 0, len(text)) == ("", "", {w.PACKET_SIZE: (8, 9), w.WINDOW: (2, 3)}, b"")
    for size in range(2, len(text)):
        cut = bytes([0, size - 2]) + text[2:size]
        found = w.parse_call(cut, 0, len(cut))
        assert found is None or found[3] == b""


def test_xot_framing():
    out = []
    xot = Xot(lambda buf, start, end: out.append(bytes(buf[start:end])))
    xot.endpoint = Above()
    for packet in (b"\x10\x01\x0b", b"\x10\x01\x00" + bytes(4096)):
        xot.send(bytearray(HEADROOM) + bytearray(packet), HEADROOM, HEADROOM + len(packet), None)
    assert out[0] == b"\x00\x00\x00\x03\x10\x01\x0b"
    stream = b"".join(out)
    for step in (1, 3, 7, 1000, len(stream)):
        xot.endpoint.got.clear()
        for at in range(0, len(stream), step):
            xot.receive(stream, at, min(at + step, len(stream)), None, 0)
        assert [len(data) for _, data in xot.endpoint.got] == [3, 4099]
    for bad in (b"\x00\x01\x00\x03", b"\x00\x00\x00\x02", b"\x00\x00\xff\xff"):
        xot = Xot(None)
        xot.receive(bad + bytes(20), 0, 24, None, 0)
        assert xot.broken and xot.drops == {"not XOT": 1}
