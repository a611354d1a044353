# heap: 192K
"""MS-CHAP of both versions on a link: both sides, its proof, its refusals and their words."""

from pppspoil import Spoiler, control, deliver, packets, respell
from pppwire import CLIENT, Pair, secrets, server

from laclet.ppp.auth import mschap
from laclet.wire import ppp

V1 = "mschap"
V2 = "mschap-v2"
CHALLENGE, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4


def pair(method=V2):
    return Pair(dict(CLIENT, auth=(method,)), server(method))


def mistaken(method=V2):
    return Pair({"username": b"bob", "password": b"wrong", "auth": (method,)}, server(method))


def outcome(p):
    """Run until it is decided; the caller's fault as text, "" when it is up."""
    assert p.run(60000, p.decided)
    return "" if p.up() else str(p.a.faults[0])


def test_both_versions_prove_the_caller_and_agree_on_keys():
    for method in (V1, V2):
        for user in ("bob", "BIGCO\\bob"):
            p = Pair(
                {"auth": (method,), "username": user.encode(), "password": b"builder"},
                dict(server(method), secret_of=secrets(**{user: "builder"})),
            )
            assert outcome(p) == ""
            assert p.b.link.peer_name == user.encode()
            ours, theirs = p.a.link.roles[0].keys, p.b.link.roles[0].keys
            for bits in (40, 56, 128):
                send, receive = ours(bits)
                assert theirs(bits) == (receive, send)
                assert (send == receive) == (method == V1)


def test_a_password_beyond_ascii():
    password = "p\u00e4ss\u20ac"
    p = Pair(dict(CLIENT, auth=(V2,), password=password.encode()), dict(server(V2), secret_of=secrets(bob=password)))
    assert outcome(p) == ""


def test_response_of_version_1_has_no_lan_manager_part():
    p = pair(V1)
    assert outcome(p) == ""
    _, response = packets(p.a, ppp.CHAP, RESPONSE)[0]
    assert response[0] == 49 and response[1:25] == bytes(24) and response[49] == 1
    assert packets(p.b, ppp.CHAP, CHALLENGE)[0][1][0] == 8


def test_a_wrong_password_is_named_on_both_sides():
    for method, title in ((V1, "MS-CHAP"), (V2, "MS-CHAPv2")):
        p = mistaken(method)
        assert outcome(p).startswith("auth: " + title + ": wrong name or password")
        assert str(p.b.faults[0]) == "auth: " + title + ": the peer gave a wrong name or password: bob"
        assert p.b.link.peer_name == b"" and p.a.link.roles == []


def test_an_unknown_name_hears_the_same():
    p = Pair({"username": b"nobody", "auth": (V2,)}, server(V2))
    assert "wrong name or password" in outcome(p)
    _, failure = packets(p.b, ppp.CHAP, FAILURE)[0]
    assert failure[:12] == b"E=691 R=0 C=" and failure[44:] == b" V=3 M=access denied"


def test_a_success_without_the_right_proof_is_a_failure():
    for change in (
        lambda data: b"",
        lambda data: b"M=welcome",
        lambda data: b"S=" + b"0" * 40 + data[42:],
        lambda data: data[:41],
        lambda data: b"T=" + data[2:42],
        lambda data: b"S=\xff\xfe" + data[4:],
    ):
        p = pair()
        respell(p.b, ppp.CHAP, SUCCESS, change)
        assert outcome(p) == "auth: MS-CHAPv2: the peer does not know our password either"


def test_a_proof_in_lower_case_or_without_a_message_is_still_one():
    for change in (lambda data: b"S=" + data[2:42].lower(), lambda data: data[:42]):
        p = pair()
        respell(p.b, ppp.CHAP, SUCCESS, change)
        assert outcome(p) == ""


def test_a_challenge_of_a_wrong_length_is_not_answered():
    for method, size in ((V1, 16), (V2, 8), (V2, 17)):
        p = pair(method)
        respell(p.b, ppp.CHAP, CHALLENGE, lambda data, size=size: bytes((size,)) + bytes(size) + b"lns")
        p.run(1000)
        assert packets(p.a, ppp.CHAP) == []
        assert p.a.link.drops["CHAP challenge of a wrong length"] > 0


