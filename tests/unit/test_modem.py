"""An AT modem made ready, answering and dialling, as timed dialogues."""

from modemdesk import FRAME, Desk, frame

from laclet import ticks
from laclet.line import tables as m
from laclet.line.modem import cellular, speeds


def test_speeds():
    for line, want in (
        ("CONNECT", (0, 0)),
        ("CONNECT 33600", (33600, 33600)),
        ("CONNECT 33600/ARQ/V34/LAPM/V42BIS", (33600, 33600)),
        ("CONNECT 1200/75", (1200, 75)),
        ("CONNECT 115200/V34/LAPM/V42B/33600:TX/31200:RX", (33600, 31200)),
        ("CARRIER 28800", (28800, 28800)),
        ("+MRR: 48000,28800", (48000, 28800)),
        ("CONNECT fast", (0, 0)),
        ("CONNECT 9999999999", (4294967295, 4294967295)),
        ("CONNECT 99999999999", (0, 0)),
        ("CONNECT ///,,", (0, 0)),
    ):
        assert speeds(line) == want, line


def test_cellular():
    assert cellular("internet", "1234") == ["AT+CPIN=1234", "AT+CMEE=2", 'AT+CGDCONT=1,"IP","internet"']


def test_made_ready():
    desk = Desk(init=("ATX4", "AT+CLIP=1"))
    desk.hear(b"RING\r\n")
    desk.wait(60_000)
    assert desk.sent() == b"" and desk.events() == [] and desk.modem.poll_at() is None
    desk.modem.start(desk.now)
    assert desk.obey() == [b"AT\r", b"ATZ\r", b"ATE0Q0V1\r", b"ATX4\r", b"AT+CLIP=1\r"]
    assert desk.modem.state == m.IDLE and desk.events() == []
    assert desk.modem.status()["state"] == "idle"


def test_a_deadline_is_told():
    desk = Desk()
    desk.modem.start(desk.now)
    assert [event[0] for event in desk.modem.events] == ["timer"]
    assert ticks.diff(desk.modem.poll_at(), desk.now) == 5000
    assert desk.modem.next_event() == ("timer", desk.modem, None) and desk.modem.next_event() is None


def test_a_modem_that_does_not_work_is_tried_for_ever():
    desk = Desk()
    desk.modem.start(desk.now)
    for rest in (2000, 4000, 8000, 16000, 30000, 30000):
        desk.wait(10_000)
        assert desk.modem.state == m.RESTING
        ((name, fault),) = [event for event in desk.events() if event[0] == "failed"]
        assert fault == "modem: no OK in time after AT (check device, baud rate, flow control and power)"
        assert desk.sent().endswith(b"AT\rAT\r")
        desk.wait(rest - 1)
        assert desk.modem.state == m.RESTING and desk.sent() == b""
        desk.wait(1)
        assert desk.modem.state == m.DROPPING and desk.events() == [("dtr", None)]
        desk.wait(1500)
        assert desk.sent() == b"+++"
        desk.wait(4000)
        assert desk.modem.state == m.READYING
    desk.obey()
    assert desk.modem.state == m.IDLE
    desk.modem.hung_up(desk.now)
    assert ticks.diff(desk.modem.poll_at(), desk.now) == 2000  # patience is new
    desk.modem.start(desk.now)
    desk.obey()
    assert desk.modem.state == m.IDLE and desk.events() == []


def test_a_refused_command_is_named_without_its_secret():
    desk = Desk(init=cellular("net", "4321"))
    desk.modem.start(desk.now)
    for _ in range(3):
        desk.sent()
        desk.hear(b"\r\nOK\r\n")
    assert desk.sent() == b"AT+CPIN=4321\r"
    desk.hear(b"\r\n+CME ERROR: incorrect password\r\n")
    assert desk.events() == [
        ("failed", "modem: the modem refused AT+CPIN; the peer said: +CME ERROR: incorrect password")
    ]


