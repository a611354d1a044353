"""Extensible Authentication Protocol (RFC 2284, 3748): Identity, Notification, Nak, MD5, GTC and MSCHAPv2.

The last is draft-kamath-pppext-eap-mschapv2. What the types compute is CHAP's and MS-CHAPv2's; only the packets differ.
"""

from ...crypto.hashes import equal
from ...fault import AUTH, Fault, clean
from ...wire import ppp
from . import chap
from .role import Role, counted

REQUEST = 1
RESPONSE = 2
SUCCESS = 3
FAILURE = 4

IDENTITY = 1
NOTIFICATION = 2
NAK = 3
MD5 = 4
GTC = 6
MSCHAPV2 = 26

# Operations of MSCHAPv2; behind them stand an identifier and the length of everything from the operation on.
MS_CHALLENGE = 1
MS_RESPONSE = 2
MS_SUCCESS = 3
MS_FAILURE = 4

MAX_NAME = 255  # bytes of an identity, as everywhere in PPP


def types(allowed):
    """The types that a list of methods allows, best first. GTC shows the password, so it needs PAP to be allowed."""
    return (MSCHAPV2, MD5, GTC) if "pap" in allowed else (MSCHAPV2, MD5)


def _ms_chap(operation, identifier, data):
    length = 4 + len(data)
    return bytes((MSCHAPV2, operation, identifier, length >> 8, length & 0xFF)) + data


def _ms_data(data):
    """What follows the MSCHAPv2 header, None when its length is not to be believed."""
    if len(data) < 4:
        return None
    length = data[2] << 8 | data[3]
    return data[4:length] if 4 <= length <= len(data) else None


def _ms_chap_v2(side, link):
    from . import mschap_v2  # most EAP does without

    return getattr(mschap_v2, side)(link)


class Prover(Role):
    """The peer asks us."""

    protocol = ppp.EAP
    silence = "no EAP Request from the peer"

    def __init__(self, link):
        super().__init__(link)
        self._types = types(link.auth)
        self._asked = None  # (identifier, data) of the last Request
        self._answered = b""  # and our Response: a copy of the one hears the other again (RFC 2284 §2.2.1)
        self._done = False  # the method has run; only the Success is missing
        self._said = ""  # the peer's last Notification
        self._fault = None  # what a Failure will mean
        self._ms_chap = None  # MS-CHAPv2's side of it

    def _on_request(self, identifier, buf, at, end, now):
        if at == end:
            self.link.drop("EAP packet without a type")
            return
        asked = (identifier, bytes(buf[at:end]))
        if asked != self._asked:
            answer = self._respond(identifier, asked[1][0], asked[1][1:], now)
            if answer is None:
                return
            self._asked = asked
            self._answered = answer
            self.silence = "no answer to the EAP Response"
            self.wait(now)
        self.answer(RESPONSE, identifier, self._answered, now)
        if self._done:
            self.link.answered(now)

    def _respond(self, identifier, type, data, now):
        """The Response to a Request, None when there is none."""
        if type == IDENTITY:
            return bytes((IDENTITY,)) + self.link.username
        if type == NOTIFICATION:
            self._said = clean(data)
            return bytes((NOTIFICATION,))
        if type <= NAK:
            self.link.drop("EAP Nak as a Request")
            return None
        if type not in self._types:
            refusal = "EAP: the peer wants type %d, allowed: %s" % (type, " ".join([str(t) for t in self._types]))
            self.link.blame(Fault(AUTH, refusal))
            return bytes((NAK, self._types[0]))  # one: RFC 2284 §3.3 knows no list
        self._done = False
        if type == GTC:
            self._done = True
            return bytes((GTC,)) + self.link.password
        return self._md5(identifier, data) if type == MD5 else self._ms_chap_v2(data, now)

    def _md5(self, identifier, data):
        challenge = self._challenge(data, 0)
        if challenge is None:
            return None
        self._done = True
        value = chap.chap_md5(identifier, self.link.password, challenge)
        return bytes((MD5, len(value))) + value + self.link.username

    def _challenge(self, data, at):
        """The challenge at ``at``, None when it is not to be answered."""
        challenge = counted(data, at, len(data))
        if not challenge:
            self.link.drop("EAP challenge of no length or beyond the packet")
        elif challenge == self.link.challenge:
            self.link.drop("our own EAP challenge reflected")
        else:
            return challenge
        return None

    def _ms_chap_v2(self, data, now):
        message = _ms_data(data)
        if message is None:
            self.link.drop("EAP-MSCHAPv2 packet with a wrong length")
            return None
        if data[0] == MS_CHALLENGE:
            return self._ms_respond(data[1], message)
        if self._ms_chap is not None:
            if data[0] == MS_SUCCESS:
                if not self._ms_chap.confirm(message):
                    self.link.fail(Fault(AUTH, "EAP-MSCHAPv2: the peer does not know our password either"), now)
                    return None
                self.keys = self._ms_chap.keys
                self._done = True
                return bytes((MSCHAPV2, MS_SUCCESS))
            if data[0] == MS_FAILURE:
                self._fault = self._ms_chap.explain(message)
                return bytes((MSCHAPV2, MS_FAILURE))
        self.link.drop("EAP-MSCHAPv2 operation out of place")
        return None

    def _ms_respond(self, identifier, data):
        challenge = self._challenge(data, 0)
        if challenge is None:
            return None
        if self._ms_chap is None:
            self._ms_chap = _ms_chap_v2("Prover", self.link)
        value = self._ms_chap.respond(identifier, challenge, b"")
        if value is None:
            self.link.drop("EAP challenge of a wrong length")
            return None
        return _ms_chap(MS_RESPONSE, identifier, bytes((len(value),)) + value + self.link.username)

    def implied(self, now):
        """The peer goes on to network protocols: its Success got lost (RFC 2284 §2.2.2)."""
        if self._done:
            self._done = False
            self.settle()
            self.link.proven(now)

    def _on_success(self, identifier, buf, at, end, now):
        # Its identifier should be our Response's (RFC 2284 §2.2.2); not everybody cares.
        if self._done:
            self.implied(now)
        else:
            self.link.drop("EAP Success before a method has run")

    def _on_failure(self, identifier, buf, at, end, now):
        if self._asked is None or identifier not in (self._asked[0], (self._asked[0] + 1) & 0xFF):
            self.link.drop("stale answer")
            return
        self.settle()
        fault = self._fault or Fault(AUTH, "EAP: wrong name or password", self._said, "check username and password")
        self.link.fail(fault, now)

    CODES = {REQUEST: _on_request, SUCCESS: _on_success, FAILURE: _on_failure}


