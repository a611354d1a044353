"""The userspace plane between two ends: UDP on loopback, and a pair of sockets in the place of each interface."""

import select
import socket
import struct
import time

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from laclet_linux.plane import inbound, outbound
from laclet_linux.plane.plain import Plain
from laclet_linux.plane.tun import GSO_TCP4, GSO_TCP6, GSO_UDP, NEEDS_CSUM, VNET, Tun
from laclet_linux.plane.user import Circuit, UserPlane

WAIT = 5.0  # seconds
NO_OFFLOAD = bytes(VNET.size)
MSS = 1348


class Interface:
    """A TUN's stand-in: ``tun`` for the plane, ``app`` for the test; each datagram is a packet."""

    def __init__(self, vnet=True):
        ours, self.app = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (ours, self.app):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        ours.setblocking(False)
        self.app.settimeout(WAIT)
        self._ours = ours
        self.tun = Tun(ours.fileno(), "pair", vnet, vnet, vnet)

    def put(self, packet, header=NO_OFFLOAD):
        self.app.send(header + packet if self.tun.vnet else packet)

    def take(self):
        """(packet, virtio header) that the plane wrote."""
        data = self.app.recv(70_000)
        return (data[VNET.size :], VNET.unpack(data[: VNET.size])) if self.tun.vnet else (data, None)

    def empty(self):
        return not select.select([self.app], [], [], 0)[0]

    def close(self):
        self._ours.close()
        self.app.close()


class End:
    """One end of a session: socket, interface, circuit, plane."""

    def __init__(self, family, vnet, engine):
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.interface = Interface(vnet)
        self.plane = UserPlane(self.sock, engine)
        self.circuit = None

    def join(self, ids, peer_ids, peer, **options):
        self.circuit = Circuit(self.interface.tun, *ids, *peer_ids, peer.sock.getsockname(), **options)
        self.plane.add(self.circuit)
        self.plane.start()

    def event(self):
        event = None
        while event is None:
            assert select.select([self.plane], [], [], WAIT)[0]
            event = self.plane.next_event()
        return event

    def until(self, condition):
        """Wait until the plane's thread has got somewhere."""
        end = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < end
            select.select([], [], [], 0.001)

    def close(self):
        self.plane.stop()
        self.interface.close()
        self.sock.close()


@pytest.fixture
def ends(request):
    """make(**options of both circuits): two ends, joined."""
    made = []

    def make(family=socket.AF_INET, vnet=True, engine=None, **options):
        a, b = End(family, vnet, engine and engine()), End(family, vnet, engine and engine())
        made.extend((a, b))
        a.join((1, 2), (3, 4), b, **options)
        b.join((3, 4), (1, 2), a, **options)
        return a, b

    yield make
    for end in made:
        end.close()


def ip(version, source=1, destination=2, **more):
    if version == 4:
        return IP(src=f"10.0.0.{source}", dst=f"10.0.0.{destination}", flags="DF", id=7, **more)
    return IPv6(src=f"2001:db8::{source}", dst=f"2001:db8::{destination}", **more)


def tcp(version, size, seq=1000, flags="A", **more):
    data = bytes(i * 13 & 0xFF for i in range(size))
    return bytes(ip(version) / TCP(sport=7, dport=9, seq=seq, ack=5, flags=flags, window=99, **more) / data)


def partial(packet):
    """``packet`` as a kernel hands it to an interface that makes checksums: the field holds the pseudo-header's sum."""
    l4 = 20 if packet[0] >> 4 == 4 else 40
    field = l4 + (16 if packet[9 if l4 == 20 else 6] == 6 else 6)
    addresses = packet[12:20] if l4 == 20 else packet[8:40]
    protocol = packet[9 if l4 == 20 else 6]
    total = (int.from_bytes(addresses, "big") + protocol + len(packet) - l4) % 65535
    return packet[:field] + total.to_bytes(2, "big") + packet[field + 2 :], l4, field - l4


def offloaded(packet, mss):
    """A super-packet for Interface.put()."""
    packet, l4, field = partial(packet)
    udp = field == 6
    head = l4 + (8 if udp else (packet[l4 + 12] >> 4) * 4)
    kind = GSO_UDP if udp else GSO_TCP4 if l4 == 20 else GSO_TCP6
    return packet, VNET.pack(NEEDS_CSUM, kind, head, mss, l4, field)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("vnet", [True, False])
