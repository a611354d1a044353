# heap: 192K
"""Van Jacobson header compression: what is compressed and how, what is refused, and the way through a link."""

from pppspoil import deliver
from pppwire import Pair, server
from tcpflow import ACK, FIN, PSH, RST, SYN, URG, Flow

from laclet.ppp.vj import MAX_REBUILT, SPECIAL_D, SPECIAL_I, Compressor, Decompressor, Vj
from laclet.wire import ppp


class Wire:
    """A compressor, a decompressor, and packets in between as ``(protocol, bytes)``."""

    def __init__(self, slots=16, omit_slot=1):
        self.compressor = Compressor(slots, omit_slot)
        self.decompressor = Decompressor(slots)

    def squeeze(self, packet):
        buf = bytearray(80) + packet
        start = self.compressor.compress(buf, 80, len(buf))
        return self.compressor.protocol, bytes(buf[start:])

    def restore(self, protocol, data):
        """The packet, or the reason why there is none."""
        if protocol == ppp.IP:
            return data
        buf = bytearray(80) + data
        undo = self.decompressor.compressed if protocol == ppp.VJ_COMPRESSED else self.decompressor.uncompressed
        start = undo(buf, 80, len(buf))
        return bytes(buf[start:]) if start >= 0 else self.decompressor.why

    def pass_(self, packet):
        """Through and compared; returns what was on the wire."""
        protocol, data = self.squeeze(packet)
        assert self.restore(protocol, data) == packet
        return protocol, data


def test_bulk_data_costs_three_bytes():
    wire, flow = Wire(), Flow()
    assert wire.pass_(flow.packet(512))[0] == ppp.VJ_UNCOMPRESSED
    for _ in range(3):
        packet = flow.packet(512)
        protocol, data = wire.pass_(packet)
        assert protocol == ppp.VJ_COMPRESSED and len(data) == 512 + 3
        assert data[0] == SPECIAL_D and data[1:3] == packet[36:38]


def test_echoed_typing_costs_three_bytes():
    wire, flow = Wire(), Flow()
    wire.pass_(flow.packet(1, ACK | PSH))
    for _ in range(3):
        flow.ack += 1
        protocol, data = wire.pass_(flow.packet(1, ACK | PSH))
        assert protocol == ppp.VJ_COMPRESSED and len(data) == 1 + 3 and data[0] == SPECIAL_I | 0x10


def test_every_kind_of_change():
    for change, mask in (
        (lambda f: setattr(f, "ack", f.ack + 1), 0x04),
        (lambda f: setattr(f, "ack", f.ack + 0xFFFF), 0x04),
        (lambda f: setattr(f, "ack", (f.ack + 256) & 0xFFFFFFFF), 0x04),
        (lambda f: setattr(f, "window", f.window - 1), 0x02),
        (lambda f: setattr(f, "window", 0), 0x02),
        (lambda f: setattr(f, "seq", (f.seq + 300) & 0xFFFFFFFF), 0x08),
        (lambda f: (setattr(f, "id", (f.id + 9) & 0xFFFF), setattr(f, "ack", f.ack + 7)), 0x24),
        (lambda f: (setattr(f, "id", f.id - 1), setattr(f, "window", 9)), 0x22),
    ):
        wire, flow = Wire(), Flow()
        wire.pass_(flow.packet())
        change(flow)
        protocol, data = wire.pass_(flow.packet())
        assert protocol == ppp.VJ_COMPRESSED and data[0] == mask, (data, mask)


def test_urgent_data():
    wire, flow = Wire(), Flow()
    wire.pass_(flow.packet(5))
    for urgent in (0, 3, 300):
        flow.urgent = urgent
        protocol, data = wire.pass_(flow.packet(5, ACK | URG))
        assert protocol == ppp.VJ_COMPRESSED and data[0] & 1
    assert wire.pass_(flow.packet(5))[0] == ppp.VJ_COMPRESSED  # the flag goes, the pointer stays
    flow.urgent = 0
    assert wire.pass_(flow.packet(5))[0] == ppp.VJ_UNCOMPRESSED  # a pointer changed without the flag


