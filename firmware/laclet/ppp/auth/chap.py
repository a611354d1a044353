"""Challenge Handshake Authentication Protocol (RFC 1994) with MD5; a base for other algorithms (RFC 1994 §3)."""

from ...crypto.hashes import equal, md5
from ...fault import AUTH, Fault, clean
from ...wire import ppp
from .role import Role, counted

CHALLENGE = 1
RESPONSE = 2
SUCCESS = 3
FAILURE = 4

CHALLENGE_SIZE = 16  # bytes of our challenges: as many as the digest has (RFC 1994 §2.3)


def chap_md5(identifier, secret, challenge):
    """The Response Value (RFC 1994 §4.1)."""
    return md5(bytes((identifier,)) + secret + challenge)


class Prover(Role):
    """The peer challenges us. Another algorithm overrides ``respond``, ``confirm`` and ``explain``."""

    protocol = ppp.CHAP
    title = "CHAP"
    silence = "no Challenge from the peer"

    def respond(self, identifier, challenge, name):
        """The Response Value to a challenge of the peer called ``name``; None for one that cannot be answered."""
        return chap_md5(identifier, self.link.password, challenge)

    def confirm(self, message):
        """The peer says that we succeeded: True when that is to be believed."""
        return True

    def explain(self, message):
        """The peer's Failure message as a Fault."""
        return Fault(AUTH, self.title + ": wrong name or password", clean(message), "check username and password")

    def _on_challenge(self, identifier, buf, at, end, now):
        value = counted(buf, at, end)
        if not value:
            self.link.drop("CHAP challenge of no length or beyond the packet")
            return
        if value == self.link.challenge:
            self.link.drop("our own CHAP challenge reflected")
            return
        answer = self.respond(identifier, value, bytes(buf[at + 1 + len(value) : end]))
        if answer is None:
            self.link.drop("CHAP challenge of a wrong length")
            return
        self.silence = "no answer to the CHAP Response"
        # Repeated, for a lost Success would leave us waiting; the peer answers every copy alike (RFC 1994 §4.1).
        self.say(RESPONSE, identifier, bytes((len(answer),)) + answer + self.link.username, now)
        self.link.answered(now)

    def _on_success(self, identifier, buf, at, end, now):
        if self._packet is None or identifier != self._packet[1]:
            self.link.drop("stale answer")
            return
        self.settle()
        if self.confirm(bytes(buf[at:end])):
            self.link.proven(now)
        else:
            self.link.fail(Fault(AUTH, self.title + ": the peer does not know our password either"), now)

    def _on_failure(self, identifier, buf, at, end, now):
        if self._packet is None or identifier != self._packet[1]:
            self.link.drop("stale answer")
            return
        self.settle()
        self.link.fail(self.explain(bytes(buf[at:end])), now)

    CODES = {CHALLENGE: _on_challenge, SUCCESS: _on_success, FAILURE: _on_failure}


class Verifier(Role):
    """We challenge the peer. Another algorithm overrides ``challenge`` and ``check``."""

    protocol = ppp.CHAP
    title = "CHAP"
    silence = "no answer to the CHAP Challenge"

    def __init__(self, link):
        super().__init__(link)
        self._identifier = 0
        self._challenge = b""
        self._verdict = None  # (code, message) given: a repeated Response hears the same again (RFC 1994 §4.1)

    def challenge(self):
        """A fresh challenge."""
        return self.link.random(CHALLENGE_SIZE)

    def check(self, identifier, challenge, response, name, secret):
        """``(right, message)`` for a Response Value."""
        if secret is not None and equal(chap_md5(identifier, secret, challenge), response):
            return True, b"welcome"
        return False, b"wrong name or password"

    def start(self, now):
        """Challenge the peer."""
        self._identifier = self.link.next_identifier()
        self._challenge = self.challenge()
        self._verdict = None
        value = self.link.challenge = self._challenge
        self.say(CHALLENGE, self._identifier, bytes((len(value),)) + value + self.link.name, now)

    def resume(self, identifier, challenge):
        """Another has sent this challenge for us (RFC 2661 §4.4.5); the Response is on its way."""
        self._identifier = identifier
        self._challenge = challenge
        self._verdict = None

    def _on_response(self, identifier, buf, at, end, now):
        if identifier != self._identifier:
            self.link.drop("stale answer")
            return
        if self._verdict is not None:
            self.answer(self._verdict[0], identifier, self._verdict[1], now)
            return
        value = counted(buf, at, end)
        if value is None:
            self.link.drop("CHAP response beyond the packet")
            return
        self.judge(identifier, self._challenge, value, bytes(buf[at + 1 + len(value) : end]), now)

    def judge(self, identifier, challenge, response, name, now):
        """Find out whether a Response Value is right, and say so."""
        right, message = self.check(identifier, challenge, response, name, self.link.secret_of(name))
        self.conclude(right, message, identifier, name, now)

    def conclude(self, right, message, identifier, name, now, why=None):
        """The verdict: tell the peer and the link; ``why`` is a better Fault than that the proof is wrong."""
        self._verdict = (SUCCESS if right else FAILURE, message)
        self.settle()
        self.answer(self._verdict[0], identifier, message, now)
        if right:
            self.link.verified(name, now)
            return
        cause = self.title + ": the peer gave a wrong name or password: " + clean(name)
        self.link.fail(why or Fault(AUTH, cause), now)

    CODES = {RESPONSE: _on_response}
