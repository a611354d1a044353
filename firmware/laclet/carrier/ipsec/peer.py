"""One peer: its ISAKMP SAs, its pairs of ESP SAs, their renewal and end, NAT keepalives."""

from ... import ticks
from ...fault import IKE, Fault
from . import payload as p
from . import tables
from .inform import Informational
from .phase1 import Phase1
from .phase2 import Quick

# A new SA is negotiated when so much of the life of the old one is over: of 3600 s, 5 to 9 minutes remain. The
# initiator of the old one goes first, so that both sides seldom do it at once.
_REKEY_INITIATOR = 85  # per cent, and up to 5 more
_REKEY_RESPONDER = 92
_REKEY_AGAIN = 30000  # ms after a renewal that failed
_SWITCH = 1000  # ms until we send on a renewed pair of which nothing came yet: the peer has message 3 by then
_GRACE = 10000  # ms that a replaced SA lives on, for what is on its way
# A responder takes a moment to install what message 3 tells it (strongSwan: some ms), and drops what comes before. So
# the first datagram is sent again, so long after the round trip, then at twice and four times that.
_REPEAT = 40
_REPEAT_MAX = 400  # ms; L2TP repeats it after a second
_KEEPALIVE = 20000  # RFC 3948 §4
# Bounds on what one peer may make us keep.
_MAX_QUICKS = 8
_MAX_PAIRS = 8
_MAX_SAS = 4
_MAX_PORTS = 4