def test_packets_go_both_ways_whatever_the_header(ends, family, vnet):
    for options in (
        {},
        {"length_bit": True, "compress_protocol": True},
        {"sequencing": True, "ff03": False},
        {"sequencing": True, "length_bit": True, "ff03": False, "compress_protocol": True},
    ):
        a, b = ends(family, vnet, **options)
        for version in (4, 6):
            packet = bytes(ip(version) / UDP(sport=1, dport=2) / b"hello, world")
            a.interface.put(packet)
            assert b.interface.take()[0] == packet
            b.interface.put(packet)
            assert a.interface.take()[0] == packet
        b.until(lambda a=a, b=b: a.circuit.stats()["tx_packets"] == b.circuit.stats()["rx_packets"] == 2)
        assert not a.circuit.drops
        assert not b.circuit.drops


@pytest.mark.parametrize("engine", [None, Plain])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("local", [True, False])
def test_a_super_packet_arrives_as_one(ends, engine, version, local):
    mine = [socket.inet_aton("10.0.0.2"), socket.inet_pton(socket.AF_INET6, "2001:db8::2")] if local else []
    a, b = ends(engine=engine, length_bit=True, local=mine)
    packet = tcp(version, 40 * MSS + 100, flags="PA", options=[("Timestamp", (1, 2)), ("EOL", None)])
    a.interface.put(*offloaded(packet, MSS))
    arrived, (flags, kind, head, mss, start, offset) = b.interface.take()
    assert (kind, mss) == (GSO_TCP4 if version == 4 else GSO_TCP6, MSS)
    assert arrived[head:] == packet[head:]
    if local:
        assert (flags, arrived) == (0, packet)  # with the right checksum, for the kernel to verify
    else:
        assert (flags, arrived) == (NEEDS_CSUM, partial(packet)[0])
        assert (start, offset) == partial(packet)[1:]
    b.until(lambda: b.circuit.stats()["rx_packets"] == 41)


@pytest.mark.parametrize("engine", [None, Plain])
def test_udp_datagrams_of_one_flow_travel_together(ends, engine):
    a, b = ends(engine=engine)
    packet = bytes(ip(4) / UDP(sport=1, dport=2) / bytes(range(200)))
    a.interface.put(*offloaded(packet, 50))
    arrived, (flags, kind, head, mss, start, offset) = b.interface.take()
    assert (flags, kind, head, mss, start, offset) == (NEEDS_CSUM, GSO_UDP, 28, 50, 20, 6)
    assert arrived == partial(packet)[0]
    b.interface.tun.uso = False  # an older kernel
    a.interface.put(*offloaded(packet, 50))
    for i in range(4):
        arrived, header = b.interface.take()
        assert header == (0,) * 6
        expected = ip(4) / UDP(sport=1, dport=2) / packet[28 + 50 * i : 78 + 50 * i]
        expected.id += i
        assert arrived == bytes(expected)


def test_without_offloads_in_the_kernel_everything_arrives_one_by_one(ends, monkeypatch):
    monkeypatch.setattr(outbound, "_UDP_SEGMENT", 250)  # what an old kernel says to UDP_SEGMENT and UDP_GRO
    monkeypatch.setattr(inbound, "_UDP_GRO", 251)
    a, b = ends()
    b.interface.tun.tso = False
    packet = tcp(4, 3 * MSS)
    a.interface.put(*offloaded(packet, MSS))
    assert b"".join(b.interface.take()[0][40:] for _ in range(3)) == packet[40:]


def test_segments_too_large_for_the_path_are_sent_one_by_one(ends):
    a, b = ends()

    class Refusing:
        """The socket, as it is when UDP_SEGMENT meets a datagram larger than the path takes."""

        def __getattr__(self, name):
            return getattr(a.sock, name)

        def sendmsg(self, buffers, ancillary, *rest):
            if ancillary:
                raise OSError(90, "Message too long")
            return a.sock.sendmsg(buffers, ancillary, *rest)

    a.plane._outbound._sock = Refusing()
    for _ in range(2):
        packet = tcp(4, 3 * MSS)
        a.interface.put(*offloaded(packet, MSS))
        data = b""
        while len(data) < 3 * MSS:
            data += b.interface.take()[0][40:]
        assert data == packet[40:]
    assert a.circuit.gso_below == 10 + 40 + MSS


