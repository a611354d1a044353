"""An AT modem in data mode and after it: every way in which a call ends, and every input in every state."""

from modemdesk import FRAME, Desk, frame

from laclet.line import tables as m
from laclet.port import HEADROOM, TAILROOM


def test_hanging_up():
    desk = Desk().online()
    buf = bytearray(HEADROOM) + FRAME + bytearray(TAILROOM)
    desk.line.carry(buf, HEADROOM, HEADROOM + len(FRAME), desk.now)
    desk.modem.hang_up(desk.now)
    assert desk.events() == [("hung_up", "modem: hung up by this side"), ("dtr", None)]
    desk.line.carry(buf, HEADROOM, HEADROOM + len(FRAME), desk.now)
    assert desk.line.drops == {"no carrier": 1}
    desk.hear(frame() + b"\r\x00\xff")  # the far end goes on talking
    desk.wait(1499)
    assert desk.sent() == b"" and desk.sink.frames == []
    desk.wait(1)
    assert desk.sent() == b"+++"
    desk.hear(b"\r\nOK\r\n")
    assert desk.obey()[0] == b"ATH\r"
    assert desk.modem.state == m.IDLE and desk.events() == []


def test_dtr_may_be_enough():
    desk = Desk().online()
    desk.modem.hang_up(desk.now)
    desk.hear(b"\r\nNO CARRIER\r\n")
    assert desk.obey()[0] == b"AT\r" and desk.modem.state == m.IDLE


def test_no_carrier_in_data_mode():
    text = b"\r\nNO CARRIER\r\n"
    for chunk in (None, 1, 2, 3, 13):
        desk = Desk().online()
        desk.hear(frame() + text, chunk)
        assert desk.events() == [("hung_up", "modem: the far end hung up; the peer said: NO CARRIER")]
        assert desk.sink.frames == [FRAME]
        desk.obey()
        assert desk.modem.state == m.IDLE
        # in the middle of a frame: silence tells it from a peer's data
        desk = Desk().online()
        desk.hear(frame()[:9] + text, chunk)
        desk.wait(499)
        assert desk.events() == [] and desk.modem.state == m.ONLINE
        desk.wait(1)
        assert [name for name, _ in desk.events()] == ["hung_up"]


def test_a_peer_that_sends_the_words():
    text = b"\xff\x03\x00\x21" + b"\r\nNO CARRIER\r\n"
    for accm in (0, 0xFFFFFFFF):
        for chunk in (None, 1, 2, 7):
            desk = Desk().online()
            desk.hear(frame(accm, text), chunk)
            desk.wait(5000)
            assert desk.events() == [] and desk.sink.frames == [text]
            desk.hear(frame())
            assert desk.sink.frames == [text, FRAME]


def test_no_carrier_with_controls_discarded():
    desk = Desk().online()
    desk.line.set_accm(0, 0xFFFFFFFF)
    desk.hear(frame() + b"\r\nNO CARRIER\r\n", 5)
    assert [name for name, _ in desk.events()] == ["hung_up"]


def test_carrier_detect_and_the_device():
    desk = Desk().online()
    desk.modem.carrier_lost(desk.now)
    assert desk.events() == [("hung_up", "modem: the carrier was lost")]
    desk.modem.carrier_lost(desk.now)
    assert desk.modem.drops == {"NO CARRIER while readying": 1}
    desk = Desk().online()
    desk.modem.hung_up(desk.now)
    assert desk.events() == [("hung_up", "modem: the device of the modem hung up (check its cable and power)")]
    assert desk.modem.state == m.RESTING
    for verb in ("dial", "ring"):
        desk = Desk().ready()
        if verb == "dial":
            desk.modem.dial("1", desk.now)
        else:
            desk.hear(b"RING\r\nRING\r\n")
        desk.events()
        desk.modem.hung_up(desk.now)
        assert [name for name, _ in desk.events()] == ["failed"]
        desk.modem.hung_up(desk.now)
        assert desk.events() == []
        desk.wait(3500)
        desk.obey()
        assert desk.modem.state == m.IDLE
    off = Desk()
    off.modem.hung_up(off.now)
    assert off.modem.state == m.OFF and off.modem.poll_at() is None