def test_a_response_of_a_wrong_length_or_kind_is_wrong():
    for method, change in (
        (V1, lambda data: data[:49] + b"\0" + data[50:]),  # "use the LAN Manager response"
        (V1, lambda data: b"\x30" + data[2:]),
        (V2, lambda data: b"\x30" + data[2:]),
        (V2, lambda data: b"\x32\0" + data[1:]),
        (V2, lambda data: b"\x00bob"),
    ):
        p = pair(method)
        respell(p.a, ppp.CHAP, RESPONSE, change)
        assert "wrong name or password" in outcome(p)


def test_a_copy_of_the_challenge_hears_the_same_response():
    # Or the proof, made for the first response, would not fit the second.
    p = pair()
    Spoiler(p.b, lambda frame: None if frame[:3] == b"\xc2\x23\x03" else frame)
    p.run(400)
    identifier, data = packets(p.b, ppp.CHAP, CHALLENGE)[0]
    for _ in range(3):
        deliver(p.a, control(ppp.CHAP, CHALLENGE, identifier, data), p.world.now)
    responses = packets(p.a, ppp.CHAP, RESPONSE)
    assert len(responses) >= 4 and all(r == responses[0] for r in responses)


def test_losses_are_made_up_for():
    for seed in range(1, 9):
        p = Pair(dict(CLIENT, auth=(V2,)), server(V2), seed, loss=30, repeat=20)
        assert outcome(p) == ""


def failed(message, method=V2):
    """The caller's fault when the server's Failure has these words."""
    p = mistaken(method)
    respell(p.b, ppp.CHAP, FAILURE, lambda data: message)
    return outcome(p)


def test_every_known_error_is_explained():
    for code, words in (
        (646, "may not be used at this hour"),
        (647, "account is disabled"),
        (648, "password has expired"),
        (649, "may not dial in"),
        (691, "wrong name or password"),
        (709, "could not change the password"),
        (1234, "refused with error 1234"),
    ):
        for method, challenge in ((V1, b""), (V2, b" C=" + b"0" * 32)):
            fault = failed(b"E=%d R=0" % code + challenge + b" V=3 M=No, \x1b[1msir", method)
            assert words in fault and "the peer said: No, .[1msir" in fault, fault


def test_malformed_failures_survive():
    for message in (
        b"",
        b"E=",
        b"E=abc R=1 C=xyz",
        b"E=691 R=1 C=" + b"G" * 32,
        b"E=691 R=1 C=123 V=3",
        b"E=691 R=1 C=" + b"00" * 4 + b" V=3",
        b"E=99999999999999999999 R=1",
        b"E=-1 R=-1 =",
        b"R=1 M=" + b"\xff" * 200,
        b"\xff\xfe\x00E=691",
        b"M=only a text",
        b" " * 250,
        b"=" * 250,
    ):
        for method in (V1, V2):
            assert failed(message, method).startswith("auth: MS-CHAP"), message


def test_a_retry_is_not_for_us():
    # It asks for another password, and we have one; each wrong try brings an account nearer to being locked.
    for method, size in ((V1, 8), (V2, 16)):
        p = mistaken(method)
        respell(p.b, ppp.CHAP, FAILURE, lambda data, size=size: b"E=691 R=1 C=" + b"5A" * size + b" V=3 M=again")
        assert "wrong name or password; the peer said: again" in outcome(p)
        assert len({identifier for identifier, _ in packets(p.a, ppp.CHAP, RESPONSE)}) == 1


def test_mutual_authentication():
    p = Pair(
        dict(CLIENT, auth=(V2,), demand=(V2,), secret_of=secrets(lns="other")),
        dict(server(V2), auth=(V1, V2), username=b"lns", password=b"other"),
    )
    assert outcome(p) == ""
    assert p.a.link.peer_name == b"lns" and p.b.link.peer_name == b"bob"


def test_failure_fields():
    assert mschap.read_failure(b"E=691 R=0 M=a b E=7") == {"E": b"691", "R": b"0", "M": b"a b E=7"}
    assert mschap.read_failure(b"") == {}
    assert mschap.error_code({"E": b"0691"}) == 691