def datagram(first, ids, body, ns=None):
    """A data message without a length field; with ``ns`` when ``first`` has S."""
    return bytes((first, 2)) + struct.pack("!HH", *ids) + (struct.pack("!HH", ns, 0) if ns is not None else b"") + body


def test_control_and_frames_that_are_not_ip_go_to_the_owner(ends):
    a, b = ends()
    control = bytes.fromhex("c802000c000100000001") + b"\0\0"
    lcp = datagram(0, (1, 2), bytes.fromhex("ff03c0210901000800000000"))
    other = datagram(0, (1, 99), bytes.fromhex("ff030021") + tcp(4, 5))
    for sent in (lcp, other, control):
        b.sock.sendto(sent, a.sock.getsockname())
    a.until(lambda: len(a.plane._frames) == 2 and a.plane._control)
    peer = b.sock.getsockname()
    assert [a.event() for _ in range(3)] == [
        ("datagram", control, peer),
        ("datagram", lcp, peer),
        ("datagram", other, peer),
    ]
    assert a.plane.next_event() is None
    assert not select.select([a.plane], [], [], 0)[0]
    assert a.interface.empty()


def test_the_owner_gets_its_control_message_before_a_flood_and_the_flood_is_bounded(ends):
    a, b = ends()
    other = datagram(0, (1, 99), bytes(100))
    a.until(lambda: b.sock.sendto(other, a.sock.getsockname()) and a.plane.drops().get("owner's queue full", 0) > 10)
    assert len(a.plane._frames) == 1024
    control = bytes.fromhex("c802000c0001000000010000")
    b.sock.sendto(control, a.sock.getsockname())
    a.until(lambda: a.plane._control)
    assert a.event()[1] == control
    assert a.event()[1] == other


def test_numbered_data_keep_one_count_and_late_ones_are_dropped(ends):
    a, b = ends(sequencing=True)
    peer = a.sock.getsockname()
    lcp = bytes.fromhex("ff03c0210901000800000000")
    packet = bytes.fromhex("ff030021") + bytes(ip(4) / UDP(sport=1, dport=2) / b"x")
    for ns, body in ((0, packet), (1, lcp), (5, packet), (4, packet), (5, packet), (6, lcp)):
        b.sock.sendto(datagram(8, (1, 2), body, ns), peer)
    assert [a.interface.take()[0] for _ in range(2)] == [packet[4:]] * 2
    # For the core the numbers of what it sees have no gaps.
    assert [a.event()[1] for _ in range(2)] == [datagram(8, (1, 2), lcp, ns) for ns in (0, 1)]
    assert a.circuit.drops == {"late or repeated": 2}
    assert a.circuit.lost == 3
    # What the core sends takes its number from the plane's count.
    a.interface.put(packet[4:])
    assert b.interface.take()[0] == packet[4:]
    buf = bytearray(20) + datagram(8, (3, 4), lcp, 777)
    a.plane.send(buf, 20, len(buf), b.sock.getsockname())
    assert b.event()[1] == datagram(8, (3, 4), lcp, 0)
    assert (a.circuit.ns, b.circuit.expected) == (2, 2)


def test_sequence_numbers_are_used_when_the_peer_uses_them(ends):
    a, b = ends()
    packet = bytes(ip(4) / UDP(sport=1, dport=2) / b"x")
    b.sock.sendto(datagram(8, (1, 2), bytes.fromhex("ff030021") + packet, 9), a.sock.getsockname())
    assert a.interface.take()[0] == packet
    assert a.circuit.sequencing
    a.interface.put(packet)
    assert b.interface.take()[0] == packet
    assert b.circuit.sequencing


def test_the_mss_of_syns_is_clamped_both_ways(ends):
    a, b = ends(mss=1300)
    for version, most in ((4, 1300), (6, 1280)):
        for flags in ("S", "SA"):
            packet = tcp(version, 0, flags=flags, options=[("MSS", 1460), ("NOP", None)])
            expected = tcp(version, 0, flags=flags, options=[("MSS", most), ("NOP", None)])
            a.interface.put(partial(packet)[0], VNET.pack(NEEDS_CSUM, 0, 0, 0, *partial(packet)[1:]))
            assert b.interface.take()[0] == expected
    b.sock.sendto(datagram(0, (1, 2), b"\x57" + packet), a.sock.getsockname())
    assert a.interface.take()[0] == expected
    # A batch with SYNs in it is no batch.
    for _ in range(12):
        a.interface.put(partial(packet)[0], VNET.pack(NEEDS_CSUM, 0, 0, 0, *partial(packet)[1:]))
    assert {b.interface.take()[0] for _ in range(12)} == {expected}


