# heap: 192K
"""CCP and MPPE on a link: strengths, both modes, nothing in clear."""

from ccppair import IP4, IP6, ccp, encrypted, pair, send
from pppspoil import Spoiler, control, deliver, packets
from pppwire import CLIENT, Pair, secrets, server

from laclet.ppp.automaton import REQ_SENT
from laclet.ppp.ccp import Ccp
from laclet.ppp.ipv6cp import Ipv6cp
from laclet.wire import ppp


def data_frames(side):
    return [frame for _, frame in side.link.joined.frames if frame[0] == 0]


def test_every_method_with_keys_encrypts_both_ways():
    for method in ("mschap", "mschap-v2"):  # EAP's keys: test_eap
        p = pair({}, {}, method)
        assert encrypted(p), method
        assert p.a.link.mtu == p.b.link.mtu == 1496
        for side in (p.a, p.b):
            for _ in range(3):
                assert send(p, side, IP4) == [IP4]
            frames = data_frames(side)
            assert len(frames) == 3
            for n, frame in enumerate(frames):
                assert frame[:4] == bytes((0, 0xFD, 0x90, n)) and len(frame) == len(IP4) + 6
                assert IP4[:8] not in frame


def meet(p, value):
    assert encrypted(p)
    for side in (p.a, p.b):
        assert ccp(side).mppe.ours == ccp(side).mppe.peers == value
        assert send(p, side, IP4) == [IP4]


def test_strengths_and_modes_meet():
    every = (128, 56, 40)
    for a, b, value in (
        ({"strengths": every}, {"strengths": every}, b"\x01\0\0\x40"),
        ({"strengths": every}, {"strengths": (56, 40)}, b"\x01\0\0\x80"),
        ({"strengths": (40,)}, {"strengths": every}, b"\x01\0\0\x20"),
        ({"stateful": True}, {}, b"\x01\0\0\x40"),
        ({"stateful": True}, {"stateful": True}, b"\x01\0\0\x40"),  # both want stateless: RFC 3078 §9
    ):
        meet(pair(a, b), value)


def test_nothing_passes_in_clear_when_encryption_is_required():
    p = pair({}, {})
    Spoiler(p.b, lambda frame: None if frame[:2] == b"\x80\xfd" else frame)  # CCP never completes
    assert p.run(1000, p.up)
    assert send(p, p.a, IP4) == [] and data_frames(p.a) == []
    assert p.a.link.drops["network packet before encryption"] == 1
    deliver(p.a, b"\x00\x21" + IP4, p.world.now)
    deliver(p.a, b"\x00\xfd\x90\x00" + IP4, p.world.now)
    assert p.a.link.above.packets == []
    assert p.a.link.drops["network packet in clear"] == 1
    assert p.a.link.drops["encrypted packet before CCP is open"] == 1
    assert p.run(60000, p.failed)
    assert p.b.faults[0].layer == "ccp"


def test_clear_packets_are_refused_while_encryption_runs():
    p = pair({"required": False}, {"required": False})
    assert encrypted(p)
    deliver(p.b, b"\x00\x21" + IP4, p.world.now)
    assert p.b.link.above.packets == []
    assert p.b.link.drops["network packet in clear"] == 1


def test_encryption_that_is_not_required_may_fail():
    for a, b in (
        ({"required": False}, None),
        (None, {"required": False}),
        ({"required": False}, {"strengths": (40,), "required": False}),
    ):
        p = pair(a, b)
        assert p.run(9000, p.up)
        p.run(9000)
        assert p.a.faults == [] and send(p, p.a, IP4) == [IP4] and send(p, p.b, IP4) == [IP4]
        assert data_frames(p.a)[-1][:2] == b"\x00\x21"


def test_a_peer_without_it_ends_the_link_when_it_is_required():
    p = pair({}, None)
    assert p.run(9000, p.failed)
    assert str(p.a.faults[0]) == "ccp: the peer does not speak this protocol"


