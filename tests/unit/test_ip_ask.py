"""UDP sockets of a host, and what is asked through them: DNS and SNTP."""

from laclet.fault import DNS, Fault
from laclet.ip import dns, ntp
from laclet.ip.host import MAX_SOCKETS, Host
from laclet.ip.query import Query
from laclet.port import HEADROOM, frame_buffer
from laclet.wire import ip

OWN = b"\x0a\x00\x00\x02"
SERVER = b"\x0a\x00\x00\x35"
OTHER = b"\x0a\x00\x00\x36"


class Link:
    def __init__(self):
        self.sent = []

    def send_ip(self, buf, start, end, now):
        self.sent.append(bytes(buf[start:end]))


def host():
    made = Host(Link())
    made.address = OWN
    return made


def reply(of, port, data, source=SERVER, source_port=53, now=0):
    """Bring a datagram to a port of ``of``."""
    other = Host(Link())
    other.address = source
    other.send_udp(source_port, OWN, port, data, now)
    packet = other.link.sent[0]
    buf = frame_buffer(len(packet))
    buf[HEADROOM : HEADROOM + len(packet)] = packet
    of.receive_ip(buf, HEADROOM, HEADROOM + len(packet), now)


def answer(question, *records, code=0, counted=None):
    """The answer of a server: ``records`` are (type, data); each name is a pointer to that of the question."""
    head = question[:2] + bytes((0x81, 0x80 | code)) + question[4:6] + bytes((0, counted or len(records))) + bytes(4)
    out = head + question[12:]
    for kind, data in records:
        out += b"\xc0\x0c" + bytes((0, kind, 0, 1, 0, 0, 0, 60, 0, len(data))) + data
    return out


def parse(packet, asked):
    return dns.parse(packet, 0, len(packet), asked)


def test_question_is_that_of_the_rfc():
    assert dns.question("lns.example", 0x1234) == (
        b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + b"\x03lns\x07example\x00" + b"\0\x01\0\x01"
    )
    assert dns.question("lns.example.", 1) == dns.question("lns.example", 1)
    for wrong in ("", "a..b", "x" * 64, ".".join(["abcdefgh"] * 30)):
        assert dns.question(wrong, 1) is None, wrong


def test_addresses_of_an_answer():
    asked = dns.question("lns.example", 7)
    alias = (5, b"\x03www\xc0\x10")
    assert parse(answer(asked, alias, (1, SERVER), (28, bytes(16)), (1, OTHER)), asked) == [SERVER, OTHER]
    assert parse(answer(dns.question("LNS.EXAMPLE", 7), (1, SERVER)), asked) == [SERVER]
    assert parse(answer(asked, (1, SERVER), counted=200), asked) == [SERVER]
    assert len(parse(answer(asked, *[(1, SERVER)] * 40), asked)) == dns.MAX_ADDRESSES
    for packet, cause in (
        (answer(asked, code=3), "no such name"),
        (answer(asked, code=2), "the name server refuses, with code 2"),
        (answer(asked, (28, bytes(16))), "the name has no address"),
    ):
        fault = parse(packet, asked)
        assert isinstance(fault, Fault) and fault.layer == DNS and fault.cause == cause
    for stranger in (asked, answer(dns.question("other.example", 7), (1, SERVER)), b"", answer(asked)[:20]):
        assert parse(stranger, asked) is None
    assert parse(answer(dns.question("lns.example", 8), (1, SERVER)), asked) is None


def test_no_cut_or_twisted_answer_does_harm():
    asked = dns.question("lns.example", 7)
    whole = answer(asked, (5, b"\x03www\xc0\x10"), (1, SERVER))
    for cut in range(len(whole)):
        found = parse(whole[:cut], asked)
        assert found is None or isinstance(found, Fault), cut
    for at in range(len(asked), len(whole)):
        for value in (0, 0x3F, 0x7F, 0xC0, 0xFF):
            twisted = bytearray(whole)
            twisted[at] = value
            found = parse(twisted, asked)
            assert isinstance(found, (list, Fault))