def test_what_must_stay_makes_a_packet_uncompressed():
    for change in (
        lambda f: setattr(f, "ttl", 63),
        lambda f: setattr(f, "options", b"\1\1\1\1"),
        lambda f: setattr(f, "ip_options", b"\1\1\1\1"),
        lambda f: setattr(f, "ack", f.ack + 0x10000),
        lambda f: setattr(f, "ack", f.ack - 1),
        lambda f: setattr(f, "seq", (f.seq + 0x10000) & 0xFFFFFFFF),
        lambda f: (setattr(f, "window", 1), setattr(f, "seq", f.seq + 1), setattr(f, "urgent", 1)),
    ):
        wire, flow = Wire(), Flow()
        wire.pass_(flow.packet(9))
        change(flow)
        assert wire.pass_(flow.packet(9))[0] == ppp.VJ_UNCOMPRESSED
        assert wire.pass_(flow.packet(9))[0] == ppp.VJ_COMPRESSED
    wire, flow = Wire(), Flow()
    wire.pass_(flow.packet(9))
    assert wire.pass_(flow.packet(9, ACK | 0x40))[0] == ppp.VJ_UNCOMPRESSED  # congestion bits are no mask's business


def test_options_that_stay_are_compressed():
    wire, flow = Wire(), Flow()
    flow.options = b"\1\1\x08\x0a" + bytes(8)
    flow.ip_options = b"\1\1\1\0"
    wire.pass_(flow.packet(100))
    assert wire.pass_(flow.packet(100))[0] == ppp.VJ_COMPRESSED


def test_a_repetition_goes_uncompressed():
    wire, flow = Wire(), Flow()
    wire.pass_(flow.packet(10, advance=False))
    assert wire.pass_(flow.packet(10))[0] == ppp.VJ_UNCOMPRESSED
    # A pure acknowledgment followed by data from the same place is no repetition.
    wire.pass_(flow.packet(0))
    assert wire.pass_(flow.packet(10))[0] == ppp.VJ_COMPRESSED


def test_other_packets_pass_untouched():
    wire, flow = Wire(), Flow()
    fragment = bytearray(flow.packet(10))
    fragment[6] = 0x20
    udp = bytearray(flow.packet(10))
    udp[9] = 17
    short = flow.packet(10)[:-1]
    long_header = bytearray(flow.packet(2))
    long_header[32] = 0xF0
    small_header = bytearray(flow.packet(2))
    small_header[32] = 0x40
    for packet in (
        flow.packet(0, SYN),
        flow.packet(0, SYN | ACK),
        flow.packet(0, ACK | FIN),
        flow.packet(0, ACK | RST),
        flow.packet(10, PSH),
        bytes(fragment),
        bytes(udp),
        short,
        bytes(long_header),
        bytes(small_header),
        flow.packet()[:39],
        b"\x60" + bytes(50),
        b"\x4f" + bytes(50),
        b"",
    ):
        assert wire.pass_(packet) == (ppp.IP, packet)


def test_connections_share_slots_by_age():
    for slots in (2, 16):
        wire = Wire(slots)
        flows = [Flow(1000 + i) for i in range(slots + 1)]
        for flow in flows[:slots]:
            assert wire.pass_(flow.packet(1))[0] == ppp.VJ_UNCOMPRESSED
        for flow in flows[:slots]:
            protocol, data = wire.pass_(flow.packet(1))
            assert protocol == ppp.VJ_COMPRESSED and data[0] & 0x40
        assert wire.pass_(flows[slots - 1].packet(1))[1][0] & 0x40 == 0
        assert wire.pass_(flows[slots].packet(1))[0] == ppp.VJ_UNCOMPRESSED  # takes the oldest one's place
        assert wire.pass_(flows[0].packet(1))[0] == ppp.VJ_UNCOMPRESSED
        assert wire.pass_(flows[slots].packet(1))[0] == ppp.VJ_COMPRESSED


def test_the_slot_is_always_sent_when_the_peer_wants_it():
    wire, flow = Wire(16, 0), Flow()
    wire.pass_(flow.packet(1))
    for _ in range(3):
        assert wire.pass_(flow.packet(1))[1][:2] == bytes((0x40 | SPECIAL_D, 0))


def test_headers_too_long_to_rebuild_in_place():
    wire, flow = Wire(), Flow()
    flow.options = b"\1" * 40
    wire.pass_(flow.packet(20))
    assert wire.restore(*wire.squeeze(flow.packet(20))) == "VJ packet of an unknown connection"
    flow.options = b"\1" * (MAX_REBUILT - 40)
    wire.pass_(flow.packet(20))
    assert wire.pass_(flow.packet(20))[0] == ppp.VJ_COMPRESSED


