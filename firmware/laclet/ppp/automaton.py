"""The option negotiation automaton of RFC 1661 §4, once for LCP and every NCP: its table, its timer, its packets."""

from .. import ticks
from ..fault import Fault, clean
from ..wire import ppp

INITIAL = 0
STARTING = 1
CLOSED = 2
STOPPED = 3
CLOSING = 4
STOPPING = 5
REQ_SENT = 6
ACK_RCVD = 7
ACK_SENT = 8
OPENED = 9
STATES = (
    "Initial",
    "Starting",
    "Closed",
    "Stopped",
    "Closing",
    "Stopping",
    "Req-Sent",
    "Ack-Rcvd",
    "Ack-Sent",
    "Opened",
)

# RFC 1661 §4.1, cell by cell: actions/new-state, or "-" for what cannot happen. A row is split when it is used: sixteen
# strings take a quarter of the memory of a hundred and sixty. Everything that changes a state stands here.
# fmt: off
TABLE = {
    #        0       1         2         3              4     5      6         7         8         9
    #        Initial Starting  Closed    Stopped        Closing      Req-Sent  Ack-Rcvd  Ack-Sent  Opened
    #                                                         Stopping
    "Up":    "2      irc,scr/6 -         -              -     -      -         -         -         -",
    "Down":  "-      -         0         tls/1          0     1      1         1         1         tld/1",
    "Open":  "tls/1  1         irc,scr/6 3              5     5      6         7         8         9",
    "Close": "0      tlf/0     2         2              4     4      irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4",
    "TO+":   "-      -         -         -              str/4 str/5  scr/6     scr/6     scr/8     -",
    "TO-":   "-      -         -         -              tlf/2 tlf/3  tlf/3     tlf/3     tlf/3     -",
    "RCR+":  "-      -         sta/2     irc,scr,sca/8  4     5      sca/8     sca,tlu/9 sca/8     tld,scr,sca/8",
    "RCR-":  "-      -         sta/2     irc,scr,scn/6  4     5      scn/6     scn/7     scn/6     tld,scr,scn/6",
    "RCA":   "-      -         sta/2     sta/3          4     5      irc/7     scr/6     irc,tlu/9 tld,scr/6",
    "RCN":   "-      -         sta/2     sta/3          4     5      irc,scr/6 scr/6     irc,scr/8 tld,scr/6",
    "RTR":   "-      -         sta/2     sta/3          sta/4 sta/5  sta/6     sta/6     sta/6     tld,zrc,sta/5",
    "RTA":   "-      -         2         3              tlf/2 tlf/3  6         6         8         tld,scr/6",
    "RUC":   "-      -         scj/2     scj/3          scj/4 scj/5  scj/6     scj/7     scj/8     scj/9",
    "RXJ+":  "-      -         2         3              4     5      6         6         8         9",
    "RXJ-":  "-      -         tlf/2     tlf/3          tlf/2 tlf/3  tlf/3     tlf/3     tlf/3     tld,irc,str/5",
    "RXR":   "-      -         2         3              4     5      6         7         8         ser/9",
    # Not of RFC 1661: another has negotiated LCP for us (RFC 2661 §4.4.5); its options are taken over.
    "Proxy": "-      too,tlu/9 -         -              -     -      -         -         -         -",
}
# fmt: on

# Counters and timer of §4.6. The RFC's Restart timer is 3 s; a peer that was not there yet for our first request should
# not cost that much, so the timer starts short and doubles up to the RFC's value.
MAX_CONFIGURE = 10
MAX_TERMINATE = 2
MAX_FAILURE = 5
MAX_NAKED = 20  # Configure-Naks and -Rejects taken in one negotiation: two sides that never agree must stop
RESTART_FIRST = 300  # ms
RESTART_LAST = 3000  # ms
# For this long after Opened a Configure-Request that was seen before is a copy, made by the network, or by the peer
# because our Ack was lost. Taken for a renegotiation it would bring the link down.
COPY_TIME = 10000  # ms
MAX_JUDGED = 4  # requests remembered for it: a negotiation seldom takes more
MAX_SAID = 64  # bytes of a packet quoted in a Code-Reject


