"""PAP and CHAP against a peer that the test plays: refused, repeated, reflected, malformed."""

from pppwire import BOB, CLIENT, Peer, server

from laclet.crypto.hashes import md5
from laclet.ppp.auth.role import PATIENCE
from laclet.wire import ppp

WANT_PAP = b"\x03\x04\xc0\x23"
WANT_CHAP = b"\x03\x05\xc2\x23\x05"
WANT_EAP = b"\x03\x04\xc2\x27"
REQUEST, ACK, NAK, REJECT = ppp.CONFIGURE_REQUEST, ppp.CONFIGURE_ACK, ppp.CONFIGURE_NAK, ppp.CONFIGURE_REJECT


def test_a_stubborn_peer_is_refused_with_a_name():
    peer = Peer(auth=("chap",), **CLIENT)
    for identifier in range(1, 3):
        peer.take()
        peer.say(ppp.LCP, REQUEST, identifier, WANT_EAP)
        peer.say(ppp.LCP, REQUEST, identifier, WANT_EAP)  # a copy does not count
        assert peer.take()[-1] == (ppp.LCP, NAK, identifier, WANT_CHAP)
        assert peer.link.fault is None
    peer.say(ppp.LCP, REQUEST, 3, WANT_EAP)
    assert peer.take()[-1][1] == ppp.TERMINATE_REQUEST
    peer.say(ppp.LCP, ppp.TERMINATE_ACK, 1)
    assert peer.fault().cause == "the peer demands EAP, allowed: chap"


def test_without_any_method_the_option_is_rejected():
    peer = Peer(auth=())
    peer.take()
    peer.say(ppp.LCP, REQUEST, 1, WANT_PAP)
    assert peer.take()[-1] == (ppp.LCP, REJECT, 1, WANT_PAP)
    peer.say(ppp.LCP, ppp.TERMINATE_REQUEST, 2, b"peer refused to authenticate")
    peer.say(ppp.LCP, ppp.TERMINATE_ACK, 1)
    assert peer.fault().cause == "the peer demands PAP, allowed: none"


def test_a_peer_that_opens_without_and_closes_is_understood():
    """pppd stops demanding what we refuse, and hangs up as soon as LCP is open."""
    peer = Peer(auth=("chap",), **CLIENT)
    _, _, identifier, data = peer.take()[0]
    peer.say(ppp.LCP, REQUEST, 1, WANT_PAP)
    peer.say(ppp.LCP, ACK, identifier, data)
    peer.say(ppp.LCP, REQUEST, 2, b"")
    assert peer.link.phase() == "Network"
    peer.say(ppp.LCP, ppp.TERMINATE_REQUEST, 3, b"peer refused to authenticate")
    peer.wait(3000)
    told = "auth: the peer demands PAP, allowed: chap; the peer said: peer refused to authenticate"
    assert str(peer.fault()).startswith(told)


def test_the_peer_will_not_prove_itself():
    peer = Peer(**server("chap"))
    _, _, identifier, _ = peer.take()[0]
    peer.say(ppp.LCP, REJECT, identifier, WANT_CHAP)
    peer.say(ppp.LCP, ppp.TERMINATE_ACK, 1)
    assert str(peer.fault()) == "auth: the peer shall authenticate by chap, but will not"


def test_the_next_method_is_demanded_when_one_is_refused():
    peer = Peer(**server("chap", "pap"))
    _, _, identifier, _ = peer.take()[0]
    peer.say(ppp.LCP, NAK, identifier, WANT_EAP)  # neither of ours
    _, _, identifier, data = peer.take()[0]
    assert data[:4] == WANT_PAP
    peer.say(ppp.LCP, NAK, identifier, b"\x03\x04\xc0\x27")
    peer.say(ppp.LCP, ppp.TERMINATE_ACK, 1)
    assert str(peer.fault()) == "auth: the peer shall authenticate by chap pap, but would rather use 0xc027"


def test_the_peer_rejects_the_protocol_it_agreed_to():
    peer, sent = client("pap")
    peer.say(ppp.LCP, ppp.PROTOCOL_REJECT, 1, b"\xc0\x23\x01\x01")
    peer.say(ppp.LCP, ppp.TERMINATE_ACK, 1)
    assert str(peer.fault()) == "auth: the peer does not speak the protocol it agreed to"


def test_a_peer_that_skips_authentication_gets_nothing():
    peer = Peer(**server("chap"))
    peer.open_lcp()
    peer.take()
    peer.say(ppp.IPCP, REQUEST, 1, b"\x03\x06" + BOB)
    peer.say(ppp.CHAP, 3, 1, b"")  # a Success that it has no right to
    assert peer.take() == [] and peer.link.phase() == "Authenticate"
    assert peer.link.drops == {"network frame before authentication": 1, "authentication packet unasked for": 1}
    peer.say(ppp.PAP, 1, 1, b"\x03bob\x07builder")  # not what was agreed
    assert peer.take()[-1][1] == ppp.PROTOCOL_REJECT


