"""IPv4 in user space: headers, checksums, echo, UDP, and what is dropped."""

from laclet import port, ticks
from laclet.ip.host import MAX_PINGS, PING_TIMEOUT, Host
from laclet.wire import ip

ALICE = b"\x0a\x00\x00\x01"
BOB = b"\x0a\x00\x00\x02"


class Line:
    """The link of a host: keeps packets, or hands them to another host."""

    def __init__(self):
        self.packets = []
        self.other = None

    def send_ip(self, buf, start, end, now):
        self.packets.append(bytes(buf[start:end]))
        if self.other is not None:
            give(self.other, buf[start:end], now)


def give(host, packet, now=0):
    buf = port.frame_buffer(len(packet))
    buf[port.HEADROOM : port.HEADROOM + len(packet)] = packet
    host.receive_ip(buf, port.HEADROOM, port.HEADROOM + len(packet), now)


def host(address):
    made = Host(Line())
    made.address = address
    return made


def events(of):
    found = []
    event = of.next_event()
    while event is not None:
        if event[0] != "timer":
            found.append((event[0], event[2]))
        event = of.next_event()
    return found


def packet(protocol, payload, source=ALICE, destination=BOB):
    buf = bytearray(ip.HEADER) + payload
    ip.write_header(buf, 0, len(buf), protocol, source, destination, 0x1234)
    return buf


def echo(data=b"abc", type=ip.ECHO_REQUEST):
    message = bytearray(bytes((type, 0, 0, 0, 0, 9, 0, 1)) + data)
    ip.put16(message, 2, ip.checksum(message, 0, len(message)))
    return message


def test_checksum():
    """The example of RFC 1071 §3, and an odd length."""
    words = b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7"
    assert ip.total(words, 0, 8) == 0xDDF2 and ip.checksum(words, 0, 8) == 0x220D
    assert ip.total(b"\x01\x02\x03", 0, 3) == 0x0402
    assert ip.total(b"", 0, 0) == 0
    assert ip.total(b"\xff" * 1500, 0, 1500) == 0xFFFF


def test_adjust_equals_a_new_checksum():
    for i in range(0, 0x10000, 977):
        buf = bytearray(b"\x08\x00\x00\x00\x12\x34\x56\x78")
        ip.put16(buf, 4, i)
        ip.put16(buf, 2, ip.checksum(buf, 0, 8))
        buf[0] = 0
        ip.adjust(buf, 2, 0x0800, 0)
        assert ip.checksum(buf, 0, 8) == 0, i


def test_header():
    buf = packet(ip.UDP, b"\0" * 8)
    assert bytes(buf[:4]) == b"\x45\x00\x00\x1c" and bytes(buf[6:10]) == b"\0\0\x40\x11"
    assert ip.check(buf, 0, len(buf)) == "" and ip.checksum(buf, 0, 20) == 0


def test_echo_is_answered():
    bob = host(BOB)
    request = packet(ip.ICMP, echo(bytes(range(57))))
    request[ip.TTL] = 3
    ip.adjust(request, ip.CHECKSUM, 64 << 8, 3 << 8)
    give(bob, request + b"padding")
    reply = bob.link.packets[0]
    assert ip.check(reply, 0, len(reply)) == "" and len(reply) == len(request)
    assert reply[12:16] == BOB and reply[16:20] == ALICE and reply[ip.TTL] == ip.DEFAULT_TTL
    assert reply[20] == ip.ECHO_REPLY and reply[24:] == bytes(request[24:])
    assert ip.checksum(reply, 20, len(reply)) == 0
    assert bob.echoed == 1 and not bob.drops


def test_a_damaged_echo_stays_damaged():
    bob = host(BOB)
    request = packet(ip.ICMP, echo())
    request[-1] ^= 1
    give(bob, request)
    assert ip.checksum(bob.link.packets[0], 20, len(request)) != 0


def test_ping():
    alice, bob = host(ALICE), host(BOB)
    bob.link.other = alice
    start = ticks.PERIOD - 10
    assert alice.ping(BOB, start) == 1 and alice.poll_at() == ticks.add(start, PING_TIMEOUT)
    give(bob, alice.link.packets[0], ticks.add(start, 42))
    assert events(alice) == [("pong", (BOB, 1, 42))]
    give(alice, bob.link.packets[0], ticks.add(start, 43))  # a copy
    assert events(alice) == [] and alice.drops == {"Echo-Reply to nothing": 1}
    assert alice.poll_at() is None