class Automaton:
    """One protocol of RFC 1661 §4. ``link`` sends for it: ``link.send(protocol, code, identifier, data, now)``.

    A subclass supplies the options (``begin()``, ``request()``, ``review(options, now)``, ``naked(options, now)``,
    ``rejected(options, now)``) and hears ``on_up(now)``, ``on_down(now)``, ``on_finished(now)``, ``on_extended(buf, at,
    end, now)`` and ``code_rejected(code)``.
    """

    protocol = 0  # PPP protocol number
    layer = ""  # layer named in faults

    def __init__(self, link):
        self.link = link
        self.state = INITIAL  # assigned by _step alone
        self.identifier = 0  # of the last packet we began ourselves
        self.reason = b""  # data of the Terminate-Request to come
        self.why = None  # Fault: why it went, or is about to go, down
        self._request = None  # options of the Configure-Request that waits for its answer
        self._request_id = 0  # and its identifier
        self._judged = []  # (identifier, options, code, answer) of the peer's requests judged last, newest first
        self._reply = None  # (code, identifier, data) for sca, scn, sta
        self._opened_at = 0  # tick
        self._packet = None  # (buf, at, end) of an extended packet, while it is handled
        self._failures = 0  # Configure-Naks sent in this negotiation (Max-Failure)
        self._naked = 0  # Configure-Naks and -Rejects taken in this negotiation
        self._heard = False  # the peer sent anything in this negotiation
        self._restarts = 0  # restart counter
        self._period = RESTART_FIRST  # ms, of the next restart timer
        self._deadline = None  # tick at which the restart timer fires
        self._sent_at = 0  # tick of the last Configure-Request

    @property
    def is_open(self):
        """True in state Opened."""
        return self.state == OPENED

    # -- verbs --------------------------------------------------------------------------------------

    def open(self, now):
        """Administrative Open."""
        self._step("Open", now)

    def close(self, now, reason=b""):
        """Administrative Close; ``reason`` goes into the Terminate-Request."""
        self.reason = reason
        self._step("Close", now)

    def up(self, now):
        """The layer below is up."""
        if self.state <= STARTING:
            self._step("Up", now)

    def down(self, now):
        """The layer below is down."""
        if self.state > STARTING:
            self._step("Down", now)

    def kick(self, now, period=RESTART_FIRST):
        """Repeat an unanswered Configure-Request at once, then in ``period``: only now can the peer be listening."""
        if self.state in (REQ_SENT, ACK_SENT) and self._request is not None:
            self._restarts = MAX_CONFIGURE + 1
            self._period = period
            self._scr(now)

    def reject(self, now):
        """The peer rejected this whole protocol, or one of the codes it cannot do without."""
        if self.state > STARTING:
            self.why = Fault(self.layer, "the peer does not speak this protocol")
            self._step("RXJ-", now)

    def poll_at(self):
        """Deadline of the restart timer, or None."""
        return self._deadline

    def on_timer(self, now):
        """Fire the restart timer when it is due."""
        if not ticks.due(self._deadline, now):
            return
        if self._restarts > 0:
            self._step("TO+", now)
            return
        if self.why is None:
            cause = "the negotiation came to no end" if self._heard else "no answer to our Configure-Requests"
            self.why = Fault(self.layer, cause)
        self._step("TO-", now)

    def receive(self, buf, at, end, now):
        """Take a control packet: Code, Identifier, Length, data; padding behind it is ignored (§5)."""
        end = ppp.packet_end(buf, at, end)
        if end < 0:
            self.link.drop("control packet with a wrong length")
        elif self.state <= STARTING:
            self.link.drop("control packet before the layer is up")
        else:
            handler = self.CODES.get(buf[at])
            if handler is None:
                self._packet = (buf, at, end)
                self._step("RUC", now)
                self._packet = None
            else:
                handler(self, buf, at, end, now)
            self._heard = True

    # -- packets received (§5) ----------------------------------------------------------------------

    def _on_configure_request(self, buf, at, end, now):
        identifier = buf[at + 1]
        self._reply = (0, identifier, b"")
        if self.state in (CLOSED, CLOSING, STOPPING):
            self._step("RCR+", now)
            return
        data = bytes(buf[at + 4 : end])
        copy = self._copy_of(identifier, data)
        if copy >= 0 and self.state == OPENED and ticks.diff(now, self._opened_at) < COPY_TIME:
            if copy == 0:
                self.link.send(self.protocol, ppp.CONFIGURE_ACK, identifier, data, now)
            else:
                self.link.drop("late copy of a Configure-Request")
            return
        if copy == 0:  # the same answer once more, which does not count as another refusal
            code, answer = self._judged[0][2:]
        else:
            options = ppp.options(data, 0, len(data))
            if isinstance(options, str):
                self.link.drop(options)
                return
            if self.state == REQ_SENT and not self._heard and ticks.diff(now, self._sent_at) >= RESTART_FIRST:
                self.kick(now)  # a peer that has just come alive never saw our request
            code, answer = self.review(options, now)
            if code == ppp.CONFIGURE_ACK:
                answer = data
        self._reply = (code, identifier, answer)
        self._walk("RCR+" if code == ppp.CONFIGURE_ACK else "RCR-", now)
        if copy != 0:
            self._judged = [(identifier, data, code, answer)] + self._judged[: MAX_JUDGED - 1]

    def _copy_of(self, identifier, data):
        """How many requests ago we judged this very one: 0 for the last, -1 for never."""
        for i in range(len(self._judged)):
            if self._judged[i][0] == identifier and self._judged[i][1] == data:
                return i
        return -1

    def _on_configure_ack(self, buf, at, end, now):
        if self._is_answer("RCA", buf, at, now):
            if bytes(buf[at + 4 : end]) != self._request:
                self.link.drop("Configure-Ack of something else")
                return
            self._request = None
            self._step("RCA", now)

    def _on_configure_nak(self, buf, at, end, now):
        if self._is_answer("RCN", buf, at, now):
            options = ppp.options(buf, at + 4, end)
            if isinstance(options, str):
                self.link.drop(options)
                return
            self._request = None
            self._naked += 1
            if self._naked > MAX_NAKED:
                self.link.fail(Fault(self.layer, "no agreement after %d refusals" % MAX_NAKED), now)
            elif buf[at] == ppp.CONFIGURE_NAK:
                self.naked(options, now)
            else:
                self.rejected(options, now)
            self._walk("RCN", now)

    def _is_answer(self, event, buf, at, now):
        """True for the first answer to our request; in Closed and Stopped the peer is told so (RCA, RCN)."""
        self._reply = (0, buf[at + 1], b"")
        if self.state in (CLOSED, STOPPED):
            self._step(event, now)
            return False
        if self._request is None or buf[at + 1] != self._request_id:
            self.link.drop("stale answer")
            return False
        return True

    def _walk(self, event, now):
        """Step, unless the options just looked at have brought everything down."""
        if self.state > STARTING:
            self._step(event, now)

    def _on_terminate_request(self, buf, at, end, now):
        self._reply = (0, buf[at + 1], b"")
        if self.state >= REQ_SENT and self.why is None:
            self.why = Fault(self.blamed_layer(), "the peer closed it", clean(buf[at + 4 : end]))
        self._step("RTR", now)

    def blamed_layer(self):
        """The layer that a fault names when the peer closes this protocol."""
        return self.layer

    def _on_terminate_ack(self, buf, at, end, now):
        self._step("RTA", now)

    def _on_code_reject(self, buf, at, end, now):
        if end - at < 5:
            self.link.drop("Code-Reject of nothing")
        elif buf[at + 4] in Automaton.CODES:
            self.reject(now)
        else:
            self.code_rejected(buf[at + 4])
            self._step("RXJ+", now)

    def _on_extended(self, buf, at, end, now):
        self._packet = (buf, at, end)
        self._step("RXR", now)
        self._packet = None

    # What a code leads to; a protocol with more codes has a longer table (``_on_extended`` for those that need Opened).
    CODES = {
        ppp.CONFIGURE_REQUEST: _on_configure_request,
        ppp.CONFIGURE_ACK: _on_configure_ack,
        ppp.CONFIGURE_NAK: _on_configure_nak,
        ppp.CONFIGURE_REJECT: _on_configure_nak,
        ppp.TERMINATE_REQUEST: _on_terminate_request,
        ppp.TERMINATE_ACK: _on_terminate_ack,
        ppp.CODE_REJECT: _on_code_reject,
    }

    # -- the table walker ---------------------------------------------------------------------------

    def _step(self, event, now):
        """Walk the table: the new state first, so that what an action sets off already finds it."""
        cell = TABLE[event].split()[self.state]
        if cell == "-":
            self.link.drop("illegal event")
            return
        actions, _, state = cell.rpartition("/")
        was = self.state
        self.state = int(state)
        if self.state >= REQ_SENT and not REQ_SENT <= was <= ACK_SENT and self.state != was:
            self._begin()
        if not CLOSING <= self.state <= ACK_SENT:
            self._deadline = None
        for action in actions.split(","):
            if action:
                getattr(self, "_" + action)(now)

    def _begin(self):
        self.why = None
        self._request = None
        self._judged = []
        self._failures = 0
        self._naked = 0
        self._heard = False
        self.begin()

    # -- actions (§4.4) -----------------------------------------------------------------------------

    def _tlu(self, now):
        self.why = None
        self._opened_at = now
        self.on_up(now)

    def _tld(self, now):
        self.on_down(now)

    def _tls(self, now):
        pass

    def _tlf(self, now):
        self.on_finished(now)

    def _irc(self, now):
        self._restarts = MAX_TERMINATE if self.state in (CLOSING, STOPPING) else MAX_CONFIGURE
        self._period = RESTART_FIRST
        if self.state == ACK_RCVD:
            # Our part is done: wait a full restart time for the peer's request, not the short one for its answer.
            self._deadline = ticks.add(now, RESTART_LAST)

    def _zrc(self, now):
        self._restarts = 0
        self._period = RESTART_FIRST
        self._arm(now)

    def _scr(self, now):
        if self._request is None:  # a repetition keeps its identifier: an answer to any copy counts (§5.1)
            self._request_id = self.next_identifier()
            self._request = self.request()
        self._sent_at = now
        self._transmit(ppp.CONFIGURE_REQUEST, self._request_id, self._request, now)

    def _str(self, now):
        self._transmit(ppp.TERMINATE_REQUEST, self.next_identifier(), self.reason, now)

    def _sca(self, now):
        code, identifier, data = self._reply
        self.link.send(self.protocol, code, identifier, data, now)

    def _scn(self, now):
        self._sca(now)  # both send what the review said

    def _sta(self, now):
        self.link.send(self.protocol, ppp.TERMINATE_ACK, self._reply[1], b"", now)

    def _scj(self, now):
        buf, at, end = self._packet
        data = bytes(buf[at : min(end, at + MAX_SAID)])
        self.link.send(self.protocol, ppp.CODE_REJECT, self.next_identifier(), data, now)

    def _ser(self, now):
        buf, at, end = self._packet
        self.on_extended(buf, at, end, now)

    def _transmit(self, code, identifier, data, now):
        self._restarts -= 1
        self.link.send(self.protocol, code, identifier, data, now)
        self._arm(now)

    def next_identifier(self):
        """A fresh identifier for a packet that we begin."""
        self.identifier = (self.identifier + 1) & 0xFF
        return self.identifier

    def _arm(self, now):
        self._deadline = ticks.add(now, self._period)
        self._period = min(self._period * 2, RESTART_LAST)
