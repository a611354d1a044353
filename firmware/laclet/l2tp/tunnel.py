"""A tunnel: the control connection of RFC 2661 §5.1, §7.2, and the calls in it. Either side, LAC or LNS."""

from .. import ticks
from ..fault import TUNNEL, TUNNEL_AUTH, Fault, clean
from ..wire import avp
from ..wire.l2tp import (
    CDN,
    HELLO,
    ICCN,
    ICRP,
    ICRQ,
    OCCN,
    OCRP,
    OCRQ,
    SCCCN,
    SCCRP,
    SCCRQ,
    SLI,
    STOPCCN,
    WEN,
    message_name,
)
from . import results
from .channel import DELIVER, HELD, RECEIVE_WINDOW, Channel
from .session import Session
from .tables import (
    ACKED,
    BAD,
    CLOSE,
    CLOSING,
    CONTROL,
    DEAD,
    ESTABLISHED,
    EXPIRE,
    GONE,
    IDLE,
    LAC_INCOMING,
    LAC_OUTGOING,
    LAC_RINGING,
    LINGER,
    LNS_INCOMING,
    LNS_OUTGOING,
    LOSE,
    OPEN,
    WAIT_CTL_CONN,
    WAIT_CTL_REPLY,
    find,
    state_name,
)

# A peer that acknowledges but never answers is given this long (ms).
_SETUP_TIME = 60_000
# StopCCN waits for its acknowledgement no longer than this, whatever the retransmission timers say (ms).
_CLOSING_TIME = 10_000
# §5.7: one full retransmission cycle with the default timers, 1 + 2 + 4 + 8 + 8 + 8 s.
_LINGER_TIME = 31_000
# Retries towards an address that has proved nothing yet: our SCCRP is longer than many an SCCRQ, and its sender may be
# forged. The peer repeats its SCCRQ, so little is lost.
_UNPROVEN_RETRIES = 2
# Calls in one tunnel, ours and the peer's; the ids would allow 65,535.
MAX_SESSIONS = 16_384


class TunnelOptions:
    """How we present ourselves and what we ask of a peer. Times in ms; ``secret`` bytes or None."""

    def __init__(self, host_name="laclet", secret=None, hello_interval=60_000, max_retries=5, retry_timeout=1000):
        self.host_name = host_name
        self.secret = secret  # with one set, the peer must answer our challenge
        self.hello_interval = hello_interval  # 0: never
        self.max_retries = max_retries
        self.retry_timeout = retry_timeout
        self.rws = RECEIVE_WINDOW
        self.hide = False  # hide what may be hidden; needs a secret
        self.tie_breaker = False  # we want one tunnel between us, whoever opens it
        self.length_bit = False  # L in data packets
        self.sequencing = False  # ask for sequence numbers in data packets
        self.dscp = None  # the class of service we ask for (RFC 3308), 0 to 63
        self.bearer = 0  # calls we place when asked (OCRQ): bit 0 on digital lines, bit 1 on analog ones


