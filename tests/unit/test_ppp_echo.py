"""LCP while it is open: echoes, a peer that is dead, other codes (RFC 1661 §5.8; RFC 1570)."""

from pppwire import Peer

from laclet.wire import ppp

REQUEST, ACK, NAK, REJECT = ppp.CONFIGURE_REQUEST, ppp.CONFIGURE_ACK, ppp.CONFIGURE_NAK, ppp.CONFIGURE_REJECT
MAGIC = b"\x05\x06wxyz"


def opened(**options):
    peer = Peer(**options)
    peer.open_lcp(MAGIC)
    peer.take()
    return peer


def test_echo():
    peer = opened()
    peer.say(ppp.LCP, ppp.ECHO_REQUEST, 7, b"wxyz" + bytes(1000), b"padding")
    assert peer.take() == [(ppp.LCP, ppp.ECHO_REPLY, 7, peer.link.lcp.magic.ours + bytes(1000))]
    for code in (ppp.ECHO_REQUEST, ppp.ECHO_REPLY, ppp.DISCARD_REQUEST):
        peer.say(ppp.LCP, code, 8, peer.link.lcp.magic.ours)
        peer.say(ppp.LCP, code, 9, b"abc")
    assert peer.take() == [] and peer.link.drops == {"Echo looped back": 2, "Echo without a magic number": 2}


def test_dead_peer():
    peer = opened(echo_interval=1000, echo_failure=3)
    for _ in range(3):
        peer.wait(1000)
        assert [sent[:2] for sent in peer.take() if sent[0] == ppp.LCP] == [(ppp.LCP, ppp.ECHO_REQUEST)]
    assert peer.link.fault is None
    peer.wait(1000)
    assert peer.take()[-1][1] == ppp.TERMINATE_REQUEST
    peer.say(ppp.LCP, ppp.TERMINATE_ACK, 1)
    assert str(peer.fault()) == "lcp: no answer to 3 LCP Echo-Requests (the peer or the way to it is dead)"


def test_any_frame_is_a_sign_of_life():
    peer = opened(echo_interval=1000, echo_failure=2)
    for i in range(10):
        peer.wait(1000)
        _, _, identifier, _ = next(sent for sent in peer.take() if sent[1] == ppp.ECHO_REQUEST)
        if i & 1:
            peer.say(ppp.LCP, ppp.ECHO_REPLY, identifier, b"wxyz")
        else:
            peer.say(ppp.IP, 0x45, 0, bytes(20))
    assert peer.link.fault is None and peer.link.lcp.state == 9


def test_the_round_trip_is_that_of_the_last_echo():
    peer = opened(echo_interval=1000)
    assert peer.link.status()["rtt"] is None
    peer.wait(1000)
    first = next(sent[2] for sent in peer.take() if sent[:2] == (ppp.LCP, ppp.ECHO_REQUEST))
    peer.wait(40)
    peer.say(ppp.LCP, ppp.ECHO_REPLY, first, b"wxyz")
    assert peer.link.status()["rtt"] == 40
    peer.say(ppp.LCP, ppp.ECHO_REPLY, first, b"wxyz")  # repeated on the way
    peer.wait(960)
    second = next(sent[2] for sent in peer.take() if sent[:2] == (ppp.LCP, ppp.ECHO_REQUEST))
    peer.say(ppp.LCP, ppp.ECHO_REPLY, first, b"wxyz")
    assert peer.link.status()["rtt"] == 40
    peer.wait(7)
    peer.say(ppp.LCP, ppp.ECHO_REPLY, second, b"wxyz")
    assert peer.link.status()["rtt"] == 7


def test_a_peer_without_echo_is_not_asked():
    peer = opened(echo_interval=1000)
    peer.say(ppp.LCP, ppp.CODE_REJECT, 1, b"\x09\x01\x00\x08\0\0\0\0")
    peer.wait(100000)
    assert not [sent for sent in peer.take() if sent[1] == ppp.ECHO_REQUEST]


def test_other_codes():
    peer = opened()
    peer.say(ppp.LCP, ppp.IDENTIFICATION, 1, b"wxyzLNS 3.1\x00")
    assert peer.link.status()["identification"] == "LNS 3.1."
    peer.say(ppp.LCP, ppp.IDENTIFICATION, 1, b"w")
    peer.say(ppp.LCP, ppp.PROTOCOL_REJECT, 1, b"\x80")
    peer.say(ppp.LCP, ppp.PROTOCOL_REJECT, 1, b"\x80\x57\x01\x01")
    assert peer.link.drops == {
        "Protocol-Reject of nothing": 1,
        "Protocol-Reject of a protocol we did not use": 1,
    }
    assert peer.take() == []
    peer.say(ppp.LCP, ppp.PROTOCOL_REJECT, 1, b"\xc0\x21\x01\x01")
    assert peer.take()[0][1] == ppp.TERMINATE_REQUEST
