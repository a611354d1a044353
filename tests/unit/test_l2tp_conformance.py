"""What RFC 2661 demands of every control message we send: header bits, M and H bits, order, AVPs that must be there."""

from laclet.fault import Fault
from laclet.l2tp.endpoint import Endpoint
from laclet.l2tp.tunnel import TunnelOptions
from laclet.wire import avp
from laclet.wire.l2tp import message_name
from sim.net import Network, World

LAC = ("10.0.0.1", 40000)
LNS = ("10.0.0.2", 1701)

# M bit of each AVP (§4.4): 1 except for these.
OPTIONAL = (5, 6, 8, 25, 26, 27, 28, 29, 30, 31, 32, 33, 37, 38, 46, 47, 48)
NEVER_HIDDEN = (0, 1, 2, 5, 7, 10, 12, 36, 39)
# AVPs that must be present (§6.1 to §6.14), beside the Message Type.
REQUIRED = {
    "SCCRQ": (2, 7, 3, 9),
    "SCCRP": (2, 3, 7, 9),
    "SCCCN": (),
    "StopCCN": (9, 1),
    "HELLO": (),
    "ICRQ": (14, 15),
    "ICRP": (14,),
    "ICCN": (24, 19),
    "OCRQ": (14, 15, 16, 17, 18, 19, 21),
    "OCRP": (14,),
    "OCCN": (24, 19),
    "CDN": (1, 14),
    "SLI": (35,),
}


def avps_of(data):
    """[(type, M, H, reserved bits, value)] of a control message, read without our parser."""
    out = []
    at = 12
    while at < len(data):
        size = (data[at] & 3) << 8 | data[at + 1]
        kind = data[at + 4] << 8 | data[at + 5]
        out.append((kind, data[at] >> 7, data[at] >> 6 & 1, data[at] & 0x3C, bytes(data[at + 6 : at + size])))
        at += size
    return out


def every_message(hide):
    """(sender, header, AVPs) of all control messages of a long day: both kinds of calls, HELLO, SLI, CDN, StopCCN."""
    world = World(5)
    net = Network(world)
    net.trace = []
    options = TunnelOptions("host", b"s3cret", hello_interval=5000)
    options.hide = hide
    options.bearer = 3
    options.tie_breaker = True
    ends = [net.attach(Endpoint(world.random.bytes, options), addr) for addr in (LAC, LNS)]
    sessions = []

    def take(end):
        def after(now):
            event = end.next_event()
            while event is not None:
                if event[0] == "call-offered":
                    event[1].accept(now)
                    event[1].connected(now)
                elif event[0] == "call-up":
                    sessions.append(event[1])
                event = end.next_event()

        return after

    for end in ends:
        world.add(end, take(end))
    tunnel = ends[0].open(LNS, options, world.now)
    about = {"called": b"1", "calling": b"2", "sub_address": b"3", "physical": 7, "private_group": b"g"}
    tunnel.incoming_call(world.now, tx_speed=33600, rx_speed=28800, **about)
    world.run(1000)
    (peer,) = ends[1].tunnels.values()
    assert peer.outgoing_call(world.now, called=b"*99#") is not None
    world.run(12_000)
    assert len(sessions) == 4
    sessions[1].set_line(0, 0xFFFFFFFF, world.now)
    sessions[0].close(Fault("lcp", "over"), world.now)
    world.run(1000)
    peer.close(Fault("tunnel", "over"), world.now)
    world.run(1000)
    return [(source, data[:12], avps_of(data)) for _, source, _, data in net.trace if data[0] & 0x80]


def name_of(avps):
    return message_name(avps[0][4][0] << 8 | avps[0][4][1]) if avps else "ZLB"


def test_every_message_was_seen():
    assert {name_of(avps) for _, _, avps in every_message(False)} == set(REQUIRED) | {"ZLB"}


def test_headers():
    first = {LAC: True, LNS: True}
    for source, header, avps in every_message(False):
        assert header[0] == 0xC8 and header[1] == 2, "T, L, S set; O, P and reserved bits clear; version 2"
        ids = (header[4] << 8 | header[5], header[6] << 8 | header[7])
        name = name_of(avps)
        if name == "SCCRQ":
            assert ids == (0, 0)
        else:
            assert ids[0] != 0
        if name in ("SCCRQ", "SCCRP", "SCCCN", "HELLO", "StopCCN", "ICRQ", "OCRQ"):
            assert ids[1] == 0
        elif name not in ("ZLB", "CDN"):
            assert ids[1] != 0
        if first[source] and avps:
            assert header[8:10] == b"\0\0", "Ns begins at 0"
            first[source] = False


