# heap: 192K
"""EAP on a link: both sides, every type, Nak, and what is malformed."""

from pppspoil import Spoiler, packets
from pppwire import CLIENT, Pair, Peer, secrets, server

from laclet.ppp.auth.chap import chap_md5
from laclet.ppp.auth.eap import GTC, IDENTITY, MD5, MSCHAPV2, NAK, NOTIFICATION
from laclet.wire import ppp

EAP = b"\x03\x04\xc2\x27"
REQUEST, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4


def pair(a=("eap",), b=("eap",), **more):
    return Pair(dict(CLIENT, auth=a), dict(server(*b), **more))


def outcome(p):
    """Run until it is decided; the caller's fault as text, "" when it is up."""
    assert p.run(60000, p.decided)
    return "" if p.up() else str(p.a.faults[0])


def asked(p):
    """The types of the server's Requests, copies once."""
    found = []
    for identifier, data in packets(p.b, ppp.EAP, REQUEST):
        if (identifier, data[0]) not in found:
            found.append((identifier, data[0]))
    return [type for _, type in found]


def only(p, *types):
    """Let the server offer nothing else."""
    p.run(20, lambda: p.b.link.roles)
    p.b.link.roles[0]._left = list(types)


def test_mschapv2_comes_first_and_brings_keys():
    p = pair()
    assert outcome(p) == ""
    assert asked(p) == [IDENTITY, MSCHAPV2, MSCHAPV2]
    assert p.b.link.peer_name == b"bob"
    send, receive = p.a.link.roles[0].keys(128)
    assert p.b.link.roles[0].keys(128) == (receive, send)


def test_md5_and_gtc():
    for types, a, b in (((MD5,), ("eap",), ("eap",)), ((GTC,), ("eap", "pap"), ("eap", "pap"))):
        p = pair(a, b)
        only(p, *types)
        assert outcome(p) == ""
        assert asked(p) == [IDENTITY, types[0]]
        assert p.b.link.peer_name == b"bob"
        assert p.a.link.roles[0].keys is None


def test_nak_leads_to_what_we_prefer():
    p = pair()
    only(p, MD5, MSCHAPV2)
    p.run(20, lambda: p.a.link.roles)
    p.a.link.roles[0]._types = (MSCHAPV2,)
    assert outcome(p) == ""
    assert asked(p) == [IDENTITY, MD5, MSCHAPV2, MSCHAPV2]
    assert packets(p.a, ppp.EAP, RESPONSE)[1][1] == bytes((NAK, MSCHAPV2))


def test_a_password_is_not_shown_where_pap_is_not_allowed():
    p = pair(("eap",), ("eap", "pap"))
    only(p, GTC)
    assert outcome(p) == "auth: EAP: wrong name or password (check username and password)"
    assert asked(p) == [IDENTITY, GTC]
    for _, data in packets(p.a, ppp.EAP):
        assert b"builder" not in data
    assert "speaks none of the EAP types" in str(p.b.faults[0])


def test_a_wrong_password_or_name_is_named():
    for types in ((MSCHAPV2,), (MD5,), (GTC,)):
        for who in ({"password": b"wrong"}, {"username": b"nobody"}):
            p = Pair(dict(CLIENT, auth=("eap", "pap")) | who, server("eap", "pap"))
            only(p, *types)
            assert "wrong name or password" in outcome(p)
            assert str(p.b.faults[0]).startswith("auth: EAP: the peer gave a wrong name or password: ")


def test_losses_are_made_up_for():
    for seed in range(1, 13):
        p = Pair(dict(CLIENT, auth=("eap",)), server("eap"), seed, loss=20, repeat=20)
        assert outcome(p) == "", seed


def test_a_lost_success_is_seen_by_what_follows():
    for types in ((MSCHAPV2,), (MD5,)):
        p = pair()
        only(p, *types)
        Spoiler(p.b, lambda frame: None if frame[:3] == b"\xc2\x27\x03" else frame)
        assert outcome(p) == ""
        assert p.world.elapsed < 5000


def test_mutual():
    p = Pair(
        dict(CLIENT, auth=("eap",), demand=("eap",), secret_of=secrets(lns="other")),
        dict(server("eap"), auth=("eap",), username=b"lns", password=b"other"),
    )
    assert outcome(p) == ""
    assert p.a.link.peer_name == b"lns" and p.b.link.peer_name == b"bob"


