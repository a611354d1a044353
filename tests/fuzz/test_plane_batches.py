"""Cutting and merging against scapy, against each other, and against what a kernel makes of the result."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from laclet_linux.plane.headers import batch_headers, clamp_mss, finish_checksum
from laclet_linux.plane.plain import OUT, Plain
from laclet_linux.plane.tun import NEEDS_CSUM, VNET

vector = pytest.importorskip("laclet_linux.plane.vector")
ENGINES = (Plain(), vector.Vector())
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << i for i in range(8))
AT = 96  # where packets stand in test buffers: even, with room in front
# First octets and PPP headers that L2TP data may have: length, sequence numbers; FF 03, compressed protocol.
HEADS = [(first, ppp) for first in (0x00, 0x40, 0x08, 0x48) for ppp in (b"\xff\x03\x00", b"\x00", b"\xff\x03", b"")]


def prefix_for(first, ppp, version, ns=0xFFFE):
    header = bytearray((first, 2)) + (b"\0\0" if first & 0x40 else b"") + b"\x12\x34\x56\x78"
    header += ns.to_bytes(2, "big") + b"\0\0" if first & 0x08 else b""
    return header + ppp + (b"\x21" if version == 4 else b"\x57")


@st.composite
def supers(draw):
    """A super-packet as scapy builds it: (bytes, bytes of IP header, of all headers, mss)."""
    version = draw(st.sampled_from((4, 6)))
    tos = draw(st.sampled_from((0, 2, 3, 0x28)))
    if version == 4:
        ip = IP(src="10.0.0.1", dst="10.9.8.7", tos=tos, id=draw(st.integers(0, 65535)), flags="DF", ttl=61)
    else:
        ip = IPv6(src="2001:db8::1", dst="2001:db8:1::9", tc=tos, fl=draw(st.integers(0, 0xFFFFF)), hlim=61)
    if draw(st.booleans()):
        flags = ACK | draw(st.sampled_from((0, PSH, PSH | FIN, CWR, ECE, CWR | PSH)))
        options = draw(st.sampled_from(([], [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))])))
        sequence = draw(st.sampled_from((0, 1000, 0xFFFFF000, 0xFFFFFFFF)))
        l4 = TCP(sport=5001, dport=80, seq=sequence, ack=77, flags=flags, window=512, options=options)
    else:
        l4 = UDP(sport=5001, dport=53)
    mss = draw(st.integers(1, 1460))
    segments = draw(st.integers(2, 40))
    size = max(mss * (segments - 1) + draw(st.integers(1, mss)), 2)
    seed = draw(st.integers(0, 255))
    packet = bytes(ip / l4 / bytes((i * 7 + seed) & 0xFF for i in range(min(size, 60_000))))
    head = 20 if version == 4 else 40
    return packet, head, head + (len(bytes(l4)) if l4.name == "TCP" else 8), mss


def cut_all(engine, packet, l4, head, mss, prefix):
    """All datagrams of a super-packet, as the plane makes them."""
    buf = bytearray(AT) + packet + bytes(4096)
    segments = -(-(len(packet) - head) // mss)
    found = []
    for first in range(0, segments, 16):
        count = min(16, segments - first)
        chunk = bytearray(prefix)
        if chunk[0] & 0x40:
            chunk[2:4] = (len(prefix) + head + mss).to_bytes(2, "big")
        if chunk[0] & 0x08:
            at = 8 if chunk[0] & 0x40 else 6
            ns = int.from_bytes(prefix[at : at + 2], "big") + first & 0xFFFF
            chunk[at : at + 2] = ns.to_bytes(2, "big")
        engine.cut(buf, AT, AT + len(packet), l4, head, mss, chunk, first, count)
        width = len(prefix) + head + mss
        result = bytes(engine.out[OUT : OUT + engine.size])
        found += [result[i : i + width] for i in range(0, len(result), width)]
    return found


def parse(packet):
    return IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)


def rebuilt(packet):
    """The packet with every length and checksum made anew by scapy."""
    layers = parse(packet)
    for layer in layers.layers():
        for field in ("chksum", "len", "plen"):
            if field in layers[layer].fields and layer in (IP, IPv6, TCP, UDP):
                delattr(layers[layer], field)
    made = bytearray(bytes(layers))
    if TCP in layers:  # zero has two forms in a sum of ones' complements (RFC 1071); scapy has the other one for TCP
        at = len(made) - len(bytes(layers[TCP])) + 16
        if made[at : at + 2] == b"\0\0":
            made[at : at + 2] = b"\xff\xff"
    return bytes(made)


def lay(rows, pitch):
    """Datagrams in a buffer ``pitch`` bytes apart; what is between them is noise."""
    buf = bytearray(AT) + bytearray(b"\xa5" * (pitch * len(rows) + 4096))
    for i, row in enumerate(rows):
        buf[AT + i * pitch : AT + i * pitch + len(row)] = row
    return buf


def merge(engine, rows, size, local, pitch=None):
    """(how many went together, the super-packet, its virtio header)."""
    pitch = pitch or len(rows[0])
    buf = lay(rows, pitch)
    found = batch_headers(buf, AT + size, AT + len(rows[0]))
    if found is None:
        return 1, b"", None
    kept = bytes(buf)
    taken = engine.merge(buf, AT, pitch, len(rows), len(rows[0]), len(rows[-1]), size, *found, local)
    assert kept == bytes(buf)
    if taken < 2:
        return taken, b"", None
    return taken, bytes(engine.out[OUT : OUT + engine.size]), VNET.unpack_from(engine.out, OUT - VNET.size)


def completed(packet, header):
    """The super-packet with its checksum as the kernel has it in the end, or None when the kernel finds it wrong."""
    packet = bytearray(packet)
    flags, _, _, _, start, offset = header
    if flags & NEEDS_CSUM:
        finish_checksum(packet, start, len(packet), offset)
    return bytes(packet) if rebuilt(packet) == bytes(packet) else None


@settings(max_examples=150)
@given(supers(), st.sampled_from(HEADS))
def test_cut_makes_what_scapy_would(super_packet, form):
    packet, l4, head, mss = super_packet
    prefix = prefix_for(*form, packet[0] >> 4)
    rows = cut_all(ENGINES[0], packet, l4, head, mss, prefix)
    assert cut_all(ENGINES[1], packet, l4, head, mss, prefix) == rows
    assert b"".join(row[len(prefix) + head :] for row in rows) == packet[head:]
    whole = parse(packet)
    for i, row in enumerate(rows):
        assert row[:2] == bytes((form[0], 2))
        if form[0] & 0x40:
            assert int.from_bytes(row[2:4], "big") == len(row)
        if form[0] & 0x08:
            at = 8 if form[0] & 0x40 else 6
            assert int.from_bytes(row[at : at + 2], "big") == (0xFFFE + i) & 0xFFFF
        inner = row[len(prefix) :]
        assert rebuilt(inner) == inner
        part = parse(inner)
        if l4 == 20:
            assert part.id == (whole.id + i) & 0xFFFF
        if TCP in part:
            last = i == len(rows) - 1
            assert part[TCP].seq == (whole[TCP].seq + i * mss) & 0xFFFFFFFF
            expected = int(whole[TCP].flags) & ~(0 if last else PSH | FIN) & ~(CWR if i else 0)
            assert int(part[TCP].flags) == expected
            assert part[TCP].options == whole[TCP].options


@settings(max_examples=150)
@given(supers(), st.sampled_from(HEADS), st.booleans(), st.booleans())
def test_merge_undoes_cut(super_packet, form, local, apart):
    packet, l4, head, mss = super_packet
    prefix = prefix_for(*form, packet[0] >> 4)
    rows = cut_all(ENGINES[0], packet, l4, head, mss, prefix)
    pitch = 2048 if apart else None
    results = [merge(engine, rows, len(prefix), local, pitch) for engine in ENGINES]
    assert results[0] == results[1]
    taken, result, header = results[0]
    flags = packet[l4 + 13] if head > l4 + 8 else 0
    if head > l4 + 8 and flags & ~(PSH | FIN) != ACK:  # CWR, ECE: left alone
        assert taken == 1
        return
    if flags & FIN:  # the segment with the FIN goes alone
        assert taken == len(rows) - 1
        if taken == 1:
            return
        packet = packet[: head + taken * mss]
    else:
        assert taken == len(rows)
    finished = completed(result, header)
    assert finished is not None
    assert finished[head:] == packet[head:]
    assert header[3] == mss
    assert header[2] == head
    assert finished == rebuilt_head(packet, l4, head, PSH if flags & PSH and not flags & FIN else 0)


def rebuilt_head(packet, l4, head, push):
    """``packet`` with its lengths and checksums made anew, and PSH only when ``push``."""
    packet = bytearray(packet)
    if head > l4 + 8:
        packet[l4 + 13] = ACK | push
    return rebuilt(bytes(packet))


@st.composite
def changes(draw):
    """Something done to one byte of the headers, or to the order, the sizes, the checksums of a run."""
    return (
        draw(st.sampled_from(("byte", "swap", "repeat", "lose", "shorten", "payload", "push"))),
        draw(st.integers(0, 39)),
        draw(st.integers(0, 71)),
        draw(st.integers(1, 255)),
        draw(st.booleans()),
    )


def damaged(rows, size, l4, head, change):
    """The run after ``change``; with the flag at its end set the checksums are made right again."""
    what, index, offset, value, mend = change
    rows = [bytearray(row) for row in rows]
    index %= len(rows)
    if what == "byte":
        rows[index][offset % (size + head)] ^= value
    elif what == "swap":
        other = (index + 1) % len(rows)
        rows[index], rows[other] = rows[other], rows[index]
    elif what == "repeat":
        rows.insert(index, bytearray(rows[index]))
    elif what == "lose" and len(rows) > 2:
        del rows[index]
        index = 0
    elif what == "shorten" and len(rows[index]) > size + head + 1:
        del rows[index][-1]
        mend = True
    elif what == "payload":
        rows[index][-1] ^= value
    elif what == "push" and head > l4 + 8:
        rows[index][size + l4 + 13] |= PSH
        mend = True
    if mend and rows[index][size] >> 4 in (4, 6):
        rows[index][size:] = rebuilt(bytes(rows[index][size:]))
    return [bytes(row) for row in rows]


def good(packet):
    return rebuilt(packet) == packet


@settings(max_examples=400)
@given(supers(), st.sampled_from(HEADS), changes(), st.booleans())
def test_a_super_packet_cut_again_is_what_came(super_packet, form, change, local):
    """Whatever came: what went into a super-packet comes out of it again when a kernel cuts it, byte for byte."""
    packet, l4, head, mss = super_packet
    prefix = prefix_for(*form, packet[0] >> 4)
    size = len(prefix)
    rows = damaged(cut_all(ENGINES[0], packet, l4, head, mss, prefix), size, l4, head, change)
    n = next((i for i in range(1, len(rows)) if len(rows[i]) != len(rows[0])), len(rows))
    if n < len(rows) and len(rows[n]) < len(rows[0]):
        n += 1
    rows = rows[:n]  # as the plane calls it: only the last may be shorter
    results = [merge(engine, rows, size, local, 2048) for engine in ENGINES]
    assert results[0][1:] == results[1][1:]
    taken, result, header = results[0]
    if taken < 2:  # alone, or its checksum is wrong: the engines need not look equally far
        assert results[1][0] < 2
        return
    assert results[1][0] == taken
    found = batch_headers(lay(rows, 2048), AT + size, AT + len(rows[0]))
    l4, head = found
    finished = completed(result, header)
    bad = [i for i in range(taken) if not good(rows[i][size:])]
    if not local or head == l4 + 8:
        assert not bad
    if bad:
        assert finished is None  # the kernel drops it all, as it must
        return
    assert finished is not None
    again = cut_all(ENGINES[0], finished, l4, head, header[3], bytearray(rows[0][:size]))
    same_ident = l4 == 20 and rows[0][size + 4 : size + 6] == rows[1][size + 4 : size + 6]
    for i in range(taken):
        if same_ident:  # an identification without meaning (RFC 6864): the kernel counts it up
            assert rows[i][size + 6] & 0x40
            assert again[i][size + 12 :] == rows[i][size + 12 :]
        else:
            assert again[i] == rows[i]
    assert len(again) == taken


@settings(max_examples=100)
@given(
    st.integers(4, 64), st.integers(28, 700), st.sampled_from(HEADS), st.sampled_from(("none", "tcp", "udp")), st.data()
)
def test_pack_is_the_same_with_and_without_numpy(n, size, form, kind, data):
    size = max(size, 40)
    start, offset = {"none": (0, 0), "tcp": (20, 16), "udp": (20, 6)}[kind]
    seed = data.draw(st.binary(min_size=8, max_size=8))
    rows = [bytes((seed[j % 8] * (i + 3) + j) & 0xFF for j in range(size)) for i in range(n)]
    prefix = prefix_for(*form, 4)
    results = []
    for engine in ENGINES:
        buf = lay(rows, 2048)
        engine.pack(buf, AT, 2048, n, size, prefix, start, offset)
        results.append(bytes(engine.out[OUT : OUT + engine.size]))
    assert results[0] == results[1]
    width = len(prefix) + size
    for i in range(n):
        packet = bytearray(results[0][i * width + len(prefix) : (i + 1) * width])
        if offset:
            expected = bytearray(rows[i])
            finish_checksum(expected, start, size, offset)
            assert packet == expected
            total = int.from_bytes(packet[start:], "big") << (8 if (size - start) & 1 else 0)
            partial = int.from_bytes(rows[i][start + offset : start + offset + 2], "big")
            assert (total + partial) % 65535 == 0  # pseudo-header and all (RFC 1071)
        else:
            assert bytes(packet) == rows[i]


@given(st.sampled_from((4, 6)), st.integers(0, 65535), st.integers(88, 65535), st.booleans(), st.integers(0, 12))
def test_mss_is_clamped_and_the_checksum_mended(version, offered, limit, odd, cut_short):
    ip = IP(src="10.0.0.1", dst="10.0.0.2") if version == 4 else IPv6(src="2001:db8::1", dst="2001:db8::2")
    options = [("NOP", None)] * odd + [("MSS", offered), ("SAckOK", b""), ("WScale", 7)]
    packet = bytes(ip / TCP(sport=1, dport=2, flags="S", options=options))
    buf = bytearray(AT) + packet + bytes(100)
    end = AT + len(packet) - cut_short
    changed = clamp_mss(buf, AT, end, limit)
    most = limit if version == 4 else limit - 20
    assert changed == (offered > most and not cut_short)
    after = bytes(buf[AT : AT + len(packet)])
    assert rebuilt(after) == after
    assert dict(parse(after)[TCP].options[:2])["MSS"] == (min(offered, most) if changed else offered)
    assert bytes(buf[AT + len(packet) :]) == bytes(100)


@given(st.binary(min_size=1, max_size=120), st.integers(0, 120))
def test_headers_of_anything_are_read_without_harm(packet, length):
    buf = bytearray(AT) + packet + bytes(200)
    end = AT + min(length, len(packet))
    before = bytes(buf)
    found = batch_headers(buf, AT, end)
    assert found is None or (found[0] in (20, 40) and found[1] < end - AT)
    assert bytes(buf) == before
    clamp_mss(buf, AT, end, 1360)
    assert bytes(buf[end:]) == before[end:]