def test_message_type_comes_first_and_is_mandatory():
    for _, _, avps in every_message(True):
        if avps:
            assert avps[0][:4] == (0, 1, 0, 0)
            assert [a[0] for a in avps].count(0) == 1


def test_m_bits_and_reserved_bits():
    for hide in (False, True):
        for _, _, avps in every_message(hide):
            for kind, m, _, reserved, _ in avps:
                assert reserved == 0
                assert m == (0 if kind in OPTIONAL else 1), kind


def test_hidden_bits_and_the_random_vector_before_them():
    hidden = 0
    for _, _, avps in every_message(True):
        kinds = [a[0] for a in avps]
        for i, (kind, _, h, _, _) in enumerate(avps):
            if h:
                hidden += 1
                assert kind not in NEVER_HIDDEN
                assert avp.RANDOM_VECTOR in kinds[:i]
    assert hidden > 20
    for _, _, avps in every_message(False):
        assert not [a for a in avps if a[2]], "without hiding configured nothing is hidden"


def test_required_avps():
    for _, _, avps in every_message(False):
        kinds = [a[0] for a in avps]
        for kind in REQUIRED.get(name_of(avps), ()):
            assert kind in kinds, (name_of(avps), kind)


def test_lengths_of_fixed_size_avps():
    sizes = {2: 2, 3: 4, 4: 4, 5: 8, 6: 2, 9: 2, 10: 2, 14: 2, 15: 4, 16: 4, 17: 4, 18: 4, 19: 4, 24: 4, 25: 4, 35: 10}
    for _, _, avps in every_message(False):
        for kind, _, _, _, value in avps:
            assert len(value) == sizes.get(kind, len(value)), kind


def test_a_call_id_is_never_zero_and_challenge_responses_answer_challenges():
    seen = {}
    for source, _, avps in every_message(False):
        for kind, _, _, _, value in avps:
            if kind in (9, 14):
                assert value != b"\0\0"
        seen.setdefault((source, name_of(avps)), avps)
    for source, name in ((LNS, "SCCRP"), (LAC, "SCCCN")):
        assert 13 in [a[0] for a in seen[source, name]]


def test_without_an_assigned_session_id_a_cdn_goes_to_session_zero():
    world = World(5)
    net = Network(world)
    net.trace = []
    lac = net.attach(Endpoint(world.random.bytes), LAC)
    net.attach(Endpoint(world.random.bytes, TunnelOptions("lns")), LNS)
    world.add(lac)
    for end in net._hosts.values():
        if end is not lac:
            world.add(end)
    session = lac.open(LNS, TunnelOptions("lac"), world.now).incoming_call(world.now)
    world.run(1000)  # nobody takes the call
    session.close(Fault("session", "enough"), world.now)
    data = [d for _, source, _, d in net.trace if source == LAC and len(d) > 12][-1]
    assert name_of(avps_of(data)) == "CDN" and data[6:8] == b"\0\0"
    assert (14, 1, 0, 0, bytes((session.sid >> 8, session.sid & 255))) in avps_of(data)


def test_an_unknown_mandatory_avp_ends_the_call_or_the_tunnel():
    for what in ("call", "tunnel"):
        world = World(5)
        net = Network(world)
        ends = [net.attach(Endpoint(world.random.bytes, TunnelOptions("h")), addr) for addr in (LAC, LNS)]
        events = []

        def after(now, ends=ends, events=events):
            for end in ends:
                event = end.next_event()
                while event is not None:
                    events.append(event[0])
                    if event[0] == "call-offered":
                        event[1].accept(now)
                    event = end.next_event()

        for end in ends:
            world.add(end, after)
        tunnel = ends[0].open(LNS, TunnelOptions("h"), world.now)
        session = tunnel.incoming_call(world.now)
        world.run(1000)
        writer = avp.Writer(16 if what == "call" else 3)
        writer.buf += b"\x80\x08\x00\x00\x03\xe7\x00\x00"
        if what == "call":
            writer.buf[19] = 10  # an ICRQ for a call that stands: it belongs to the session
            tunnel.queue(session, writer.buf)
        else:
            tunnel.channel.queue(0, writer.buf)
        tunnel.flush(world.now)
        world.run(1000)
        assert "call-down" in events
        assert ("tunnel-down" in events) == (what == "tunnel")
