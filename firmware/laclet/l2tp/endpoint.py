"""An L2TP endpoint: one carrier of datagrams (a UDP socket, say), and all tunnels over it, to however many peers."""

import sys

from ..fault import TUNNEL, Fault
from ..port import HEADROOM, frame_buffer
from ..timers import Timers
from ..wire import avp
from ..wire.l2tp import SCCRQ, VERSION, L, O, S, T, check_control, put_control, u16
from .tables import WAIT_CTL_REPLY
from .tunnel import Tunnel

# Tunnels that peers have asked for and not yet completed: what a flood of forged SCCRQs can cost us. Each takes 0.7 kB
# of a board.
MAX_HALF_OPEN = 16 if sys.implementation.name == "micropython" else 64
# All tunnels of an endpoint.
MAX_TUNNELS = 8192


class Endpoint:
    """Tunnels over one carrier. ``random(n)`` gives n bytes; ``accept`` (TunnelOptions) lets peers open tunnels.

    ``timers`` and ``events`` may be shared with other endpoints of the same owner. ``settle(now)``, if given, is called
    after every control message, for the owner to take events: the first data packet of a call may be in the same batch
    of datagrams as the message that sets it up.
    """

    def __init__(self, random, accept=None, timers=None, events=None, settle=None):
        self.random = random
        self.accept = accept
        self.tap = None  # tap(received, buf, start, end): shown every control message (debugging)
        self.carrier = None  # set by whoever made it: send(buf, start, end, addr), settle(addr)
        self.tunnels = {}  # our tunnel id -> Tunnel
        self.timers = Timers() if timers is None else timers
        self.drops = {}  # reason -> count
        self.events = [] if events is None else events
        self._settle = settle
        self._opening = {}  # addr -> the Tunnel we opened last towards it
        self._half_open = {}  # (addr, peer's tunnel id) -> Tunnel
        self._serial = 0

    # -- for the owner ------------------------------------------------------------------------------

    def open(self, addr, options, now):
        """Open a tunnel to ``addr``; returns the Tunnel. Its events: tunnel-up, tunnel-down, call-…."""
        tunnel = self._new(addr, options)
        self._opening[addr] = tunnel
        tunnel.open(now)
        return tunnel

    def next_event(self):
        """The oldest event not yet taken, or None: ``(name, tunnel or session, detail)``.

        tunnel-up · tunnel-down Fault · tunnel-gone · call-offered AVPs · call-accepted AVPs · call-up AVPs ·
        call-acked · call-down Fault · accm (send, receive) · line-errors counters
        """
        return self.events.pop(0) if self.events else None

    def poll_at(self):
        """Deadline of the next on_timer()."""
        return self.timers.poll_at()

    def on_timer(self, now):
        """Fire what is due in all tunnels and calls."""
        self.timers.on_timer(now)

    def drop(self, reason):
        """Count a thing that was dropped under its reason; reasons are literals in the code, or bounded by them."""
        self.drops[reason] = self.drops.get(reason, 0) + 1

    # -- datagrams in -------------------------------------------------------------------------------

    def receive(self, buf, start, end, addr, now):
        """A datagram from ``addr``. Data packets go straight to the port their session is joined to."""
        if end - start < 6:
            self.drop("datagram too short")
            return
        flags = buf[start]
        if flags & T:
            self._receive_control(buf, start, end, addr, now)
            if self._settle is not None:
                self._settle(now)
            return
        if buf[start + 1] & 0x0F != VERSION:
            self.drop("not L2TPv2")
            return
        at = start + 2
        if flags & L:
            length = u16(buf, at)
            if length > end - start:
                self.drop("data length beyond the datagram")
                return
            end = start + length
            at += 2
        ids = at
        at += 4
        ns = -1
        if flags & S:
            at += 4
        if flags & O:
            at += 2
        if at >= end:
            self.drop("data header cut short")
            return
        if flags & O:
            at += u16(buf, at - 2)
            if at >= end:
                self.drop("data offset beyond the datagram")
                return
        if flags & S:
            ns = u16(buf, ids + 4)
        tunnel = self.tunnels.get(u16(buf, ids))
        if tunnel is None:
            self.drop("data for an unknown tunnel")
            return
        if tunnel.addr != addr:
            self.drop("data from a wrong address")
            return
        session = tunnel.sessions.get(u16(buf, ids + 2))
        if session is None:
            self.drop("data for an unknown session")
            return
        tunnel.heard = now
        session.receive_data(buf, at, end, ns, now)

    def _receive_control(self, buf, start, end, addr, now):
        if self.tap is not None:
            self.tap(True, buf, start, end)
        end = check_control(buf, start, end)
        if end < 0:
            self.drop("bad control header")
            return
        tid = u16(buf, start + 4)
        if not tid:
            self._receive_first(buf, start, end, addr, now)
            return
        tunnel = self.tunnels.get(tid)
        if tunnel is None:
            self.drop("control message for an unknown tunnel")
            return
        if tunnel.addr != addr:
            # §8.1: the answer to our SCCRQ may come from another port or address; from then on it is fixed.
            if tunnel.state != WAIT_CTL_REPLY or tunnel.channel.nr:
                self.drop("control message from a wrong address")
                return
            tunnel.addr = addr
        tunnel.receive(buf, start, end, now)

    def _receive_first(self, buf, start, end, addr, now):
        """A message without a tunnel id: a SCCRQ, or nothing we know."""
        if end - start == 12:
            self.drop("ZLB without a tunnel")
            return
        secret = self.accept.secret if self.accept else None
        mtype, avps, problem = avp.parse(buf, start + 12, end, secret)
        peer_tid = avp.get(avps, avp.ASSIGNED_TUNNEL_ID, 0)
        if mtype != SCCRQ or not peer_tid:
            self.drop("no SCCRQ, and no tunnel id")
            return
        key = (addr, peer_tid)
        known = self._half_open.get(key)
        if known is not None:
            known.receive(buf, start, end, now)  # a repetition: acknowledged again
            return
        if self.accept is None:
            self.drop("SCCRQ: we accept no tunnels")
            return
        if len(self._half_open) >= MAX_HALF_OPEN or len(self.tunnels) >= MAX_TUNNELS:
            self.drop("SCCRQ: too many tunnels")
            return
        if self._wins_tie(addr, avp.get(avps, avp.TIE_BREAKER, b""), now):
            self.drop("SCCRQ: lost the tie")
            return
        tunnel = self._new(addr, self.accept)
        tunnel.peer_tid = peer_tid
        self._half_open[key] = tunnel
        tunnel.accept_sccrq(avps, problem, u16(buf, start + 8), u16(buf, start + 10), now)

    def _wins_tie(self, addr, theirs, now):
        """§4.4.3 Tie Breaker: True when our own SCCRQ to ``addr`` stands and theirs is to be discarded."""
        tunnel = self._opening.get(addr)
        if tunnel is None or tunnel.state != WAIT_CTL_REPLY or not (tunnel.tie or theirs):
            return False
        if tunnel.tie and (not theirs or tunnel.tie < theirs):
            return True
        equal = tunnel.tie == theirs  # then both are discarded
        tunnel.lose(Fault(TUNNEL, "the peer opens the tunnel itself (tie-breaker)"), now)
        return equal

    # -- for tunnels and sessions ---------------------------------------------------------------------

    def send_control(self, tunnel, session, message):
        """Stamp the header of ``message`` (or make a ZLB of None) and send it."""
        channel = tunnel.channel
        size = 12 if message is None else len(message)
        tx = frame_buffer(size)
        start = HEADROOM
        if message is None:
            put_control(tx, start, size, tunnel.peer_tid, 0, channel.next_ns(), channel.nr)
        else:
            tx[start : start + size] = message
            put_control(tx, start, size, tunnel.peer_tid, session, u16(message, 8), u16(message, 10))
        if self.tap is not None:
            self.tap(False, tx, start, start + size)
        self.carrier.send(tx, start, start + size, tunnel.addr)

    def event(self, name, source, detail):
        """Queue an event for the owner."""
        self.events.append((name, source, detail))

    def unused(self, table):
        """A 16-bit id, not 0, that is no key of ``table`` (which is never full): random, or the next free one."""
        n = u16(self.random(2), 0)
        while not n or n in table:
            n = (n + 1) & 0xFFFF
        return n

    def next_serial(self):
        """A Call Serial Number (§4.4.4)."""
        self._serial = (self._serial + 1) & 0x3FFFFFFF
        return self._serial

    def proved(self, tunnel):
        """The peer has shown that it receives at its address: the tunnel is no longer half-open."""
        self._half_open.pop((tunnel.addr, tunnel.peer_tid), None)
        self.carrier.settle(tunnel.addr)
        if tunnel.dscp is not None and hasattr(self.carrier, "mark"):
            self.carrier.mark(tunnel.dscp)

    def forget(self, tunnel):
        """The tunnel is gone for good."""
        self.event("tunnel-gone", tunnel, None)
        self.timers.forget(tunnel)
        self.tunnels.pop(tunnel.tid, None)
        self._half_open.pop((tunnel.addr, tunnel.peer_tid), None)
        if self._opening.get(tunnel.addr) is tunnel:
            del self._opening[tunnel.addr]

    def _new(self, addr, options):
        tunnel = Tunnel(self, self.unused(self.tunnels), addr, options)
        self.tunnels[tunnel.tid] = tunnel
        return tunnel