@pytest.mark.parametrize("engine", [None, Plain])
def test_many_small_packets_arrive_in_order(ends, engine):
    a, b = ends(engine=engine, length_bit=True, mss=1300)
    sent = []
    for i in range(300):
        packet = bytes(ip(4) / UDP(sport=1, dport=2) / struct.pack("!I", i) / bytes(56 + (i % 50 == 0)))
        header = VNET.pack(NEEDS_CSUM, 0, 0, 0, 20, 6)
        sent.append(packet[28:])
        a.interface.put(partial(packet)[0], header)
    got = []
    while len(got) < 300:
        packet, (_, kind, head, size, _, _) = b.interface.take()
        data = packet[28:]
        got += [data[at : at + size] for at in range(0, len(data), size)] if kind == GSO_UDP else [data]
        if not kind:
            assert bytes(IP(packet)) == packet
    assert got == sent
    b.until(lambda: a.circuit.tx_packets == b.circuit.rx_packets == 300)


def queued(end, puts):
    """Put packets while the plane stands still, so that it finds them all at once."""
    with end.plane._lock:
        for put in puts:
            end.interface.put(*put)


@pytest.mark.parametrize("engine", [None, Plain])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("local", [True, False])
def test_super_packets_of_one_shape_go_together(ends, engine, version, local):
    mine = [socket.inet_aton("10.0.0.2"), socket.inet_pton(socket.AF_INET6, "2001:db8::2")] if local else []
    a, b = ends(engine=engine, length_bit=True, local=mine)
    size = 40 * MSS
    packets = [tcp(version, size, seq=1000 + i * size, flags="PA" if i % 3 else "A") for i in range(20)]
    with b.plane._lock:
        queued(a, [offloaded(packet, MSS) for packet in packets])
        a.until(lambda: a.circuit.tx_packets == 20 * 40)
    for packet in packets:
        arrived, (flags, _, _, mss, _, _) = b.interface.take()
        assert mss == MSS
        assert arrived == (packet if not flags else partial(packet)[0])
        assert bool(flags) != local
    b.until(lambda: b.circuit.stats()["rx_packets"] == 20 * 40)
    assert b.circuit.rx_bytes == a.circuit.tx_bytes == 800 * (MSS + (40 if version == 4 else 60))


