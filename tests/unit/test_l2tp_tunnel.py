"""Tunnels and calls between two endpoints on a virtual clock."""

from laclet.fault import Fault
from laclet.l2tp.endpoint import Endpoint
from laclet.l2tp.tables import CLOSING, ESTABLISHED, GONE, LINGER
from laclet.l2tp.tunnel import TunnelOptions
from laclet.port import HEADROOM, frame_buffer
from laclet.wire import avp
from laclet.wire.l2tp import HELLO, message_name
from sim.net import Network, World

LAC = ("10.0.0.1", 40000)
LNS = ("10.0.0.2", 1701)


class Sink:
    def __init__(self):
        self.frames = []
        self.joined = None

    def carry(self, buf, start, end, now):
        self.frames.append(bytes(buf[start:end]))


class Owner:
    """Takes an endpoint's events; accepts every call."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.seen = []
        self.sessions = []
        self.faults = []

    def take(self, now):
        event = self.endpoint.next_event()
        while event is not None:
            name, source, detail = event
            if name != "tunnel-gone":
                self.seen.append(name)
            if name == "call-offered":
                source.accept(now)
            elif name == "call-up":
                self.sessions.append(source)
                source.joined = Sink()
            elif name in ("tunnel-down", "call-down"):
                self.faults.append(detail)
            event = self.endpoint.next_event()


def options(**kw):
    o = TunnelOptions("host")
    for name in kw:
        setattr(o, name, kw[name])
    return o


def pair(seed=1, lns_options=None, **link):
    world = World(seed)
    net = Network(world, **link)
    net.trace = []
    lac = net.attach(Endpoint(world.random.bytes), LAC)
    lns = net.attach(Endpoint(world.random.bytes, lns_options or options()), LNS)
    a = Owner(lac)
    b = Owner(lns)
    world.add(lac, a.take)
    world.add(lns, b.take)
    return world, net, a, b


def names(trace):
    out = []
    for _, source, _, data in trace:
        if data[0] & 0x80:
            kind = "ZLB" if len(data) == 12 else message_name(avp.parse(data, 12, len(data))[0])
        else:
            kind = "data"
        out.append((">" if source == LAC else "<") + kind)
    return out


def frame(payload):
    buf = frame_buffer(1500)
    buf[HEADROOM : HEADROOM + len(payload)] = payload
    return buf, HEADROOM, HEADROOM + len(payload)


def test_call_takes_three_flights_and_no_needless_zlb():
    world, net, a, b = pair(delay=50)
    tunnel = a.endpoint.open(LNS, options(), world.now)
    tunnel.incoming_call(world.now)
    assert world.run(5000, lambda: bool(b.sessions))
    assert names(net.trace) == [">SCCRQ", "<SCCRP", ">SCCCN", ">ICRQ", "<ICRP", ">ICCN"]
    assert a.seen == ["tunnel-up", "call-up"]
    assert b.seen == ["tunnel-up", "call-offered", "call-up"]
    assert world.elapsed == 250  # five one-way delays
    world.run(3000)
    assert names(net.trace)[6:] == ["<ZLB"]
    assert "call-acked" in a.seen


def test_data_both_ways_in_place():
    world, net, a, b = pair()
    a.endpoint.open(LNS, options(), world.now).incoming_call(world.now)
    world.run(5000, lambda: bool(b.sessions))
    buf, start, end = frame(b"\xff\x03\x00\x21hello")
    a.sessions[0].carry(buf, start, end, world.now)
    buf, start, end = frame(b"\x00\x21short")  # no address and control: put in front
    b.sessions[0].carry(buf, start, end, world.now)
    world.run(100)
    assert b.sessions[0].joined.frames == [b"\xff\x03\x00\x21hello"]
    assert a.sessions[0].joined.frames == [b"\xff\x03\x00\x21short"]
    assert a.sessions[0].tx_packets == 1 and a.sessions[0].rx_packets == 1


def test_length_and_sequence_bits():
    world, net, a, b = pair()
    a.endpoint.open(LNS, options(length_bit=True, sequencing=True), world.now).incoming_call(world.now)
    world.run(5000, lambda: bool(b.sessions))
    for i in range(3):
        buf, start, end = frame(b"\xff\x03\x00\x21" + bytes([i]))
        a.sessions[0].carry(buf, start, end, world.now)
    last = net.trace[-1][3]
    assert last[0] == 0x48 and last[1] == 2
    assert last[2] << 8 | last[3] == len(last)
    assert last[8:12] == b"\0\2\0\0"
    world.run(100)
    assert [f[4] for f in b.sessions[0].joined.frames] == [0, 1, 2]
    assert b.sessions[0].sequencing  # asked for in the ICCN


def sequenced():
    """An established pair: (world, session, feed, seen); feed(ns) brings a packet with that Ns, seen() what came."""
    world, net, a, b = pair()
    a.endpoint.open(LNS, options(sequencing=True), world.now).incoming_call(world.now)
    world.run(5000, lambda: bool(b.sessions))
    session = b.sessions[0]

    def feed(ns):
        buf, start, end = frame(b"\xff\x03\x00\x21" + bytes([ns >> 8, ns & 0xFF]))
        session.receive_data(buf, start, end, ns, world.now)

    def seen():
        return [f[4] << 8 | f[5] for f in session.joined.frames]

    return world, session, feed, seen


def test_reordered_packets_are_delivered_in_order():
    world, session, feed, seen = sequenced()
    for ns in (65534, 0, 65535, 2, 3, 1, 4):
        feed(ns)
    assert seen() == [65534, 65535, 0, 1, 2, 3, 4]
    assert session.reorder.lost == 0 and session.drops == {}
    for ns in (4, 2, 65535):
        feed(ns)
    assert session.drops == {"late or repeated": 3}


def test_a_missing_packet_is_waited_for_and_then_given_up():
    world, session, feed, seen = sequenced()
    for ns in (10, 12, 13):
        feed(ns)
    assert seen() == [10]
    world.run(99)
    assert seen() == [10]
    world.run(5)
    assert seen() == [10, 12, 13] and session.reorder.lost == 1
    feed(11)
    assert session.drops == {"late or repeated": 1}


def test_reordering_is_bounded():
    world, session, feed, seen = sequenced()
    feed(0)
    for ns in range(2, 40, 2):
        feed(ns)
        assert len(session.reorder._held) <= 8
    world.run(3000)
    assert seen()[0] == 0 and seen()[1:] == list(range(2, 40, 2))
    assert session.reorder.lost == 19


def test_a_ringing_call_is_answered_only_when_the_lns_accepts():
    world, net, a, b = pair()
    tunnel = a.endpoint.open(LNS, options(), world.now)
    session = tunnel.ringing_call(world.now, calling=b"5551234", physical=3)
    world.run(2000)
    assert "call-accepted" in a.seen and not b.sessions
    session.tx_speed, session.rx_speed = 33600, 28800
    session.connected(world.now)
    world.run(1000)
    assert (b.sessions[0].tx_speed, b.sessions[0].rx_speed, b.sessions[0].calling) == (33600, 28800, b"5551234")


def test_secret_on_both_sides():
    world, net, a, b = pair(lns_options=options(secret=b"s3cret"))
    a.endpoint.open(LNS, options(secret=b"s3cret"), world.now).incoming_call(world.now)
    assert world.run(5000, lambda: bool(b.sessions))


def test_hidden_avps():
    world, net, a, b = pair(lns_options=options(secret=b"s3cret", hide=True))
    a.endpoint.open(LNS, options(secret=b"s3cret", hide=True), world.now).incoming_call(world.now, calling=b"5551234")
    assert world.run(5000, lambda: bool(b.sessions))
    assert b.sessions[0].calling == b"5551234"
    assert not [1 for t in net.trace if b"5551234" in t[3]]


def fault_of(lac_options, lns_options):
    world, net, a, b = pair(lns_options=lns_options)
    a.endpoint.open(LNS, lac_options, world.now).incoming_call(world.now)
    world.run(120_000)
    assert not b.sessions
    assert "call-down" in a.seen and "tunnel-down" in a.seen
    assert not a.endpoint.tunnels and not b.endpoint.tunnels
    assert isinstance(a.faults[0], Fault)
    return a.faults[0]


def test_wrong_secret_names_tunnel_authentication():
    assert fault_of(options(secret=b"one"), options(secret=b"two")).layer == "tunnel-auth"


def test_secret_only_at_the_lns():
    assert fault_of(options(), options(secret=b"two")).layer == "tunnel-auth"


def test_secret_only_at_the_lac_is_refused():
    # The peer refuses because it cannot answer our challenge; had it gone on without, we would refuse.
    assert fault_of(options(secret=b"one"), options()).layer == "tunnel-auth"


def test_silent_lns():
    world, net, a, b = pair()
    net.detach(LNS)
    a.endpoint.open(LNS, options(), world.now)
    world.run(120_000)
    assert a.faults[0].cause == "no answer to SCCRQ"
    assert names(net.trace) == [">SCCRQ"] * 6
    times = [t[0] for t in net.trace]
    assert [times[i + 1] - times[i] for i in range(5)] == [1000, 2000, 4000, 8000, 8000]


def test_hello_and_a_peer_that_dies():
    world, net, a, b = pair()
    a.endpoint.open(LNS, options(hello_interval=10_000), world.now).incoming_call(world.now)
    world.run(5000, lambda: bool(b.sessions))
    mark = len(net.trace)
    world.run(25_000)
    assert names(net.trace[mark:]).count(">HELLO") == 2
    net.detach(LNS)
    world.run(60_000)
    assert a.faults[0].layer == "tunnel"
    assert a.seen[-2:] == ["call-down", "tunnel-down"]


def test_close_is_acknowledged_and_lingers():
    world, net, a, b = pair()
    tunnel = a.endpoint.open(LNS, options(), world.now)
    tunnel.incoming_call(world.now)
    world.run(5000, lambda: bool(b.sessions))
    tunnel.close(Fault("tunnel", "the test wants it"), world.now)
    assert tunnel.state == CLOSING
    world.run(1000)
    assert tunnel.state == LINGER
    assert "the peer said: StopCCN 1: cleared" in str(b.faults[0])
    world.run(40_000)
    assert tunnel.state == GONE and not a.endpoint.tunnels and not b.endpoint.tunnels


def test_call_closed_from_either_side():
    for side in (0, 1):
        world, net, a, b = pair()
        tunnel = a.endpoint.open(LNS, options(), world.now)
        tunnel.incoming_call(world.now)
        world.run(5000, lambda b=b: bool(b.sessions))
        owners = (a, b)
        owners[side].sessions[0].close(Fault("lcp", "over"), world.now)
        world.run(1000)
        assert owners[0].seen[-1] == owners[1].seen[-1] == "call-down"
        assert owners[1 - side].faults[0].cause == "call cleared by the peer"
        assert tunnel.state == ESTABLISHED and not tunnel.sessions
        assert tunnel.incoming_call(world.now) is not None  # the tunnel serves the next call
        assert world.run(5000, lambda b=b: len(b.sessions) == 2)


def test_outgoing_call():
    world, net, a, b = pair()
    a.endpoint.open(LNS, options(bearer=2), world.now)
    world.run(1000)
    (tunnel,) = b.endpoint.tunnels.values()
    assert tunnel.outgoing_call(world.now, framing=4) is None  # it cannot do that framing
    asked = tunnel.outgoing_call(world.now, called=b"*99#", maximum_bps=64000)
    world.run(1000)
    (session,) = [s for t in a.endpoint.tunnels.values() for s in t.sessions.values()]
    assert session.called == b"*99#" and session.maximum_bps == 64000
    session.tx_speed = 33600
    session.connected(world.now)
    world.run(1000)
    assert asked.state == ESTABLISHED and asked.tx_speed == 33600
    assert [n for n in names(net.trace) if "OC" in n] == ["<OCRQ", ">OCRP", ">OCCN"]


def test_no_outgoing_call_to_a_lac_that_places_none():
    world, net, a, b = pair()
    a.endpoint.open(LNS, options(), world.now)
    world.run(1000)
    (tunnel,) = b.endpoint.tunnels.values()
    assert tunnel.outgoing_call(world.now, called=b"1") is None and not tunnel.sessions


def test_the_lac_follows_the_lns_in_the_use_of_sequence_numbers():
    world, net, a, b = pair()
    a.endpoint.open(LNS, options(), world.now).incoming_call(world.now)
    world.run(5000, lambda: bool(b.sessions))
    lac, lns = a.sessions[0], b.sessions[0]

    def use(session):
        buf, start, end = frame(b"\xff\x03\x00\x21x")
        session.carry(buf, start, end, world.now)
        flags = net.trace[-1][3][0]
        world.run(50)
        return bool(flags & 0x08)

    assert not use(lns) and not use(lac)
    lns._set_sequencing(True)
    assert use(lns) and use(lac)
    lns._set_sequencing(False)
    assert not use(lns) and not use(lac)


def test_tie_breaker_leaves_one_tunnel():
    world, net, a, b = pair(delay=50)
    a.endpoint.accept = options()
    a.endpoint.open(LNS, options(tie_breaker=True), world.now)
    b.endpoint.open(LAC, options(tie_breaker=True), world.now)
    world.run(5000)
    up = [t for t in list(a.endpoint.tunnels.values()) + list(b.endpoint.tunnels.values()) if t.state == ESTABLISHED]
    assert len(up) == 2  # the two ends of one tunnel
    assert up[0].peer_tid == up[1].tid


def test_answer_from_another_port_is_followed_once():
    world, net, a, b = pair()
    other = ("10.0.0.2", 5555)
    b.endpoint.carrier.addr = other
    net._hosts[other] = b.endpoint
    tunnel = a.endpoint.open(LNS, options(), world.now)
    tunnel.incoming_call(world.now)
    assert world.run(5000, lambda: bool(b.sessions))
    assert tunnel.addr == other and a.endpoint.carrier.settled == other
    b.endpoint.carrier.addr = ("10.0.0.66", 1701)
    buf, start, end = frame(b"\xff\x03\x00\x21x")
    b.sessions[0].carry(buf, start, end, world.now)
    world.run(1000)
    assert a.endpoint.drops["data from a wrong address"] == 1


def test_loss_repetition_reordering():
    for seed in range(12):
        world, net, a, b = pair(seed, delay=40, loss=30, repeat=20, reorder=30)
        a.endpoint.open(LNS, options(max_retries=9), world.now).incoming_call(world.now)
        assert world.run(200_000, lambda a=a, b=b: bool(b.sessions and a.sessions)), seed
        assert len(b.sessions) == len(a.sessions) == 1


def test_hello_is_a_message_and_zlb_is_not_answered():
    world, net, a, b = pair()
    a.endpoint.open(LNS, options(), world.now)
    world.run(2000)
    (tunnel,) = b.endpoint.tunnels.values()
    mark = len(net.trace)
    tunnel.channel.queue(0, avp.Writer(HELLO).buf)
    tunnel.flush(world.now)
    world.run(5000)
    assert names(net.trace[mark:]) == ["<HELLO", ">ZLB"]


def test_data_behind_the_connect_message_in_one_batch_is_not_lost():
    world, net, a, b = pair()
    b.endpoint._settle = b.take
    a.endpoint.open(LNS, options(), world.now).incoming_call(world.now)
    world.run(5000, lambda: bool(a.sessions))
    buf, start, end = frame(b"\xff\x03\xc0\x21early")
    a.sessions[0].carry(buf, start, end, world.now)
    batch = [data for _, source, _, data in net.trace if source == LAC][-2:]
    for data in batch:  # both are there when the socket is read
        b.endpoint.receive(bytearray(data), 0, len(data), LAC, world.now)
    assert b.sessions[0].joined.frames == [b"\xff\x03\xc0\x21early"]


def test_a_tunnel_that_is_gone_sends_nothing_and_has_no_deadline():
    # The peer is silent: the time for closing ends before the StopCCN has been repeated as often as it might be.
    world, net, a, b = pair()
    tunnel = a.endpoint.open(("10.0.0.9", 1701), options(), world.now)
    world.run(100)
    tunnel.close(Fault("tunnel", "not wanted any more"), world.now)
    assert world.run(20_000, lambda: tunnel.state == GONE)
    assert tunnel.poll_at() is None and tunnel.armed is None and a.endpoint.poll_at() is None
    sent = len(net.trace)
    world.run(60_000)
    assert len(net.trace) == sent, names(net.trace)[sent:]