def test_answering():
    for chunk in (None, 1, 5):
        desk = Desk(answer_rings=2).ready()
        desk.hear(b"\r\nRING\r\n", chunk)
        desk.hear(b'\r\n+CLIP: "+4930123",145,,,,0\r\n', chunk)
        desk.wait(4000)
        assert desk.events() == [] and desk.modem.state == m.RINGING
        desk.hear(b"\r\nRING\r\n", chunk)
        assert desk.events() == [("ring", "+4930123")]
        desk.hear(b"\r\nRING\r\n", chunk)
        desk.modem.answer(desk.now)
        assert desk.sent() == b"ATA\r" and desk.events() == []
        desk.hear(b"\r\nCONNECT 33600/V34\r\n" + frame(), chunk)
        assert desk.events() == [("connected", (33600, 33600))]
        assert desk.sink.frames == [FRAME] and desk.line.drops == {} and desk.modem.poll_at() is None


def test_callers_number():
    for lines, want in (
        (b"RING\r\n", ""),
        (b'RING\r\n\r\n+CLIP: "0301",129\r\n', "0301"),
        (b"NMBR = 5551234\r\nRING\r\n", "5551234"),
        (b"RING\r\nDATE = 0101\r\nNMBR=P\r\n", "P"),
        (b"+CRING: REL ASYNC\r\n", ""),
        (b"RING\r\nNMBR = " + b"9" * 90 + b"\r\n", "9" * 32),
        (b"RING\r\n+CLIP: \r\n", ""),
    ):
        desk = Desk().ready()
        desk.hear(lines)
        desk.wait(500)
        assert desk.events() == [("ring", want)], lines


def test_the_caller_gives_up():
    desk = Desk().ready()
    desk.hear(b"RING\r\n")
    desk.wait(500)
    desk.wait(9999)
    assert desk.modem.state == m.OFFERED
    desk.wait(1)
    assert desk.modem.state == m.IDLE
    assert desk.events() == [("ring", ""), ("failed", "modem: the caller gave up")]
    desk.hear(b'RING\r\n+CLIP: "1"\r\nNO CARRIER\r\n')
    assert desk.modem.state == m.IDLE and desk.modem.caller == ""
    assert desk.events() == [("ring", "1"), ("failed", "modem: the far end hung up; the peer said: NO CARRIER")]
    few = Desk(answer_rings=3).ready()
    few.hear(b"RING\r\n")
    few.wait(10_000)
    assert few.events() == [] and few.modem.state == m.IDLE


def test_a_call_declined():
    desk = Desk().ready()
    desk.hear(b"RING\r\n")
    desk.wait(500)
    desk.modem.hang_up(desk.now)
    desk.hear(b"RING\r\nRING\r\n")
    assert desk.events() == [("ring", ""), ("failed", "modem: hung up by this side")]
    assert desk.sent() == b""
    desk.wait(10_000)
    assert desk.modem.state == m.IDLE
    desk.hear(b"RING\r\nRING\r\n")
    assert desk.events() == [("ring", "")]
    desk.modem.hang_up(desk.now)
    desk.hear(b"CONNECT\r\n")  # it answers by itself all the same
    assert desk.modem.state == m.DROPPING


def test_an_answer_that_fails():
    desk = Desk().ready()
    desk.hear(b"RING\r\nRING\r\n")
    desk.modem.answer(desk.now)
    desk.sent()
    desk.events()
    desk.hear(b"\r\nNO CARRIER\r\n")
    assert desk.events() == [("failed", "modem: the modems did not connect; the peer said: NO CARRIER")]
    desk.obey()
    assert desk.modem.state == m.IDLE


def test_a_modem_that_answers_by_itself():
    for ring in (b"", b"RING\r\n"):
        desk = Desk().ready()
        desk.hear(ring + b"\r\nCARRIER 28800\r\n\r\nPROTOCOL: LAPM\r\n\r\nCONNECT 115200\r\n" + frame())
        assert desk.modem.state == m.ONLINE and desk.sink.frames == [FRAME]
        assert desk.events()[-1] == ("connected", (28800, 28800))


def test_dialling():
    desk = Desk(dial_timeout=30_000)
    desk.modem.start(desk.now)
    desk.modem.dial("*99#", desk.now)  # not ready yet: remembered
    assert desk.obey()[-1] == b"ATD*99#\r"  # its OK is not CONNECT
    assert desk.modem.state == m.DIALLING
    desk.hear(b"\r\nCONNECT\r\n" + frame())
    assert desk.events() == [("connected", (0, 0))] and desk.sink.frames == [FRAME]