def test_call_after_call():
    desk = Desk().ready()
    for i in range(40):
        desk.hear(b"\r\nRING\r\n\r\nRING\r\n")
        desk.modem.answer(desk.now)
        desk.hear(b"\r\nCONNECT 2400\r\n" + frame())
        names = [name for name, _ in desk.events()]
        if i % 3 == 0:
            desk.hear(b"\r\nNO CARRIER\r\n")
        elif i % 3 == 1:
            desk.modem.carrier_lost(desk.now)
        else:
            desk.modem.hang_up(desk.now)
            desk.wait(1500)
        assert names + [desk.events()[0][0]] == ["ring", "connected", "hung_up"]
        desk.obey()
        assert desk.modem.state == m.IDLE and len(desk.sink.frames) == i + 1
    assert desk.modem.drops == {}


def test_every_input_in_every_state():
    verbs = {
        m.START: lambda d: d.modem.start(d.now),
        m.RING: lambda d: d.hear(b"\r\nRING\r\n"),
        m.CONNECT: lambda d: d.hear(b"\r\nCONNECT 300\r\n"),
        m.LOST: lambda d: d.modem.carrier_lost(d.now),
        m.DIAL: lambda d: d.modem.dial("1", d.now),
        m.ANSWER: lambda d: d.modem.answer(d.now),
        m.HANG_UP: lambda d: d.modem.hang_up(d.now),
        m.TIMER: lambda d: d.wait(60_000),
        m.GONE: lambda d: d.modem.hung_up(d.now),
    }
    ways = {
        m.OFF: lambda d: None,
        m.READYING: lambda d: d.modem.start(d.now),
        m.IDLE: lambda d: d.ready(),
        m.RINGING: lambda d: d.ready().hear(b"RING\r\n"),
        m.OFFERED: lambda d: d.ready().hear(b"RING\r\nRING\r\n"),
        m.DECLINED: lambda d: (d.ready().hear(b"RING\r\nRING\r\n"), d.modem.hang_up(d.now)),
        m.DIALLING: lambda d: d.ready().modem.dial("1", d.now),
        m.ANSWERING: lambda d: (d.ready().hear(b"RING\r\n"), d.modem.answer(d.now)),
        m.CONNECTING: lambda d: (d.ready().modem.dial("1", d.now), d.hear(b"CONNECT")),
        m.ONLINE: lambda d: d.online(),
        m.DROPPING: lambda d: d.online().modem.hang_up(d.now),
        m.ESCAPING: lambda d: (d.online().modem.hang_up(d.now), d.wait(1500)),
        m.RESTING: lambda d: (d.modem.start(d.now), d.wait(10_000)),
    }
    assert len(ways) == len(m.STATES)
    for state in ways:
        taken = (m.RINGING, m.OFFERED, m.DECLINED, m.DIALLING, m.ANSWERING, m.CONNECTING, m.ONLINE)
        for verb in verbs:
            desk = Desk()
            ways[state](desk)
            assert desk.modem.state == state and desk.modem.busy() is (state in taken)
            verbs[verb](desk)
            # Whatever that was, the modem can be brought to answer a call.
            for _ in range(30):
                if desk.modem.state == m.ONLINE:
                    desk.modem.hang_up(desk.now)
                desk.modem.start(desk.now)
                desk.obey()
                if desk.modem.state == m.IDLE:
                    break
                desk.wait(5000)
            assert desk.modem.state == m.IDLE, (m.STATES[state], m.INPUTS[verb], m.STATES[desk.modem.state])
            assert desk.line.up is False and desk.line.tx_end == 0
            calls = [name for name, _ in desk.events() if name in ("connected", "hung_up")]
            assert calls.count("connected") <= calls.count("hung_up"), (state, verb, calls)
