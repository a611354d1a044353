"""Datagrams out of the console: all are shown, passwords in them are hidden, and endpoints are left as they were."""

from capturedesk import Board

from laclet_mcu.capture import Capture
from laclet_mcu.datagramtaps import payload

LNS = ("192.0.2.9", 1701)
PAP = b"\xc0\x23\x01\x07\x00\x10\x04anna\x06geheim"


class Carrier:
    def __init__(self, local=None):
        self.local = local
        self.sent = []

    def send(self, buf, start, end, addr):
        self.sent.append(bytes(buf[start:end]))


class Endpoint:
    def __init__(self, local=None):
        self.carrier = Carrier(local)
        self.heard = []

    def receive(self, buf, start, end, addr, now):
        self.heard.append(bytes(buf[start:end]))


def test_datagrams_of_both_ways_pass_and_are_shown():
    board = Board()
    first = Endpoint()
    board.there.append(first)
    capture = Capture(board, ["datagrams"], board.write, True)
    assert capture.about()["calls"] == ["l2tp", "ppp"]
    second = Endpoint("10.0.0.5")  # made while it is captured; told of twice
    board.there.append(second)
    board.on_endpoint(second)
    capture.attach()
    board.time = 9
    first.receive(b"\xc8\x02rest", 0, 6, LNS, 5)
    second.carrier.send(b"..\x00\x02\x00\x07\x00\x08data", 2, 12, LNS)
    assert first.heard == [b"\xc8\x02rest"] and second.carrier.sent == [b"\x00\x02\x00\x07\x00\x08data"]
    heard, sent = board.frames(capture)
    assert heard.pop("local") is None and heard.pop("peer") == list(LNS)
    assert heard == {"cap": "l2tp", "ms": 5, "dir": 0, "len": 6, "hex": "c80272657374"}
    assert sent["dir"] == 1 and sent["ms"] == 9 and sent["local"] == ["10.0.0.5", None]
    assert capture.close() == {"frames": 2, "lost": 0} and board.on_endpoint is None
    first.receive(b"\xc8\x02", 0, 2, LNS, 5)
    second.carrier.send(b"x", 0, 1, LNS)
    assert len(first.heard) == 2 and len(second.carrier.sent) == 2 and capture.poll_at() is None


def test_what_was_lost_is_told_with_the_next():
    board = Board()
    board.there.append(Endpoint())
    capture = Capture(board, ["datagrams"], board.write, True)
    for _ in range(40):
        board.there[0].receive(bytes(6), 0, 6, LNS, 0)
    frames = board.frames(capture)
    assert frames[0]["lost"] == 8 and not any("lost" in frame for frame in frames[1:])


def test_passwords_in_datagrams_are_written_over():
    board = Board()
    board.there.append(Endpoint())
    capture = Capture(board, ["datagrams"], board.write, True)
    for head in (
        b"\x00\x02\x00\x07\x00\x08",
        b"\x40\x02\x00\x30\x00\x07\x00\x08",
        b"\x08\x02\x00\x07\x00\x08\x00\x01\x00\x02",
        b"\x02\x02\x00\x07\x00\x08\x00\x03...",
        b"\x4a\x02\x00\x30\x00\x07\x00\x08\x00\x01\x00\x02\x00\x00",
    ):
        packet = head + b"\xff\x03" + PAP
        assert payload(packet, 0, len(packet)) == len(head)
        board.there[0].receive(packet, 0, len(packet), LNS, 0)
    proxied = (
        b"\xc8\x02\x00\x1a\x00\x07\x00\x08\x00\x01\x00\x02"
        + b"\x80\x0c\x00\x00\x00\x21geheim\x80\x08\x00\x00\x00\x00\x00\x0c"
    )
    for end in range(len(proxied) + 1):
        board.there[0].receive(proxied, 0, end, LNS, 0)
    frames = board.frames(capture)
    assert all("6765" not in frame["hex"][8:] for frame in frames) and len(frames) == 32


def test_no_datagram_is_too_strange():
    for cut in range(16):
        for first in range(256):
            packet = bytes((first, 2)) + bytes(cut)
            at = payload(packet, 0, len(packet))
            assert at == -1 or 0 < at < len(packet)


class Full(list):
    """Memory that does not suffice."""

    def append(self, each):
        raise MemoryError


def test_calls_go_on_when_there_is_no_memory_for_what_they_carry():
    board = Board()
    board.there.append(Endpoint())
    capture = Capture(board, ["datagrams"], board.write, True)
    capture._waiting = Full()
    board.there[0].receive(b"\xc8\x02", 0, 2, LNS, 5)
    assert board.there[0].heard == [b"\xc8\x02"] and capture.close() == {"frames": 1, "lost": 1}


def test_people_read_control_messages_in_words():
    board = Board()
    board.there.append(Endpoint())
    capture = Capture(board, ["datagrams"], board.write, False)
    hello = b"\xc8\x02\x00\x14\x00\x07\x00\x00\x00\x01\x00\x02\x80\x08\x00\x00\x00\x00\x00\x06"
    board.there[0].receive(hello, 0, len(hello), LNS, 0)
    board.there[0].receive(bytes(8), 0, 8, LNS, 0)
    capture.on_timer(0)
    assert board.said_lines[0].startswith("[l2tp]: rcvd [L2TP HELLO tunnel 7") and "L2TP data" in board.said_lines[1]