def test_time_of_a_server():
    asked = ntp.request(b"nonce678")
    packet = bytearray(48)
    packet[0], packet[1] = 0x24, 2
    packet[24:32] = b"nonce678"
    packet[40:48] = (2208988800 + 1_764_000_000).to_bytes(4, "big") + b"\x80\0\0\0"
    assert ntp.parse(packet, 0, 48, asked) == (1_764_000_000, 500)
    packet[40:44] = (5).to_bytes(4, "big")  # 2036
    assert ntp.parse(packet, 0, 48, asked)[0] == (1 << 32) - 2208988800 + 5
    packet[1] = 0  # kiss-o'-death
    assert ntp.parse(packet, 0, 48, asked).cause == "the time server does not know the time"
    packet[24] ^= 1
    assert ntp.parse(packet, 0, 48, asked) is None
    assert ntp.parse(packet, 0, 47, asked) is None and ntp.parse(asked, 0, 48, asked) is None


def test_sockets_of_a_host():
    of = host()
    heard = []

    def handler(buf, start, end, address, port, now):
        heard.append((bytes(buf[start:end]), address, port))

    taken = of.open_udp(handler, 500)
    free = of.open_udp(handler)
    assert free.port >= 49152 and of.open_udp(handler).port != free.port
    free.send(b"x", SERVER, 53, 0)
    sent = of.link.sent[-1]
    assert ip.get16(sent, 20) == free.port and ip.get16(sent, 22) == 53 and sent[28:] == b"x"
    reply(of, free.port, b"yes")
    assert heard == [(b"yes", SERVER, 53)]
    for port in (500, 0):
        try:
            while True:
                of.open_udp(handler, port)
        except OSError:
            pass
    assert len(of.udp) == MAX_SOCKETS
    taken.close()
    reply(of, 500, b"closed")
    assert len(heard) == 1 and of.drops == {"UDP port nobody listens on": 1}
    assert of.open_udp(handler, 500).port == 500


def test_a_datagram_is_sent_in_the_buffer_it_stands_in():
    of = host()
    buf = frame_buffer(4)
    buf[HEADROOM : HEADROOM + 4] = b"data"
    of.send_in_place(1701, SERVER, 1702, buf, HEADROOM, HEADROOM + 4, True, 0)
    of.send_udp(1701, SERVER, 1702, b"data", 0)
    first, second = of.link.sent
    assert first[20:] == second[20:] and ip.check(first, 0, len(first)) == ""
    of.send_in_place(1701, SERVER, 1702, buf, HEADROOM, HEADROOM + 4, False, 0)
    assert of.link.sent[2][26:28] == b"\0\0"


def ask(of, done):
    asked = dns.question("lns.example", 7)
    query = Query(
        of.open_udp,
        (SERVER, OTHER),
        53,
        asked,
        lambda buf, start, end: dns.parse(buf, start, end, asked),
        lambda *said: done.append(said),
        Fault(DNS, "nobody answers"),
    )
    query.start(0)
    return query, asked


def test_servers_are_asked_in_turn_and_one_answer_ends_it():
    of = host()
    done = []
    query, asked = ask(of, done)
    port = ip.get16(of.link.sent[0], 20)
    assert query.poll_at() == 1000
    query.on_timer(999)
    query.on_timer(1000)
    assert [packet[16:20] for packet in of.link.sent] == [SERVER, OTHER] and query.poll_at() == 3000
    reply(of, port, answer(asked, (1, OTHER)), source=b"\x0a\0\0\x09")
    reply(of, port, answer(asked, (1, OTHER)), source_port=54)
    assert done == []
    reply(of, port, answer(asked, (1, OTHER)), now=5)
    assert done == [([OTHER], None, 5)] and of.udp == {} and query.poll_at() is None
    query.heard(b"", 0, 0, SERVER, 53, 6)
    assert len(done) == 1


def test_silence_and_refusals_are_told_once():
    of = host()
    done = []
    query, asked = ask(of, done)
    now = 0
    while query.poll_at() is not None:
        now = query.poll_at()
        query.on_timer(now)
    assert now == 15_000 and len(of.link.sent) == 4
    assert done[0][0] is None and done[0][1].cause == "nobody answers" and of.udp == {}
    query, asked = ask(of, done)
    reply(of, ip.get16(of.link.sent[-1], 20), answer(asked, code=3))
    assert done[1][1].cause == "no such name"
