"""Informational exchanges with a Peer: notifications, deletions (RFC 2409 §5.7), is it alive (RFC 3706)."""

from ... import ticks
from ...fault import IKE, Fault
from . import payload as p
from . import tables

_DPD_RETRY = 2000  # ms
_DPD_TRIES = 5


class Informational:
    """One message says one thing, and nobody answers but to R-U-THERE."""

    def __init__(self, peer):
        self.deadline = None  # of the next look whether the peer is alive
        self._peer = peer
        self._tries = 0
        self._sequence = 0

    def watch(self, sa, now):
        """From now on see whether the peer is alive, when both sides of ``sa`` know how."""
        interval = self._peer.owner.policy.dpd_interval
        if sa.dpd and interval and self.deadline is None:
            self.deadline = ticks.add(now, interval)

    def on_timer(self, now):
        """Silence for an interval is asked about, and silence after that is death (RFC 3706 §5.5)."""
        peer = self._peer
        self.deadline = ticks.add(now, peer.owner.policy.dpd_interval)
        if peer.heard or not peer.sas:
            peer.heard = False
            self._tries = 0
        elif self._tries == _DPD_TRIES:
            peer.forget()
            peer.lost(Fault(IKE, "the peer does not answer any more (dead peer detection)"), now)
        else:
            self._tries += 1
            self._sequence += 1
            self.deadline = ticks.add(now, _DPD_RETRY)
            self._say(peer.sas[-1], p.R_U_THERE, p.p32(self._sequence))

    def refuse(self, sa, number):
        """Refuse a quick mode under ``sa``."""
        self._send(sa, p.NOTIFY, p.notification(p.PROTO_ESP, b"", number))

    def delete(self, sa, protocol, spi):
        """Say under ``sa`` that an SA of ours is no more (RFC 2408 §3.15)."""
        self._send(sa, p.DELETE, p.deletion(protocol, spi))

    def receive(self, sa, message, now):
        """A message under ``sa``; returns the reason when it was dropped."""
        if not message[p.FLAGS] & p.ENCRYPTED:
            return "clear notification"
        opened = sa.informational(message)
        if opened is None:
            return "forged notification"
        message, found = opened
        self._peer.heard = True
        for kind, start, end in found:
            if kind == p.NOTIFY and end - start >= 8 and end - start >= 8 + message[start + 5]:
                data = message[start + 8 + message[start + 5] : end]
                self._notified(sa, p.u16(message, start + 6), data, now)
            elif kind == p.DELETE and end - start >= 8:
                self._deleted(message, start, end, now)
        return None

    def _say(self, sa, number, data):
        """A notification about an ISAKMP SA (RFC 3706 §5.3)."""
        self._send(sa, p.NOTIFY, p.notification(p.PROTO_ISAKMP, sa.cookies, number, data))

    def _send(self, sa, kind, body):
        keys = sa.keys
        message_id = self._peer.owner.random(4)
        payload = (kind, body)
        digest = keys.prf(keys.skeyid_a, message_id + p.chain([payload]))
        iv = keys.iv(sa.last_block, message_id)
        sa.transmit(keys.seal(sa.cookies, p.INFORMATIONAL, message_id, iv, [(p.HASH, digest), payload])[0])

    def _notified(self, sa, number, data, now):
        if number == p.R_U_THERE:
            self._say(sa, p.R_U_THERE_ACK, data)
        elif number < 8192:  # an error (RFC 2408 §3.14.1): it can only mean what we asked for last
            for quick in list(self._peer.quicks.values()):
                if quick.state == tables.QUICK_2:
                    quick.refused(number, now)

    def _deleted(self, message, start, end, now):
        """The peer deleted SAs: by cookies, or by the SPIs that it received on."""
        size = message[start + 5]
        count = min(p.u16(message, start + 6), (end - start - 8) // size if size else 0)
        spis = [message[start + 8 + i * size : start + 8 + (i + 1) * size] for i in range(count)]
        self._peer.deleted(message[start + 4], spis, now)
