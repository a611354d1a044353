"""MS-CHAP version 1 (RFC 2433), with the Windows NT response alone; and the Failure text it shares with version 2."""

from ...crypto.hashes import equal
from ...crypto.mppe_keys import start_key_v1
from ...crypto.mschap import challenge_response, nt_password_hash
from ...fault import AUTH, Fault, clean
from . import chap

RESPONSE_SIZE = 49  # bytes of a Response Value: 24 or 16 + 8, then the NT response of 24, then flags
NT_RESPONSE = 24  # where the NT response stands in it
USE_NT_RESPONSE = 1  # flag: the LAN Manager response does not count

# Error codes of a Failure (RFC 2433 §8, RFC 2759 §6): cause, hint.
REASONS = {
    0: ("refused", "check username and password"),  # no code to be read
    646: ("the account may not be used at this hour", "see its logon hours at the server"),
    647: ("the account is disabled", "enable it at the server"),
    648: ("the password has expired", "change it at the server, then here"),
    649: ("the account may not dial in", "grant it dial-in permission at the server"),
    691: ("wrong name or password", "check username and password"),
    709: ("the server could not change the password", "change it at the server, then here"),
}


def read_failure(message):
    """``E=… R=… C=… V=… M=…`` as a dict of bytes by letter; any field may be missing, ``M`` is the rest."""
    fields = {}
    rest = b" " + message
    at = rest.find(b" M=")
    if at >= 0:
        fields["M"] = rest[at + 3 :]
        rest = rest[:at]
    for word in rest.split():
        if word[1:2] == b"=":
            fields[chr(word[0])] = word[2:]
    return fields


def error_code(fields):
    """The error code of a Failure, 0 when there is none to be read."""
    digits = fields.get("E", b"")
    return int(digits) if digits.isdigit() and len(digits) <= 10 else 0


class Prover(chap.Prover):
    """The peer challenges us.

    A Failure that allows another try (R=1) is final all the same: it wants another password, and we have one.
    """

    title = "MS-CHAP"
    challenge_size = 8  # bytes

    def __init__(self, link):
        super().__init__(link)
        self._challenge = b""  # answered last

    def respond(self, identifier, challenge, name):
        if len(challenge) != self.challenge_size:
            return None
        self._challenge = challenge
        response = challenge_response(challenge, nt_password_hash(self.link.password))
        return bytes(24) + response + bytes((USE_NT_RESPONSE,))

    def confirm(self, message):
        password, challenge = self.link.password, self._challenge
        self.keys = lambda bits: (start_key_v1(password, challenge, bits),) * 2
        return True

    def explain(self, message):
        fields = read_failure(message)
        code = error_code(fields)
        cause, hint = REASONS.get(code) or ("refused with error %d" % code, "")
        return Fault(AUTH, self.title + ": " + cause, clean(fields.get("M") or message), hint)


class Verifier(chap.Verifier):
    """We challenge the peer."""

    title = "MS-CHAP"

    def challenge(self):
        return self.link.random(8)

    def check(self, identifier, challenge, response, name, secret):
        if secret is not None and len(response) == RESPONSE_SIZE and response[48] & USE_NT_RESPONSE:
            expected = challenge_response(challenge, nt_password_hash(secret))
            if equal(expected, response[NT_RESPONSE : NT_RESPONSE + 24]):
                self.keys = lambda bits: (start_key_v1(secret, challenge, bits),) * 2
                return True, b"welcome"
        return False, b"E=691 R=0 V=2"