def test_large_and_small_packets_in_turn_stay_in_order(ends):
    a, b = ends(sequencing=True)
    sent = []
    for i in range(120):
        packet = tcp(4, 20 * MSS + i, seq=i * 100_000) if i % 2 else tcp(4, i, seq=i)
        sent.append((packet, offloaded(packet, MSS)[1] if i % 2 else NO_OFFLOAD))
    with b.plane._lock:
        queued(a, [(partial(packet)[0] if header != NO_OFFLOAD else packet, header) for packet, header in sent])
        a.until(lambda: a.circuit.tx_packets == 60 + sum(-(-(len(p) - 40) // MSS) for p, h in sent if h != NO_OFFLOAD))
    data = b""
    while len(data) < sum(len(packet) - 40 for packet, _ in sent):
        data += b.interface.take()[0][40:]
    assert data == b"".join(packet[40:] for packet, _ in sent)
    assert not b.circuit.drops
    assert not b.circuit.lost


BAD = [
    (b"\x00\x02\x00", "datagram too short"),
    (bytes.fromhex("4002 0030 0001 0002 ff03"), "length beyond the datagram"),
    (bytes.fromhex("0002 0001 0002"), "header cut short"),
    (bytes.fromhex("4002 0004 0001 0002 ff03 0021"), "header cut short"),
    (bytes.fromhex("0802 0001 0002 0000"), "header cut short"),
    (bytes.fromhex("0202 0001 0002 ff00 ff03"), "header cut short"),
    (bytes.fromhex("0002 0001 0002 ff03 00"), "PPP header cut short"),
    (bytes.fromhex("0002 0001 0002 0021") + b"\x45\0\0\x30" + bytes(20), "bad IP header"),  # more than there is
    (bytes.fromhex("0002 0001 0002 0021") + b"\x45\0\0\x13" + bytes(20), "bad IP header"),  # less than its header
    (bytes.fromhex("0002 0001 0002 0021") + b"\x4f\0\0\x18" + bytes(20), "bad IP header"),
    (bytes.fromhex("0002 0001 0002 0021") + b"\x41\0\0\x18" + bytes(20), "bad IP header"),
    (bytes.fromhex("0002 0001 0002 0057") + b"\x45\0\0\x18" + bytes(20), "bad IP header"),  # not its protocol
    (bytes.fromhex("0002 0001 0002 0057") + b"\x60\0\0\0\0\x09" + bytes(42), "bad IP header"),
]


def test_bad_datagrams_are_dropped_by_name(ends):
    a, b = ends()
    for data, reason in BAD:
        before = a.plane.drops().get(reason, 0) + a.circuit.drops.get(reason, 0)
        b.sock.sendto(data, a.sock.getsockname())
        a.until(lambda r=reason, n=before: a.plane.drops().get(r, 0) + a.circuit.drops.get(r, 0) == n + 1)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with stranger:
        stranger.sendto(datagram(0, (1, 2), b"\x21" + tcp(4, 1)), a.sock.getsockname())
        a.until(lambda: a.circuit.drops.get("wrong address") == 1)
    a.interface.put(b"\x10 not IP")
    a.until(lambda: a.circuit.drops.get("not IP") == 1)
    assert a.interface.empty()
    assert a.plane.next_event() is None


def test_padding_behind_the_packet_is_taken_off(ends):
    a, b = ends()
    packet = tcp(4, 3)
    b.sock.sendto(datagram(0, (1, 2), b"\x21" + packet + bytes(9)), a.sock.getsockname())
    assert a.interface.take()[0] == packet


@pytest.mark.parametrize("engine", [None, Plain])
def test_a_segment_with_a_wrong_checksum_is_dropped_and_the_others_are_not(ends, engine):
    a, b = ends(engine=engine)
    segments = [tcp(4, 100, seq=1000 + 100 * i) for i in range(6)]
    rows = []
    for i, segment in enumerate(segments):
        segment = IP(segment)
        segment.id = 7 + i
        del segment.chksum
        rows.append(datagram(0, (1, 2), b"\xff\x03\x00\x21" + bytes(segment)))
    rows[3] = rows[3][:-1] + b"?"
    ancillary = [(17, 103, struct.pack("=H", len(rows[0])))]
    b.sock.sendmsg([b"".join(rows)], ancillary, 0, a.sock.getsockname())
    data = a.interface.take()[0][40:] + a.interface.take()[0][40:]
    assert data == b"".join(segments[i][40:] for i in (0, 1, 2, 4, 5))
    assert a.circuit.drops == {"bad checksum": 1}


def test_an_interface_that_goes_is_reported_and_the_others_go_on(ends):
    a, b = ends()

    class Gone:
        def read(self, circuit):
            raise OSError(77, "File descriptor in bad state")

    a.plane._outbound = Gone()
    a.interface.put(tcp(4, 1))
    assert a.event() == ("failed", a.circuit, "EBADFD")
    assert a.circuit.stats()["failed"] == "EBADFD"
    b.interface.put(tcp(4, 1))
    assert a.interface.take()[0] == tcp(4, 1)
    a.plane.remove(a.circuit)


def test_a_circuit_that_is_removed_moves_nothing(ends):
    a, b = ends()
    a.plane.remove(a.circuit)
    a.interface.put(tcp(4, 1))
    b.interface.put(tcp(4, 1))
    assert a.event()[0] == "datagram"  # nobody's now: the owner's
    assert b.interface.empty()
    assert a.interface.empty()
    a.plane.add(a.circuit)
    assert b.interface.take()[0] == tcp(4, 1)


def test_a_full_socket_is_waited_for_then_packets_are_dropped(ends, monkeypatch):
    a, b = ends()
    monkeypatch.setattr(outbound, "_FULL_WAIT", 1)

    class Full:
        def __init__(self, times):
            self.times = times

        def sendmsg(self, *arguments):
            if self.times:
                self.times -= 1
                raise BlockingIOError
            return a.sock.sendmsg(*arguments)

    a.plane._outbound._sock = Full(1)
    a.interface.put(tcp(4, 1))
    assert b.interface.take()[0] == tcp(4, 1)
    a.plane._outbound._sock = Full(2)
    a.interface.put(tcp(4, 1))
    a.until(lambda: a.circuit.drops == {"send: socket full": 1})
