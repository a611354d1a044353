"""Frame relay, AAL5, X.25 and XOT: tshark reads what they send, and nothing that arrives makes them raise."""

import shutil
import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laclet.carrier import x25wire
from laclet.carrier.aal5 import CELL, Aal5, Llc, crc32, hec
from laclet.carrier.framerelay import DLCI_LONG_MAX, FrameRelay
from laclet.carrier.x25 import X25
from laclet.carrier.xot import Xot
from laclet.port import HEADROOM, TAILROOM

# A ZLB: the shortest L2TP message.
ZLB = bytes.fromhex("c802000c0001000000010001")
FRAME_RELAY, RFC_1483, RAW_IP = 107, 100, 101  # link types of pcap
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is missing")


class Wire:
    def __init__(self):
        self.sent = []

    def send(self, buf, start, end, addr=None):
        self.sent.append(bytes(buf[start:end]))


class Above:
    def __init__(self):
        self.got = []

    def receive(self, buf, start, end, addr, now):
        assert 0 <= start <= end <= len(buf)
        self.got.append((addr, bytes(buf[start:end])))


def make(kind, *args, **options):
    made = kind(*args, **options)
    made.carrier, made.endpoint = Wire(), Above()
    return made


def room(data):
    return bytearray(HEADROOM) + bytearray(data) + bytearray(TAILROOM)


def send(machine, data, addr):
    machine.send(room(data), HEADROOM, HEADROOM + len(data), addr)
    return machine.carrier.sent


def receive(machine, data):
    machine.receive(room(data), HEADROOM, HEADROOM + len(data), None, 0)


def tshark(folder, link, packets, *fields):
    """The fields of each packet, as tshark reads them; its complaints fail the test."""
    path = folder / "packets.pcap"
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link))
        for packet in packets:
            file.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "separator=/t"]
    for field in ("_ws.malformed", *fields):
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split("\t") for line in done.stdout.split("\n")[: len(packets)]]
    assert [row[0] for row in rows] == [""] * len(packets), done.stdout
    return [row[1:] for row in rows]


@needs_tshark
def test_tshark_reads_frame_relay(tmp_path):
    frame_relay = make(FrameRelay, "hdlc0")
    dlcis = [16, 100, 1007, 1024, 123456, DLCI_LONG_MAX]
    for dlci in dlcis:
        send(frame_relay, ZLB, ("fr", "hdlc0", dlci))
    rows = tshark(tmp_path, FRAME_RELAY, frame_relay.carrier.sent, "fr.dlci", "fr.nlpid", "fr.snap.oui", "data.data")
    assert [row[0] for row in rows] == [str(dlci) for dlci in dlcis]
    assert all(row[1].endswith("0x80") and row[2:] == ["94", ZLB.hex()] for row in rows)


@needs_tshark
def test_tshark_reads_llc(tmp_path):
    rows = tshark(tmp_path, RFC_1483, send(make(Llc), ZLB, None), "llc.oui", "llc.iana_pid", "data.data")
    assert rows == [["94", "0x0007", ZLB.hex()]]


def tcp(port, stream):
    """An IP packet with a piece of a TCP stream."""
    head = struct.pack(">HHIIBBHHH", port, 1998, 1, 1, 0x50, 0x18, 8192, 0, 0)
    addresses = b"\xc0\0\2\1\xc0\0\2\2"
    return struct.pack(">BBHHHBBH8s", 0x45, 0, 40 + len(stream), 0, 0, 64, 6, 0, addresses) + head + stream


