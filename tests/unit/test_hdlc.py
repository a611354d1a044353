"""Asynchronous HDLC: vectors of RFC 1662, every kind of bad frame, and all forms of the code against the plain one."""

import sys
from array import array

from laclet.port import HEADROOM
from laclet.wire import hdlc

ON_BOARD = sys.implementation.name == "micropython"
ALL = 0xFFFFFFFF

# An LCP Configure-Request (RFC 1661 §6.4: magic number) as every PPP sends it first, all control characters escaped.
REQUEST = bytes([0xFF, 3, 0xC0, 0x21, 1, 1, 0, 10, 5, 6, 0x7E, 0x7D, 0x11, 0x93])


def fcs_16(data):
    """RFC 1662 §C.2, bit by bit."""
    fcs = 0xFFFF
    for octet in data:
        fcs ^= octet
        for _ in range(8):
            fcs = fcs >> 1 ^ 0x8408 if fcs & 1 else fcs >> 1
    return fcs ^ 0xFFFF


def escaped(data, accm):
    """§4.2, the slow way."""
    out = bytearray()
    for octet in data:
        if octet in (0x7D, 0x7E) or (octet < 32 and accm >> octet & 1):
            out += bytes([0x7D, octet ^ 0x20])
        else:
            out.append(octet)
    return bytes(out)


def wire(frame, accm=ALL):
    """A frame on the line, with its closing flag."""
    fcs = fcs_16(frame)
    return escaped(bytes(frame) + bytes([fcs & 0xFF, fcs >> 8]), accm) + b"~"


class Noise:
    """Octets from a fixed seed."""

    def __init__(self, seed=1):
        self.x = seed * 2654435761 & 0xFFFFFFFF

    def below(self, n):
        x = self.x
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        self.x = x ^ (x << 5 & 0xFFFFFFFF)
        return (self.x >> 8) % n

    def octets(self, n):
        return bytearray([self.below(256) for _ in range(n)])

    def controls(self, n):
        """Octets of which most mean something to HDLC."""
        return bytearray([b"~}]^\x00\x11\x13\x1f\x20 AZ"[self.below(12)] for _ in range(n)])


def decode(stream, size=1504, chunk=None, accm=0, decoder=None):
    """``(frames, reasons)`` of a stream that comes in chunks."""
    decoder = decoder or hdlc.Decoder(size)
    decoder.set_accm(accm)
    stream = bytearray(stream)
    frames = []
    reasons = []
    at = 0
    while at < len(stream):
        end = min(len(stream), at + (chunk or len(stream)))
        while at < end:
            at = decoder.feed(stream, at, end)
            if decoder.end:
                assert decoder.start >= HEADROOM
                frames.append(bytes(decoder.buf[decoder.start : decoder.end]))
            if decoder.why:
                assert not decoder.end
                reasons.append(decoder.why)
    return frames, reasons


def encode(frame, accm, room=None, at=0, encode=hdlc.encode):
    out = bytearray(at + 2 * len(frame) + 5 if room is None else room)
    buf = bytearray(b"\xaa\xaa\xaa") + frame + bytearray(b"\xaa")
    end = encode(buf, 3, 3 + len(frame), out, at, accm)
    return bytes(out[at:end]) if end else None


def test_fcs_of_the_rfc():
    assert fcs_16(b"123456789") == 0x906E  # CRC-16/X-25, the check value of the catalogues
    assert encode(b"123456789", 0) == b"123456789\x6e\x90~"


def test_escapes_of_the_rfc():
    # §4.2
    assert encode(b"\x7e\x7d\x03\x11\x13\x91\x93", ALL)[:12] == bytes(
        [0x7D, 0x5E, 0x7D, 0x5D, 0x7D, 0x23, 0x7D, 0x31, 0x7D, 0x33, 0x91, 0x93]
    )
    assert encode(b"\x11\x12\x13", 1 << 17 | 1 << 19)[:5] == b"}\x31\x12}\x33"
    assert encode(b"\x00\x1f\x20", 1 << 31)[:4] == b"\x00}\x3f\x20"


