"""PAP and CHAP between two links: right, wrong, and which of them."""

from pppwire import BOB, CLIENT, Pair, secrets, server


def test_each_method():
    for demand in ("pap", "chap"):
        pair = Pair(CLIENT, server(demand))
        assert pair.run(5000, pair.up)
        assert pair.b.link.peer_name == b"bob" and pair.a.link.peer_name == b""
        assert pair.a.settings["local"] == BOB


def test_both_sides_prove_themselves():
    a = dict(CLIENT, demand=("chap",), secret_of=secrets(lns="castle"))
    pair = Pair(a, server("pap", username=b"lns", password=b"castle"))
    assert pair.run(5000, pair.up)
    assert pair.a.link.peer_name == b"lns" and pair.b.link.peer_name == b"bob"


def test_wrong_password():
    for demand, cause in (("pap", "auth: PAP: wrong name or password"), ("chap", "auth: CHAP: wrong name or password")):
        for wrong in ({"username": b"bob", "password": b"?"}, {"username": b"eve", "password": b"builder"}):
            pair = Pair(wrong, server(demand))
            assert pair.run(5000, pair.failed)
            said = "; the peer said: wrong name or password (check username and password)"
            assert str(pair.a.faults[0]) == cause + said, pair.a.faults
            assert pair.b.faults[0].layer == "auth" and wrong["username"].decode() in str(pair.b.faults[0])
            assert not pair.a.ups and not pair.b.ups and "builder" not in str(pair.b.faults)


def test_the_best_common_method_is_found():
    for auth, demand, agreed in (
        (("chap", "pap"), ("pap", "chap"), "PAP"),  # what the peer asks first, if it is allowed
        (("chap",), ("pap", "chap"), "CHAP-MD5"),
        (("pap",), ("chap", "pap"), "PAP"),
    ):
        pair = Pair(dict(CLIENT, auth=auth), server(*demand))
        assert pair.run(5000, pair.up)
        assert pair.a.link.status()["auth"][0] == pair.b.link.status()["auth"][1] == agreed


def test_no_common_method():
    pair = Pair(dict(CLIENT, auth=("chap",)), server("pap"))
    assert pair.run(5000, pair.failed)
    told = [str(pair.a.faults[0]), str(pair.b.faults[0])]
    assert told[1] == "auth: the peer shall authenticate by pap, but would rather use CHAP-MD5", told
    assert told[0].startswith("auth: the peer demands PAP, allowed: chap"), told
