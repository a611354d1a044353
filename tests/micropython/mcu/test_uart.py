"""Wires on devices that come and go; ttys themselves are tried by the virtual board and the laboratory."""

from mcudesk import Desk

from laclet_mcu import uart
from laclet_mcu.uart import Wire

_IN, _HUP = 1, 0x10
OPTIONS = {"device": "9", "baud": 115200, "flow": "none"}


class Stream:
    """A UART: gives what is in ``coming``, takes ``room`` octets."""

    def __init__(self):
        self.coming = []
        self.room = 1000
        self.written = b""
        self.closed = False
        self.dtr_says = []

    def readinto(self, buf):
        if not self.coming:
            return None
        data = self.coming.pop(0)
        buf[: len(data)] = data
        return len(data)

    def write(self, buf, start, size):
        n = min(size, self.room)
        self.written += bytes(buf[start : start + n])
        self.room -= n
        return n or None

    def dtr(self, on):
        self.dtr_says.append(on)

    def deinit(self):
        self.closed = True


class Line:
    """What a Wire knows of a SerialLine."""

    def __init__(self):
        self.tx = bytearray(100)
        self.tx_start = self.tx_end = 0
        self.heard = b""
        self.hung_up_at = None

    def say(self, data):
        self.tx[self.tx_end : self.tx_end + len(data)] = data
        self.tx_end += len(data)

    def sent(self, n):
        self.tx_start += n

    def receive(self, buf, start, end, now):
        self.heard += bytes(buf[start:end])

    def hung_up(self, now):
        self.hung_up_at = now


def wire_on(*streams):
    """A wire whose device opens as each of ``streams`` in turn; None is a device that is missing."""
    left = list(streams)

    def open_stream(options):
        assert options is OPTIONS
        stream = left.pop(0)
        if stream is None:
            raise OSError(2)
        return stream

    uart.open_stream = open_stream
    desk, line = Desk(), Line()
    return Wire(desk, OPTIONS, line, line, bytearray(64)), desk, line


def advance(desk, ms):
    desk.time += ms
    desk.timers.on_timer(desk.time)


def test_octets_pass_both_ways():
    stream = Stream()
    wire, desk, line = wire_on(stream)
    assert desk.watched == [wire]
    stream.coming = [b"abc", b"def"]
    wire.ready(_IN, 5)
    assert line.heard == b"abcdef"
    line.say(b"answer")
    wire.flush()
    assert stream.written == b"answer" and desk.room_wanted == []


def test_a_full_device_is_waited_for():
    stream = Stream()
    stream.room = 4
    wire, desk, line = wire_on(stream)
    line.say(b"too much")
    wire.flush()
    wire.flush()
    assert stream.written == b"too " and desk.room_wanted == [True]
    stream.room = 100
    wire.flush()
    assert stream.written == b"too much" and desk.room_wanted == [True, False]


def test_hang_up_is_told_and_the_device_opened_again():
    first, second = Stream(), Stream()
    wire, desk, line = wire_on(first, None, second)
    first.coming = [b"last words"]
    desk.time = 10
    wire.ready(_IN | _HUP, 10)
    assert line.heard == b"last words" and line.hung_up_at == 10
    assert first.closed and desk.watched == [] and wire.stream is None
    wire.flush()
    advance(desk, 1000)
    assert desk.watched == [], "still missing"
    advance(desk, 1000)
    assert desk.watched == [wire] and wire.stream is second
    assert [level for level, _ in desk.said] == ["warning", "warning", "info"]


def test_a_missing_device_is_said_once_and_found_later():
    stream = Stream()
    wire, desk, line = wire_on(None, None, None, stream)
    for _ in range(3):
        advance(desk, 1000)
    assert wire.stream is stream and line.hung_up_at is None
    assert [level for level, _ in desk.said] == ["warning", "info"]


def test_hang_up_of_ours_drops_dtr_for_a_moment():
    stream = Stream()
    wire, desk, _ = wire_on(stream)
    wire.hang_up()
    assert stream.dtr_says == [False]
    advance(desk, 499)
    assert stream.dtr_says == [False]
    advance(desk, 1)
    assert stream.dtr_says == [False, True]


def test_closed_for_good():
    stream = Stream()
    wire, desk, _ = wire_on(stream)
    wire.close()
    wire.close()
    advance(desk, 5000)
    assert stream.closed and wire.stream is None and desk.watched == []