def test_ping_without_answer():
    alice = host(ALICE)
    for i in range(MAX_PINGS):
        assert alice.ping(BOB, i, 4000) == i + 1
    assert alice.ping(BOB, 99) == -1
    assert len(alice.link.packets) == MAX_PINGS and len(alice.link.packets[0]) == 1500
    alice.on_timer(PING_TIMEOUT)
    assert events(alice) == [("lost", (BOB, 1))]
    alice.on_timer(PING_TIMEOUT * 2)
    assert len(events(alice)) == MAX_PINGS - 1


def test_a_damaged_reply_is_dropped():
    alice, bob = host(ALICE), host(BOB)
    alice.ping(BOB, 0)
    give(bob, alice.link.packets[0])
    reply = bytearray(bob.link.packets[0])
    reply[-1] ^= 1
    give(alice, reply)
    assert events(alice) == [] and alice.drops == {"ICMP with a wrong checksum": 1}


def test_udp():
    alice, bob = host(ALICE), host(BOB)
    got = []

    def echo_port(buf, start, end, address, port, now):
        got.append((bytes(buf[start:end]), address, port, now))
        bob.send_udp(7, address, port, buf[start:end], now)

    bob.udp[7] = echo_port
    for data in (b"", b"x", b"odd", bytes(1472)):
        assert alice.send_udp(5000, BOB, 7, data, 3)
        give(bob, alice.link.packets[-1], 4)
        assert got[-1] == (data, ALICE, 5000, 4)
    assert not alice.send_udp(5000, BOB, 7, bytes(1473), 3)
    assert not bob.drops
    damaged = bytearray(alice.link.packets[1])
    damaged[-1] ^= 1
    give(bob, damaged)
    ip.put16(damaged, 26, 0)  # the sender made no checksum
    give(bob, damaged)
    assert len(got) == 5 and bob.drops == {"UDP with a wrong checksum": 1}


def test_what_is_dropped():
    bob = host(BOB)

    def dropped(reason, raw):
        give(bob, raw)
        assert bob.drops == {reason: 1}, (reason, bob.drops)
        bob.drops.clear()

    good = packet(ip.ICMP, echo())
    dropped("IP packet cut short", good[:19])
    dropped("IP packet cut short", b"")
    dropped("not IPv4", b"\x65" + good[1:])
    dropped("IP header with a wrong length", good[:-1])
    dropped("IP header with a wrong length", b"\x44" + good[1:])
    dropped("IP header with a wrong length", b"\x4f" + good[1:])
    dropped("IP header with a wrong checksum", good[:8] + b"\x01" + good[9:])
    dropped("not for this host", packet(ip.ICMP, echo(), ALICE, ALICE))
    dropped("IP protocol nobody speaks", packet(6, bytes(20)))
    dropped("ICMP cut short", packet(ip.ICMP, echo()[:7]))
    dropped("ICMP of another type", packet(ip.ICMP, echo(type=13)))
    dropped("UDP with a wrong length", packet(ip.UDP, bytes(7)))
    dropped("UDP with a wrong length", packet(ip.UDP, b"\0\x01\0\x07\0\x09\0\0"))
    dropped("UDP with a wrong length", packet(ip.UDP, b"\0\x01\0\x07\0\x07\0\0"))
    dropped("UDP port nobody listens on", packet(ip.UDP, b"\0\x01\0\x07\0\x08\0\0"))
    fragment = packet(ip.ICMP, echo())
    ip.put16(fragment, ip.FRAGMENT, 0x2000)
    ip.adjust(fragment, ip.CHECKSUM, 0, 0x2000)
    dropped("IP fragment", fragment)
    assert not bob.link.packets and not events(bob)


def test_every_truncation_and_every_flipped_byte_is_harmless():
    bob = host(BOB)
    bob.udp[7] = lambda buf, start, end, address, port, now: None
    for whole in (packet(ip.ICMP, echo()), packet(ip.UDP, b"\0\x01\0\x07\0\x0a\0\0hi")):
        for stop in range(len(whole)):
            give(bob, whole[:stop])
        for i in range(len(whole)):
            changed = bytearray(whole)
            changed[i] ^= 0xFF
            ip.put16(changed, ip.CHECKSUM, 0)
            ip.put16(changed, ip.CHECKSUM, ip.checksum(changed, 0, 20))
            give(bob, changed)
    assert sum(bob.drops.values()) > 40