class Verifier(Role):
    """We ask the peer: who it is, then for a proof of a type that both sides allow."""

    protocol = ppp.EAP
    silence = "no answer to the EAP Request"

    def __init__(self, link):
        super().__init__(link)
        self._left = list(types(link.demand))  # types not yet tried, best first
        self._type = IDENTITY  # of the Request that is out
        self._identifier = 0  # and its identifier
        self._name = b""  # whom the peer says to be
        self._challenge = b""
        self._ms_chap = None  # MS-CHAPv2's side of it
        self._ms_right = None  # its verdict, told to the peer in a Request of its own
        self._verdict = 0  # SUCCESS or FAILURE, once it is given

    def start(self, now):
        """Ask for the identity."""
        self._request(IDENTITY, b"", now)

    def _request(self, type, data, now):
        self._type = type
        self._identifier = self.link.next_identifier()
        self.say(REQUEST, self._identifier, bytes((type,)) + data, now)

    def _on_response(self, identifier, buf, at, end, now):
        if identifier != self._identifier:
            self.link.drop("stale answer")
        elif self._verdict:
            self.answer(self._verdict, identifier, b"", now)
        elif at == end:
            self.link.drop("EAP packet without a type")
        else:
            self._take(buf[at], bytes(buf[at + 1 : end]), now)

    def _take(self, type, data, now):
        """The Response to the Request that is out."""
        if type == NAK and self._type > NAK:
            if data and data[0] in self._left:
                self._left.remove(data[0])
                self._left.insert(0, data[0])
            self._offer(now)
        elif type != self._type:
            self.link.drop("EAP Response of another type")
        elif type == IDENTITY:
            if len(data) > MAX_NAME:
                self.link.drop("EAP identity too long")
                return
            self._name = data
            self._offer(now)
        elif type == GTC:
            secret = self.link.secret_of(self._name)
            self._conclude(secret is not None and equal(secret, data), now)
        elif type == MD5:
            self._take_md5(data, now)
        else:
            self._take_ms_chap_v2(data, now)

    def _offer(self, now):
        """Ask for a proof of the next type."""
        if not self._left:
            self._conclude(False, now, "the peer speaks none of the EAP types demanded")
            return
        type = self._left.pop(0)
        if type == GTC:
            self._request(GTC, b"Password: ", now)
            return
        self._challenge = self.link.challenge = self.link.random(chap.CHALLENGE_SIZE)
        data = bytes((len(self._challenge),)) + self._challenge + self.link.name
        if type == MD5:
            self._request(MD5, data, now)
        else:
            self._ms_chap = _ms_chap_v2("Verifier", self.link)
            self._request(MSCHAPV2, _ms_chap(MS_CHALLENGE, self.link.next_identifier(), data)[1:], now)

    def _named(self, data, size):
        """A name behind a value of so many bytes speaks for the proof; without one the identity does."""
        return data[1 + size : 1 + size + MAX_NAME] or self._name

    def _take_md5(self, data, now):
        value = counted(data, 0, len(data))
        if value is None:
            self.link.drop("EAP response beyond the packet")
            return
        self._name = self._named(data, len(value))
        secret = self.link.secret_of(self._name)
        right = secret is not None and equal(chap.chap_md5(self._identifier, secret, self._challenge), value)
        self._conclude(right, now)

    def _take_ms_chap_v2(self, data, now):
        if self._ms_right is not None:  # any answer will do: our mind is made up
            if data[:1] == bytes((MS_SUCCESS if self._ms_right else MS_FAILURE,)):
                self._conclude(self._ms_right, now)
            elif self._ms_right and data[:1] == bytes((MS_FAILURE,)):
                self._conclude(False, now, "the peer does not believe our proof")
            else:
                self.link.drop("EAP-MSCHAPv2 operation out of place")
            return
        message = _ms_data(data)
        value = counted(message, 0, len(message)) if message is not None else None
        if value is None:
            self.link.drop("EAP-MSCHAPv2 packet with a wrong length")
            return
        if data[0] != MS_RESPONSE:
            self.link.drop("EAP-MSCHAPv2 operation out of place")
            return
        self._name = self._named(message, len(value))
        secret = self.link.secret_of(self._name)
        self._ms_right, text = self._ms_chap.check(data[1], self._challenge, value, self._name, secret)
        self.keys = self._ms_chap.keys
        self._request(MSCHAPV2, _ms_chap(MS_SUCCESS if self._ms_right else MS_FAILURE, data[1], text)[1:], now)

    def _conclude(self, right, now, why="the peer gave a wrong name or password"):
        self.settle()
        self._verdict = SUCCESS if right else FAILURE
        self.answer(self._verdict, self._identifier, b"", now)
        if right:
            self.link.verified(self._name, now)
        else:
            self.link.fail(Fault(AUTH, "EAP: " + why + ": " + clean(self._name)), now)

    CODES = {RESPONSE: _on_response}
