"""MS-CHAP version 2 (RFC 2759): each side proves to know the password."""

from binascii import hexlify

from ...crypto.hashes import equal
from ...crypto.mppe_keys import start_keys_v2
from ...crypto.mschap import generate_authenticator_response, generate_nt_response, nt_password_hash
from . import chap, mschap
from .mschap import NT_RESPONSE, RESPONSE_SIZE

CHALLENGE_SIZE = 16  # bytes of either challenge (§3, §4)
PROOF_SIZE = 42  # "S=" and 40 hexadecimal digits (§5)


def mppe_keys(password_hash, nt_response, server):
    """f(bits) for ``Role.keys``: the start keys of 16 bytes serve every key length."""
    return lambda bits: start_keys_v2(password_hash, nt_response, server)


class Prover(mschap.Prover):
    """The peer challenges us; its Success must prove that it knows our password, too."""

    title = "MS-CHAPv2"
    challenge_size = CHALLENGE_SIZE

    def __init__(self, link):
        super().__init__(link)
        self._identifier = -1  # of the challenge answered last
        self._response = None  # to it
        self._hash = b""  # of our password

    def respond(self, identifier, challenge, name):
        if len(challenge) != self.challenge_size:
            return None
        # A copy of a challenge hears the same again: the proof to come fits one response only.
        if identifier != self._identifier or challenge != self._challenge:
            self._identifier = identifier
            self._challenge = challenge
            self._hash = nt_password_hash(self.link.password)
            ours = self.link.random(CHALLENGE_SIZE)
            nt_response = generate_nt_response(challenge, ours, self.link.username, self._hash)
            self._response = ours + bytes(8) + nt_response + b"\0"
        return self._response

    def confirm(self, message):
        nt_response = self._response[NT_RESPONSE : NT_RESPONSE + 24]
        ours = self._response[:CHALLENGE_SIZE]
        proof = generate_authenticator_response(self._hash, nt_response, ours, self._challenge, self.link.username)
        if not equal(proof, message[:PROOF_SIZE].upper()):
            return False
        self.keys = mppe_keys(self._hash, nt_response, False)
        return True


class Verifier(chap.Verifier):
    """We challenge the peer, and prove in the Success that we know its password."""

    title = "MS-CHAPv2"

    def challenge(self):
        return self.link.random(CHALLENGE_SIZE)

    def check(self, identifier, challenge, response, name, secret):
        if secret is not None and len(response) == RESPONSE_SIZE:
            hash_ = nt_password_hash(secret)
            theirs = response[:CHALLENGE_SIZE]
            nt_response = response[NT_RESPONSE : NT_RESPONSE + 24]
            if equal(generate_nt_response(challenge, theirs, name, hash_), nt_response):
                self.keys = mppe_keys(hash_, nt_response, True)
                return True, generate_authenticator_response(
                    hash_, nt_response, theirs, challenge, name
                ) + b" M=welcome"
        # C= must be there (§6), although R=0 means that no answer to it will be heard.
        return False, b"E=691 R=0 C=" + hexlify(self.link.random(CHALLENGE_SIZE)).upper() + b" V=3 M=access denied"
