"""A session: one call inside a tunnel (RFC 2661 §5.2, §7.4, §7.5), and the frame port that carries its PPP frames."""

import sys

from .. import ticks
from ..fault import SESSION, Fault
from ..port import Port
from ..wire import avp
from ..wire.l2tp import CDN, ICCN, ICRP, ICRQ, OCCN, OCRP, OCRQ, SLI, VERSION, WEN, L, S, message_name
from . import results
from .tables import (
    ACCEPT,
    BAD,
    CLOSE,
    CONNECT,
    DEAD,
    ESTABLISHED,
    EXPIRE,
    GONE,
    IDLE,
    LNS_INCOMING,
    LNS_OUTGOING,
    OPEN,
    WAIT_CONNECT,
    WAIT_REPLY,
    find,
    state_name,
)

# The peer's answer to a call request or reply must come within this (ms).
_SETUP_TIME = 60_000
# Layers of a fault that a CDN tells the cause of (RFC 3145).
_PPP = ("lcp", "auth", "ipcp", "ipv6cp", "ccp")
# Counters stay small ints (31 bits) on 32-bit boards, so that counting allocates nothing.
_COUNTER = 0x3FFFFFFF if sys.maxsize < 1 << 32 else (1 << 62) - 1


class Session(Port):
    """One call. Made by a Tunnel; events go to the endpoint's list; ``owner`` is free for the node."""

    def __init__(self, tunnel, sid, kind):
        super().__init__()
        self.tunnel = tunnel
        self.sid = sid  # ours
        self.peer_sid = 0
        self.state = IDLE
        self.fault = None
        self.kind = kind  # one of the tables of calls
        self._avps = None  # of the message being handled
        self._expire_at = None
        self._result = (results.CDN_ADMIN, 0, "")  # what our CDN will say
        # What a call is about; bytes and numbers as in the AVPs of the same names (§4.4.4).
        self.serial = 0
        self.called = b""
        self.calling = b""
        self.sub_address = b""
        self.bearer = 0  # bit 0 digital, bit 1 analog
        self.framing = 2  # bit 0 synchronous, bit 1 asynchronous; PPP behind a UART is asynchronous
        self.physical = None
        self.minimum_bps = 0
        self.maximum_bps = 0xFFFFFFFF
        self.tx_speed = 0
        self.rx_speed = 0
        self.private_group = b""
        self.proxy = ()  # (type, value) pairs, as read, of the proxy LCP and authentication AVPs for our ICCN
        # The data path.
        self.ff03 = True  # put FF 03 in front when it is missing: SoftEther drops frames without it
        self.sequencing = tunnel.options.sequencing  # we send Ns in data packets
        self.leads = kind in (LNS_INCOMING, LNS_OUTGOING)  # the LNS decides who numbers (RFC 2661 §5.4)
        self._follows = not self.leads and not self.sequencing
        self._header = bytearray(14)
        self._header_size = 0
        self._ns = 0
        self.reorder = None  # a Reorder, once the peer sends sequence numbers
        self.rx_packets = 0
        self.tx_packets = 0
        self.rx_bytes = 0
        self.tx_bytes = 0

    # -- for the owner ------------------------------------------------------------------------------

    def accept(self, now):
        """Take the call that was offered: ICRP for an incoming one; OCRP for an outgoing one, then ``connected``."""
        self._do(ACCEPT, now)

    def connected(self, now):
        """The bearer is there: OCCN for an outgoing call, ICCN for one that rang."""
        self._do(CONNECT, now)

    def close(self, fault, now, result=results.CDN_ADMIN, message=""):
        """End the call with a CDN; ``fault`` says why, for our own events."""
        if self.fault is None:
            self.fault = fault
        self._result = (result, 0, message)
        self._do(CLOSE, now)

    def set_line(self, send, receive, now):
        """As LNS: tell the LAC the ACCMs of the line (SLI, §6.14); 32-bit masks."""
        if self.state == ESTABLISHED:
            w = self._writer(SLI)
            w.put(avp.ACCM, b"\0\0" + send.to_bytes(4, "big") + receive.to_bytes(4, "big"))
            self._send(w, now)
            self.tunnel.flush(now)

    def tell_errors(self, counters, now):
        """As LAC: tell the LNS what went wrong on the line since it is up (WEN, §6.13); six 32-bit counters."""
        if self.state == ESTABLISHED:
            w = self._writer(WEN)
            w.put(avp.CALL_ERRORS, b"\0\0" + b"".join([n.to_bytes(4, "big") for n in counters]))
            self._send(w, now)
            self.tunnel.flush(now)

    def status(self):
        """For people and tools."""
        return {
            "state": state_name(self.state),
            "local_session": self.sid,
            "peer_session": self.peer_sid,
            "rx_packets": self.rx_packets,
            "tx_packets": self.tx_packets,
            "rx_bytes": self.rx_bytes,
            "tx_bytes": self.tx_bytes,
            "lost": self.reorder.lost if self.reorder is not None else 0,
            "drops": dict(self.drops),
        }

    # -- data path ----------------------------------------------------------------------------------

    def carry(self, buf, start, end, now):
        """Send a PPP frame to the peer: the L2TP header goes into the frame's headroom (§3.1)."""
        if self.state != ESTABLISHED:
            self.drop("no call")
            return
        if self.ff03 and buf[start] != 0xFF:
            start -= 2
            buf[start] = 0xFF
            buf[start + 1] = 0x03
        header = self._header
        n = self._header_size
        start -= n
        for i in range(n):
            buf[start + i] = header[i]
        if header[0] & L:
            buf[start + 2] = (end - start) >> 8
            buf[start + 3] = (end - start) & 0xFF
        if header[0] & S:
            buf[start + n - 4] = self._ns >> 8
            buf[start + n - 3] = self._ns & 0xFF
            self._ns = (self._ns + 1) & 0xFFFF
        self.tx_packets = (self.tx_packets + 1) & _COUNTER
        self.tx_bytes = (self.tx_bytes + end - start) & _COUNTER
        tunnel = self.tunnel
        tunnel.endpoint.carrier.send(buf, start, end, tunnel.addr)

    def receive_data(self, buf, start, end, ns, now):
        """A PPP frame of this call from the tunnel; ``ns`` is -1 when the packet had no sequence numbers."""
        if self.state != ESTABLISHED:
            self.drop("no call")
            return
        if ns >= 0:
            if self.reorder is None:
                from .reorder import Reorder

                self.reorder = Reorder(self)
            if not self.sequencing:
                self._set_sequencing(True)
            self.reorder.receive(buf, start, end, ns, now)
        else:
            if self.sequencing and self._follows:
                self._set_sequencing(False)
            self.deliver(buf, start, end, now)

    def _set_sequencing(self, on):
        """§5.4: a LAC uses sequence numbers as the LNS does, unless it has required them itself."""
        self.sequencing = on
        self._make_header()

    def deliver(self, buf, start, end, now):
        """Hand a frame to the port we are joined to; in order, when the call is sequenced."""
        self.rx_packets = (self.rx_packets + 1) & _COUNTER
        self.rx_bytes = (self.rx_bytes + end - start) & _COUNTER
        joined = self.joined
        if joined is None:
            self.drop("not joined")
        else:
            joined.carry(buf, start, end, now)

    def _make_header(self):
        """The constant part of this call's data header."""
        flags = 0
        ids = (self.tunnel.peer_tid, self.peer_sid)
        header = [0, VERSION]
        if self.tunnel.options.length_bit:
            flags |= L
            header += [0, 0]
        for number in ids:
            header += [number >> 8, number & 0xFF]
        if self.sequencing:
            flags |= S
            header += [0, 0, 0, 0]
        header[0] = flags
        self._header = bytearray(header)
        self._header_size = len(header)

    # -- control ------------------------------------------------------------------------------------

    def open(self, now):
        """Wait for the tunnel."""
        self._step(OPEN, now)

    def tunnel_up(self, now):
        """The tunnel is there: ask for the call."""
        if find(self.kind, self.state, OPEN) >= 0:
            self._step(OPEN, now)

    def tunnel_down(self, fault, now):
        """The tunnel is gone, and the call with it."""
        if self.fault is None:
            self.fault = fault
        self._step(DEAD, now)

    def poll_at(self):
        """Deadline of the next on_timer()."""
        return self._expire_at if self.reorder is None else ticks.soonest(self._expire_at, self.reorder.deadline)

    def on_timer(self, now):
        """The peer let the time for its answer pass; or a packet that was waited for does not come."""
        if self.reorder is not None:
            self.reorder.on_timer(now)
        if ticks.due(self._expire_at, now):
            self.fault = Fault(SESSION, "no answer to the call request in time")
            self._result = (results.CDN_TIMEOUT, 0, "")
            self._do(EXPIRE, now)

    def on_message(self, mtype, avps, problem, now):
        """A control message for this call, from the tunnel."""
        if mtype == CDN:
            if self.fault is None:
                from .results import cdn_fault

                self.fault = cdn_fault(avp.get(avps, avp.RESULT_CODE), avp.get(avps, avp.PPP_DISCONNECT_CAUSE))
            self._step(CDN, now)
        elif mtype in (SLI, WEN):
            self._on_line_message(mtype, avps)
        elif problem is not None:
            self._refuse(problem[0], problem[1], now)
        elif find(self.kind, self.state, mtype) < 0:
            self.tunnel.endpoint.drop(message_name(mtype) + " in the wrong state")
        elif mtype in (ICRQ, ICRP, OCRQ, OCRP) and not avp.get(avps, avp.ASSIGNED_SESSION_ID, 0):
            self._refuse(avp.ERROR_VALUE, "no Assigned Session ID", now)
        else:
            self._learn(mtype, avps)
            self._avps = avps
            self._step(mtype, now)
            self._avps = None

    def _on_line_message(self, mtype, avps):
        """SLI sets the line's ACCMs (§6.14); WEN reports its errors (§6.13). Neither is ever a reason to close."""
        kind = avp.ACCM if mtype == SLI else avp.CALL_ERRORS
        value = avp.get(avps, kind)
        if value is not None and self.state == ESTABLISHED:
            self.tunnel.endpoint.event("accm" if mtype == SLI else "line-errors", self, value)

    def _learn(self, mtype, avps):
        """What a request, reply or connect says of the call (§6.5 to §6.10)."""
        for atype, value in avps:
            if atype == avp.ASSIGNED_SESSION_ID and mtype not in (ICCN, OCCN):
                self.peer_sid = value
            elif atype == avp.CALLED_NUMBER:
                self.called = value
            elif atype == avp.CALLING_NUMBER:
                self.calling = value
            elif atype == avp.SUB_ADDRESS:
                self.sub_address = value
            elif atype == avp.CALL_SERIAL_NUMBER:
                self.serial = value
            elif atype == avp.BEARER_TYPE:
                self.bearer = value
            elif atype == avp.FRAMING_TYPE:
                self.framing = value
            elif atype == avp.MINIMUM_BPS:
                self.minimum_bps = value
            elif atype == avp.MAXIMUM_BPS:
                self.maximum_bps = value
            elif atype == avp.TX_CONNECT_SPEED:
                self.tx_speed = self.rx_speed = value
            elif atype == avp.RX_CONNECT_SPEED:
                self.rx_speed = value
            elif atype == avp.PRIVATE_GROUP_ID:
                self.private_group = value
            elif atype == avp.SEQUENCING_REQUIRED:
                self.sequencing = True
                self._follows = False

    def _refuse(self, error, text, now):
        self._result = (results.CDN_ERROR, error, text)
        if self.fault is None:
            self.fault = Fault(SESSION, "unusable message", text)
        self._step(BAD, now)

    # -- transitions --------------------------------------------------------------------------------

    def _do(self, event, now):
        self._step(event, now)
        self.tunnel.flush(now)

    def _step(self, event, now):
        row = find(self.kind, self.state, event)
        if row < 0:
            self.tunnel.endpoint.drop("call event in the wrong state")
            return
        self.state = self.kind[row + 3]
        action = self._ACTIONS[self.kind[row + 2]]
        if action:
            action(self, now)
        self._enter(now)

    def _enter(self, now):
        """What being in a state means, whatever led there: its deadline, and the end."""
        self._expire_at = ticks.add(now, _SETUP_TIME) if self.state in (WAIT_REPLY, WAIT_CONNECT) else None
        endpoint = self.tunnel.endpoint
        if self.state == GONE:
            if self.tunnel.sessions.pop(self.sid, None) is not None:
                endpoint.timers.forget(self)
                endpoint.event("call-down", self, self.fault or Fault(SESSION, "closed"))
        else:
            endpoint.timers.update(self, now)

    # -- actions (the first column of the call tables' actions) -----------------------------------------

    def _writer(self, mtype):
        options = self.tunnel.options
        if options.hide:
            return avp.Writer(mtype, options.secret, self.tunnel.endpoint.random)
        return avp.Writer(mtype)

    def _send(self, writer, now, fresh=False):
        self.tunnel.queue(self, writer.buf, fresh)

    def _numbers(self, w):
        if self.called:
            w.put(avp.CALLED_NUMBER, self.called)
        if self.calling:
            w.put(avp.CALLING_NUMBER, self.calling)
        if self.sub_address:
            w.put(avp.SUB_ADDRESS, self.sub_address)

    def _send_icrq(self, now):
        w = self._writer(ICRQ)
        w.u16(avp.ASSIGNED_SESSION_ID, self.sid)
        self.serial = self.serial or self.tunnel.endpoint.next_serial()
        w.u32(avp.CALL_SERIAL_NUMBER, self.serial)
        w.u32(avp.BEARER_TYPE, self.bearer)
        if self.physical is not None:
            w.u32(avp.PHYSICAL_CHANNEL, self.physical)
        self._numbers(w)
        self._mark(w)
        self._send(w, now)

    def _mark(self, w):
        """RFC 3308: the class of service of this call is its tunnel's."""
        if self.tunnel.options.dscp is not None:
            w.u16(avp.SESSION_DS, self.tunnel.options.dscp << 10)

    def _send_icrp(self, now):
        w = self._writer(ICRP)
        w.u16(avp.ASSIGNED_SESSION_ID, self.sid)
        self._mark(w)
        self._send(w, now)

    def _speeds(self, w):
        w.u32(avp.TX_CONNECT_SPEED, self.tx_speed)
        w.u32(avp.FRAMING_TYPE, self.framing)
        if self.rx_speed and self.rx_speed != self.tx_speed:  # equal, it says nothing, and WatchGuard chokes on it
            w.u32(avp.RX_CONNECT_SPEED, self.rx_speed)
        if self.sequencing:
            w.put(avp.SEQUENCING_REQUIRED, b"")

    def _send_iccn(self, now):
        w = self._writer(ICCN)
        self._speeds(w)
        if self.private_group:
            w.put(avp.PRIVATE_GROUP_ID, self.private_group)
        for atype, value in self.proxy:
            w.u16(atype, value) if isinstance(value, int) else w.put(atype, value)
        self._send(w, now, True)
        self._call_up(now)

    def _send_ocrq(self, now):
        w = self._writer(OCRQ)
        w.u16(avp.ASSIGNED_SESSION_ID, self.sid)
        self.serial = self.serial or self.tunnel.endpoint.next_serial()
        w.u32(avp.CALL_SERIAL_NUMBER, self.serial)
        w.u32(avp.MINIMUM_BPS, self.minimum_bps)
        w.u32(avp.MAXIMUM_BPS, self.maximum_bps)
        w.u32(avp.BEARER_TYPE, self.bearer)
        w.u32(avp.FRAMING_TYPE, self.framing)
        self._numbers(w)
        self._mark(w)
        self._send(w, now)

    def _send_ocrp(self, now):
        w = self._writer(OCRP)
        w.u16(avp.ASSIGNED_SESSION_ID, self.sid)
        self._mark(w)
        self._send(w, now)

    def _send_occn(self, now):
        w = self._writer(OCCN)
        self._speeds(w)
        self._send(w, now, True)
        self._call_up(now)

    def _send_cdn(self, now):
        w = self._writer(CDN)
        w.result(self._result[0], self._result[1], self._result[2])
        w.u16(avp.ASSIGNED_SESSION_ID, self.sid)
        if self.fault is not None and self.fault.layer in _PPP:
            from .disconnect import cause

            w.put(avp.PPP_DISCONNECT_CAUSE, cause(self.fault))
        self._send(w, now)

    def _offer(self, now):
        self.tunnel.endpoint.event("call-offered", self, self._avps)

    def _accepted(self, now):
        self.tunnel.endpoint.event("call-accepted", self, self._avps)

    def _call_up(self, now):
        self._make_header()
        self.tunnel.endpoint.event("call-up", self, self._avps)

    def _clear(self, now):
        pass  # entering GONE says it all

    _ACTIONS = (
        None,
        _send_icrq,
        _send_icrp,
        _send_iccn,
        _send_ocrq,
        _send_ocrp,
        _send_occn,
        _send_cdn,
        _offer,
        _call_up,
        _clear,
        _accepted,
    )