class Tunnel:
    """One control connection. Made by an Endpoint; events go to the endpoint's list; ``owner`` is free for the node."""

    def __init__(self, endpoint, tid, addr, options):
        self.endpoint = endpoint
        self.tid = tid  # ours
        self.addr = addr  # of the peer; opaque
        self.options = options
        self.owner = None
        self.state = IDLE
        self.peer_tid = 0
        self.peer_name = ""
        self.peer_vendor = ""
        self.peer_framing = 3  # Framing Capabilities: bit 0 synchronous, bit 1 asynchronous
        self.peer_bearer = 0  # Bearer Capabilities: bit 0 digital, bit 1 analog; 0: it places no calls
        self.dscp = None  # agreed with the peer
        self.fault = None  # why it ended, or is ending
        self.sessions = {}  # our session id -> Session
        self.heard = 0  # when the peer last sent anything valid
        self.channel = Channel(options.rws, options.max_retries, options.retry_timeout)
        self.armed = None  # for Timers
        self.tie = b""  # our Tie Breaker, when sent
        self._challenge = b""  # ours
        self._peer_challenge = b""
        self._proved = False  # the peer went on after our challenge response
        self._stop = (results.STOP_CLEAR, 0, "")  # what our StopCCN will say
        self._expire_at = None
        self._hello_base = None  # set while established
        self._fresh = []  # sessions whose ICCN or OCCN is not acknowledged yet

    # -- for the owner ------------------------------------------------------------------------------

    def open(self, now):
        """Send the SCCRQ."""
        self.heard = now
        self._step(OPEN, now)
        self.flush(now)

    def close(self, fault, now, result=results.STOP_CLEAR):
        """End the tunnel and its calls with a StopCCN; ``fault`` says why, for our own events."""
        self._stop = (result, 0, "")
        self._end(CLOSE, fault, now)

    def hello(self, now):
        """Ask whether the peer is there (§5.5): a tunnel that is not acknowledged goes down."""
        if self.state == ESTABLISHED:
            self._hello_base = now
            self.channel.queue(0, avp.Writer(HELLO).buf)
            self.flush(now)

    def cut(self, fault, now):
        """What carries it is gone, and the peer with it: end without a word."""
        if self.fault is None:
            self.fault = fault
        self._step(DEAD, now)

    def lose(self, fault, now):
        """Another tunnel with this peer takes our place (§4.4.3 Tie Breaker): end without a word."""
        self.fault = fault
        self._step(LOSE, now)

    def incoming_call(self, now, **about):
        """As LAC: tell the LNS of a call that came in, or that we make ourselves (§5.2.1). Returns the Session or None.

        ``about``: attributes of Session to set before it is asked for (called, calling, sub_address, tx_speed …).
        """
        return self._call(LAC_INCOMING, about, now)

    def ringing_call(self, now, **about):
        """As LAC: a call that still rings. The event call-accepted says that the LNS takes it; then answer the bearer,
        and say ``connected``."""
        return self._call(LAC_RINGING, about, now)

    def outgoing_call(self, now, **about):
        """As LNS: ask the LAC to place a call (§5.2.2); ``bearer`` and ``framing`` are cut to what it can do.

        Returns the Session, or None: also when the LAC has not said that it places calls (§6.9), or no framing fits.
        """
        about["bearer"] = about.get("bearer", 3) & self.peer_bearer
        about["framing"] = about.get("framing", 2) & self.peer_framing
        if self.state != ESTABLISHED or not about["bearer"] or not about["framing"]:
            return None
        return self._call(LNS_OUTGOING, about, now)

    def usable(self):
        """True while calls may be placed: now, or as soon as it is up."""
        return self.state in (IDLE, WAIT_CTL_REPLY, WAIT_CTL_CONN, ESTABLISHED)

    def status(self):
        """For people and tools."""
        return {
            "state": state_name(self.state),
            "local_tunnel": self.tid,
            "peer_tunnel": self.peer_tid,
            "peer": self.addr,
            "peer_name": self.peer_name,
            "peer_vendor": self.peer_vendor,
            "dscp": self.dscp,
            "retransmissions": self.channel.retransmissions,
            "rtt": self.channel.rtt,
            "sessions": [s.status() for s in self.sessions.values()],
        }

    # -- in and out ---------------------------------------------------------------------------------

    def accept_sccrq(self, avps, problem, ns, nr, now):
        """The first message of a tunnel that the peer opens."""
        self.channel.max_retries = min(_UNPROVEN_RETRIES, self.options.max_retries)
        self.channel.accept(ns, now)
        self.heard = now
        self._handle(SCCRQ, 0, avps, problem, now)
        self.flush(now)

    def receive(self, buf, start, end, now):
        """A control message for this tunnel, header checked, up to its own end."""
        ns = buf[start + 8] << 8 | buf[start + 9]
        nr = buf[start + 10] << 8 | buf[start + 11]
        self.heard = now
        self.channel.acknowledged(nr, now)
        if end - start > 12:
            session = buf[start + 6] << 8 | buf[start + 7]
            verdict = self.channel.accept(ns, now)
            if verdict == HELD:
                self.channel.hold(ns, (session, bytes(buf[start + 12 : end])))
            elif verdict == DELIVER:
                self._read(session, buf, start + 12, end, now)
                held = self.channel.next_held(now)
                while held is not None:
                    self._read(held[0], held[1], 0, len(held[1]), now)
                    held = self.channel.next_held(now)
            else:
                self.endpoint.drop(
                    "duplicate control message" if verdict == 1 else "control message outside the window"
                )
        if self.channel.idle():
            self._quiet(now)
        self.flush(now)

    def flush(self, now):
        """Send what the channel lets go, and arm the timer."""
        while True:
            item = self.channel.pull(now)
            if item is None:
                break
            self.endpoint.send_control(self, item[0], item[1])
        self.endpoint.timers.update(self, now)

    def poll_at(self):
        """Deadline of the next on_timer(); of a tunnel that is gone there is none: its carrier may be closed."""
        if self.state == GONE:
            return None
        at = ticks.soonest(self.channel.poll_at(), self._expire_at)
        if self._hello_base is not None and self.options.hello_interval:
            at = ticks.soonest(at, ticks.add(self._hello_base, self.options.hello_interval))
        return at

    def on_timer(self, now):
        """Retransmission, acknowledgement, HELLO, and the ends of states."""
        self.channel.on_timer(now)
        if self.channel.dead and self.state != GONE:
            if self.fault is None:
                self.fault = self._silence()
            self._step(DEAD, now)
            return
        if ticks.due(self._expire_at, now):
            self._expire_at = None
            if self.fault is None:
                self.fault = Fault(TUNNEL, "the peer acknowledges, but does not answer")
            self._step(EXPIRE, now)
        elif self._hello_base is not None and self.options.hello_interval:
            if ticks.due(ticks.add(self._hello_base, self.options.hello_interval), now):
                self._hello_base = self.heard
                if ticks.due(ticks.add(self.heard, self.options.hello_interval), now):
                    self.hello(now)
        self.flush(now)

    # -- messages in --------------------------------------------------------------------------------

    def _read(self, session, buf, start, end, now):
        secret = self.options.secret if self.options.secret else None
        mtype, avps, problem = avp.parse(buf, start, end, secret)
        if mtype < 0:
            self.endpoint.drop("control message: " + problem[1])
            return
        self._handle(mtype, session, avps, problem, now)

    def _handle(self, mtype, session, avps, problem, now):
        if self.state == ESTABLISHED and mtype != STOPCCN:
            self._proved = True
        if mtype in (ICRQ, OCRQ) and self.state == ESTABLISHED:
            self._on_call_request(mtype, avps, problem, now)
        elif mtype in (ICRQ, ICRP, ICCN, OCRQ, OCRP, OCCN, CDN, WEN, SLI):
            self._on_session_message(mtype, session, avps, problem, now)
        elif mtype == HELLO:
            pass  # its acknowledgement is the answer
        elif mtype == STOPCCN:
            from .results import stop_fault  # its words cost a board 2 kB: not before they are needed

            fault = stop_fault(avp.get(avps, avp.RESULT_CODE))
            if self.state == ESTABLISHED and self._peer_challenge and not self._proved:
                fault = Fault(TUNNEL_AUTH, "refused after our challenge response", fault.said, "check tunnel_secret")
            if self.fault is None:
                self.fault = fault
            self._step(STOPCCN, now)
        elif problem is not None:
            self._refuse(results.STOP_ERROR, problem[0], problem[1], Fault(TUNNEL, "unusable message", problem[1]), now)
        elif mtype == SCCRQ and self.state == IDLE:
            self._on_sccrq(avps, now)
        elif mtype == SCCRP and self.state == WAIT_CTL_REPLY:
            self._on_sccrp(avps, now)
        elif mtype == SCCCN and self.state == WAIT_CTL_CONN:
            self._on_scccn(avps, now)
        elif mtype in (SCCRQ, SCCRP, SCCCN) and self.state < CLOSING:
            name = message_name(mtype)
            self._refuse(results.STOP_FSM, 0, "", Fault(TUNNEL, name + " in state " + state_name(self.state)), now)
        else:
            self.endpoint.drop("unknown message type" if mtype > SLI else "message in the wrong state")

    def _on_sccrq(self, avps, now):
        if self._learn(avps, now) and self._take_challenge(avps, now):
            self._step(SCCRQ, now)

    def _on_sccrp(self, avps, now):
        if self._learn(avps, now) and self._verify(avps, SCCRP, now) and self._take_challenge(avps, now):
            self._step(SCCRP, now)

    def _on_scccn(self, avps, now):
        if self._verify(avps, SCCCN, now):
            self.channel.max_retries = self.options.max_retries
            self._step(SCCCN, now)

    def _learn(self, avps, now):
        """What SCCRQ and SCCRP say of the peer (§6.1, §6.2); False when it had to be refused."""
        peer_tid = avp.get(avps, avp.ASSIGNED_TUNNEL_ID, 0)
        version = avp.get(avps, avp.PROTOCOL_VERSION, 0x0100)
        self.peer_tid = peer_tid
        self.peer_name = clean(avp.get(avps, avp.HOST_NAME, b""))
        self.peer_vendor = clean(avp.get(avps, avp.VENDOR_NAME, b""))
        self.peer_framing = avp.get(avps, avp.FRAMING_CAPABILITIES, 3) & 3
        self.peer_bearer = avp.get(avps, avp.BEARER_CAPABILITIES, 0) & 3
        self.channel.set_window(avp.get(avps, avp.RECEIVE_WINDOW_SIZE, 4))
        service = avp.get(avps, avp.CONTROL_DS)
        if service is not None and self.options.dscp is not None:
            # Who answers has the last word; a peer that does not answer knows nothing of it.
            self.dscp = service >> 10 if self.state == WAIT_CTL_REPLY else self.options.dscp
        if version != 0x0100:
            fault = Fault(TUNNEL, "protocol version not supported", str(version >> 8) + "." + str(version & 0xFF))
            self._refuse(results.STOP_VERSION, 0x0100, "", fault, now)
            return False
        if not peer_tid:
            self._refuse(results.STOP_ERROR, avp.ERROR_VALUE, "", Fault(TUNNEL, "the peer assigned no tunnel id"), now)
            return False
        return True

    def _take_challenge(self, avps, now):
        """Remember the peer's challenge (§5.1.1); False when we cannot answer it."""
        self._peer_challenge = avp.get(avps, avp.CHALLENGE, b"")
        if self._peer_challenge and not self.options.secret:
            fault = Fault(TUNNEL_AUTH, "the peer asks for a tunnel secret and none is set", "", "set tunnel_secret")
            self._refuse(results.STOP_UNAUTHORIZED, 0, "", fault, now)
            return False
        return True

    def _verify(self, avps, mtype, now):
        """Check the answer to our challenge: none is a refusal, never a pass."""
        if not self._challenge:
            return True
        answer = avp.get(avps, avp.CHALLENGE_RESPONSE)
        from ..crypto.hashes import equal

        if answer is not None and equal(answer, self._response(mtype, self._challenge)):
            return True
        cause = "the peer's tunnel secret differs" if answer else "the peer did not answer our challenge"
        fault = Fault(TUNNEL_AUTH, cause, "", "check tunnel_secret on both sides")
        self._refuse(results.STOP_UNAUTHORIZED, 0, "", fault, now)
        return False

    def _response(self, mtype, challenge):
        """§4.4.3 Challenge Response: MD5 over the message type it travels in, the secret, the challenge."""
        from ..crypto.hashes import md5

        return md5(bytes((mtype,)) + self.options.secret + challenge)

    def _on_call_request(self, mtype, avps, problem, now):
        """ICRQ or OCRQ: the peer asks for a call (§7.4.2, §7.5.1)."""
        session = self._new_session(LNS_INCOMING if mtype == ICRQ else LAC_OUTGOING)
        if session is None:
            self.endpoint.drop("too many sessions")
            return  # the peer's own timer clears its side
        session.on_message(mtype, avps, problem, now)

    def _on_session_message(self, mtype, sid, avps, problem, now):
        session = self.sessions.get(sid)
        if session is None and mtype == CDN:  # some leave the header's id 0 (§4.4.4 Assigned Session ID)
            peer_sid = avp.get(avps, avp.ASSIGNED_SESSION_ID, 0)
            for s in self.sessions.values():
                if s.peer_sid == peer_sid and peer_sid:
                    session = s
                    break
        if session is None:
            self.endpoint.drop("control message for an unknown session")
        else:
            session.on_message(mtype, avps, problem, now)

    # -- transitions --------------------------------------------------------------------------------

    def _step(self, event, now):
        row = find(CONTROL, self.state, event)
        if row < 0:
            self.endpoint.drop("tunnel event in the wrong state")
            return
        before = self.state
        self.state = CONTROL[row + 3]
        if self.state != before:
            self._enter(before, now)
        action = self._ACTIONS[CONTROL[row + 2]]
        if action:
            action(self, now)

    def _enter(self, before, now):
        """What entering a state means, whatever led there: its deadline, and the calls of a tunnel that ends."""
        wait = {WAIT_CTL_REPLY: _SETUP_TIME, WAIT_CTL_CONN: _SETUP_TIME, CLOSING: _CLOSING_TIME, LINGER: _LINGER_TIME}
        wait = wait.get(self.state)
        self._expire_at = ticks.add(now, wait) if wait else None
        self._hello_base = now if self.state == ESTABLISHED else None
        if before < CLOSING <= self.state:
            if self.fault is None:
                self.fault = Fault(TUNNEL, "closed")
            for session in list(self.sessions.values()):
                session.tunnel_down(self.fault, now)
            self.endpoint.event("tunnel-down", self, self.fault)

    def _refuse(self, result, error, message, fault, now):
        self._stop = (result, error, message)
        self._end(BAD, fault, now)

    def _end(self, event, fault, now):
        if self.fault is None:
            self.fault = fault
        self._step(event, now)
        self.flush(now)

    def _quiet(self, now):
        """Everything we sent is acknowledged."""
        if self.state == CLOSING:
            self._step(ACKED, now)
        elif self.state == ESTABLISHED and self._fresh:
            for session in self._fresh:
                if session.state == ESTABLISHED:
                    self.endpoint.event("call-acked", session, None)
            self._fresh = []

    def _silence(self):
        """The Fault for a peer that no longer acknowledges anything."""
        if self.state == WAIT_CTL_REPLY:
            hint = "check address, UDP port, firewall and whether the LNS knows this host name"
            return Fault(TUNNEL, "no answer to SCCRQ", "", hint)
        if self.state == ESTABLISHED and self._peer_challenge and not self._proved:
            return Fault(TUNNEL_AUTH, "no answer to our challenge response", "", "check tunnel_secret on both sides")
        return Fault(TUNNEL, "the peer no longer answers", "", "path or peer is down")

    # -- actions (the first column of tables.CONTROL's actions) ---------------------------------------

    def _writer(self, mtype, hide=True):
        if hide and self.options.hide:
            return avp.Writer(mtype, self.options.secret, self.endpoint.random)
        return avp.Writer(mtype)

    def _present(self, mtype):
        """The AVPs that SCCRQ and SCCRP share (§6.1, §6.2). Nothing is hidden here: Cisco cannot take it."""
        w = avp.Writer(mtype)
        w.u16(avp.PROTOCOL_VERSION, 0x0100)
        w.put(avp.HOST_NAME, self.options.host_name.encode())
        w.u32(avp.FRAMING_CAPABILITIES, 3)  # sync and async
        w.u16(avp.ASSIGNED_TUNNEL_ID, self.tid)
        if self.options.bearer:
            w.u32(avp.BEARER_CAPABILITIES, self.options.bearer)
        w.u16(avp.FIRMWARE_REVISION, 0x0100)
        w.put(avp.VENDOR_NAME, b"laclet")
        w.u16(avp.RECEIVE_WINDOW_SIZE, self.options.rws)
        if self.options.dscp is not None:
            w.u16(avp.CONTROL_DS, self.options.dscp << 10)  # the PHB id of a DSCP (RFC 3140)
        if self.options.secret:
            self._challenge = self.endpoint.random(16)
            w.put(avp.CHALLENGE, self._challenge)
        return w

    def _send_sccrq(self, now):
        w = self._present(SCCRQ)
        if self.options.tie_breaker:
            self.tie = self.endpoint.random(8)
            w.put(avp.TIE_BREAKER, self.tie)
        self.channel.queue(0, w.buf)

    def _send_sccrp(self, now):
        w = self._present(SCCRP)
        if self._peer_challenge:
            w.put(avp.CHALLENGE_RESPONSE, self._response(SCCRP, self._peer_challenge))
        self.channel.queue(0, w.buf)

    def _send_scccn(self, now):
        w = self._writer(SCCCN)
        if self._peer_challenge:
            w.put(avp.CHALLENGE_RESPONSE, self._response(SCCCN, self._peer_challenge))
        self.channel.queue(0, w.buf)
        self._up(now)

    def _send_stopccn(self, now):
        w = avp.Writer(STOPCCN)
        w.u16(avp.ASSIGNED_TUNNEL_ID, self.tid)
        w.result(self._stop[0], self._stop[1], self._stop[2])
        self.channel.queue(0, w.buf)

    def _up(self, now):
        self.endpoint.proved(self)
        self.endpoint.event("tunnel-up", self, None)
        for session in list(self.sessions.values()):
            session.tunnel_up(now)  # ICRQ in the same flight as the SCCCN

    def _forget(self, now):
        self.endpoint.forget(self)

    _ACTIONS = (None, _send_sccrq, _send_sccrp, _send_scccn, _send_stopccn, _up, _forget)

    # -- calls ----------------------------------------------------------------------------------------

    def _call(self, table, about, now):
        if not self.usable():
            return None
        session = self._new_session(table)
        if session is None:
            return None
        for name in about:
            setattr(session, name, about[name])
        session.open(now)
        if self.state == ESTABLISHED:
            session.tunnel_up(now)
        self.flush(now)
        return session

    def _new_session(self, table):
        if len(self.sessions) >= MAX_SESSIONS:
            return None
        sid = self.endpoint.unused(self.sessions)
        session = Session(self, sid, table)
        self.sessions[sid] = session
        return session

    def queue(self, session, message, fresh=False):
        """A session's message to the peer; ``fresh``: the owner wants to know when it is acknowledged."""
        if fresh:
            self._fresh.append(session)
        self.channel.queue(session.peer_sid, message)