def test_silence_is_named():
    for options, ask, cause in (
        (server("pap"), b"", "the peer sent no PAP Authenticate-Request"),
        (server("chap"), b"", "no answer to the CHAP Challenge"),
        (CLIENT, WANT_PAP, "no answer to the PAP Authenticate-Request"),
        (CLIENT, WANT_CHAP, "no Challenge from the peer"),
    ):
        peer = Peer(**options)
        peer.open_lcp(ask)
        for _ in range(12):
            peer.wait(PATIENCE // 10)
        peer.say(ppp.LCP, ppp.TERMINATE_ACK, 1)
        assert peer.fault().cause == cause


def client(method):
    """A peer up to the point where credentials were sent; with the packets sent there."""
    peer = Peer(**CLIENT)
    peer.open_lcp(WANT_PAP if method == "pap" else WANT_CHAP)
    if method == "chap":
        peer.take()
        peer.say(ppp.CHAP, 1, 9, b"\x04abcdlns")
    return peer, [packet for packet in peer.take() if packet[0] != ppp.LCP]


def test_credentials_and_the_first_network_request_fly_together():
    for method, code in (("pap", 1), ("chap", 2)):
        peer, sent = client(method)
        assert [packet[1] for packet in sent] == [code, REQUEST] and sent[1][0] == ppp.IPCP
        assert peer.link.phase() == "Authenticate"
        peer.say(ppp.LCP, ppp.PROTOCOL_REJECT, 1, b"\x80\x21" + bytes(4))  # too early for some: no reason to give up
        peer.say(sent[0][0], 2 if method == "pap" else 3, sent[0][2], b"\0")
        again = peer.take()
        assert again == [sent[1]]  # repeated at once
        peer.wait(299)
        assert peer.take() == []
        peer.wait(1)
        assert peer.take() == [sent[1]]
        peer.say(ppp.LCP, ppp.PROTOCOL_REJECT, 2, b"\x80\x21" + bytes(4))  # may still mean the early one
        assert peer.link.fault is None
        peer.say(ppp.LCP, ppp.PROTOCOL_REJECT, 3, b"\x80\x21" + bytes(4))
        assert peer.link.fault.layer == "ipcp"


def test_the_chap_response_is_right_and_repeated():
    peer, sent = client("chap")
    digest = md5(b"\x09builderabcd")
    assert sent[0] == (ppp.CHAP, 2, 9, b"\x10" + digest + b"bob")
    peer.wait(300)
    assert peer.take() == [sent[0]]  # a lost Success would leave us waiting


def test_stale_answers_are_dropped():
    for method in ("pap", "chap"):
        peer, sent = client(method)
        for code in (2, 3, 4):
            peer.say(sent[0][0], code, sent[0][2] + 1, b"\0")
        assert peer.link.phase() == "Authenticate" and peer.link.drops["stale answer"] == 2


def test_a_new_challenge_at_any_time():
    peer, sent = client("chap")
    peer.say(ppp.CHAP, 3, 9)
    assert peer.link.phase() == "Network"
    peer.take()
    peer.say(ppp.CHAP, 1, 10, b"\x02xylns")
    assert peer.take() == [(ppp.CHAP, 2, 10, b"\x10" + md5(b"\x0abuilderxy") + b"bob")]
    assert peer.link.phase() == "Network"
    peer.say(ppp.CHAP, 4, 10, b"expired")
    peer.say(ppp.LCP, ppp.TERMINATE_ACK, 1)
    assert peer.fault().said == "expired"


def test_repeated_credentials_hear_the_same_again():
    peer = Peer(**server("pap"))
    peer.open_lcp()
    peer.take()
    for _ in range(2):
        peer.say(ppp.PAP, 1, 4, b"\x03bob\x07builder")
        assert peer.take()[0] == (ppp.PAP, 2, 4, b"\0")
    peer = Peer(**server("chap"))
    peer.open_lcp()
    _, _, identifier, value = peer.take()[-1]
    response = md5(bytes((identifier,)) + b"builder" + value[1:17])
    for _ in range(2):
        peer.say(ppp.CHAP, 2, identifier, b"\x10" + response + b"bob")
        assert peer.take()[0] == (ppp.CHAP, 3, identifier, b"welcome")
    peer.say(ppp.CHAP, 2, identifier + 1, b"\x10" + response + b"bob")
    assert peer.take() == [] and peer.link.drops == {"stale answer": 1}


def test_our_own_challenge_is_not_answered():
    both = dict(server("chap"), **CLIENT)
    peer = Peer(**both)
    peer.open_lcp(WANT_CHAP)
    challenge = peer.take()[-1]
    assert challenge[:2] == (ppp.CHAP, 1)
    peer.say(ppp.CHAP, 1, challenge[2], challenge[3])
    assert peer.take() == [] and peer.link.drops == {"our own CHAP challenge reflected": 1}


def test_strings_beyond_the_packet():
    peer = Peer(**server("pap"))
    peer.open_lcp()
    peer.take()
    for data in (b"", b"\x03", b"\x03bo", b"\x03bob", b"\x03bob\x08builder", b"\xffbob\x07builder"):
        peer.say(ppp.PAP, 1, 1, data)
    assert peer.take() == [] and peer.link.drops == {"PAP string beyond the packet": 6}
    peer = Peer(**CLIENT)
    peer.open_lcp(WANT_CHAP)
    peer.take()
    for data in (b"", b"\x00lns", b"\x05abcd"):
        peer.say(ppp.CHAP, 1, 1, data)
    assert peer.take() == [] and peer.link.drops == {"CHAP challenge of no length or beyond the packet": 3}
    peer = Peer(**server("chap"))
    peer.open_lcp()
    _, _, identifier, _ = peer.take()[-1]
    for data in (b"", b"\x10abc", b"\xff"):
        peer.say(ppp.CHAP, 2, identifier, data)
    assert peer.take() == [] and peer.link.drops == {"CHAP response beyond the packet": 3}