def test_after_a_bad_packet_nothing_is_believed_until_a_slot_is_named():
    wire, flow = Wire(), Flow()
    wire.pass_(flow.packet(1))
    wire.restore(ppp.VJ_COMPRESSED, b"")
    protocol, data = wire.squeeze(flow.packet(1))
    assert wire.restore(protocol, data) == "VJ packet of an unknown connection"
    other = Flow(2000)
    wire.pass_(other.packet(1))
    wire.pass_(other.packet(1))


def test_malformed_packets_are_refused():
    flow = Flow()
    for data in (b"", b"\0", b"\0\0", b"\x40\x01\0", b"\x4f\x00\x12", b"\x04\0\0", b"\x04\0\0\0\1", b"\x2f\0\0\0\0"):
        wire = Wire()
        wire.pass_(flow.packet(1))
        wire.pass_(flow.packet(1))
        assert wire.restore(ppp.VJ_COMPRESSED, data).startswith("VJ packet ") is True, data
    for slot in (16, 200, 255):
        assert "VJ" in Wire().restore(ppp.VJ_COMPRESSED, bytes((0x40, slot, 0, 0, 0)))
    good = bytearray(flow.packet(30))
    good[9] = 0
    for at, value in ((0, 0x35), (0, 0x44), (0, 0x4F), (2, 0xFF), (3, 39), (6, 0x20), (9, 16), (32, 0xF0), (32, 0x40)):
        bad = bytearray(good)
        bad[at] = value
        assert Wire().restore(ppp.VJ_UNCOMPRESSED, bytes(bad)) == "VJ packet malformed", (at, value)
    for cut in range(len(good)):
        assert Wire().restore(ppp.VJ_UNCOMPRESSED, bytes(good[:cut])) == "VJ packet malformed"


def pair(a=16, b=16):
    p = Pair({"accm": bytes(4)}, server(accm=bytes(4)))
    for side, slots in ((p.a, a), (p.b, b)):
        if slots:
            Vj(side.link, slots)
    return p


def send(p, side, packet):
    """Send a packet; what came out at the other side, and the frame."""
    other = p.b if side is p.a else p.a
    p.frames(side)
    buf = bytearray(80) + packet + bytes(48)
    side.link.send_ip(buf, 80, 80 + len(packet), p.world.now)
    p.run(40)
    got = other.link.above.packets
    other.link.above.packets = []
    return got, p.frames(side)[0]


def test_negotiated_on_a_link():
    p = pair(16, 4)
    assert p.run(5000, p.up)
    for side, slots in ((p.a, 16), (p.b, 4)):
        assert side.link.ncps[0].vj.ours == bytes((0, 0x2D, slots - 1, 1))
    flow = Flow()
    first = flow.packet(100)
    got, frame = send(p, p.a, first)
    assert got == [first] and frame[0] == 0x2F
    packet = flow.packet(100)
    got, frame = send(p, p.a, packet)
    assert got == [packet] and frame[0] == 0x2D and len(frame) == 104
    assert send(p, p.a, b"\x45" + bytes(30))[0] == [b"\x45" + bytes(30)]
    for i in range(6):  # b has four slots, for either direction
        assert send(p, p.b, Flow(3000 + i).packet(1))[1][10] == i % 4
        assert send(p, p.a, Flow(3000 + i).packet(1))[1][10] < 4


def test_a_peer_without_it():
    p = pair(16, 0)
    assert p.run(5000, p.up)
    packet = Flow().packet(100)
    assert send(p, p.a, packet) == ([packet], b"\x21" + packet)
    deliver(p.a, b"\x2d\x4b\x00\x00\x00", p.world.now)
    deliver(p.a, b"\x2f" + packet, p.world.now)
    assert p.a.link.drops["VJ packet without agreement"] == 2


def test_options_that_make_no_sense():
    p = pair()
    vj = p.a.link.ncps[0].vj
    for value in (b"", b"\0\x2d", b"\0\x2d\x0f", b"\0\x37\x0f\x01", b"\0\x2d\x0f\x02", b"\1\x2d\x0f\x01"):
        assert vj.judge(value, 0) == vj.wish
        vj.begin()
        vj.naked(value, 0)
        assert vj.ours in (None, vj.wish, b"\0\x2d\x0f\0")
    vj.begin()
    vj.naked(b"\0\x2d\x03\0", 0)
    assert vj.ours == b"\0\x2d\x03\0"
    p.a.link.cipher = vj  # whatever encrypts
    vj.begin()
    assert vj.ours is None and vj.judge(vj.wish, 0) is None
