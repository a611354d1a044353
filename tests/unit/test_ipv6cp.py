# heap: 192K
"""IPV6CP: identifiers chosen, suggested, in conflict; IPv6 through the link."""

from pppwire import Pair, Peer, server

from laclet.ppp.automaton import OPENED, STOPPED
from laclet.ppp.ipv6cp import Ipv6cp, link_local
from laclet.wire import ppp

OURS = b"\x02\x11\x22\xff\xfe\x33\x44\x55"
THEIRS = b"\0\0\0\0\0\0\0\x09"
OPTION = b"\x01\x0a"


def pair(a=None, b=None):
    p = Pair({}, server())
    for side, identifier in ((p.a, a), (p.b, b)):
        side.link.add_ncp(Ipv6cp(side.link, identifier))
    return p


def open6(p):
    return all(side.link.ncps[1].state == OPENED for side in (p.a, p.b))


def test_both_families_come_up_and_carry_packets():
    p = pair(OURS)
    assert p.run(5000, lambda: p.a.ups == 2 and p.b.ups == 2)
    a, b = p.a.link.ncps[1], p.b.link.ncps[1]
    assert a.settings()["local"] == b.settings()["remote"] == link_local(OURS)
    assert a.settings()["remote"] == b.settings()["local"] != link_local(OURS)
    assert a.settings()["mtu"] == 1500 and a.settings()["family"] == 6
    for packet in (b"\x60" + bytes(50), b"\x45" + bytes(30)):
        buf = bytearray(80) + packet
        p.a.link.send_ip(buf, 80, len(buf), p.world.now)
    p.run(100)
    assert p.b.link.above.packets == [b"\x60" + bytes(50), b"\x45" + bytes(30)]


def test_a_random_identifier_is_local_and_lasts():
    p = pair()
    assert p.run(5000, lambda: open6(p))
    first = p.a.link.ncps[1].interface.ours
    assert first[0] & 2 == 0 and first != bytes(8)
    p.a.link.lower_down(p.world.now)
    p.b.link.lower_down(p.world.now)
    p.a.link.lower_up(p.world.now)
    p.b.link.lower_up(p.world.now)
    assert p.run(9000, lambda: open6(p))
    assert p.a.link.ncps[1].interface.ours == first


def test_equal_identifiers_diverge():
    p = pair(OURS, OURS)
    assert p.run(9000, lambda: open6(p))
    a, b = p.a.link.ncps[1].interface, p.b.link.ncps[1].interface
    assert a.ours == b.peers and b.ours == a.peers and a.ours != b.ours


def test_a_peer_that_knows_no_ipv6_keeps_ipv4():
    p = Pair({}, server())
    p.a.link.add_ncp(Ipv6cp(p.a.link))
    assert p.run(9000, p.up)
    p.run(9000)
    assert p.a.link.ncps[1].state == STOPPED and p.a.faults == []


def lonely(identifier=OURS):
    """A link whose IPV6CP speaks, the test being the peer: (peer, identifier of its request)."""
    peer = Peer(address=b"\x0a\0\0\1", peer_address=b"\x0a\0\0\2")
    peer.link.add_ncp(Ipv6cp(peer.link, identifier))
    peer.open_lcp()
    sent = [packet for packet in peer.take() if packet[:2] == (ppp.IPV6CP, ppp.CONFIGURE_REQUEST)]
    assert sent[0][3] == OPTION + identifier
    return peer, sent[0][2]


def answers(peer):
    return [packet[1:] for packet in peer.take() if packet[0] == ppp.IPV6CP]


def test_a_peer_without_an_identifier_is_given_one():
    peer, _ = lonely()
    suggestions = []
    for value in (bytes(8), OURS, b"\1\2\3", b""):
        peer.say(ppp.IPV6CP, ppp.CONFIGURE_REQUEST, 1, bytes((1, 2 + len(value))) + value)
        code, _, data = answers(peer)[0]
        assert code == ppp.CONFIGURE_NAK and len(data) == 10
        suggestions.append(data[2:])
    assert suggestions.count(suggestions[0]) == 4 and suggestions[0] not in (OURS, bytes(8))
    assert suggestions[0][0] & 2 == 0
    peer.say(ppp.IPV6CP, ppp.CONFIGURE_REQUEST, 2, OPTION + suggestions[0])
    assert answers(peer)[0][0] == ppp.CONFIGURE_ACK


def test_a_peer_that_does_not_ask_is_asked_once_and_left_without():
    peer, request = lonely()
    peer.say(ppp.IPV6CP, ppp.CONFIGURE_REQUEST, 1)
    assert answers(peer)[0][0] == ppp.CONFIGURE_NAK
    peer.say(ppp.IPV6CP, ppp.CONFIGURE_REQUEST, 2)
    assert answers(peer)[0][0] == ppp.CONFIGURE_ACK
    peer.say(ppp.IPV6CP, ppp.CONFIGURE_ACK, request, OPTION + OURS)
    assert answers(peer)[0][0] == ppp.TERMINATE_REQUEST
    assert peer.link.fault is None and "no interface identifiers" in str(peer.link.ncps[1].why)


def test_a_rejected_identifier_is_asked_no_more():
    peer, request = lonely()
    peer.say(ppp.IPV6CP, ppp.CONFIGURE_REJECT, request, OPTION + OURS)
    code, request, data = answers(peer)[0]
    assert (code, data) == (ppp.CONFIGURE_REQUEST, b"")
    peer.say(ppp.IPV6CP, ppp.CONFIGURE_REQUEST, 1, OPTION + THEIRS)
    peer.say(ppp.IPV6CP, ppp.CONFIGURE_ACK, request, b"")
    assert [code for code, _, _ in answers(peer)] == [ppp.CONFIGURE_ACK, ppp.TERMINATE_REQUEST]


def test_a_nak_is_followed_unless_it_is_our_own_suggestion():
    peer, request = lonely()
    peer.say(ppp.IPV6CP, ppp.CONFIGURE_NAK, request, OPTION + THEIRS)
    _, request, data = answers(peer)[0]
    assert data == OPTION + THEIRS
    peer.say(ppp.IPV6CP, ppp.CONFIGURE_REQUEST, 1, OPTION + THEIRS)
    _, _, suggestion = answers(peer)[0]
    for wrong in (suggestion, OPTION + bytes(8), b"\x01\x03\x07"):
        peer.say(ppp.IPV6CP, ppp.CONFIGURE_NAK, request, wrong)
        _, request, data = answers(peer)[0]
        assert len(data) == 10 and data not in (suggestion, OPTION + bytes(8))
