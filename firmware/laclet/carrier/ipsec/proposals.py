"""What we offer and accept: the notation of strongSwan, and SA payloads (RFC 2408 §3.4, RFC 2409 A, RFC 2407 §4.5)."""

from ...crypto.aes import HAVE_3DES, HAVE_GCM, why_not
from . import payload as p

# Notation -> (IKE encryption, ESP transform, key bits): RFC 2409 Appendix A, RFC 3602, RFC 2407 §4.4.4, RFC 4106 §8.
# A key of None bits is an algorithm without the key length attribute.
_CIPHERS = {
    "aes": (7, 12, 128),
    "aes128": (7, 12, 128),
    "aes192": (7, 12, 192),
    "aes256": (7, 12, 256),
    "3des": (5, 3, None),
    "aes128gcm16": (None, 20, 128),
    "aes256gcm16": (None, 20, 256),
    "aes128gcm128": (None, 20, 128),
    "aes256gcm128": (None, 20, 256),
}
# Notation -> (IKE hash, ESP authentication, hashlib's name, key bytes, ICV bytes): RFC 2404, RFC 4868. With
# sha256_96 the number is that of sha256, but the ICV has 96 bits, as with old Android (strongSwan: sha256_96 = yes).
_HASHES = {
    "sha": (2, 2, "sha1", 20, 12),
    "sha1": (2, 2, "sha1", 20, 12),
    "sha256": (4, 5, "sha256", 32, 16),
    "sha2_256": (4, 5, "sha256", 32, 16),
    "sha256_96": (None, 5, "sha256", 32, 12),
}
_GROUPS = {"modp1024": 2, "modp1536": 5, "modp2048": 14}

DEFAULT_IKE = (
    "aes256-sha256-modp2048,aes128-sha256-modp2048,aes256-sha1-modp2048,aes128-sha1-modp2048,"
    "aes256-sha1-modp1536,aes128-sha1-modp1536,aes256-sha1-modp1024,aes128-sha1-modp1024"
)
_GCM_FIRST = "aes128gcm16,aes256gcm16," if HAVE_GCM else ""
DEFAULT_ESP = _GCM_FIRST + "aes128-sha256,aes256-sha256,aes128-sha1,aes256-sha1"

# Attributes of phase 1 (RFC 2409 Appendix A) and phase 2 (RFC 2407 §4.5): numbers that differ stand side by side.
_P1_CIPHER, _P1_HASH, _P1_AUTH, _P1_GROUP, P1_LIFE, _P1_KEY_BITS = 1, 2, 3, 4, 11, 14
P2_LIFE, _P2_GROUP, _P2_MODE, _P2_AUTH, _P2_KEY_BITS = 1, 3, 4, 5, 6
_KEY_IKE = 1
_PRE_SHARED_KEY = 1
TRANSPORT = 2
UDP_TRANSPORT = 4  # RFC 3947 §5.1

_GCM = 20
_3DES_ESP = 3

# Transforms of one peer's SA payload that we look at: Windows sends 18, and nobody needs 64.
_MAX_TRANSFORMS = 64


class Ike:
    """One phase 1 proposal: ``cipher`` and ``hash_id`` (IANA), ``bits`` of key, ``hash_name``, ``group``, ``text``."""

    def __init__(self, text, cipher, bits, hash_id, hash_name, group):
        self.text = text
        self.cipher = cipher
        self.bits = bits
        self.hash_id = hash_id
        self.hash_name = hash_name
        self.group = group
        self.triple = cipher == 5
        self.key_size = 24 if self.triple else bits >> 3
        self.block = 8 if self.triple else 16

    def transform(self, life, mode):
        """``(transform id, attributes)`` with a life of ``life`` seconds; ``mode`` means nothing in phase 1."""
        out = p.attribute(_P1_CIPHER, self.cipher)
        if self.bits:
            out += p.attribute(_P1_KEY_BITS, self.bits)
        out += p.attribute(_P1_HASH, self.hash_id) + p.attribute(_P1_GROUP, self.group)
        out += p.attribute(_P1_AUTH, _PRE_SHARED_KEY)
        return _KEY_IKE, out + p.attribute(P1_LIFE, 1) + p.attribute(P1_LIFE + 1, life)

    def matches(self, transform, values, mode):
        """True when a peer's transform is this one; ``mode`` means nothing in phase 1."""
        return (
            transform == _KEY_IKE
            and values.get(_P1_CIPHER) == self.cipher
            and values.get(_P1_KEY_BITS) == self.bits
            and values.get(_P1_HASH) == self.hash_id
            and values.get(_P1_GROUP) == self.group
            and values.get(_P1_AUTH) == _PRE_SHARED_KEY
        )


class Esp:
    """One phase 2 proposal: ``cipher``, ``auth`` (IANA), ``bits``, ``hash_name`` (None: GCM), ``icv``, ``group``."""

    def __init__(self, text, cipher, bits, auth, hash_name, auth_size, icv, group):
        self.text = text
        self.cipher = cipher
        self.bits = bits
        self.auth = auth
        self.hash_name = hash_name
        self.auth_size = auth_size
        self.icv = icv
        self.group = group
        self.gcm = cipher == _GCM
        self.triple = cipher == _3DES_ESP
        self.key_size = 24 if self.triple else bits >> 3
        # What one direction draws from KEYMAT: GCM takes 4 bytes of salt after its key (RFC 4106 §8.1).
        self.keymat = self.key_size + (4 if self.gcm else auth_size)

    def transform(self, life, mode):
        """``(transform id, attributes)`` for encapsulation mode ``mode``."""
        out = p.attribute(_P2_KEY_BITS, self.bits) if self.bits else b""
        if self.auth:
            out += p.attribute(_P2_AUTH, self.auth)
        if self.group:
            out += p.attribute(_P2_GROUP, self.group)
        out += p.attribute(_P2_MODE, mode)
        return self.cipher, out + p.attribute(P2_LIFE, 1) + p.attribute(P2_LIFE + 1, life)

    def matches(self, transform, values, mode):
        """True when a peer's transform is this one in encapsulation mode ``mode``."""
        return (
            transform == self.cipher
            and values.get(_P2_KEY_BITS) == self.bits
            and values.get(_P2_AUTH) == self.auth
            and values.get(_P2_GROUP) == self.group
            and values.get(_P2_MODE) == mode
        )


