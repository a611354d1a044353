"""Compression Control Protocol (RFC 1962), which negotiates nothing here but MPPE's encryption (RFC 3078 §2)."""

from .. import ticks
from ..fault import CCP, Fault
from ..wire import ppp
from .mppe import MAX_GARBLED, Receiver, Sender
from .ncp import Ncp
from .options import Option

RESET_REQUEST = 14
RESET_ACK = 15

MPPE = 18
STATELESS = 0x01  # "H", in the first byte of four
# The last byte, strongest first.
STRENGTHS = ((128, 0x40), (56, 0x80), (40, 0x20))

RESET_INTERVAL = 300  # ms between Reset-Requests while lost packets wait for one to be heard


def strength(value, allowed):
    """The strongest key length in bits that an option value and ``allowed`` have in common, or 0."""
    for bits, mask in STRENGTHS:
        if bits in allowed and value[3] & mask:
            return bits
    return 0


class Mppe(Option):
    """What each side wants to decrypt: ``ours`` what we do, ``peers`` what the peer does (RFC 1962 §4)."""

    def __init__(self, ccp, allowed, stateful):
        self._ccp = ccp
        self._allowed = allowed
        self._stateful = stateful
        masks = 0
        for bits, mask in STRENGTHS:
            if bits in allowed:
                masks |= mask
        super().__init__(MPPE, "mppe", bytes((STATELESS, 0, 0, masks)))

    def begin(self):
        self.ours = self.wish if self._ccp.has_keys() else None

    def _choice(self, value):
        """The value nearest to the peer's that we can live with: one strength; stateless unless both may do without."""
        bits = strength(value, self._allowed) or self._allowed[0]
        stateless = value[0] & STATELESS if self._stateful else STATELESS
        return bytes((stateless, 0, 0, dict(STRENGTHS)[bits]))

    def judge(self, value, now):
        if not self._ccp.has_keys():
            return None
        return self._choice(value if len(value) == 4 else self.wish)

    def missing(self, now):
        return self._choice(self.wish) if self._ccp.required else None

    def naked(self, value, now):
        if self.ours is None or len(value) != 4:
            return
        if strength(value, self._allowed):
            self.ours = self._choice(value)
        else:
            self.rejected(now)

    def rejected(self, now):
        self.ours = None
        self._ccp.declined(now)


class Ccp(Ncp):
    """``strengths``: key lengths in bits that will do, best first. ``required``: no packet passes in clear, either way.

    ``stateful``: the peer may have it so (packets lost cost a round trip). Keys come from MS-CHAP or EAP-MSCHAPv2.
    """

    protocol = ppp.CCP
    layer = CCP
    data_protocol = ppp.COMPRESSED
    overhead = 4  # bytes of the information field that are not the packet: MPPE's header, the protocol inside

    def __init__(self, link, strengths=(128,), required=True, stateful=False):
        super().__init__(link)
        self.required = required
        self.mppe = self.add(Mppe(self, tuple(strengths), stateful))
        self._strengths = strengths
        self._sender = None
        self._receiver = None
        self._reset_id = None  # identifier of the Reset-Request that waits for its effect
        self._reset_at = 0  # tick from which it may be repeated
        link.cipher = self

    # -- keys ---------------------------------------------------------------------------------------

    def _keyed(self):
        """The role whose keys count, or None: the caller's proof where both sides gave one (RFC 3079 §3)."""
        keyed = [role for role in self.link.roles if role.keys is not None]
        if not keyed:
            return None
        return keyed[0] if self.link.ncps[0].address.gives else keyed[-1]  # verifiers stand first

    def has_keys(self):
        """True when the authentication has brought keys about."""
        return self._keyed() is not None

    def start_keys(self, bits):
        """``(send, receive)`` start keys for a key length that was agreed."""
        return self._keyed().keys(bits)

    def start_early(self, now):
        """Not before the keys are there."""

    def start(self, now):
        if self.has_keys() or not self.required:
            super().start(now)
        else:
            fault = Fault(CCP, "encryption is required, but the authentication brings no keys")
            fault.hint = "allow mschap-v2, mschap or eap alone"
            self.link.fail(fault, now)

    # -- up and down --------------------------------------------------------------------------------

    def declined(self, now):
        """The peer will not encrypt as we want."""
        if self.required:
            self.link.fail(Fault(CCP, "the peer does not encrypt with the key lengths required"), now)

    def agreed(self, now):
        ours, peers = self.mppe.ours, self.mppe.peers
        if self.required and (ours is None or peers is None):
            self.declined(now)
            return False
        if peers is not None:
            bits = strength(peers, self._strengths)
            self._sender = Sender(self.start_keys(bits)[0], bits, peers[0] & STATELESS)
        if ours is not None:
            bits = strength(ours, self._strengths)
            self._receiver = Receiver(self.start_keys(bits)[1], bits, ours[0] & STATELESS)
        self._reset_id = None
        return True

    def on_down(self, now):
        self._sender = None
        self._receiver = None
        super().on_down(now)

    def on_finished(self, now):
        if self.required:
            self.link.fail(self.why or Fault(CCP, "the peer ended the encryption"), now)
        else:
            super().on_finished(now)

    # -- packets ------------------------------------------------------------------------------------

    def insists(self):
        """True when no network packet may arrive in clear."""
        return self.required or self._receiver is not None

    def seal(self, protocol, buf, start, end):
        """Put a network packet into a frame, encrypted where that was agreed; its start, or -1 when it may not pass."""
        if self._sender is None and self.required:
            self.link.drop("network packet before encryption")
            return -1
        buf[start - 2] = 0
        buf[start - 1] = protocol
        return self._sender.seal(buf, start - 2, end) if self._sender is not None else start - 2

    def carry_in(self, buf, at, end, now):
        receiver = self._receiver
        if receiver is None:
            self.link.drop("encrypted packet before CCP is open")
            return
        start = receiver.open(buf, at, end)
        if start >= 0:
            self._reset_id = None
            head = ppp.head(buf, start, end)
            for ncp in self.link.ncps:
                if ncp.data_protocol == head & 0xFFFF:
                    ncp.deliver(buf, start + (head >> 16), end, now)
            return
        self.link.drop(receiver.why)
        if receiver.garbled >= MAX_GARBLED:
            self.link.fail(Fault(CCP, "packets no longer decrypt: the keys are out of step"), now)
        elif receiver.discarding:
            self._ask_reset(now)

    def _ask_reset(self, now):
        if self._reset_id is None:
            self._reset_id = self.next_identifier()
        elif ticks.diff(now, self._reset_at) < 0:
            return
        self._reset_at = ticks.add(now, RESET_INTERVAL)
        self.link.send(self.protocol, RESET_REQUEST, self._reset_id, b"", now)

    def on_extended(self, buf, at, end, now):
        """Reset-Request and -Ack (RFC 1962 §3.1); MPPE needs no Ack, but the peer's CCP waits for ours."""
        if buf[at] == RESET_REQUEST and self._sender is not None:
            self._sender.reset()
            self.link.send(self.protocol, RESET_ACK, buf[at + 1], b"", now)

    CODES = dict(Ncp.CODES)
    CODES[RESET_REQUEST] = Ncp._on_extended
    CODES[RESET_ACK] = Ncp._on_extended
