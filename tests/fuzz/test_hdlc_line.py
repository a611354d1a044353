"""A serial line, with and without a modem, under anything: it never raises, keeps its bounds, and works afterwards."""

from hypothesis import given, settings
from hypothesis import strategies as st

from laclet import port, ticks
from laclet.line import tables
from laclet.line.chat import Chat
from laclet.line.modem import Modem, speeds
from laclet.line.serial import SerialLine
from laclet.port import HEADROOM, TAILROOM, Port
from laclet.wire import hdlc

FRAME = b"\xff\x03\x00\x21some data"
LCP = st.tuples(
    st.sampled_from([b"\xff\x03\xc0\x21", b"\xc0\x21"]), st.integers(0, 10), st.integers(0, 3), st.binary(max_size=30)
)
FRAMES = st.one_of(
    st.binary(max_size=40),
    LCP.map(lambda p: p[0] + bytes([p[1], p[2]]) + p[3]),
    LCP.map(lambda p: p[0] + bytes([p[1], p[2], 0, len(p[3]) + 4]) + p[3]),
    LCP.map(lambda p: p[0] + bytes([p[1], p[2], 0, 10, 2, 6]) + p[3][:4]),
)


def wire(frame):
    out = bytearray(2 * len(frame) + 20)
    return b"~" + bytes(out[: hdlc.encode(bytearray(frame), 0, len(frame), out, 0, 0xFFFFFFFF)])


class Sink(Port):
    def __init__(self):
        super().__init__()
        self.frames = []

    def carry(self, buf, start, end, now):
        assert HEADROOM <= start < end <= len(buf) - TAILROOM
        self.frames.append(bytes(buf[start:end]))


@given(st.lists(st.tuples(st.sampled_from(["in", "out", "raw", "join", "part", "release", "hang up", "sent"]), FRAMES)))
def test_line_survives_anything(steps):
    line, sink, now = SerialLine(mru=100, tx_size=300), Sink(), 0
    for what, frame in steps:
        if what == "in":
            octets = bytearray(wire(frame))
            line.receive(octets, 0, len(octets), now)
        elif what == "raw":
            line.receive(bytearray(frame), 0, len(frame), now)
        elif what == "out":
            buf = bytearray(HEADROOM) + frame + bytearray(TAILROOM)
            line.carry(buf, HEADROOM, HEADROOM + len(frame), now)
        elif what == "join":
            port.join(line, sink)
        elif what == "part":
            port.part(line)
        elif what == "release":
            line.release(now)
        elif what == "hang up":
            line.hung_up(now)
        else:
            line.sent(min(7, line.tx_end - line.tx_start))
        assert 0 <= line.tx_start <= line.tx_end <= len(line.tx) == 300
        assert set(line.drops) <= {
            "runt", "abort", "bad FCS", "oversize", "not joined", "line busy", "empty frame", "no carrier"
        }  # fmt: skip
    line.reset()
    port.join(line, sink)
    octets = bytearray(wire(FRAME))
    line.receive(octets, 0, len(octets), now)
    assert sink.frames[-1] == FRAME


WORDS = st.sampled_from(
    [b"\r\n" + word + b"\r\n" for word in (b"OK", b"ERROR", b"RING", b"CONNECT 33600", b"NO CARRIER", b"BUSY")]
    + [b'+CLIP: "123",129\r\n', b"NMBR = 55\r\n", b"+MRR: 1,2\r\n", b"CONNECT", b"NO CARR", b"IER\r\n"]
    + [b"\r\n", b"~", wire(FRAME)]
)
STEPS = st.one_of(
    st.tuples(st.just("hear"), st.one_of(WORDS, WORDS, st.binary(max_size=50))),
    st.tuples(st.just("wait"), st.integers(0, 20_000)),
    st.tuples(st.sampled_from(["start", "answer", "hang_up", "carrier_lost", "hung_up"]), st.none()),
    st.tuples(st.just("dial"), st.one_of(st.sampled_from(["*99#", "5551234"]), st.text(max_size=5))),
)


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=40), st.integers(0, 3))
def test_modem_survives_anything(steps, rings):
    line, sink, now = SerialLine(), Sink(), ticks.PERIOD - 20_000
    port.join(line, sink)
    modem = Modem(line, init=("ATX4",), answer_rings=rings)
    calls = 0

    def pass_time(ms):
        nonlocal now
        end = ticks.add(now, ms)
        for _ in range(100):
            at = modem.poll_at()
            if at is None or ticks.diff(at, end) > 0:
                break
            now = at
            modem.on_timer(now)
        else:
            raise AssertionError("a timer that never rests")
        now = end

    def hear(octets):
        modem.receive(bytearray(octets), 0, len(octets), now)

    for what, detail in steps:
        if what == "hear":
            hear(detail)
        elif what == "wait":
            pass_time(detail)
        elif what == "dial":
            modem.dial(detail, now)
        else:
            getattr(modem, what)(now)
        line.sent(line.tx_end - line.tx_start)
        for name, source, info in modem.events:
            assert source is modem
            calls += (name == "connected") - (name == "hung_up")
            assert 0 <= calls <= 1
            if name in ("failed", "hung_up"):
                assert info.layer == "modem" and info.cause
        modem.events.clear()
        assert calls == (modem.state == tables.ONLINE) == line.up
        assert len(modem.drops) <= len(tables.STATES) * len(tables.INPUTS)
    # It can always be brought back to take a call.
    for _ in range(100):
        if modem.state == tables.IDLE:
            break
        if modem.state == tables.ONLINE or modem.state in (tables.DIALLING, tables.CONNECTING):
            modem.hang_up(now)
        modem.start(now)
        if line.tx_end > line.tx_start:
            line.sent(line.tx_end - line.tx_start)
            hear(b"\r\nOK\r\n")
        else:
            pass_time(3000)
    assert modem.state == tables.IDLE
    hear(b"RING\r\nRING\r\nRING\r\nRING\r\n")
    modem.answer(now)
    hear(b"CONNECT 9600\r\n" + wire(FRAME))
    assert modem.state == tables.ONLINE and sink.frames[-1] == FRAME


@given(st.text(max_size=120))
def test_speeds_of_any_line(text):
    assert all(0 <= speed <= 0xFFFFFFFF for speed in speeds(text))


SCRIPT_WORDS = st.one_of(
    st.sampled_from(["OK-AT-OK", "", "\\d\\c", "\\", "\\T"]), st.text(max_size=6).filter(lambda word: word != "TIMEOUT")
)
SCRIPTS = st.lists(
    st.one_of(st.just(["TIMEOUT", "7"]), st.just(["ABORT", "BUSY"]), SCRIPT_WORDS.map(lambda word: [word])), max_size=8
).map(lambda parts: [word for part in parts for word in part])


@given(SCRIPTS, st.binary(max_size=60))
def test_chat_ends(script, heard):
    """Whatever the script, and whatever is heard: time brings it to an end."""
    said = []
    chat = Chat(script, said.append, "123")
    now = 0
    chat.start(now)
    for octet in heard:
        chat.hear(octet, now)
    for _ in range(200):
        if chat.ok is not None:
            break
        now = chat.deadline
        chat.on_timer(now)
    assert chat.ok in (True, False) and chat.deadline is None
