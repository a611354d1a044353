"""Classes of malformed L2TP input that have broken other implementations, one test for each; see docs/testing.md."""

from laclet.fault import Fault
from laclet.l2tp.endpoint import Endpoint
from laclet.l2tp.tables import ESTABLISHED
from laclet.l2tp.tunnel import TunnelOptions
from laclet.wire import avp
from laclet.wire.l2tp import CDN, HELLO, ICRQ, SCCRQ, STOPCCN, put_control
from sim.net import Network, World

LAC = ("10.0.0.1", 40000)
LNS = ("10.0.0.2", 1701)
FORGER = ("10.6.6.6", 1701)
SECRET = b"s3cret"


class Desk:
    """A LAC and an LNS with a call between them; the test also speaks to the LNS in the LAC's place."""

    def __init__(self, secret=None):
        self.world = World(3)
        self.net = Network(self.world)
        self.options = TunnelOptions("host", secret)
        self.lac = self.net.attach(Endpoint(self.world.random.bytes), LAC)
        self.lns = self.net.attach(Endpoint(self.world.random.bytes, self.options), LNS)
        self.heard = []
        self.world.add(self.lac, self.drain)
        self.world.add(self.lns, self.take)
        self.tunnel = self.lac.open(LNS, self.options, self.world.now)
        self.call = self.tunnel.incoming_call(self.world.now)
        self.world.run(1000)
        (self.far,) = self.lns.tunnels.values()
        (self.session,) = self.far.sessions.values()
        assert self.session.state == ESTABLISHED

    def drain(self, now):
        while self.lac.next_event() is not None:
            pass

    def take(self, now):
        event = self.lns.next_event()
        while event is not None:
            self.heard.append(event)
            if event[0] == "call-offered":
                event[1].accept(now)
            event = self.lns.next_event()

    def names(self):
        return [event[0] for event in self.heard]

    def tell(self, body, session=0, tid=None, source=LAC):
        """A control message with these bytes as AVPs, numbered as the LAC's next one would be."""
        data = bytearray(12) + body
        channel = self.tunnel.channel
        tid = self.tunnel.peer_tid if tid is None else tid
        put_control(data, 0, len(data), tid, session, channel.next_ns(), channel.nr)
        self.lns.receive(data, 0, len(data), source, self.world.now)

    def alive(self):
        return self.far.state == ESTABLISHED and self.session.state == ESTABLISHED


def message(mtype, *avps):
    return bytes(avp.Writer(mtype).buf[12:]) + b"".join(avps)


def plain(flags, atype, value, size=None):
    size = 6 + len(value) if size is None else size
    return bytes((flags | size >> 8, size & 0xFF, 0, 0, atype >> 8, atype & 0xFF)) + value


def test_class_avp_length_0_to_5():
    for size in range(6):
        d = Desk()
        d.tell(message(HELLO, plain(0x80, avp.HOST_NAME, b"x", size)))  # no endless loop
        d.world.run(100)
        assert d.alive() or d.far.fault is not None


def test_class_avp_beyond_the_message():
    for size in (8, 64, 1023):
        d = Desk()
        d.tell(message(ICRQ, plain(0x80, avp.CALLED_NUMBER, b"1", size)))
        d.world.run(100)
        assert d.alive() and d.names().count("call-offered") == 1, "that call is refused, and nothing else"


def test_class_avp_header_cut_at_every_byte():
    whole = message(
        ICRQ, plain(0x80, avp.ASSIGNED_SESSION_ID, b"\0\7"), plain(0x80, avp.CALL_SERIAL_NUMBER, b"\0\0\0\1")
    )
    for cut in range(len(whole)):
        mtype, read, problem = avp.parse(whole, 0, cut)
        assert mtype == -1 or problem is not None or cut in (8, 16), cut
    d = Desk()
    d.tell(whole[:-1])
    d.world.run(100)
    assert d.alive()


def test_class_hidden_length_beyond_its_room():
    vector = b"v" * 16
    for claimed in (15, 16, 0x7FFF, 0xFFFF):
        clear = bytes((claimed >> 8, claimed & 0xFF)) + b"0123456789abcd"  # a single block of 16 bytes
        hidden = avp._cipher(clear, avp.CALLED_NUMBER, SECRET, vector, True)
        d = Desk(SECRET)
        d.tell(message(ICRQ, plain(0x80, avp.RANDOM_VECTOR, vector), plain(0xC0, avp.CALLED_NUMBER, hidden)))
        d.world.run(100)
        assert d.alive()
        assert d.names().count("call-offered") == 1, claimed


