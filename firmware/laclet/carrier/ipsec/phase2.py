"""Quick mode: a pair of ESP SAs for UDP in transport mode, with or without PFS (RFC 2409 §5.5, RFC 3193, RFC 3947)."""

from ...crypto.dh import DiffieHellman
from ...crypto.hashes import equal
from . import payload as p
from . import proposals, tables
from .esp import Pair
from .exchange import Exchange

_NONCE = 32


class Quick(Exchange):
    """One quick mode under the ISAKMP SA ``sa``: responder to ``message_id``, or initiator when there is none."""

    table = tables.PHASE2

    def __init__(self, sa, message_id=None):
        Exchange.__init__(self, sa.owner, message_id is None, tables.QUICK_1 if message_id else tables.QUICK_2)
        self.insists = True  # both sides repeat: the responder waits for a third message
        self.sa = sa
        self.peer = sa.peer
        self.message_id = message_id or self.owner.random(4)
        self.pair = None  # what came of it
        self.replaces = None  # the Pair that it renews
        self._asked = 0  # when message 1 went out
        self._iv = sa.keys.iv(sa.last_block, self.message_id)
        self._dh = None
        self._nonce = self.owner.random(_NONCE)
        self._nonces = b""  # Ni | Nr
        self._spi = self.owner.new_spi()
        self._mode = proposals.UDP_TRANSPORT if sa.encapsulated else proposals.TRANSPORT

    # -- what an Exchange asks for --------------------------------------------------------------------

    def transmit(self, message):
        """Send by the way of the ISAKMP SA."""
        self.sa.transmit(message)

    def again(self):
        """Send the last flight again; it may be the last of aggressive mode that the other side waits for."""
        if self.sa.aggressive and self.sa.initiator:
            self.sa.repeat()
        Exchange.again(self)

    def open(self, message):
        """Decrypt with the chain of this exchange."""
        return self.sa.keys.open(message, self._iv)

    def garbled(self, sealed, now):
        """The reason for a message that makes no sense."""
        return "undecryptable" if sealed else "malformed"

    def finished(self, now):
        """The pair may be used."""
        self.peer.quick_done(self, now)

    def failed(self, fault, now):
        """Tell the peer object."""
        self.peer.quick_failed(self, fault, now)

    def refused(self, number, now):
        """The other side notified an error under the ISAKMP SA."""
        self.said = p.error_name(number)
        if number == p.NO_PROPOSAL_CHOSEN:
            offered = ",".join([proposal.text for proposal in self.owner.policy.esp])
            self.fail("no common ESP proposal; we offered " + offered, "set ipsec_esp to what the peer takes", now)
        elif number == p.INVALID_ID_INFORMATION:
            self.fail("the peer has no policy for UDP 1701 in transport mode", "is it an L2TP/IPsec server?", now)
        else:
            self.fail("the peer refused quick mode", "", now)

    # -- messages ---------------------------------------------------------------------------------------

    def start(self, now):
        """Send message 1."""
        policy = self.owner.policy
        self._asked = now
        offer = proposals.sa_payload(p.PROTO_ESP, self._spi, policy.esp, policy.esp_life, self._mode)
        payloads = [(p.SA, offer), (p.NONCE, self._nonce)]
        if policy.esp[0].group:
            self._dh = DiffieHellman(policy.esp[0].group, self.owner.random)
            payloads.append((p.KE, self._dh.public))
        payloads.append((p.ID, self._selector(self.sa.inlet.host(self.sa.addr), policy.port)))
        payloads.append((p.ID, self._selector(self.sa.addr[0], self.peer.port)))
        self.flight(self._seal(payloads + self._original_addresses(), self._iv, b""), now)

    def quick_1(self, message, found, iv, now):
        """The other side wants a pair: choose, and be ready to receive."""
        if not self._authentic(message, found, b""):
            return "bad hash"
        nonce = p.first(found, p.NONCE, message)
        ids = [message[start:end] for kind, start, end in found if kind == p.ID]
        choice = self._choose(message, found)
        if isinstance(choice, str):
            self.peer.refuse(self.sa, p.NO_PROPOSAL_CHOSEN, "no common ESP proposal", "compare ipsec_esp")
            return choice
        if ids and not (len(ids) == 2 and self._covers(ids[0], 0) and self._covers(ids[1], self.owner.policy.port)):
            self.peer.refuse(self.sa, p.INVALID_ID_INFORMATION, "the peer wants a tunnel for other than L2TP", "")
            return "foreign selector"
        proposal, spi, life, body = choice
        payloads = [(p.SA, self._with_spi(body, spi)), (p.NONCE, self._nonce)]
        secret = b""
        if proposal.group:
            self._dh = DiffieHellman(proposal.group, self.owner.random)
            secret = self._dh.shared(p.first(found, p.KE, message) or b"")
            if secret is None:
                return "bad public value"
            payloads.append((p.KE, self._dh.public))
        payloads += [(p.ID, body) for body in ids]
        self._nonces = nonce + self._nonce
        answer = self._seal(payloads + self._original_addresses(), iv, nonce)
        self._make_pair(proposal, spi, life, secret)
        self.peer.listen(self.pair, now)
        return answer

    def quick_2(self, message, found, iv, now):
        """The responder's choice: the pair is made, message 3 tells so."""
        if not self._authentic(message, found, self._nonce):
            return "bad hash"
        choice = self._choose(message, found)
        if isinstance(choice, str):
            self.fail("the peer chose an ESP proposal that we did not offer", "", now)
            return choice
        proposal, spi, life, _ = choice
        secret = b""
        if proposal.group:
            secret = self._dh.shared(p.first(found, p.KE, message) or b"")
            if secret is None:
                return "bad public value"
        self._nonces = self._nonce + p.first(found, p.NONCE, message)
        self._make_pair(proposal, spi, self._told_life(message, found, life), secret)
        digest = self.sa.keys.prf(self.sa.keys.skeyid_a, b"\x00" + self.message_id + self._nonces)
        answer, self._iv = self._encrypt([(p.HASH, digest)], iv)
        self.peer.listen(self.pair, now)
        return answer

    def quick_3(self, message, found, iv, now):
        """The initiator is ready to receive."""
        digest = self.sa.keys.prf(self.sa.keys.skeyid_a, b"\x00" + self.message_id + self._nonces)
        if not equal(p.first(found, p.HASH, message), digest):
            return "bad hash"
        return None

    # -- parts ------------------------------------------------------------------------------------------

    def _authentic(self, message, found, nonce):
        return self.sa.authentic(message, found, self.message_id + nonce)

    def _seal(self, payloads, iv, nonce):
        """HASH(1) or HASH(2) in front, and encrypted."""
        digest = self.sa.keys.prf(self.sa.keys.skeyid_a, self.message_id + nonce + p.chain(payloads))
        message, self._iv = self._encrypt([(p.HASH, digest)] + payloads, iv)
        return message

    def _encrypt(self, payloads, iv):
        return self.sa.keys.seal(self.sa.cookies, p.QUICK, self.message_id, iv, payloads)

    def _choose(self, message, found):
        body = p.first(found, p.SA, message)
        return proposals.choose(body, p.PROTO_ESP, self.owner.policy.esp, self._mode, proposals.P2_LIFE)

    def _with_spi(self, body, spi):
        """Our SPI in the place of theirs in the answer to their proposal."""
        at = 8 + 4 + 4  # DOI and situation; proposal header; number, protocol, SPI size, transforms
        return body[:at] + self._spi + body[at + len(spi) :]

    def _make_pair(self, proposal, spi, life, secret):
        keys = self.sa.keys
        inbound = keys.keymat(secret, p.PROTO_ESP, self._spi, self._nonces, proposal.keymat)
        outbound = keys.keymat(secret, p.PROTO_ESP, spi, self._nonces, proposal.keymat)
        life = min(life or self.owner.policy.esp_life, self.owner.policy.esp_life)
        self.pair = Pair(proposal, self._spi, inbound, spi, outbound, life, self.initiator)
        self.pair.sa = self.sa
        self.pair.replaces = self.replaces
        self.pair.asked = self._asked

    def _told_life(self, message, found, life):
        """The life after a RESPONDER-LIFETIME notification (RFC 2407 §4.6.3.1), if there is one."""
        for kind, start, end in found:
            if kind == p.NOTIFY and end - start >= 8 and p.u16(message, start + 6) == p.RESPONDER_LIFETIME:
                values = p.attributes(message, start + 8 + message[start + 5], end, proposals.P2_LIFE)
                return (values or {}).get(proposals.P2_LIFE + 1) or life
        return life

    def _selector(self, host, port):
        kind, value = p.address_id(host)
        return bytes((kind, p.UDP)) + p.p16(port) + value

    def _covers(self, body, port):
        """True when a peer's selector is UDP at this port, or any; ``port`` 0: whatever port is theirs."""
        if len(body) < 4 or body[1] not in (0, p.UDP):
            return False
        return not port or p.u16(body, 2) in (0, port)

    def _original_addresses(self):
        """The addresses as they were before the NAT, initiator's first (RFC 3947 §5.2)."""
        if not self.sa.encapsulated:
            return []
        out = []
        for host in (
            (self.sa.inlet.host(self.sa.addr), self.sa.addr[0])
            if self.initiator
            else (self.sa.addr[0], self.sa.inlet.host(self.sa.addr))
        ):
            kind, value = p.address_id(host)
            out.append((p.NAT_OA, bytes((kind, 0, 0, 0)) + value))
        return out
