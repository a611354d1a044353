"""Verifiers whose verdict comes from somebody else: at once, late, never, or after the link has gone another way."""

from pppwire import CLIENT, Pair, server

from laclet.crypto.hashes import md5
from laclet.fault import AUTH, Fault
from laclet.ppp.auth.chap import chap_md5

METHODS = ("pap", "chap", "mschap", "mschap-v2", "eap")


class Judge:
    """Notes what it is asked; ``right`` is its verdict after ``delay`` ms, None for no verdict at all."""

    def __init__(self, pair, right=True, delay=30, **more):
        self.pair = pair
        self.right = right
        self.delay = delay
        self.more = more
        self.asked = []
        pair.b.link.judge = self.judge

    def judge(self, evidence, done, now):
        self.asked.append(evidence)
        if self.right is not None:
            self.pair.world.later(self.delay, done, self.verdict(evidence))

    def verdict(self, evidence):
        right = self.right
        if evidence["method"] == "pap":
            right = right and evidence["password"] == b"builder"
        elif evidence["method"] == "chap":
            right = right and evidence["response"] == chap_md5(
                evidence["identifier"], b"builder", evidence["challenge"]
            )
        return dict({"right": right}, **self.more)


def pair(method, **client):
    """A caller, and a server that knows no passwords itself."""
    mine = dict(CLIENT, auth=(method,))
    mine.update(client)
    return Pair(mine, dict(server(method), secret_of=lambda name: None))


def test_the_verdict_of_another_counts():
    for method in ("pap", "chap"):
        p = pair(method)
        judge = Judge(p)
        assert p.run(10_000, p.decided) and p.up(), (method, p.a.faults, p.b.faults)
        assert p.b.link.peer_name == b"bob" and len(judge.asked) == 1
        p = pair(method)
        judge = Judge(p, right=False)
        assert p.run(10_000, p.failed)
        assert "wrong name or password" in str(p.a.faults[0]) and "wrong name or password: bob" in str(p.b.faults[0])


def test_ms_chap_hands_on_words_and_keys():
    keys = (b"s" * 16, b"r" * 16)
    p = pair("mschap")
    judge = Judge(p, keys=lambda bits: keys)
    assert p.run(10_000, p.decided) and p.up()
    assert p.b.link.roles[0].keys(128) == keys and len(judge.asked[0]["response"]) == 49
    p = pair("mschap-v2")
    Judge(p, message=b"S=" + b"0" * 40)
    assert p.run(10_000, p.failed)
    assert "does not know our password either" in str(p.a.faults[0]), "the caller checks the judge's proof"
    p = pair("mschap-v2")
    Judge(p, right=False, message=b"E=648 R=0 V=3")
    assert p.run(10_000, p.failed)
    assert "the password has expired" in str(p.a.faults[0])


class EapJudge(Judge):
    """Asks for MD5 with EAP packets of its own."""

    def verdict(self, evidence):
        packet = evidence["eap"]
        if packet[4] == 1:
            challenge = b"c" * 16
            return {"right": None, "eap": b"\1\x63\0\x16\4\x10" + challenge, "state": [b"more"]}
        right = evidence["state"] == [b"more"] and packet[6:22] == md5(b"\x63builder" + b"c" * 16) and self.right
        return {"right": right, "eap": bytes((3 if right else 4, packet[1], 0, 4))}


def test_eap_passes_through():
    p = pair("eap")
    judge = EapJudge(p)
    assert p.run(10_000, p.decided) and p.up(), (p.a.faults, p.b.faults)
    assert [evidence["name"] for evidence in judge.asked] == [b"bob", b"bob"]
    p = pair("eap", password=b"wrong")
    EapJudge(p)
    assert p.run(10_000, p.failed)
    assert "wrong name or password" in str(p.a.faults[0])


def test_a_judge_that_is_not_there_is_named():
    why = Fault(AUTH, "no answer from a RADIUS server")
    for method in METHODS:
        p = pair(method)
        Judge(p, right=False, why=why)
        assert p.run(10_000, p.failed)
        assert str(p.b.faults[0]) == str(why)


def test_a_caller_that_repeats_itself_is_asked_about_once():
    for method in METHODS:
        p = pair(method)
        judge = Judge(p, right=None)
        p.run(5000)
        assert len(judge.asked) == 1, method
        assert p.run(60_000, p.failed)
        assert "no verdict" in str(p.b.faults[0]) or "no answer" in str(p.b.faults[0])


def test_a_verdict_that_comes_too_late_changes_nothing():
    for method in METHODS:
        p = pair(method)
        Judge(p, delay=2000)
        p.run(1000)
        p.b.link.renegotiate(p.world.now)
        p.b.link.judge = lambda evidence, done, now: None
        p.run(3000)
        assert not p.up() and not p.b.link.network, method


def test_losses_do_not_lose_the_verdict():
    p = Pair(CLIENT, dict(server("chap"), secret_of=lambda name: None), seed=5, loss=30, repeat=20, reorder=20)
    Judge(p)
    assert p.run(120_000, p.decided) and p.up()