def test_strengths_that_do_not_meet_end_the_link():
    p = pair({}, {"strengths": (40,)})
    assert p.run(9000, p.failed)
    assert "does not encrypt with the key lengths required" in str(p.a.faults[0]) + str(p.b.faults[0])


def test_an_authentication_without_keys():
    for required in (True, False):
        p = pair({"required": required}, {"required": False}, "chap")
        if required:
            assert p.run(9000, p.failed)
            assert str(p.a.faults[0]).startswith("ccp: encryption is required, but the authentication brings no keys")
        else:
            assert p.run(9000, p.up)
            assert send(p, p.a, IP4) == [IP4] and data_frames(p.a)[0][:2] == b"\x00\x21"


def test_the_callers_keys_count_when_both_prove_themselves():
    p = Pair(
        dict(CLIENT, auth=("mschap-v2",), demand=("mschap",), secret_of=secrets(lns="other")),
        dict(server("mschap-v2"), auth=("mschap",), username=b"lns", password=b"other"),
    )
    for side in (p.a, p.b):
        side.link.add_ncp(Ccp(side.link))
    assert encrypted(p)
    assert send(p, p.a, IP4) == [IP4] and send(p, p.b, IP4) == [IP4]
    assert ccp(p.a)._sender._start != ccp(p.a)._receiver._start  # version 2's


def test_ipv6_is_encrypted_too():
    p = pair({}, {})
    for side in (p.a, p.b):
        side.link.add_ncp(Ipv6cp(side.link))
    assert encrypted(p) and p.run(9000, lambda: p.a.ups == p.b.ups == 2)
    assert send(p, p.b, IP6) == [IP6] and send(p, p.a, IP4) == [IP4]
    assert all(frame[:2] == b"\x00\xfd" for frame in data_frames(p.a) + data_frames(p.b))


def test_a_peer_that_ends_the_encryption_ends_the_link():
    p = pair({}, {})
    assert encrypted(p)
    deliver(p.a, control(ppp.CCP, ppp.TERMINATE_REQUEST, 9, b""), p.world.now)
    assert send(p, p.a, IP4) == []
    assert p.run(9000, lambda: p.a.faults)
    assert p.a.faults[0].layer == "ccp"


def test_renegotiation_begins_with_the_first_keys():
    p = pair({}, {})
    assert encrypted(p)
    for _ in range(5):
        send(p, p.a, IP4)
    request = packets(p.b, ppp.CCP, ppp.CONFIGURE_REQUEST)[0][1]
    p.run(11000)  # past the time in which it would be a copy
    deliver(p.a, control(ppp.CCP, ppp.CONFIGURE_REQUEST, 77, request), p.world.now)
    assert ccp(p.a).state >= REQ_SENT
    assert encrypted(p)
    assert send(p, p.a, IP4) == [IP4] and data_frames(p.a)[-1][2:4] == b"\x90\x00"


def test_keys_out_of_step_end_the_link():
    p = pair({}, {})
    assert encrypted(p)
    ccp(p.a)._sender._key = bytearray(16)
    for _ in range(70):
        send(p, p.a, IP4)
    assert p.run(9000, p.failed)
    assert str(p.b.faults[0]) == "ccp: packets no longer decrypt: the keys are out of step"


def test_malformed_options_are_answered():
    p = pair({}, {})
    assert encrypted(p)
    option = ccp(p.a).mppe
    want = b"\x01\0\0\x40"
    for value in (
        b"",
        b"\x01\0\0",
        b"\x01\0\0\x40\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x40",
        b"\x01\0\0\x41",
        b"\x01\0\0\0",
    ):
        assert option.judge(value, 0) == want
    assert option.judge(want, 0) == want
    for value in (b"", b"\x01\0\0", b"\x01\0\0\x40\0"):
        option.naked(value, 0)
        assert option.ours == want
    option.naked(b"\0\0\0\x60", 0)  # stateful is not allowed: asked again as we want it
    assert option.ours == want
