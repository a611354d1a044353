"""What we write, scapy reads; what scapy writes, we read."""

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers import inet
from scapy.layers import ppp as scapy

from laclet.wire import ip, ppp
from unit.pppwire import ALICE, BOB, CLIENT, Pair, server

addresses = st.binary(min_size=4, max_size=4)


def frames():
    """Every frame of two bring-ups and a tear-down."""
    seen = []
    for demand in ("pap", "chap"):
        client = dict(CLIENT, mru=1400, accm=b"\0\x0a\0\0", want_dns=True)
        pair = Pair(client, server(demand, dns=(ALICE,), echo_interval=100))
        assert pair.run(5000, pair.up)
        pair.run(300)
        pair.a.link.close(pair.world.now)
        pair.run(1000)
        seen += pair.frames(pair.a) + pair.frames(pair.b)
    return seen


def test_scapy_reads_what_two_links_say():
    """It finds the fields we meant, and rebuilds the very bytes."""
    kinds = set()
    for frame in frames():
        read = scapy.PPP(b"\xff\x03" + frame)
        assert not read.haslayer("Raw") or read.haslayer("PPP_CHAP") or read.haslayer("PPP_LCP_Echo"), read
        assert bytes(read.__class__(bytes(read))) == b"\xff\x03" + frame
        body = read.payload
        if not isinstance(body, (scapy.PPP_LCP, scapy.PPP_IPCP, scapy.PPP_PAP)):
            body = body.payload or body
        assert body.len == len(frame) - 2, read
        kinds.add((frame[:2].hex(), body.code))
    assert {(proto, code) for proto in ("c021", "8021") for code in (1, 2)} <= kinds
    assert {("8021", 3), ("c021", 5), ("c021", 6), ("c021", 9), ("c021", 10)} <= kinds
    assert {("c023", 1), ("c023", 2), ("c223", 1), ("c223", 2), ("c223", 3)} <= kinds


def test_options_as_scapy_names_them():
    lcp = [scapy.PPP(b"\xff\x03" + f) for f in frames() if f[:3] == b"\xc0\x21\x01"]
    requests = [{option.type: option for option in packet.getlayer(scapy.PPP_LCP_Configure).options} for packet in lcp]
    client = next(options for options in requests if len(options) == 5)
    assert list(client) == [1, 2, 5, 7, 8]
    assert client[1].max_recv_unit == 1400 and client[2].accm == 0x000A0000
    protocols = {options[3].auth_protocol for options in requests if 3 in options}
    assert protocols == {0xC023, 0xC223}
    ipcp = [scapy.PPP(b"\xff\x03" + f) for f in frames() if f[:3] == b"\x80\x21\x03"]
    naked = {o.type: o.data for packet in ipcp for o in packet.getlayer(scapy.PPP_IPCP).options}
    assert naked[3] == "10.0.0.2" and naked[129] == "10.0.0.1"


@settings(max_examples=200)
@given(st.integers(0, 65535), st.integers(0, 0xFFFFFFFF), st.integers(0, 255), st.booleans())
def test_we_read_what_scapy_writes(mru, magic, identifier, short):
    packet = scapy.PPP_LCP_Configure(
        id=identifier,
        options=[scapy.PPP_LCP_MRU_Option(max_recv_unit=mru), scapy.PPP_LCP_Magic_Number_Option(magic_number=magic)],
    )
    raw = (b"" if short else b"\xff\x03") + b"\xc0\x21" + bytes(packet)
    head = ppp.head(raw, 0, len(raw))
    at = head >> 16
    assert head & 0xFFFF == ppp.LCP and raw[at + 1] == identifier
    end = ppp.packet_end(raw, at, len(raw))
    assert end == len(raw)
    assert ppp.options(raw, at + 4, end) == [(1, mru.to_bytes(2, "big")), (5, magic.to_bytes(4, "big"))]


@settings(max_examples=200)
@given(addresses, addresses, st.binary(max_size=200), st.integers(1, 65535), st.integers(1, 65535))
def test_udp_packets_are_those_of_scapy(source, destination, data, sport, dport):
    def text(address):
        return ".".join(map(str, address))

    theirs = bytes(
        inet.IP(src=text(source), dst=text(destination), id=7, ttl=64) / inet.UDP(sport=sport, dport=dport) / data
    )
    ours = bytearray(len(theirs))
    ours[28:] = data
    ip.put16(ours, 20, sport)
    ip.put16(ours, 22, dport)
    ip.put16(ours, 24, 8 + len(data))
    ip.write_header(ours, 0, len(ours), ip.UDP, source, destination, 7)
    ip.put16(ours, 26, ip.udp_checksum(ours, 0, len(ours)))
    assert bytes(ours) == theirs
    assert ip.check(theirs, 0, len(theirs)) == ""


def test_echo_reply_is_that_of_scapy():
    request = inet.IP(src="10.0.0.1", dst="10.0.0.2") / inet.ICMP(id=5, seq=6) / b"data"
    buf = bytearray(bytes(request))
    assert ip.check(buf, 0, len(buf)) == "" and bytes(buf[12:16]) == ALICE and bytes(buf[16:20]) == BOB
    old = ip.get16(buf, 20)
    buf[20] = ip.ECHO_REPLY
    ip.adjust(buf, 22, old, ip.get16(buf, 20))
    reply = inet.IP(bytes(buf)).getlayer(inet.ICMP)
    good = reply.chksum
    del reply.chksum
    assert inet.ICMP(bytes(reply)).chksum == good
