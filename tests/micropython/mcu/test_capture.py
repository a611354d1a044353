"""Frames of calls out of the console: what is kept of them, what is hidden, and that joins are left as they were."""

from capturedesk import Board, End, give

from laclet.port import join, part
from laclet_mcu.capture import Capture, mask

LCP = b"\xff\x03\xc0\x21\x01\x01\x00\x04"


def test_frames_of_both_ways_pass_and_are_shown():
    board = Board()
    home = board.calls["home"]
    join(home.link, home.session)
    capture = Capture(board, ["home"], board.write, True)
    assert capture.about()["calls"] == ["home"]
    give(home.link, LCP, 5)
    give(home.session, b"\x80\x21\x01\x01\x00\x04", 7)
    assert home.session.carried == [LCP] and home.link.carried == [b"\x80\x21\x01\x01\x00\x04"]
    sent, received = board.frames(capture)
    assert sent == {"cap": "home", "ms": 5, "dir": 1, "len": 8, "hex": "ff03c02101010004"}
    assert received["dir"] == 0 and received["hex"] == "802101010004"
    assert capture.close() == {"frames": 2, "lost": 0}
    assert home.link.joined is home.session and home.session.joined is home.link and board.bypass is None


def test_a_call_that_comes_again_is_watched_again():
    board = Board()
    port = board.calls["port"]
    capture = Capture(board, (), board.write, True)
    assert capture.about()["calls"] == ["home", "port"]
    for session in (port.session, End()):
        join(port.line, session)
        port.line.release(1)
        assert port.line.released == 1
        give(port.line, LCP)
        assert session.carried == [LCP]
        part(port.line)
        port.line.release(2)
        give(session, LCP)
        assert port.line.carried == [] and session.drops == {"not joined": 1}
    home = board.calls["home"]
    join(home.link, home.session)
    tap = board.bypass(home.link, home.session, {})
    give(home.session, LCP)
    part(home.link)
    tap.close()
    assert [frame["cap"] for frame in board.frames(capture)] == ["port", "port", "home"]
    capture.close()
    join(port.line, port.session)
    port.line.release(3)
    assert port.line.joined is port.session and port.line.released == 3


def test_others_are_left_alone():
    board = Board()
    home, port = board.calls["home"], board.calls["port"]
    join(home.link, home.session)
    Capture(board, ["port"], board.write, True)
    assert home.link.joined is home.session and board.bypass(home.link, home.session, {}) is None
    assert port.line.release is not End.release


def test_what_is_too_much_is_lost_oldest_first_and_what_is_long_is_cut():
    board = Board()
    home = board.calls["home"]
    join(home.link, home.session)
    capture = Capture(board, (), board.write, True)
    for i in range(40):
        give(home.link, bytes((0, 0x21, i)) + bytes(1000))
    frames = board.frames(capture)
    assert len(frames) == 32 and frames[0]["hex"][:6] == "002108" and frames[-1]["hex"][:6] == "002127"
    assert frames[0]["len"] == 1003 and len(frames[0]["hex"]) == 512
    assert capture.close() == {"frames": 40, "lost": 8}


def test_passwords_of_pap_are_written_over():
    request = b"\xc0\x23\x01\x07\x00\x10\x04anna\x06geheim"
    for head in (b"", b"\xff\x03"):
        frame = bytearray(head + request)
        mask(frame)
        assert frame == head + b"\xc0\x23\x01\x07\x00\x10\x04anna\x06******"
        for cut in range(len(frame)):
            short = bytearray((head + request)[:cut])
            mask(short)
            assert b"g" not in short
    for other in (b"\xc0\x23\x02\x07\x00\x05\x00", LCP, b"", b"\xff\x03"):
        frame = bytearray(other)
        mask(frame)
        assert frame == other


def test_people_read_pppds_words():
    board = Board()
    home = board.calls["home"]
    join(home.link, home.session)
    capture = Capture(board, (), board.write, False)
    give(home.link, LCP)
    capture.on_timer(0)
    assert board.said_lines == ["[home]: sent [LCP ConfReq id=0x1]\n"]
