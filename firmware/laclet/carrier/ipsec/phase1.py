"""Phase 1 of IKEv1 with a pre-shared key: main and aggressive mode, both roles (RFC 2409 §5.4, NAT: RFC 3947)."""

from ...crypto.dh import DiffieHellman
from ...crypto.hashes import equal
from ...fault import IKE, Fault
from . import nat, proposals, tables
from . import payload as p
from .exchange import Exchange
from .keys import Keys

_NO_MESSAGE_ID = bytes(4)
NO_COOKIE = bytes(8)
_ALL = b"\x80\x00\x00\x00"  # behind VENDOR_FRAGMENTATION: in every exchange
_NONCE = 32  # bytes; RFC 2409 §5 allows 8 to 256
# An answer to an address that has proved nothing is at most so many times as long as the question (as RFC 9000 §8.1).
_AMPLIFICATION = 3


class Phase1(Exchange):
    """One ISAKMP SA, from its first message to its end. A responder's ``peer`` is None until it knows who calls."""

    table = tables.PHASE1

    def __init__(self, owner, inlet, addr, peer=None):
        """Responder, or initiator when ``peer`` is given; ``inlet`` and ``addr`` are the way to the other side."""
        self.aggressive = peer is not None and owner.policy.aggressive
        first = tables.AGGRESSIVE_2 if self.aggressive else tables.MAIN_2
        Exchange.__init__(self, owner, peer is not None, first if peer else tables.MAIN_1)
        self.inlet = inlet
        self.addr = addr
        self.peer = peer
        self.cookie_i = owner.random(8) if peer else b""
        self.cookie_r = NO_COOKIE
        self.proposal = None
        self.keys = None
        self.life = owner.policy.ike_life  # seconds
        self.natt = False  # the peer speaks RFC 3947
        self.nat_here = False  # a NAT stands before us
        self.nat_there = False  # … before them, or they say so
        self.encapsulated = False  # ESP goes in UDP
        self.dpd = False  # the peer answers R-U-THERE
        self.pieces = False  # the peer takes messages in pieces
        self.identity = b""  # the body of the peer's ID payload
        self.initial_contact = False  # the peer knows of no older SA with us
        self.last_block = b""  # the last ciphertext of phase 1: every later IV comes of it
        self.rekey_at = None  # deadlines of the Peer
        self.expire_at = None
        self.replaces = None  # the Phase1 that this one renews, while it is negotiated
        self.leaving = False  # it goes as soon as a pair under another SA sends
        self._iv = b""
        self._dh = None
        self._public_i = b""
        self._public_r = b""
        self._nonce_i = b""
        self._nonce_r = b""
        self._sa = b""  # SAi_b: the body of the initiator's SA payload
        self._answer = b""  # the body of the SA payload with our choice
        self._fragments = None  # the message in the making
        self._wholes = 0  # messages that went out in pieces

    @property
    def cookies(self):
        """CKY-I | CKY-R."""
        return self.cookie_i + self.cookie_r

    # -- what an Exchange asks for --------------------------------------------------------------------

    def transmit(self, message):
        """Send by the way the last accepted message came; what is too long for it in pieces."""
        whole = self.owner.policy.whole
        if self.pieces and len(message) > whole:
            from .fragments import split

            self._wholes = self._wholes + 1 & 0xFFFF
            for piece in split(message, self._wholes, whole):
                self.owner.transmit(self.inlet, self.addr, piece)
        else:
            self.owner.transmit(self.inlet, self.addr, message)

    def gather(self, message, limit):
        """A piece of a message: see ``Fragments.add``."""
        if self._fragments is None:
            from .fragments import Fragments

            self._fragments = Fragments(limit)
        return self._fragments.add(message)

    def failed(self, fault, now):
        """Tell the machine."""
        self.owner.phase1_failed(self, fault, now)

    def finished(self, now):
        """Tell the machine, and forget what only the negotiation needed."""
        self._dh = None
        self.owner.phase1_up(self, now)

    def notified(self, message, now):
        """A notification before phase 1 is done, which proves nothing: an error ends what an initiator asked for."""
        if message[p.FLAGS] & p.ENCRYPTED:
            if self.state == tables.MAIN_6 and self.informational(message) is None:
                # In answer to our proof strongSwan complains under its own keys: that we cannot read it says all.
                self.said = "something that our pre-shared key cannot read"
                self.fail("the pre-shared key differs", "compare ipsec_psk", now)
            return "too early"
        found = p.parse(message[p.NEXT], message, p.HEADER, len(message))
        body = p.first(found, p.NOTIFY, message) if found else None
        if body is None or len(body) < 8:
            return "malformed"
        number = p.u16(body, 6)
        if not self.initiator or number >= 8192:  # no error (RFC 2408 §3.14.1)
            return "clear notification"
        self.said = p.error_name(number)
        if self.state == tables.MAIN_6:
            self.fail("the peer refused our pre-shared key or identity", "compare ipsec_psk", now)
        elif number == p.NO_PROPOSAL_CHOSEN:
            offered = ",".join([proposal.text for proposal in self.owner.policy.ike])
            self.fail("no common IKE proposal; we offered " + offered, "set ipsec_ike to what the peer takes", now)
        else:
            self.fail("the peer refused phase 1", "", now)

    def open(self, message):
        """Decrypt with the chain of phase 1."""
        return self.keys.open(message, self._iv) if self.keys else None

    def garbled(self, sealed, now):
        """A message that decrypts to nonsense means another pre-shared key (RFC 2409 §5.4); say so once."""
        if not sealed:
            return "malformed"
        if not self.said:
            self.said = "a message that our pre-shared key cannot read"
            if not self.initiator:
                self.transmit(self._clear([(p.NOTIFY, self._error(p.AUTHENTICATION_FAILED))], p.INFORMATIONAL))
                fault = Fault(IKE, "the pre-shared key differs", self.said, "compare ipsec_psk")
                self.owner.callers.fault(self.addr, fault, now)
        return "wrong key"

    def authentic(self, message, found, seed):
        """True when the HASH payload, which comes first, proves all payloads after it (RFC 2409 §5.5, §5.7)."""
        kind, start, end = found[0]
        proof = self.keys.prf(self.keys.skeyid_a, seed + message[end : found[-1][2]])
        return kind == p.HASH and equal(message[start:end], proof)

    def informational(self, message):
        """``(message in clear, payloads)`` of an informational message that proves itself (RFC 2409 §5.7), or None."""
        message_id = message[p.MESSAGE_ID : p.LENGTH]
        opened = self.keys.open(message, self.keys.iv(self.last_block or self._iv, message_id))
        if opened is None:
            return None
        message = opened[0]
        found = p.parse(message[p.NEXT], message, p.HEADER, len(message))
        return (message, found) if found and self.authentic(message, found, message_id) else None

    # -- initiator --------------------------------------------------------------------------------------

    def start(self, now):
        """Send message 1."""
        policy = self.owner.policy
        offered = policy.ike
        if self.aggressive:  # one KE payload is sent with the offer: one group (RFC 2409 §5.4)
            offered = [proposal for proposal in offered if proposal.group == offered[0].group]
        self._sa = proposals.sa_payload(p.PROTO_ISAKMP, b"", offered, policy.ike_life, 0)
        payloads = [(p.SA, self._sa)]
        if self.aggressive:
            self._make_secret(offered[0].group)
            payloads += [(p.KE, self._public_i), (p.NONCE, self._nonce_i), (p.ID, self._identity())]
        self.natt = self.dpd = self.pieces = True  # what we say; the answer tells what holds
        payloads += self._vendors()
        self.natt = self.dpd = self.pieces = False
        self.flight(self._clear(payloads), now)

    def main_2(self, message, found, iv, now):
        """The responder's choice: answer with our half of the secret (RFC 2409 §5.4)."""
        if not self._chosen(message, found, now):
            return "no common proposal"
        self._make_secret(self.proposal.group)
        return self._clear([(p.KE, self._public_i), (p.NONCE, self._nonce_i)] + nat.payloads(self))

    def main_4(self, message, found, iv, now):
        """The responder's half: the keys are there; prove who we are."""
        reason = self._take_secret(message, found)
        if reason:
            return reason
        nat.float_(self)
        payloads = [(p.ID, self._identity())]
        payloads.append((p.HASH, self._proof(True, payloads[0][1])))
        if not self.peer.alive():
            payloads.append((p.NOTIFY, self._notify(p.INITIAL_CONTACT)))
        return self._seal(payloads, self._iv)

    def main_6(self, message, found, iv, now):
        """The responder's proof."""
        if not self._proved(message, found, False):
            return self.garbled(True, now)
        self.last_block = iv

    def aggressive_2(self, message, found, iv, now):
        """The responder's choice, half and proof at once: answer with our proof."""
        if not self._chosen(message, found, now):
            return "no common proposal"
        reason = self._take_secret(message, found)
        if reason:
            return reason
        if not self._proved(message, found, False):
            self.fail("the pre-shared key differs", "compare ipsec_psk", now)
            return "wrong key"
        nat.float_(self)
        payloads = [(p.HASH, self._proof(True, self._identity()))] + nat.payloads(self)
        if not self.peer.alive():
            payloads.append((p.NOTIFY, self._notify(p.INITIAL_CONTACT)))
        return self._last(payloads, self._iv)

    # -- responder --------------------------------------------------------------------------------------

    def main_1(self, message, found, iv, now):
        """A stranger's offer: choose (RFC 2409 §5.4)."""
        reason = self._choose(message, found)
        return reason or self._clear([(p.SA, self._answer)] + self._vendors())

    def main_3(self, message, found, iv, now):
        """The initiator's half; it knows our cookie, so its address is real."""
        self._make_secret(self.proposal.group)
        reason = self._take_secret(message, found)
        return reason or self._clear([(p.KE, self._public_r), (p.NONCE, self._nonce_r)] + nat.payloads(self))

    def main_5(self, message, found, iv, now):
        """The initiator's proof: answer with ours."""
        if self.encapsulated and self.inlet is self.owner.ike:
            return "not on port 4500"
        if not self._proved(message, found, True):
            return self.garbled(True, now)
        payloads = [(p.ID, self._identity())]
        payloads.append((p.HASH, self._proof(False, payloads[0][1])))
        return self._last(payloads, iv)

    def aggressive_1(self, message, found, iv, now):
        """A stranger's offer with its half of the secret: choose, and prove ourselves."""
        if not self.owner.policy.aggressive:
            return "aggressive mode"  # it shows a hash of the key to whoever asks: only where it is wanted
        self.aggressive = True
        reason = self._choose(message, found)
        if reason:
            return reason
        self._make_secret(self.proposal.group)
        self.identity = p.first(found, p.ID, message)
        reason = self._take_secret(message, found)
        if reason:
            return reason
        payloads = [(p.SA, self._answer), (p.KE, self._public_r), (p.NONCE, self._nonce_r), (p.ID, self._identity())]
        payloads.append((p.HASH, self._proof(False, payloads[3][1])))
        answer = self._clear(payloads + self._vendors() + nat.payloads(self))
        return answer if len(answer) <= _AMPLIFICATION * len(message) else "would amplify"

    def aggressive_3(self, message, found, iv, now):
        """The initiator's proof; in clear its hash of the NAT's work is in it as well (RFC 3947 §4)."""
        if not equal(p.first(found, p.HASH, message), self._proof(True, self.identity)):
            return self.garbled(True, now)
        nat.detect(self, message, found)
        if self.encapsulated and self.inlet is self.owner.ike:
            return "not on port 4500"
        self._notified(message, found)
        self.last_block = iv or self._iv

    # -- parts ------------------------------------------------------------------------------------------

    def _clear(self, payloads, exchange=None):
        if exchange is None:
            exchange = p.AGGRESSIVE if self.aggressive else p.MAIN
        body = p.chain(payloads)
        return p.header(self.cookies, payloads[0][0], exchange, 0, _NO_MESSAGE_ID, len(body)) + body

    def _seal(self, payloads, iv):
        exchange = p.AGGRESSIVE if self.aggressive else p.MAIN
        message, self._iv = self.keys.seal(self.cookies, exchange, _NO_MESSAGE_ID, iv, payloads)
        return message

    def _last(self, payloads, iv):
        """Our last message; its last block seeds the vectors of phase 2 (RFC 2409 Appendix B)."""
        message = self._seal(payloads, iv)
        self.last_block = self._iv
        return message

    def _make_secret(self, group):
        self._dh = DiffieHellman(group, self.owner.random)
        if self.initiator:
            self._public_i = self._dh.public
            self._nonce_i = self.owner.random(_NONCE)
        else:
            self._public_r = self._dh.public
            self._nonce_r = self.owner.random(_NONCE)

    def _take_secret(self, message, found):
        """Derive the keys from the other half; returns the reason when it is none."""
        theirs = p.first(found, p.KE, message)
        nonce = p.first(found, p.NONCE, message)
        if not 8 <= len(nonce) <= 256:
            return "bad nonce"
        secret = self._dh.shared(theirs)
        if secret is None:
            return "bad public value"
        if self.initiator:
            self._public_r, self._nonce_r = theirs, nonce
        else:
            self._public_i, self._nonce_i = theirs, nonce
        self.keys = Keys(self.proposal, self.owner.policy.psk, self._nonce_i, self._nonce_r, secret, self.cookies)
        self._iv = self.keys.iv(self._public_i, self._public_r)
        nat.detect(self, message, found)
        self.owner.export("ike", self.cookie_i, self.keys.cipher_key)
        return None

    def _proof(self, initiator, identity):
        """HASH_I or HASH_R (RFC 2409 §5)."""
        if initiator:
            seed = self._public_i + self._public_r + self.cookie_i + self.cookie_r
        else:
            seed = self._public_r + self._public_i + self.cookie_r + self.cookie_i
        return self.keys.prf(self.keys.skeyid, seed + self._sa + identity)

    def _proved(self, message, found, initiator):
        identity = p.first(found, p.ID, message)
        if not equal(p.first(found, p.HASH, message), self._proof(initiator, identity)):
            return False
        self.identity = identity
        self._notified(message, found)
        return True

    def _notified(self, message, found):
        for kind, start, end in found:
            if kind == p.NOTIFY and end - start >= 8 and p.u16(message, start + 6) == p.INITIAL_CONTACT:
                self.initial_contact = True

    def _select(self, message, found):
        """Choose, or understand the choice; returns the reason when there is nothing to agree on."""
        body = p.first(found, p.SA, message)
        choice = proposals.choose(body, p.PROTO_ISAKMP, self.owner.policy.ike, 0, proposals.P1_LIFE)
        if isinstance(choice, str):
            return choice
        self.proposal, _, life, self._answer = choice
        self.life = min(self.life, life or self.life)
        for kind, start, end in found:
            if kind == p.VENDOR:
                self.natt = self.natt or message[start:end] == p.VENDOR_NATT
                self.dpd = self.dpd or message[start:end] == p.VENDOR_DPD
                self.pieces = self.pieces or message[start : start + 16] == p.VENDOR_FRAGMENTATION
        if not self.natt and not self.owner.plain_esp():
            return "no NAT traversal"
        return None

    def _chosen(self, message, found, now):
        """The initiator reads the choice; False when it cannot be lived with."""
        reason = self._select(message, found)
        if reason == "no NAT traversal":
            self.fail("the peer does not do NAT traversal (RFC 3947), and plain ESP is not possible here", "", now)
        elif reason:
            self.fail("the peer chose an IKE proposal that we did not offer", "", now)
        self.cookie_r = message[8:16]
        return reason is None

    def _choose(self, message, found):
        """The responder chooses; returns the reason when it cannot."""
        self.cookie_i = message[:8]
        reason = self._select(message, found)
        if reason == "no common proposal":
            self.transmit(self._clear([(p.NOTIFY, self._error(p.NO_PROPOSAL_CHOSEN))], p.INFORMATIONAL))
        self._sa = p.first(found, p.SA, message)
        self.cookie_r = self.owner.random(8)
        return reason

    def _vendors(self):
        """What we understand of what the peer announced: an answer is not longer for it than the question."""
        known = (p.VENDOR_NATT, self.natt), (p.VENDOR_DPD, self.dpd), (p.VENDOR_FRAGMENTATION + _ALL, self.pieces)
        return [(p.VENDOR, vendor) for vendor, wanted in known if wanted]

    def _identity(self):
        """The body of our ID payload: what the policy says, or our address (RFC 2407 §4.6.2)."""
        kind, value = self.owner.policy.identity or p.address_id(self.inlet.host(self.addr))
        return bytes((kind, 0, 0, 0)) + value

    def _notify(self, number):
        """The body of a notification about this SA (RFC 2408 §3.14)."""
        return p.notification(p.PROTO_ISAKMP, self.cookies, number)

    def _error(self, number):
        return p.notification(p.PROTO_ISAKMP, b"", number)
