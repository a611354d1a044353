"""IPsec as a carrier of L2TP (RFC 3193): datagrams in clear above, IKEv1 and ESP below; nothing leaves in clear.

Above stands an L2TP ``Endpoint``: it calls ``send``, and takes what arrives. Below stand up to three carriers, each
behind an ``Inlet``: ``ike`` (UDP 500), ``natt`` (UDP 4500), and ``esp`` where the shell has raw sockets. Without that,
ESP always travels in UDP.
"""

from ... import ticks
from ...port import HEADROOM, TAILROOM
from . import payload as p
from . import tables
from .callers import Callers
from .esp import SEQUENCE_REKEY, UDP_HEADER, put_udp
from .peer import Peer
from .phase1 import NO_COOKIE
from .policy import Inlet

# The longest IKE message that is looked at: with pre-shared keys the longest seen has 1.2 kB.
_MAX_IKE = 4096


class Ipsec:
    """The carrier. Events: ike-up addr · ike-renewed addr · ike-down (addr, Fault) · ike-fault (addr, Fault)."""

    def __init__(self, policy, random, events=None):
        self.policy = policy
        self.random = random
        self.events = [] if events is None else events
        self.owner = None  # free for the node
        self.armed = None  # for Timers
        self.drops = {}  # reason -> count; reasons are literals in the code
        self.endpoint = None  # what stands above: receive(buf, start, end, addr, now)
        # Does ESP instead of us: install(peer, pair) to receive, use(peer, pair) to send, remove(pair), moved(peer);
        # send(buf, start, end, addr), close(); ``carrier`` of L2TP; ``plain``: it needs no UDP around ESP.
        self.kernel = None
        self.on_keys = None  # told of every key, for those who want to read their own captures: on_keys(kind, …)
        self.local = None  # for the owner's status
        self.ike = Inlet(self, self._receive_ike)
        self.natt = Inlet(self, self._receive_natt)
        self.esp = Inlet(self, self._receive_esp)
        self.peers = []
        self._above = {}  # address as L2TP knows it -> Peer
        self._spis = {}  # SPI we receive on, as an int -> Pair
        self._sas = {}  # initiator's cookie -> Phase1
        self.callers = Callers(self)
        self._now = 0  # the last tick seen: send() has none

    # -- carrier ----------------------------------------------------------------------------------------

    def connect(self, addr, now):
        """Negotiate with the L2TP peer at ``addr``, unless there is an SA; ``ike-up`` or ``ike-down`` follows."""
        self._now = now
        peer = self._above.get(addr)
        if peer is None:
            peer = Peer(self, self.ike, (addr[0], p.PORT_IKE) + addr[2:], addr, addr[1])
            self.peers.append(peer)
            self._above[addr] = peer
        if peer.out is not None:
            self._event("ike-up", addr)
        peer.connect(now)
        self._arm()

    def disconnect(self, addr):
        """Delete the SAs with the peer at ``addr``, and tell it so."""
        peer = self._above.get(addr)
        if peer is not None:
            peer.close()
            peer.forget()
            self._remove(peer)

    def close(self):
        """Delete all SAs and close what is below."""
        for peer in list(self.peers):
            self.disconnect(peer.above)
        for inlet in (self.ike, self.natt, self.esp):
            if inlet.carrier is not None:
                inlet.carrier.close()
        if self.kernel is not None:
            self.kernel.close()

    def settle(self, addr):
        """The address is final; there is nothing to connect, for IKE and ESP use several ports."""

    def send(self, buf, start, end, addr):
        """A datagram for the peer at ``addr``: sealed, or held for a pair under way, or dropped; never in clear."""
        peer = self._above.get(addr)
        if peer is None:
            self.drop("no SA")
            return
        if not peer.answered:
            self._hold(peer, buf, start, end)
        if peer.out is not None:
            self._put(peer, buf, start, end, addr)

    def _hold(self, peer, buf, start, end):
        """Keep one datagram until the first pair is proved to work: the newest, for it carries the newest Nr."""
        if peer.out is None and not peer.negotiating():
            self.drop("no SA")
            return
        if peer.out is None and peer.held:
            self.drop("held one replaced")
        copy = bytearray(HEADROOM + end - start + TAILROOM)
        copy[HEADROOM : HEADROOM + end - start] = buf[start:end]
        peer.held = copy

    def repeat(self, peer):
        """Send what is held, from a copy, because sealing it is final."""
        if peer.held and peer.out is not None:
            self._put(peer, bytearray(peer.held), HEADROOM, len(peer.held) - TAILROOM, peer.above)

    def _put(self, peer, buf, start, end, addr):
        if self.kernel is not None:
            self.kernel.send(buf, start, end, addr)
        else:
            self._seal(peer, buf, start, end, addr[1])

    def _seal(self, peer, buf, start, end, port):
        start -= UDP_HEADER
        put_udp(buf, start, end, self.policy.port, port, peer.pseudo)
        out = peer.out.outbound
        end = out.seal(buf, start, end)
        if out.sequence >= SEQUENCE_REKEY:
            peer.used_up(self._now)
            self._arm()
        if end < 0:
            self.drop("sequence used up")
            return
        peer.sent = True
        peer.esp.carrier.send(buf, start - out.overhead, end, peer.esp_addr)

    def poll_at(self):
        """The next deadline, or None."""
        found = None
        for sa in self.callers.half_open:
            found = ticks.soonest(found, sa.deadline)
        for peer in self.peers:
            found = ticks.soonest(found, peer.poll_at())
        return found

    def on_timer(self, now):
        """Repeat, renew and expire what is due."""
        self._now = now
        for sa in list(self.callers.half_open):
            sa.on_timer(now)
        for peer in list(self.peers):
            peer.on_timer(now)

    def next_event(self):
        """The oldest event not yet taken, ``(name, self, detail)``, or None."""
        return self.events.pop(0) if self.events else None

    def drop(self, reason):
        """Count a thing that was dropped under its reason."""
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def summary(self, addr):
        """The algorithms in use with the peer at ``addr``, for a line of a log."""
        for peer in self.peers:
            if peer.above == addr and peer.sas and peer.out:
                way = "ESP in UDP" if peer.esp is self.natt else "ESP"
                return "%s, %s %s" % (peer.sas[-1].proposal.text, way, peer.out.proposal.text)
        return "no SA"

    def status(self):
        """For people and tools: plain values, no keys."""
        found = []
        for peer in self.peers:
            found.append(
                {
                    "peer": peer.addr[0],
                    "ike": peer.sas[-1].proposal.text if peer.sas else None,
                    "esp": peer.out.proposal.text if peer.out else None,
                    "encapsulated": peer.esp is self.natt,
                    "fault": str(peer.fault) if peer.fault else None,
                }
            )
        return {"peers": found, "half_open": len(self.callers.half_open), "drops": self.drops}

    # -- datagrams in -----------------------------------------------------------------------------------

    def _receive_ike(self, buf, start, end, addr, now):
        """UDP 500."""
        self._message(buf, start, end, self.ike, addr, now)

    def _receive_natt(self, buf, start, end, addr, now):
        """UDP 4500: ESP, IKE behind four zero bytes, or a keepalive of one byte (RFC 3948 §2)."""
        if end - start < 8:
            self.drop("keepalive" if end - start == 1 and buf[start] == 0xFF else "short")
        elif buf[start] or buf[start + 1] or buf[start + 2] or buf[start + 3]:
            self._receive_esp(buf, start, end, addr, now)
        else:
            self._message(buf, start + 4, end, self.natt, addr, now)

    def _receive_esp(self, buf, start, end, addr, now):
        """ESP, in UDP or by itself."""
        pair = self._spis.get(p.u32(buf, start)) if end - start >= 8 else None
        if pair is None:
            self.drop("unknown SPI")
            return
        inbound = pair.inbound
        end = inbound.open(buf, start, end)
        if end < 0:
            self.drop(inbound.why)
            return
        start += inbound.overhead
        size = p.u16(buf, start + 4)
        if p.u16(buf, start + 2) != self.policy.port or not UDP_HEADER <= size <= end - start:
            self.drop("not L2TP")
            return
        above = pair.peer.came(pair, p.u16(buf, start), addr, now)
        if above is None:
            self.drop("foreign port")
            return
        self.endpoint.receive(buf, start + UDP_HEADER, start + size, above, now)

    def _message(self, buf, start, end, inlet, addr, now):
        self._now = now
        reason = self._take(bytes(buf[start : min(end, start + _MAX_IKE)]), inlet, addr, now)
        if reason is not None:
            self.drop(reason)
        self._arm()

    def _take(self, message, inlet, addr, now):
        """One IKE message; returns the reason when it was dropped."""
        if len(message) < p.HEADER or message[p.VERSION] >> 4 != 1:
            return "not IKEv1"
        size = p.u32(message, p.LENGTH)
        if not p.HEADER <= size <= len(message):
            return "short"
        message = message[:size]
        exchange = message[p.EXCHANGE]
        cookie_r = message[8:16]
        sa = self._sas.get(message[:8])
        if sa is None:
            if cookie_r != NO_COOKIE or exchange not in (p.MAIN, p.AGGRESSIVE) or not self._welcome(addr):
                return "unknown cookies"
            sa, reason = self.callers.first(message, exchange, inlet, addr, now)
            if sa is not None:
                self._sas[sa.cookie_i] = sa
            return reason
        if cookie_r not in (sa.cookie_r, NO_COOKIE) and sa.cookie_r != NO_COOKIE:
            return "unknown cookies"
        if addr[0] != sa.addr[0]:
            return "foreign address"
        if message[p.NEXT] == p.FRAGMENT and not message[p.FLAGS] & p.ENCRYPTED:
            return self._piece(sa, message, inlet, addr, now)
        if exchange in (p.MAIN, p.AGGRESSIVE):
            return self._phase1(sa, message, exchange, inlet, addr, now)
        if sa.state == tables.UP:
            return sa.peer.receive_ike(sa, message, addr if inlet is self.natt else sa.addr, now)
        if exchange == p.INFORMATIONAL:
            return sa.notified(message, now)
        if sa.state == tables.AGGRESSIVE_3:
            sa.repeat()  # quick mode already: the message before it got lost, and is sent again when asked for
        return "too early"

    def _piece(self, sa, message, inlet, addr, now):
        """A part of a message; whose pieces were held back by nobody's proof: they cost what one message may."""
        whole = sa.gather(message, _MAX_IKE)
        if whole is None or (len(whole) > p.NEXT and whole[p.NEXT] == p.FRAGMENT):
            return "bad fragment"
        return self._take(whole, inlet, addr, now) if whole else None

    def _welcome(self, addr):
        """True when whoever is at ``addr`` may start a phase 1: anybody, or a peer of ours that renews its SA."""
        return self.policy.accept or any(peer.sas and peer.addr[0] == addr[0] for peer in self.peers)

    def _phase1(self, sa, message, exchange, inlet, addr, now):
        """A responder answers where an accepted message came from: it may be another port (RFC 3947 §4)."""
        way = sa.inlet, sa.addr
        if not sa.initiator:
            sa.inlet, sa.addr = inlet, addr
        reason = sa.step(message, exchange, now)
        if reason is not None:
            sa.inlet, sa.addr = way
        return reason

    # -- what exchanges and peers call ------------------------------------------------------------------

    def plain_esp(self):
        """True when ESP can travel without UDP."""
        return self.esp.carrier is not None or (self.kernel is not None and self.kernel.plain)

    def transmit(self, inlet, addr, message):
        """Send an IKE message; on port 4500 behind the non-ESP marker (RFC 3948 §2.2)."""
        start = HEADROOM - 4 if inlet is self.natt else HEADROOM
        buf = bytearray(HEADROOM + len(message) + TAILROOM)
        buf[HEADROOM : HEADROOM + len(message)] = message
        if inlet.carrier is not None:
            inlet.carrier.send(buf, start, HEADROOM + len(message), addr)

    def keepalive(self, peer):
        """One byte that keeps the NAT's mapping alive (RFC 3948 §2.3)."""
        buf = bytearray(HEADROOM + 1 + TAILROOM)
        buf[HEADROOM] = 0xFF
        self.natt.carrier.send(buf, HEADROOM, HEADROOM + 1, peer.addr)

    def new_spi(self):
        """4 bytes that name an SA here: below 2**30, a small int on every board, and not reserved (RFC 4303 §2.1)."""
        while True:
            spi = self.random(4)
            spi = bytes((spi[0] & 0x3F | 1,)) + spi[1:]
            if p.u32(spi, 0) not in self._spis:
                return spi

    def export(self, kind, *values):
        """Keys, for the hook that was asked for by name."""
        if self.on_keys is not None:
            self.on_keys(kind, *values)

    def begin(self, sa):
        """A phase 1 of ours starts."""
        self._sas[sa.cookie_i] = sa

    def end(self, sa):
        """A phase 1 is over."""
        self._sas.pop(sa.cookie_i, None)
        if sa in self.callers.half_open:
            self.callers.half_open.remove(sa)

    def phase1_up(self, sa, now):
        """An ISAKMP SA is up; a stranger becomes a peer."""
        if sa in self.callers.half_open and not self.callers.proved(sa, now):
            self.end(sa)
        else:
            sa.peer.phase1_up(sa, now)

    def phase1_failed(self, sa, fault, now):
        """A negotiation came to nothing."""
        self.end(sa)
        if sa.peer is not None:
            sa.peer.phase1_failed(fault, now)
        else:
            self.drop("half-open expired")

    def opened(self, addr):
        """The kernel opened a datagram of L2TP: its sender as L2TP knows it, or None when it is no peer's."""
        peer = self._above.get(addr)
        if peer is None:
            for each in self.peers:
                if each.addr[0] == addr[0]:
                    peer = each
        above = peer.named(addr[1]) if peer is not None else None
        if above is None:
            self.drop("foreign port")
        else:
            peer.hear()
        return above

    @property
    def sock(self):
        """The UDP socket of L2TP, where the kernel does ESP; otherwise there is no such attribute."""
        return self.kernel.carrier.sock

    def know(self, above, peer):
        """L2TP may answer this address."""
        self._above[above] = peer

    def install(self, peer, pair):
        """Receive on a new pair."""
        if self.kernel is not None:
            self.kernel.install(peer, pair)
        else:
            pair.activate(self.random)
            self._spis[p.u32(pair.spi_in, 0)] = pair
        self.export("esp", peer.addr[0], True, pair.spi_in, pair.proposal, pair.keys_in)
        self.export("esp", peer.addr[0], False, pair.spi_out, pair.proposal, pair.keys_out)

    def uninstall(self, pair):
        """Receive on it no more."""
        if self.kernel is not None:
            self.kernel.remove(pair)
        else:
            self._spis.pop(p.u32(pair.spi_in, 0), None)

    def pair_up(self, peer, first):
        """A peer sends on a new pair: what waited for the first one goes at once, behind message 3."""
        if self.kernel is not None:
            self.kernel.use(peer, peer.out)
        if first:
            self._event("ike-up", peer.above)
        else:
            self._event("ike-renewed", peer.above)
        self.repeat(peer)

    def trouble(self, addr, fault):
        """A negotiation failed; what there is still works."""
        self._event("ike-fault", (addr, fault))

    def peer_down(self, peer, fault, now):
        """A peer has nothing left that sends."""
        self._remove(peer)
        self._event("ike-down", (peer.above, fault))

    def _remove(self, peer):
        if peer in self.peers:
            self.peers.remove(peer)
        for above in [above for above in self._above if self._above[above] is peer]:
            self._above.pop(above)

    def _event(self, name, detail):
        self.events.append((name, self, detail))

    def _arm(self):
        """Tell Timers that the deadline may have moved; one such event is enough."""
        if not self.events or self.events[-1][:2] != ("timer", self):
            self.events.append(("timer", self, None))