def test_first_frame_of_every_link():
    line = b"\x7e\xff\x7d\x23\xc0\x21\x7d\x21\x7d\x21\x7d\x20\x7d\x2a\x7d\x25\x7d\x26\x7d\x5e\x7d\x5d\x7d\x31\x93"
    assert b"~" + encode(REQUEST, ALL)[: len(line) - 1] == line
    assert decode(b"~" + encode(REQUEST, ALL)) == ([REQUEST], [])


def test_encode_against_the_slow_way():
    noise = Noise()
    for accm in (0, ALL, 0x000A0000, 1, 0x80000000, 0x55555555):
        for n in (1, 2, 3, 17, 200):
            for frame in (noise.octets(n), noise.controls(n)):
                assert encode(frame, accm) == wire(frame, accm)
                assert encode(frame, accm, at=7) == wire(frame, accm)


def test_every_octet_round_trips():
    every = bytes(range(256))
    for accm in (0, ALL, 0x000A0000):
        assert decode(wire(every, accm), accm=accm) == ([every], [])
        assert decode(wire(every, accm), chunk=1, accm=accm) == ([every], [])
    # a sender may escape more than it was asked to (§7.1), even the escape's own image 5D as 7D 7D
    fcs = fcs_16(every)
    lavish = b"".join([b"}" + bytes([c ^ 0x20]) if c != 0x5E else b"^" for c in every + bytes([fcs & 255, fcs >> 8])])
    assert b"}}" in lavish
    for chunk in (None, 1, 2, 3, 7):
        assert decode(lavish + b"~", chunk=chunk) == ([every], [])


def test_flags():
    one, two = b"\xff\x03\x00\x21first", b"\x21second"
    for chunk in (None, 1, 2, 5):
        assert decode(b"~" + wire(one) + wire(two), chunk=chunk) == ([one, two], [])  # one flag between frames
        assert decode(b"~~~" + wire(one) + b"~~" + wire(two) + b"~", chunk=chunk) == ([one, two], [])
    assert decode(b"~" + wire(one)[:-1]) == ([], [])


def test_invalid_frames():
    good = b"\xff\x03\xc0\x21ok"
    line = wire(good)
    for chunk in (None, 1, 3):
        assert decode(b"~abc~" + line, chunk=chunk) == ([good], ["runt"])  # §4.3
        assert decode(b"~abcdef}~" + line, chunk=chunk) == ([good], ["abort"])
        assert decode(b"}~" + line, chunk=chunk) == ([good], ["abort"])
        assert decode(b"~abcdef~" + line, chunk=chunk) == ([good], ["bad FCS"])
        assert decode(line[:4] + b"?" + line[5:] + line, chunk=chunk) == ([good], ["bad FCS"])
    # a frame of the least length that has an FCS
    assert decode(wire(b"ab")) == ([b"ab"], [])
    assert decode(wire(b"a")) == ([], ["runt"])


def test_oversize():
    for chunk in (None, 1, 7, 20):
        for n in (20, 21, 22, 23, 24, 40, 41, 80, 700):
            frame = Noise(n).octets(n)
            want = ([bytes(frame)], []) if n <= 20 else ([], ["oversize"])
            frames, reasons = decode(wire(frame) + wire(b"next"), size=20, chunk=chunk)
            assert (frames[:-1], reasons) == want and frames[-1] == b"next", (n, chunk, frames, reasons)
    # an oversize frame whose FCS is right is still none, and what it ran over is not handed on
    decoder = hdlc.Decoder(20)
    assert decode(b"x" * 5000, decoder=decoder, chunk=64) == ([], [])
    assert len(decoder.buf) < 250
    assert decode(b"~" + wire(b"next"), decoder=decoder) == ([b"next"], ["oversize"])


def test_discards_what_the_line_put_in():
    frame = b"\xff\x03\x00\x21 data \x11\x13"
    accm = 1 << 0x11 | 1 << 0x13
    noisy = b"".join([b"\x11" + bytes([c]) + b"\x13" for c in wire(frame, ALL)])  # between an escape and its octet too
    for chunk in (None, 1, 2, 9):
        assert decode(noisy, accm=accm, chunk=chunk) == ([frame], [])
        assert decode(noisy, accm=ALL, chunk=chunk) == ([frame], [])
    assert decode(noisy, accm=0) == ([], ["bad FCS"])