class Peer:
    """The far end of one or more SAs. ``above`` is its address as L2TP knows it, ``port`` its L2TP port (0: any)."""

    def __init__(self, owner, inlet, addr, above, port):
        self.owner = owner
        self.inlet = inlet  # the way of IKE
        self.addr = addr
        self.esp = None  # the way of ESP
        self.esp_addr = None
        self.pseudo = None  # IPv6: the sum of the pseudo header but for the length (RFC 8200 §8.1: no UDP without)
        self.above = above
        self.port = port
        self.wanted = False  # we dial it, and renew what ends
        self.phase1 = None  # the one under way, as initiator
        self.sas = []  # Phase1 objects that are up, the newest last
        self.quicks = {}  # message id -> Quick, done ones for a while too
        self.pairs = []  # Pair objects that receive, the newest last
        self.out = None  # the Pair that sends
        self.up = False  # it was told
        self.fault = None  # why the last renewal failed
        self.sent = False  # anything, since the last keepalive was due
        self.heard = False  # something authentic, since the last look
        self.answered = False  # something came through a pair
        self.held = None  # the one datagram that waits for that, with headroom and tailroom
        self._repeat_at = None  # when it is sent again
        self._repeat_after = 0  # ms
        self._pair_due = False  # a pair is to be made as soon as there is an ISAKMP SA
        self._next = None  # the Pair that will send from _switch_at on
        self._switch_at = None
        self._keepalive_at = None
        self._inform = Informational(self)
        self._aboves = {}  # L2TP port of the peer -> address as L2TP knows it

    # -- what the machine calls -------------------------------------------------------------------------

    def alive(self):
        """True when there is any SA with this peer: then our next one is not the first contact."""
        return bool(self.sas or self.pairs)

    def connect(self, now):
        """Make sure that there is, or soon will be, a pair that sends."""
        self.wanted = True
        if self.out is None:
            self._renew(now)

    def negotiating(self):
        """True while a pair may still come of what is under way."""
        return self.phase1 is not None or any(quick.state != tables.UP for quick in self.quicks.values())

    def phase1_up(self, sa, now):
        """An ISAKMP SA is there; as the initiator go on to quick mode."""
        if sa is self.phase1:
            self.phase1 = None
        self.inlet, self.addr = sa.inlet, sa.addr
        self.esp, self.esp_addr = (self.owner.natt, sa.addr) if sa.encapsulated else (self.owner.esp, (sa.addr[0], 0))
        local = sa.inlet.host(sa.addr)
        if ":" in sa.addr[0] and local:
            ends = p.packed(local) + p.packed(sa.addr[0])
            self.pseudo = p.UDP + sum([p.u16(ends, i) for i in range(0, 32, 2)])
        for older in self.sas:
            older.rekey_at = None
            if older is sa.replaces:  # who renewed it deletes it; one that the peer made meanwhile is the peer's
                older.expire_at = ticks.soonest(older.expire_at, ticks.add(now, _GRACE))
        sa.replaces = None
        self.sas.append(sa)
        while len(self.sas) > _MAX_SAS:
            self._forget_sa(self.sas[0])
        sa.rekey_at = self._rekey_time(sa.life, sa.initiator, now)
        sa.expire_at = ticks.add(now, sa.life * 1000)
        self.heard = True
        self._inform.watch(sa, now)
        if sa.nat_here and self._keepalive_at is None:
            self._keepalive_at = ticks.add(now, _KEEPALIVE)
        if self._pair_due:
            self._renew(now)

    def phase1_failed(self, fault, now):
        """No ISAKMP SA."""
        self.phase1 = None
        self._trouble(fault, now)

    def receive_ike(self, sa, message, addr, now):
        """A quick mode or informational message under ``sa``; returns the reason when it was dropped."""
        exchange = message[p.EXCHANGE]
        message_id = message[p.MESSAGE_ID : p.LENGTH]
        if exchange == p.INFORMATIONAL:
            reason = self._inform.receive(sa, message, now)
            if reason is None and self.sas:
                self._moved(addr)
            return reason
        quick = self.quicks.get(message_id)
        if quick is None:
            if len(self.quicks) >= _MAX_QUICKS:
                return "too many quick modes"
            quick = Quick(sa, message_id)
        reason = quick.step(message, exchange, now)
        if reason is None:
            self.quicks[message_id] = quick
            self.heard = True
        return reason

    def close(self):
        """Tell the peer that we are gone: delete payloads for all that is there (RFC 2408 §3.15)."""
        for pair in list(self.pairs):
            self._delete_pair(pair)
        for sa in list(self.sas):
            self._delete_sa(sa)

    def forget(self):
        """Give everything back without a word."""
        for pair in list(self.pairs):
            self._forget_pair(pair)
        for sa in list(self.sas):
            self._forget_sa(sa)
        self.quicks.clear()
        self.phase1 = self.held = None

    # -- what a Quick calls -----------------------------------------------------------------------------

    def listen(self, pair, now):
        """Receive on a new pair, before the other side can know of it."""
        pair.peer = self
        self.pairs.append(pair)
        while len(self.pairs) > _MAX_PAIRS:
            self._forget_pair(self.pairs[0])
        pair.expire_at = ticks.add(now, pair.life * 1000)
        self.owner.install(self, pair)

    def quick_done(self, quick, now):
        """Both sides have the pair: send on it."""
        quick.deadline = ticks.add(now, 3 * _GRACE)  # its last message may be asked for again
        pair = quick.pair
        if pair not in self.pairs:
            return
        pair.ready = True
        pair.rekey_at = self._rekey_time(pair.life, pair.initiator, now)
        self._pair_due = False
        if self.out is not None and quick.initiator:
            self._next = pair
            self._switch_at = ticks.add(now, _SWITCH)
        else:
            self._switch(pair, now)

    def quick_failed(self, quick, fault, now):
        """No new pair."""
        self.quicks.pop(quick.message_id, None)
        if quick.pair in self.pairs and quick.pair is not self.out:
            self._forget_pair(quick.pair)
        if quick.initiator:
            self._trouble(fault, now)
        elif self._pair_due:
            self._renew(now)

    def refuse(self, sa, number, cause, hint):
        """Refuse a quick mode, under the protection of ``sa``."""
        self._inform.refuse(sa, number)
        self.owner.trouble(self.above, Fault(IKE, cause, "", hint))

    # -- data -------------------------------------------------------------------------------------------

    def came(self, pair, port, addr, now):
        """An authentic packet came on ``pair`` from UDP port ``port``; gives its sender as L2TP knows it, or None."""
        self.hear()
        if pair is not self.out and pair is self.pairs[-1]:
            self._switch(pair, now)  # the other side uses it, so it is ready
        self._moved(addr)
        return self.named(port)

    def _moved(self, addr):
        """Something authentic came from ``addr``: the NAT before the peer may have changed it (RFC 3947 §6)."""
        if addr != self.addr and self.sas and self.sas[-1].nat_there and self.esp is self.owner.natt:
            self.addr = self.esp_addr = addr
            for sa in self.sas:
                sa.addr = addr
            if self.owner.kernel is not None:
                self.owner.kernel.moved(self)

    def named(self, port):
        """The peer at its UDP port ``port`` as L2TP knows it, or None when that is no port of its own."""
        if self.port:
            return self.above if port == self.port else None
        above = self._aboves.get(port)
        if above is None and len(self._aboves) < _MAX_PORTS:
            above = self._aboves[port] = (self.above[0], port) + self.above[2:]
            self.owner.know(above, self)
        return above

    def hear(self):
        """Something authentic came: the first pair works, and nobody is dead."""
        self.heard = True
        if not self.answered:
            self.answered = True
            self.held = self._repeat_at = None

    def used_up(self, now):
        """The sequence numbers of the pair that sends come to an end (RFC 4303 §3.3.3)."""
        if self.out.rekey_at is not None:
            self.out.rekey_at = now

    # -- time -------------------------------------------------------------------------------------------

    def poll_at(self):
        """The next deadline of anything here, or None."""
        found = ticks.soonest(self._switch_at, self._repeat_at)
        found = ticks.soonest(found, ticks.soonest(self._keepalive_at, self._inform.deadline))
        for each in self.pairs + self.sas:
            found = ticks.soonest(found, ticks.soonest(each.rekey_at, each.expire_at))
        for quick in self.quicks.values():
            found = ticks.soonest(found, quick.deadline)
        return ticks.soonest(found, self.phase1.deadline if self.phase1 else None)

    def on_timer(self, now):
        """Repeat, renew, expire, keep alive."""
        if self.phase1:
            self.phase1.on_timer(now)
        for quick in list(self.quicks.values()):
            if quick.state != tables.UP:
                quick.on_timer(now)
            elif ticks.due(quick.deadline, now):
                self.quicks.pop(quick.message_id)
        if ticks.due(self._switch_at, now):
            self._switch(self._next, now)
        if ticks.due(self._repeat_at, now):
            self._repeat_after *= 2
            self._repeat_at = ticks.add(now, self._repeat_after) if self._repeat_after < _REPEAT_MAX else None
            self.owner.repeat(self)
        for pair in list(self.pairs):
            self._pair_timer(pair, now)
        for sa in list(self.sas):
            self._sa_timer(sa, now)
        if ticks.due(self._keepalive_at, now):
            self._keepalive_at = ticks.add(now, _KEEPALIVE)
            if not self.sent:
                self.owner.keepalive(self)
            self.sent = False
        if ticks.due(self._inform.deadline, now):
            self._inform.on_timer(now)

    def _pair_timer(self, pair, now):
        if ticks.due(pair.expire_at, now):
            self._delete_pair(pair)
            if self.out is None:
                self.lost(self.fault or Fault(IKE, "the ESP SA expired"), now)
        elif ticks.due(pair.rekey_at, now):
            pair.rekey_at = None
            self._pair_due = True
            self._renew(now)

    def _sa_timer(self, sa, now):
        if ticks.due(sa.expire_at, now):
            if self.out is not None and self.out.sa is sa is not self.sas[-1] and not sa.leaving:
                # A peer may take the pairs down with the SA that they were made under (strongSwan): new ones first.
                sa.leaving = True
                sa.expire_at = ticks.add(now, _GRACE)
                self._renew(now)
            else:
                self._delete_sa(sa)
        elif ticks.due(sa.rekey_at, now):
            sa.rekey_at = None
            if self.phase1 is None:
                self._start_phase1(now)

    def _rekey_time(self, life, initiator, now):
        """When to renew what lives ``life`` seconds: with a random part, so that both sides seldom do it at once."""
        percent = _REKEY_INITIATOR if initiator else _REKEY_RESPONDER
        return ticks.add(now, life * 10 * percent + life * self.owner.random(1)[0] // 5)

    # -- negotiations -----------------------------------------------------------------------------------

    def _renew(self, now):
        """Start what is missing for a new pair: an ISAKMP SA first, if there is none."""
        self._pair_due = True
        if self.negotiating():
            return
        if self.sas:
            quick = Quick(self.sas[-1])
            quick.replaces = self.out
            self.quicks[quick.message_id] = quick
            quick.start(now)
        else:
            self._start_phase1(now)

    def _start_phase1(self, now):
        self.phase1 = Phase1(self.owner, self.inlet, self.addr, self)
        self.phase1.replaces = self.sas[-1] if self.sas else None
        self.owner.begin(self.phase1)
        self.phase1.start(now)

    def _switch(self, pair, now):
        """Send on ``pair`` from now on; what it replaces still receives for a while."""
        old, self.out = self.out, pair
        self._switch_at = self._next = None
        if old is not None:
            old.rekey_at = None
        if pair.replaces in self.pairs:  # who renewed it deletes it; one that the peer made meanwhile is the peer's
            pair.replaces.expire_at = ticks.soonest(pair.replaces.expire_at, ticks.add(now, _GRACE))
        pair.replaces = None
        self.fault = None
        if not pair.ready:  # its third message is late, its first packet was not
            pair.ready = True
            pair.rekey_at = self._rekey_time(pair.life, pair.initiator, now)
        first, self.up = not self.up, True
        if pair.initiator and not self.answered:
            self._repeat_after = _REPEAT + ticks.diff(now, pair.asked)
            self._repeat_at = ticks.add(now, self._repeat_after)
        self.owner.pair_up(self, first)

    def _trouble(self, fault, now):
        """A negotiation failed: the end, unless a pair still sends; then try again later."""
        if self.out is None:
            self.lost(fault, now)
            return
        self.fault = fault
        self.out.rekey_at = ticks.add(now, _REKEY_AGAIN)
        self.owner.trouble(self.above, fault)

    # -- ends -------------------------------------------------------------------------------------------

    def deleted(self, protocol, spis, now):
        """The peer deleted SAs of this protocol."""
        for spi in spis:
            for sa in list(self.sas):
                if sa.cookies == spi:
                    self._forget_sa(sa)
            for pair in list(self.pairs):
                if pair.spi_out == spi and protocol == p.PROTO_ESP:
                    self._forget_pair(pair)
        if self.out is None and self.wanted and self.sas:
            self._renew(now)
        elif self.out is None and not self.sas and self.phase1 is None:
            self.lost(Fault(IKE, "the peer deleted the SA"), now)

    def lost(self, fault, now):
        """Nothing sends any more."""
        self.close()
        self.forget()
        self.owner.peer_down(self, fault, now)

    def _delete_pair(self, pair):
        if self.sas:
            self._inform.delete(self.sas[-1], p.PROTO_ESP, pair.spi_in)
        self._forget_pair(pair)

    def _delete_sa(self, sa):
        self._inform.delete(sa, p.PROTO_ISAKMP, sa.cookies)
        self._forget_sa(sa)

    def _forget_pair(self, pair):
        self.pairs.remove(pair)
        self.owner.uninstall(pair)
        if pair is self._next:
            self._next = self._switch_at = None
        if pair is self.out:
            ready = [each for each in self.pairs if each.ready]
            self.out = ready[-1] if ready else None

    def _forget_sa(self, sa):
        self.sas.remove(sa)
        self.owner.end(sa)
        for quick in list(self.quicks.values()):
            if quick.sa is sa:  # its pair receives on: the peer may have it, and its message 3 got lost
                self.quicks.pop(quick.message_id)