def test_class_hidden_without_room_for_a_length_or_without_a_vector():
    for value in (b"", b"x"):
        d = Desk(SECRET)
        d.tell(message(ICRQ, plain(0x80, avp.RANDOM_VECTOR, b"v"), plain(0xC0, avp.CALLED_NUMBER, value)))
        d.tell(message(ICRQ, plain(0xC0, avp.CALLED_NUMBER, b"0" * 16)))
        d.world.run(100)
        assert d.alive()


def test_class_over_long_numbers():
    d = Desk()
    number = b"5" * 1017
    d.tell(
        message(
            ICRQ,
            plain(0x80, avp.ASSIGNED_SESSION_ID, b"\0\7"),
            plain(0x80, avp.CALL_SERIAL_NUMBER, b"\0\0\0\1"),
            plain(0x83, avp.CALLING_NUMBER, number, (6 + len(number)) & 0xFF | 0x300),
            plain(0x83, avp.CALLED_NUMBER, number, (6 + len(number)) & 0xFF | 0x300),
        )
    )
    d.world.run(100)
    offered = [event[1] for event in d.heard if event[0] == "call-offered"]
    assert len(offered) == 2 and offered[1].calling == number and d.alive()


def test_class_unaligned_values():
    """An AVP of odd length in front puts every number behind it at an odd address."""
    d = Desk()
    d.tell(
        message(
            ICRQ,
            plain(0, avp.PRIVATE_GROUP_ID, b"odd"),
            plain(0x80, avp.ASSIGNED_SESSION_ID, b"\x12\x34"),
            plain(0x80, avp.CALL_SERIAL_NUMBER, b"\x12\x34\x56\x78"),
        )
    )
    d.world.run(100)
    offered = [event[1] for event in d.heard if event[0] == "call-offered"]
    assert offered[1].peer_sid == 0x1234 and offered[1].serial == 0x12345678


def test_class_unknown_mandatory_avp_is_fatal_to_its_call_only():
    d = Desk()
    d.tell(message(ICRQ, plain(0x80, avp.ASSIGNED_SESSION_ID, b"\0\7"), plain(0x80, 999, b"?")))
    d.world.run(100)
    assert d.alive()
    d = Desk()
    d.tell(message(ICRQ, plain(0x80, avp.ASSIGNED_SESSION_ID, b"\0\7"), plain(0, 999, b"?")))
    d.world.run(100)
    assert d.alive() and d.names().count("call-offered") == 2, "without M it is skipped"


def test_class_wrong_address_tunnel_or_session():
    d = Desk()
    for body in (message(STOPCCN), message(CDN), message(HELLO)):
        d.tell(body, source=FORGER)
        d.tell(body, tid=(d.tunnel.peer_tid + 1) & 0xFFFF or 1)
    d.tell(message(CDN), session=(d.session.sid + 1) & 0xFFFF or 1)
    d.world.run(100)
    assert d.alive()
    assert d.lns.drops["control message from a wrong address"] == 3
    assert d.lns.drops["control message for an unknown tunnel"] == 3
    assert d.lns.drops["control message for an unknown session"] == 1
    data = bytearray((0, 2)) + bytes((d.far.tid >> 8, d.far.tid & 0xFF, d.session.sid >> 8, d.session.sid & 0xFF, 0xFF))
    d.lns.receive(data, 0, len(data), FORGER, d.world.now)
    assert d.lns.drops["data from a wrong address"] == 1 and d.session.rx_packets == 0


def test_class_amplification_towards_an_unproven_address():
    d = Desk()
    d.net.trace = []
    w = avp.Writer(SCCRQ)
    w.u16(avp.PROTOCOL_VERSION, 0x0100)
    w.put(avp.HOST_NAME, b"victim")
    w.u32(avp.FRAMING_CAPABILITIES, 3)
    w.u16(avp.ASSIGNED_TUNNEL_ID, 7)
    put_control(w.buf, 0, len(w.buf), 0, 0, 0, 0)
    d.lns.receive(w.buf, 0, len(w.buf), FORGER, d.world.now)
    d.world.run(120_000)
    answers = [item for item in d.net.trace if item[2] == FORGER]
    assert len(answers) <= 4, "the answer, two repetitions, and the end of it"


def test_class_hello_cdn_and_stopccn_of_a_running_tunnel():
    """Each is heeded: a HELLO acknowledged, a CDN ends its call, a StopCCN the tunnel."""
    d = Desk()
    d.tunnel.hello(d.world.now)
    d.world.run(1000)
    assert d.tunnel.channel.idle() and d.alive()
    d.call.close(Fault("session", "enough"), d.world.now)
    d.world.run(1000)
    assert not d.far.sessions and d.names()[-1] == "call-down"
    d.tunnel.close(Fault("tunnel", "enough"), d.world.now)
    d.world.run(1000)
    assert "tunnel-down" in d.names()