def test_every_truncation_is_harmless():
    line = wire(REQUEST)
    for n in range(len(line)):
        frames, reasons = decode(line[:n] + b"~" + wire(b"next"))
        assert frames[-1] == b"next"
        assert frames[:-1] == ([REQUEST] if n == len(line) - 1 else []), n
        assert len(reasons) == (0 if n in (0, len(line) - 1) else 1), n


def test_encode_knows_its_room():
    for form in (hdlc.encode, hdlc.encode_plain):
        for frame in (b"plain text of a frame", b"~" * 20, bytes(20)):
            line = wire(frame)
            for room in range(len(line) + 8):
                got = encode(frame, ALL, room=room, encode=form)
                if got is None:
                    assert room < len(line) + 6
                else:
                    assert got == line


def test_reset_forgets():
    decoder = hdlc.Decoder(100)
    assert decode(b"half a fra", decoder=decoder, accm=ALL) == ([], [])
    assert decoder.partial() == HEADROOM + 10
    decoder.reset()
    assert decoder.partial() == HEADROOM
    chunk = bytearray(wire(b"a\x00b", 0))
    assert decoder.feed(chunk, 0, len(chunk)) == len(chunk)
    assert bytes(decoder.buf[decoder.start : decoder.end]) == b"a\x00b"


def test_move():
    for form in (hdlc.move, hdlc.move_plain):
        buf = bytearray(b"0123456789")
        form(buf, 0, 3, 9)
        assert buf == b"3456786789"
        form(buf, 2, 2, 2)
        assert buf == b"3456786789"


def deframe_all(form, stream, cuts, accm, size):
    """What one form of deframe makes of a stream: the consumed index and the finished octets at every flag."""
    buf = bytearray(HEADROOM + size + 10)
    state = array("I", [HEADROOM, 0xFFFF, 0, 0, 0, accm, HEADROOM + size])
    seen = []
    at = 0
    for cut in cuts + [len(stream)]:
        while at < cut:
            at = form(stream, at, cut, buf, state)
            if state[hdlc.ENDED]:
                over = state[hdlc.OVER] or state[hdlc.AT] == state[hdlc.LIMIT]
                octets = b"" if over else bytes(buf[HEADROOM : state[hdlc.AT]])
                seen.append((at, bool(over), state[hdlc.PENDING], 0 if over else state[hdlc.FCS], octets))
                state[hdlc.AT] = HEADROOM
                state[hdlc.FCS] = 0xFFFF
                state[hdlc.PENDING] = state[hdlc.OVER] = state[hdlc.ENDED] = 0
    return seen


def test_forms_are_equal():
    assert hdlc.deframe is not hdlc.deframe_plain and hdlc.encode is not hdlc.encode_plain
    noise = Noise(7)
    flags = 0
    for i in range(300):
        stream = noise.controls(noise.below(120)) if i & 1 else noise.octets(noise.below(400))
        accm = (0, ALL, 0x000A0000)[noise.below(3)]
        cuts = sorted([noise.below(len(stream) + 1) for _ in range(noise.below(6))])
        got = deframe_all(hdlc.deframe, stream, cuts, accm, 60)
        assert got == deframe_all(hdlc.deframe_plain, stream, cuts, accm, 60)
        assert got == deframe_all(hdlc.deframe_plain, stream, list(range(len(stream))), accm, 60)
        flags += len(got)
        assert encode(stream, accm) == encode(stream, accm, encode=hdlc.encode_plain)
    assert flags > 800


def test_no_allocation():
    if not ON_BOARD:
        return
    import gc

    decoder = hdlc.Decoder(1504)
    frame = Noise().octets(500)
    out = bytearray(1100)

    def cycle():
        end = hdlc.encode(frame, 0, 500, out, 0, ALL)
        at = 0
        while at < end:
            at = decoder.feed(out, at, end)

    cycle()
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(100):
        cycle()
    assert gc.mem_alloc() == before
    assert decoder.end - decoder.start == 500