def test_connect_without_the_end_of_its_line():
    desk = Desk().ready()
    desk.modem.dial("1", desk.now)
    desk.hear(b"\r\nCONNECT 9600")
    assert desk.modem.state == m.CONNECTING
    desk.wait(1000)
    assert desk.modem.state == m.ONLINE
    desk = Desk().ready()
    desk.modem.dial("1", desk.now)
    desk.hear(b"\r\nCONNECT" + frame()[1:].join([b"~", b""]))
    assert desk.modem.state == m.ONLINE and desk.sink.frames == [FRAME]
    desk = Desk().ready()
    desk.modem.dial("1", desk.now)
    desk.hear(b"\r\nCONNECT\r")
    desk.hear(b"\nNO CARRIER\r\n")
    assert [name for name, _ in desk.events()] == ["connected", "hung_up"]


def test_a_dial_script_of_ones_own():
    script = ("", "AT+CGDATA", "CONNECT", "\\c", "ogin:", "\\T", "ok")
    desk = Desk(dial_script=script).ready()
    desk.modem.dial("123", desk.now)
    assert desk.sent() == b"AT+CGDATA\r"
    desk.hear(b"\r\nCONNECT 9600\r\nlogin:")
    assert desk.sent() == b"123\r" and desk.modem.state == m.DIALLING
    desk.hear(b"ok\r\n" + frame())
    assert desk.events() == [("connected", (9600, 9600))] and desk.sink.frames == [FRAME]


def test_why_a_call_failed():
    for said, want in (
        (b"BUSY", "modem: the number is busy; the peer said: BUSY"),
        (b"NO CARRIER", "modem: the modems did not connect; the peer said: NO CARRIER"),
        (b"NO DIALTONE", "modem: no dial tone; the peer said: NO DIALTONE (check the telephone cable)"),
        (b"NO DIAL TONE", "modem: no dial tone; the peer said: NO DIAL TONE (check the telephone cable)"),
        (b"NO ANSWER", "modem: nobody answered; the peer said: NO ANSWER"),
        (b"ERROR", "modem: the modem refused ATD\\T; the peer said: ERROR"),
        (b"", "modem: no CONNECT in time after ATD\\T"),
    ):
        desk = Desk(dial_timeout=30_000).ready()
        desk.modem.dial("5551234", desk.now)
        assert desk.sent() == b"ATD5551234\r"
        if said:
            desk.hear(b"\r\n" + said + b"\r\n")
        else:
            desk.wait(29_999)
            assert desk.events() == []
            desk.wait(1)
        assert desk.events() == [("failed", want)], said
        desk.obey()
        assert desk.modem.state == m.IDLE
        desk.modem.dial("5551234", desk.now)
        assert desk.sent() == b"ATD5551234\r"


def test_dials_that_are_refused():
    desk = Desk().ready()
    for number in ("", "555\rATZ", "555;", "5\x00", "EVIL", "5" + chr(200)):
        desk.modem.dial(number, desk.now)
        assert desk.events() == [("failed", "modem: not a number that can be dialled")]
    desk.modem.dial("1", desk.now)
    desk.modem.dial("2", desk.now)
    assert desk.events() == [("failed", "modem: the modem is dialling")]
    assert desk.sent() == b"ATD1\r"
    desk = Desk()
    desk.modem.dial("1", desk.now)
    assert desk.events() == [("failed", "modem: the modem is off")]
    desk.modem.start(desk.now)
    desk.modem.dial("1", desk.now)
    desk.modem.hang_up(desk.now)  # thought better of it
    assert desk.events() == [("failed", "modem: hung up by this side")]
    desk.obey()
    assert desk.modem.state == m.IDLE


def test_a_waiting_dial_fails_with_the_modem():
    desk = Desk()
    desk.modem.start(desk.now)
    desk.modem.dial("1", desk.now)
    desk.wait(10_000)
    assert [name for name, _ in desk.events()] == ["failed"]
    desk.modem.dial("2", desk.now)
    desk.wait(10_000)
    assert desk.obey()[-1] == b"ATD2\r"
