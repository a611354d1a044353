"""Password Authentication Protocol (RFC 1334 §2)."""

from ...crypto.hashes import equal
from ...fault import AUTH, Fault, clean
from ...wire import ppp
from .role import Role, counted

REQUEST = 1
ACK = 2
NAK = 3


class Prover(Role):
    """We show our name and password."""

    protocol = ppp.PAP
    silence = "no answer to the PAP Authenticate-Request"

    def start(self, now):
        """Send the Authenticate-Request at once, and what may fly with it."""
        link = self.link
        name, password = link.username, link.password
        data = bytes((len(name),)) + name + bytes((len(password),)) + password
        self.say(REQUEST, link.next_identifier(), data, now)
        link.answered(now)

    def _on_ack(self, identifier, buf, at, end, now):
        if self._packet is None or identifier != self._packet[1]:
            self.link.drop("stale answer")
            return
        self.settle()
        self.link.proven(now)

    def _on_nak(self, identifier, buf, at, end, now):
        if self._packet is None or identifier != self._packet[1]:
            self.link.drop("stale answer")
            return
        self.settle()
        said = clean(counted(buf, at, end) or b"")
        self.link.fail(Fault(AUTH, "PAP: wrong name or password", said, "check username and password"), now)

    CODES = {ACK: _on_ack, NAK: _on_nak}


class Verifier(Role):
    """The peer shows its name and password."""

    protocol = ppp.PAP
    silence = "the peer sent no PAP Authenticate-Request"

    def __init__(self, link):
        super().__init__(link)
        self._good = None  # (name, password) that were right: repetitions are acknowledged again (§2.2.1)

    def _on_request(self, identifier, buf, at, end, now):
        name = counted(buf, at, end)
        password = None if name is None else counted(buf, at + 1 + len(name), end)
        if password is None:
            self.link.drop("PAP string beyond the packet")
            return
        if self._good is not None:
            right = self._good[0] == name and equal(self._good[1], password)
        else:
            secret = self.link.secret_of(name)
            right = secret is not None and equal(secret, password)
        if right:
            self.answer(ACK, identifier, b"\0", now)
            if self._good is None:
                self._good = (name, password)
                self.settle()
                self.link.verified(name, now)
            return
        self.settle()
        text = b"wrong name or password"
        self.answer(NAK, identifier, bytes((len(text),)) + text, now)
        self.link.fail(Fault(AUTH, "PAP: the peer gave a wrong name or password: " + clean(name)), now)

    CODES = {REQUEST: _on_request}