def _bad(path, what, mend):
    return (path, what, mend)


def _ike(path, text, names):
    if len(names) != 3 or names[0] not in _CIPHERS or names[1] not in _HASHES or names[2] not in _GROUPS:
        return _bad(path, "unknown IKE proposal " + text, "write it as cipher-hash-group, like aes256-sha256-modp2048")
    cipher = _CIPHERS[names[0]]
    hash_ = _HASHES[names[1]]
    if cipher[0] is None or hash_[0] is None:
        return _bad(path, text + " is for ESP only", "use aes128 or aes256 with sha256 or sha1 in IKEv1")
    if cipher[0] == 5 and not HAVE_3DES:
        return _bad(path, "3DES is not on this platform", "use aes128 or aes256")
    return Ike(text, cipher[0], cipher[2], hash_[0], hash_[2], _GROUPS[names[2]])


def _esp(path, text, names):
    group = None
    if names[-1] in _GROUPS:
        group = _GROUPS[names.pop()]
    cipher = _CIPHERS.get(names[0]) if names else None
    gcm = cipher is not None and cipher[1] == _GCM
    if cipher is None or len(names) != (1 if gcm else 2) or (not gcm and names[1] not in _HASHES):
        return _bad(path, "unknown ESP proposal " + text, "write it as cipher-hash, like aes128-sha256, or aes128gcm16")
    if (gcm and not HAVE_GCM) or (cipher[1] == _3DES_ESP and not HAVE_3DES):
        return _bad(path, names[0] + " is not on this platform", "use aes128-sha256 or aes128-sha1")
    if gcm:
        return Esp(text, cipher[1], cipher[2], None, None, 0, 16, group)
    hash_ = _HASHES[names[1]]
    return Esp(text, cipher[1], cipher[2], hash_[1], hash_[2], hash_[3], hash_[4], group)


def parse(path, text):
    """``(proposals, problems)`` of a list in strongSwan's notation; ``path`` is ``ipsec_ike`` or ``ipsec_esp``.

    A problem is ``(path, what, mend)``. The exclamation mark at the end that ipsec.conf knows is allowed; what it asks
    for, no proposals but these, always holds.
    """
    proposals = []
    problems = []
    if why_not():
        problems.append(_bad(path, why_not(), ""))
    make = _ike if path == "ipsec_ike" else _esp
    for word in text.lower().rstrip("! ").split(","):
        word = word.strip()
        made = make(path, word, word.split("-"))
        (problems if isinstance(made, tuple) else proposals).append(made)
    if path == "ipsec_esp" and len({made.group for made in proposals}) > 1:
        problems.append(
            _bad(path, "different groups for PFS in one list", "give every proposal the same group, or none")
        )
    return proposals, problems


def sa_payload(protocol, spi, proposals, life, mode):
    """The body of an SA payload that offers all ``proposals`` as transforms of one proposal (RFC 2408 §3.4–3.6)."""
    items = []
    for proposal in proposals:
        number, values = proposal.transform(life, mode)
        items.append((p.TRANSFORM, bytes((len(items) + 1, number, 0, 0)) + values))
    body = bytes((1, protocol, len(spi), len(items))) + spi + p.chain(items)
    return p.DOI_SITUATION + p.chain([(p.PROPOSAL, body)])


def choose(data, protocol, ours, mode, life):
    """The first of a peer's transforms that is one of ``ours``, in the peer's order of preference.

    ``(proposal, spi, seconds of life or None, SA payload body to answer with)``, or a reason why there is none.
    The answer holds the chosen transform untouched (RFC 2408 §4.2).
    """
    if len(data) < 8 or data[:8] != p.DOI_SITUATION:
        return "bad situation"
    proposals = p.parse(p.PROPOSAL, data, 8, len(data))
    if proposals is None:
        return "bad proposal"
    looked = 0
    for kind, start, end in proposals:
        if kind != p.PROPOSAL or end - start < 4 or end - start < 4 + data[start + 2]:
            return "bad proposal"
        spi_end = start + 4 + data[start + 2]
        transforms = p.parse(p.TRANSFORM, data, spi_end, end)
        if transforms is None:
            return "bad proposal"
        for _, at, stop in transforms:
            looked += 1
            values = p.attributes(data, at + 4, stop, life) if stop - at >= 4 and looked <= _MAX_TRANSFORMS else None
            if values is None:
                return "bad transform"
            if data[start + 1] != protocol:
                continue  # AH, or IPComp: not ours
            for own in ours:
                if own.matches(data[at + 1], values, mode):
                    spi = data[start + 4 : spi_end]
                    body = data[start : start + 3] + b"\x01" + spi + p.chain([(p.TRANSFORM, data[at:stop])])
                    return own, spi, values.get(life + 1), p.DOI_SITUATION + p.chain([(p.PROPOSAL, body)])
    return "no common proposal"
