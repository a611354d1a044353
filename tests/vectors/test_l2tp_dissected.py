"""Our L2TP headers and AVPs as others read them: tshark's dissector for control messages, scapy for data headers."""

import shutil
import subprocess

import pytest

from laclet.l2tp.endpoint import Endpoint
from laclet.l2tp.tables import ESTABLISHED
from laclet.l2tp.tunnel import TunnelOptions
from laclet.port import HEADROOM, frame_buffer
from laclet.wire import avp
from laclet.wire.l2tp import message_name, put_control

scapy = pytest.importorskip("scapy.all")
from scapy.layers.l2tp import L2TP  # noqa: E402

U16 = (2, 6, 9, 10, 14, 29, 32)
U32 = (3, 4, 15, 16, 17, 18, 19, 24, 25, 38)
RAW = {5: b"12345678", 35: bytes(2) + b"\xff\xff\xff\xff\0\xa0\0\0", 34: bytes(26), 12: b"\0\x10\x03busy", 39: b""}


def every_avp(mtype):
    """A control message of this type with every AVP there is, as a datagram."""
    w = avp.Writer(mtype)
    for atype in (*range(2, 20), *range(21, 36), 37, 38, 39):
        if atype in U16:
            w.u16(atype, 0x0100 + atype)
        elif atype in U32:
            w.u32(atype, 0x01000000 + atype)
        else:
            w.put(atype, RAW.get(atype, b"text%d" % atype))
    w.result(2, 6, "no lines")
    put_control(w.buf, 0, len(w.buf), 0x1234, 0x5678, 3, 4)
    return bytes(w.buf)


def tshark(path, *fields):
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "separator=|"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines()]


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_reads_every_message_and_avp(tmp_path):
    types = (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16)
    packets = [
        scapy.Ether() / scapy.IP(dst="127.0.0.1") / scapy.UDP(sport=1701, dport=1701) / every_avp(mtype)
        for mtype in types
    ]
    path = tmp_path / "control.pcap"
    scapy.wrpcap(str(path), packets)
    rows = tshark(
        path, "l2tp.type", "l2tp.tunnel", "l2tp.session", "l2tp.Ns", "l2tp.Nr", "l2tp.avp.type", "_ws.malformed"
    )
    assert len(rows) == len(types)
    for mtype, (kind, tunnel, session, ns, nr, avps, malformed) in zip(types, rows, strict=True):
        assert malformed == "", message_name(mtype)
        assert kind == "1" and (tunnel, session, ns, nr) == ("4660", "22136", "3", "4")
        assert [int(a) for a in avps.split(",")] == [0, *range(2, 20), *range(21, 36), 37, 38, 39, 1]
    names = tshark(
        path, "l2tp.avp.message_type", "l2tp.avp.assigned_tunnel_id", "l2tp.avp.host_name", "l2tp.avp.error_message"
    )
    assert [int(row[0]) for row in names] == list(types)
    assert {tuple(row[1:]) for row in names} == {(str(0x0109), "text7", "no lines")}


def joined_session(**options):
    """An established session whose datagrams are kept: (session, list of bytes)."""
    sent = []

    class Keep:
        def send(self, buf, start, end, addr):
            sent.append(bytes(buf[start:end]))

    endpoint = Endpoint(lambda n: bytes(range(1, n + 1)))
    endpoint.carrier = Keep()
    o = TunnelOptions("host")
    for name, value in options.items():
        setattr(o, name, value)
    tunnel = endpoint.open(("192.0.2.1", 1701), o, 0)
    session = tunnel.incoming_call(0)
    tunnel.peer_tid, session.peer_sid, session.state = 0xABCD, 0x1357, ESTABLISHED
    session._make_header()
    return session, sent


@pytest.mark.parametrize("length", [False, True])
@pytest.mark.parametrize("sequencing", [False, True])
def test_scapy_reads_our_data_headers(length, sequencing):
    session, sent = joined_session(length_bit=length, sequencing=sequencing)
    for n in range(3):
        frame = b"\xff\x03\x00\x21payload"
        buf = frame_buffer(100)
        buf[HEADROOM : HEADROOM + len(frame)] = frame
        session.carry(buf, HEADROOM, HEADROOM + len(frame), 0)
        packet = L2TP(sent[-1])
        assert packet.version == 2 and not packet.hdr.control
        assert packet.tunnel_id == 0xABCD and packet.session_id == 0x1357
        assert (packet.len == len(sent[-1])) if length else (packet.len is None)
        assert (packet.ns == n) if sequencing else (packet.ns is None)
        assert bytes(packet.payload) == frame


@pytest.mark.parametrize("flags", ["", "length", "sequence", "offset", "length+sequence+offset", "priority"])
def test_we_read_scapys_data_headers(flags):
    session, _ = joined_session()
    got = []

    class Sink:
        def carry(self, buf, start, end, now):
            got.append(bytes(buf[start:end]))

    session.joined = Sink()
    names = [name for name in flags.split("+") if name]
    fields = {"hdr": "+".join(names), "version": 2, "tunnel_id": session.tunnel.tid, "session_id": session.sid}
    if "offset" in names:
        fields["offset"] = 0
    packet = bytes(L2TP(**fields) / b"\xff\x03\x00\x21data")
    buf = bytearray(HEADROOM) + packet
    session.tunnel.endpoint.receive(buf, HEADROOM, len(buf), ("192.0.2.1", 1701), 0)
    assert got == [b"\xff\x03\x00\x21data"], session.tunnel.endpoint.drops