class Server:
    """A link that we authenticate to, the test being the server."""

    def __init__(self, auth=("eap",), **options):
        self.peer = Peer(**dict(CLIENT, auth=auth, **options))
        self.peer.open_lcp(EAP)
        self.peer.take()

    def ask(self, identifier, data):
        """The data of the answers to a Request."""
        self.peer.say(ppp.EAP, REQUEST, identifier, data)
        return [packet[3] for packet in self.peer.take() if packet[:3] == (ppp.EAP, RESPONSE, identifier)]

    def tell(self, code, identifier=0):
        self.peer.say(ppp.EAP, code, identifier)

    @property
    def link(self):
        return self.peer.link


def ms(operation, data, length=None):
    length = len(data) + 4 if length is None else length
    return bytes((MSCHAPV2, operation, 7, length >> 8, length & 0xFF)) + data


def test_copies_of_a_request_hear_the_same():
    s = Server()
    first = s.ask(1, ms(1, b"\x10" + bytes(16) + b"lns"))
    assert len(first) == 1 and first[0][0] == MSCHAPV2
    assert s.ask(1, ms(1, b"\x10" + bytes(16) + b"lns")) == first
    assert s.ask(2, ms(1, b"\x10" + bytes(15) + b"\x01lns")) != first


def test_identity_and_notification():
    s = Server()
    assert s.ask(9, bytes((IDENTITY,)) + b"who?") == [bytes((IDENTITY,)) + b"bob"]
    assert s.ask(10, bytes((NOTIFICATION,)) + b"your password\x07 is old") == [bytes((NOTIFICATION,))]
    s.ask(11, bytes((MD5, 16)) + bytes(16))
    s.tell(FAILURE, 11)
    assert s.link.fault.said == "your password. is old"


def test_success_without_a_method_means_nothing():
    s = Server()
    s.tell(SUCCESS)
    s.ask(1, bytes((IDENTITY,)))
    s.tell(SUCCESS, 1)
    s.ask(2, ms(1, b"\x10" + bytes(16)))
    s.tell(SUCCESS, 2)  # before the proof
    assert s.link.drops == {"EAP Success before a method has run": 3}
    assert not s.link.network
    s.peer.say(ppp.IPCP, ppp.CONFIGURE_REQUEST, 1, b"")
    assert not s.link.network


def test_a_wrong_proof_ends_the_link():
    s = Server()
    s.ask(1, ms(1, b"\x10" + bytes(16)))
    assert s.ask(2, ms(3, b"S=" + b"0" * 40)) == []
    assert str(s.link.fault) == "auth: EAP-MSCHAPv2: the peer does not know our password either"


def test_the_failure_of_mschapv2_is_explained():
    s = Server()
    s.ask(1, ms(1, b"\x10" + bytes(16)))
    assert s.ask(2, ms(4, b"E=647 R=0 C=" + b"0" * 32 + b" V=3 M=not you")) == [bytes((MSCHAPV2, 4))]
    s.tell(FAILURE, 3)  # some count on from the Response
    assert "the account is disabled" in str(s.link.fault) and s.link.fault.said == "not you"


def test_a_stale_failure_means_nothing():
    s = Server()
    s.tell(FAILURE, 0)
    s.ask(5, bytes((IDENTITY,)))
    s.tell(FAILURE, 4)
    assert s.link.drops == {"stale answer": 2} and s.link.fault is None


def test_malformed_requests_are_dropped_and_named():
    short = "EAP-MSCHAPv2 packet with a wrong length"
    beyond = "EAP challenge of no length or beyond the packet"
    place = "EAP-MSCHAPv2 operation out of place"
    for data, reason in (
        (b"", "EAP packet without a type"),
        (bytes((NAK, MD5)), "EAP Nak as a Request"),
        (b"\x00", "EAP Nak as a Request"),
        (bytes((MD5,)), beyond),
        (bytes((MD5, 0)) + b"lns", beyond),
        (bytes((MD5, 255)) + bytes(254), beyond),
        (bytes((MSCHAPV2,)), short),
        (bytes((MSCHAPV2, 1, 0, 0)), short),
        (ms(1, b"\x10" + bytes(16), 3), short),
        (ms(1, b"\x10" + bytes(16), 22), short),
        (ms(1, b"\x10" + bytes(16), 0xFFFF), short),
        (ms(1, b"\x10" + bytes(16), 20), beyond),
        (ms(1, b""), beyond),
        (ms(1, b"\x08" + bytes(8)), "EAP challenge of a wrong length"),
        (ms(1, b"\xff" + bytes(16)), beyond),
        (ms(2, bytes(50)), place),
        (ms(3, b"S="), place),
        (ms(4, b""), place),
        (ms(7, b""), place),
    ):
        s = Server()
        assert s.ask(1, data) == [], data
        assert s.link.drops == {reason: 1}, (data, s.link.drops)