@needs_tshark
def test_tshark_reads_x25_in_xot(tmp_path):
    stream = Wire()
    caller, called = make(X25, "x25", "4711", restarts=False), make(X25, "x25", "0815", dce=True, restarts=False)
    send(caller, ZLB + bytes(1500), ("x25", "x25", "0815"))
    for _ in range(4):
        for one, other in ((caller, called), (called, caller)):
            for packet in one.carrier.sent:
                Xot(stream.send).send(room(packet), HEADROOM, HEADROOM + len(packet), None)
                receive(other, packet)
            one.carrier.sent.clear()
    caller.hang_up(("x25", "x25", "0815"), 0)
    packet = caller.carrier.sent[0]
    Xot(stream.send).send(room(packet), HEADROOM, HEADROOM + len(packet), None)
    packets = [tcp(40000 + i, piece) for i, piece in enumerate(stream.sent)]
    fields = ("xot.version", "xot.length", "x25.lcn", "x25.type", "x25.p_s", "x25.p_r", "x25.m")
    rows = tshark(tmp_path, RAW_IP, packets, *fields)
    assert [row[:3] for row in rows] == [["0", str(len(piece) - 4), "16"] for piece in stream.sent]
    kinds = [(row[3], row[4], row[5], row[6]) for row in rows]
    assert kinds == [
        ("0x0b", "", "", ""),
        ("0x0f", "", "", ""),
        ("0x00", "0", "0", "1"),
        ("0x00", "1", "0", "0"),
        ("0x01", "", "1", ""),
        ("0x01", "", "2", ""),
        ("0x13", "", "", ""),
    ]


@given(st.binary(max_size=64), st.integers(0, 0x7FFFFF))
def test_frame_relay_takes_anything(data, dlci):
    for frame in (data, send(make(FrameRelay, "hdlc0"), data, ("fr", "hdlc0", dlci))[0]):
        machine = make(FrameRelay, "hdlc0")
        receive(machine, frame)
        assert len(machine.endpoint.got) + sum(machine.drops.values()) == 1
    assert machine.endpoint.got == [(("fr", "hdlc0", dlci), data)]


@given(st.binary(max_size=64))
def test_llc_takes_anything(data):
    machine = make(Llc)
    receive(machine, data)
    assert len(machine.endpoint.got) + sum(machine.drops.values()) == 1


def sealed(cell):
    """A cell with the right HEC."""
    return cell[:4] + bytes([hec(cell, 0)]) + cell[5:]


@settings(max_examples=200)
@given(st.lists(st.one_of(st.binary(max_size=120), st.binary(min_size=CELL, max_size=CELL).map(sealed)), max_size=12))
def test_aal5_takes_anything(trains):
    machine = make(Aal5, "atm0")
    for train in trains:
        receive(machine, train)
    assert machine.endpoint.got == []


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 65535))
def test_aal5_brings_everything_over(data, vpi, vci):
    train = send(make(Aal5, "atm0"), data, ("atm", "atm0", vpi, vci))[0]
    machine = make(Aal5, "atm0")
    receive(machine, train)
    assert machine.endpoint.got == ([(("atm", "atm0", vpi, vci), data)] if data else [])
    pdu = b"".join(train[at + 5 : at + CELL] for at in range(0, len(train), CELL))
    assert crc32(pdu[:-4]) == pdu[-4:]


packets = st.tuples(st.integers(1, 16), st.sampled_from(range(256)), st.binary(max_size=20))


@settings(max_examples=300)
@given(st.lists(packets, max_size=30), st.booleans(), st.booleans())
def test_x25_takes_anything(script, dce, restarts):
    machine = make(X25, "x25", "1", dce=dce, restarts=restarts)
    machine.start(0)
    for lcn, kind, data in script:
        if kind == 0xFF:
            send(machine, data, ("x25", "x25", str(lcn)))
        receive(machine, x25wire.packet(lcn if kind != x25wire.RESTART else 0, kind, data))
        machine.on_timer(machine.poll_at() or 0)
    assert len(machine._circuits) <= 16
    receive(machine, b"")


@given(st.binary(max_size=40))
def test_any_call(data):
    found = x25wire.parse_call(data, 0, len(data))
    assert found is None or len(found) == 4


@given(st.text("0123456789", max_size=15), st.text("0123456789", max_size=15), st.integers(4, 12), st.integers(1, 7))
def test_calls_come_back_as_they_went(called, calling, size, window):
    packet = x25wire.call_packet(5, x25wire.CALL, called, calling, size, window, x25wire.USER_DATA)
    facilities = {x25wire.PACKET_SIZE: (size, size), x25wire.WINDOW: (window, window)}
    assert x25wire.parse_call(packet, 3, len(packet)) == (called, calling, facilities, x25wire.USER_DATA)


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_xot_takes_anything(pieces):
    machine = Xot(None)
    machine.endpoint = make(X25, "x25", restarts=False)
    machine.endpoint.carrier = Wire()
    for piece in pieces:
        machine.receive(piece, 0, len(piece), None, 0)
