"""Verifiers that leave the verdict to somebody else, a RADIUS server say; loaded when a link has a ``judge``.

``link.judge(evidence, done, now)`` is asked. ``evidence``: a dict of ``method`` (as in a configuration), ``name``, and
``password``; or ``identifier``, ``challenge`` and ``response``, which is a Response Value; or ``eap``, a whole packet,
and ``state``, whatever the verdict before said. ``done(verdict, now)`` may come at once, later, or never. A verdict is
a dict of ``right`` (None: EAP goes on), and perhaps of ``message``, ``keys`` (f(bits) -> (send, receive), for MPPE),
``eap`` (a packet for the peer), ``state``, ``why`` (a Fault: there was nobody to judge).
"""

from ...crypto.hashes import equal
from ...fault import AUTH, Fault, clean
from ...wire import ppp
from .. import auth
from . import pap
from .role import Role, counted

_SILENCE = "no verdict on the peer's proof"

# EAP (RFC 3748 §4).
_EAP_REQUEST, _EAP_RESPONSE, _EAP_SUCCESS, _EAP_FAILURE = 1, 2, 3, 4
_IDENTITY = 1
_MAX_NAME = 253  # bytes, as long as RADIUS carries


def verifier(value, link):
    """The Verifier of the method with this option value, for a link with a judge."""
    name = auth.name_of(value)
    if name == "pap":
        return _Pap(link)
    if name == "eap":
        return _Eap(link)
    return _challenger(auth.load(value).Verifier, name)(link)


def _ask(role, evidence, then, now):
    """Ask for a verdict; ``then(verdict, now)``, unless the link has gone another way by then."""
    role.wait(now)
    role.silence = _SILENCE
    question = role.question = object()

    def done(verdict, now):
        if role.question is question and role in role.link.roles:
            role.question = None
            role.settle()
            if verdict.get("why") is not None:
                role.link.blame(verdict["why"])
            then(verdict, now)
            role.link.rearm()

    role.link.judge(evidence, done, now)


def _refuse(role, verdict, title, name, now):
    why = verdict.get("why")
    role.link.fail(why or Fault(AUTH, title + ": the peer gave a wrong name or password: " + clean(name)), now)


def _challenger(base, method):
    """A Verifier of CHAP or one of its kin that does not judge itself."""

    class Challenger(base):
        def __init__(self, link):
            super().__init__(link)
            self.question = None  # what is being asked

        def judge(self, identifier, challenge, response, name, now):
            if self.question is not None:
                self.link.drop("stale answer")
                return
            evidence = {
                "method": method,
                "name": name,
                "identifier": identifier,
                "challenge": challenge,
                "response": response,
            }

            def then(verdict, now):
                self.keys = verdict.get("keys")
                message = verdict.get("message") or (b"welcome" if verdict["right"] else b"wrong name or password")
                self.conclude(verdict["right"], message, identifier, name, now, verdict.get("why"))

            _ask(self, evidence, then, now)

    return Challenger


class _Pap(pap.Verifier):
    def __init__(self, link):
        super().__init__(link)
        self.question = None

    def _on_request(self, identifier, buf, at, end, now):
        name = counted(buf, at, end)
        password = None if name is None else counted(buf, at + 1 + len(name), end)
        if password is None:
            self.link.drop("PAP string beyond the packet")
        elif self._good is not None and self._good[0] == name and equal(self._good[1], password):
            self.answer(pap.ACK, identifier, b"\0", now)
        elif self.question is not None or self._good is not None:
            self.link.drop("stale answer")
        else:

            def then(verdict, now):
                if verdict["right"]:
                    self._good = (name, password)
                    self.answer(pap.ACK, identifier, b"\0", now)
                    self.link.verified(name, now)
                else:
                    self.answer(pap.NAK, identifier, b"\x16wrong name or password", now)
                    _refuse(self, verdict, "PAP", name, now)

            _ask(self, {"method": "pap", "name": name, "password": password}, then, now)

    CODES = {pap.REQUEST: _on_request}


class _Eap(Role):
    """EAP passes through: whatever the methods are, they are the peer's and the judge's (RFC 3579)."""

    protocol = ppp.EAP
    silence = "no answer to the EAP Request"

    def __init__(self, link):
        super().__init__(link)
        self.question = None
        self._identifier = 0  # of the Request that is out
        self._name = None
        self._state = None
        self._verdict = None  # the packet that ended it

    def start(self, now):
        """Ask who it is."""
        self._identifier = self.link.next_identifier()
        self.say(_EAP_REQUEST, self._identifier, bytes((_IDENTITY,)), now)

    def _on_response(self, identifier, buf, at, end, now):
        if self._verdict is not None:
            self.answer(self._verdict, identifier, b"", now)
        elif identifier != self._identifier or self.question is not None or at == end:
            self.link.drop("stale answer")
        elif self._name is None and (buf[at] != _IDENTITY or end - at - 1 > _MAX_NAME):
            self.link.drop("EAP Response without an identity")
        else:
            if self._name is None:
                self._name = bytes(buf[at + 1 : end])
            packet = bytes(buf[at - ppp.CONTROL_HEADER : end])
            evidence = {"method": "eap", "name": self._name, "eap": packet, "state": self._state}
            _ask(self, evidence, self._on_verdict, now)

    def _on_verdict(self, verdict, now):
        packet = verdict.get("eap") or b""
        if verdict["right"] is None and len(packet) > ppp.CONTROL_HEADER and packet[0] == _EAP_REQUEST:
            self._state = verdict.get("state")
            self._identifier = packet[1]
            self.silence = "no answer to the EAP Request"
            self.say(_EAP_REQUEST, packet[1], packet[ppp.CONTROL_HEADER :], now)
            return
        self.keys = verdict.get("keys")
        self._verdict = _EAP_SUCCESS if verdict["right"] else _EAP_FAILURE
        self.answer(self._verdict, packet[1] if len(packet) > 1 else self._identifier, b"", now)
        if verdict["right"]:
            self.link.verified(self._name, now)
        else:
            _refuse(self, verdict, "EAP", self._name, now)

    CODES = {_EAP_RESPONSE: _on_response}