def test_our_own_challenge_is_not_answered():
    s = Server(demand=("chap",), secret_of=secrets(lns="x"))
    own = s.link.challenge
    assert len(own) == 16
    assert s.ask(1, bytes((MD5, 16)) + own) == [] and s.ask(2, ms(1, b"\x10" + own)) == []
    assert s.link.drops["our own EAP challenge reflected"] == 2


class Client:
    """A link that authenticates us, the test being the client."""

    def __init__(self, *types):
        self.peer = Peer(**server("eap"))
        self.peer.open_lcp()
        self.link = self.peer.link
        self.link.roles[0]._left = list(types)

    def request(self):
        """The Request that came last: (identifier, data)."""
        found = [packet for packet in self.peer.take() if packet[:2] == (ppp.EAP, REQUEST)]
        return found[-1][2:]

    def answer(self, identifier, data):
        self.peer.say(ppp.EAP, RESPONSE, identifier, data)


def test_malformed_responses_are_dropped_and_named():
    short = "EAP-MSCHAPv2 packet with a wrong length"
    place = "EAP-MSCHAPv2 operation out of place"
    for type, data, reason in (
        (MD5, b"", "EAP packet without a type"),
        (MD5, bytes((MD5,)), "EAP response beyond the packet"),
        (MD5, bytes((MD5, 200)) + bytes(199), "EAP response beyond the packet"),
        (MD5, bytes((MSCHAPV2,)), "EAP Response of another type"),
        (MSCHAPV2, bytes((MSCHAPV2,)), short),
        (MSCHAPV2, ms(2, b"\x31" + bytes(48)), short),
        (MSCHAPV2, ms(2, b"\x31" + bytes(49), 60), short),
        (MSCHAPV2, ms(2, b""), short),
        (MSCHAPV2, ms(3, b"\x31" + bytes(49)), place),
    ):
        c = Client(type)
        identifier, _ = c.request()
        c.answer(identifier, bytes((IDENTITY,)) + b"bob")
        identifier, _ = c.request()
        c.answer(identifier, data)
        assert c.link.drops == {reason: 1}, (data, c.link.drops)
        assert c.link.fault is None


def test_an_identity_has_a_longest():
    c = Client(MD5)
    identifier, _ = c.request()
    c.answer(identifier, bytes((IDENTITY,)) + b"x" * 256)
    assert c.link.drops == {"EAP identity too long": 1}


def test_the_verdict_is_told_again_and_stale_answers_change_nothing():
    c = Client(MD5)
    stale, _ = c.request()
    c.answer(stale, bytes((IDENTITY,)) + b"bob")
    identifier, data = c.request()
    c.answer(stale, bytes((IDENTITY,)) + b"eve")
    assert c.link.drops == {"stale answer": 1}
    response = bytes((MD5, 16)) + chap_md5(identifier, b"builder", data[2:18]) + b"bob"
    c.answer(identifier, response)
    c.answer(identifier, response)
    said = [packet[:3] for packet in c.peer.take() if packet[0] == ppp.EAP]
    assert said == [(ppp.EAP, SUCCESS, identifier)] * 2


def test_a_type_the_client_declines_is_passed_over():
    s = Server()
    assert s.ask(1, b"\x0d\x20") == [bytes((NAK, MSCHAPV2))]  # EAP-TLS
    assert s.ask(2, bytes((GTC,)) + b"Password: ") == [bytes((NAK, MSCHAPV2))]
    s.peer.say(ppp.LCP, ppp.TERMINATE_REQUEST, 1)
    s.peer.wait(5000)
    assert str(s.peer.fault()) == "auth: EAP: the peer wants type 13, allowed: 26 4"


def test_a_peer_that_does_not_believe_our_proof():
    p = pair()
    Spoiler(p.a, lambda frame: frame[:-1] + b"\x04" if frame[-2:] == b"\x1a\x03" else frame)
    outcome(p)
    assert "does not believe our proof" in str(p.b.faults[0])
