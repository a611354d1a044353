"""Is there a NAT between the two ends of a Phase1, and on which side (RFC 3947 §3.2, §4)."""

from . import payload as p
from .keys import hash_of


def payloads(sa):
    """First the hash of the other side as we see it, then of ourselves; noise in its place says "NAT"."""
    if not sa.natt:
        return []
    there = _hash(sa, sa.addr)
    here = None if _forced(sa) else _own_hash(sa)
    return [(p.NAT_D, there), (p.NAT_D, here or sa.owner.random(len(there)))]


def detect(sa, message, found):
    """Compare with what the other side sees: sets ``nat_here``, ``nat_there`` and ``encapsulated``."""
    seen = [message[start:end] for kind, start, end in found if kind == p.NAT_D]
    if sa.natt and len(seen) > 1:
        sa.nat_here = seen[0] != _own_hash(sa)
        sa.nat_there = _hash(sa, sa.addr) not in seen[1:]
    sa.encapsulated = sa.natt and (sa.nat_here or sa.nat_there or _forced(sa))


def float_(sa):
    """Behind a NAT the initiator moves to port 4500 (§4)."""
    if sa.encapsulated and sa.inlet is sa.owner.ike:
        sa.inlet = sa.owner.natt
        sa.addr = (sa.addr[0], p.PORT_NATT) + sa.addr[2:]


def _forced(sa):
    """True when ESP shall go in UDP whatever is between us."""
    return sa.owner.policy.force_encaps or not sa.owner.plain_esp()


def _own_hash(sa):
    """The hash of our own address, or None where it is unknown."""
    local = sa.inlet.local(sa.addr)
    return _hash(sa, local) if local else None


def _hash(sa, addr):
    return hash_of(sa.proposal.hash_name)(sa.cookies + p.packed(addr[0]) + p.p16(addr[1]))
