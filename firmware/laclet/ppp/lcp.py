"""Link Control Protocol (RFC 1661 §5, §6; RFC 1662 §7; Identification: RFC 1570 §2.1)."""

from .. import ticks
from ..fault import AUTH, LCP, Fault, clean
from ..wire import ppp
from . import auth as methods
from .automaton import REQ_SENT, Automaton
from .options import Negotiation, Option

MRU = 1
ACCM = 2
AUTHENTICATION = 3
MAGIC = 5
PFC = 7
ACFC = 8

DEFAULT_MRU = 1500
MIN_MRU = 128  # bytes; a smaller one carries no useful packet
MAX_OFFERS = 2  # times we offer each method of ours to a peer that demands another: one offer may get lost
MAX_LOOPS = 4  # rounds of equal magic numbers that prove a loop (below Max-Failure, or we would reject instead)


class Mru(Option):
    """Maximum-Receive-Unit (§6.1)."""

    def __init__(self, mru):
        super().__init__(MRU, "mru", None if mru == DEFAULT_MRU else bytes((mru >> 8, mru & 0xFF)))

    def judge(self, value, now):
        if len(value) != 2:
            return bytes((DEFAULT_MRU >> 8, DEFAULT_MRU & 0xFF))
        return value if (value[0] << 8 | value[1]) >= MIN_MRU else bytes((0, MIN_MRU))

    def naked(self, value, now):
        # A peer may want less, or the default, for which every implementation has room (§6.1).
        if len(value) == 2 and self.ours is not None and MIN_MRU <= (value[0] << 8 | value[1]) <= DEFAULT_MRU:
            self.ours = value


class Accm(Option):
    """Async-Control-Character-Map (RFC 1662 §7.1); ``wish`` None where there is no asynchronous line below us."""

    def __init__(self, wish):
        super().__init__(ACCM, "asyncmap", wish)

    def judge(self, value, now):
        return value if len(value) == 4 else b"\0\0\0\0"

    def naked(self, value, now):
        if len(value) == 4 and self.ours is not None:
            self.ours = bytes([a | b for a, b in zip(self.ours, value)])


class Flag(Option):
    """Protocol-Field- and Address-and-Control-Field-Compression (§6.5, §6.6): an option without a value."""

    def judge(self, value, now):
        return b""


class Magic(Option):
    """Magic-Number (§6.4), and with it a loop in the line."""

    def __init__(self, link):
        super().__init__(MAGIC, "magic")
        self._link = link
        self._loops = 0

    def begin(self):
        self.ours = self._fresh()

    def _fresh(self):
        return bytes((self._link.random(1)[0] | 1,)) + self._link.random(3)  # never zero

    def judge(self, value, now):
        if len(value) == 4 and value != b"\0\0\0\0" and value != self.ours:
            self._loops = 0
            return value
        return self._fresh()

    def naked(self, value, now):
        if self.ours is None:
            return
        self.ours = self._fresh()
        self._loops += 1
        if self._loops >= MAX_LOOPS:
            self._link.fail(
                Fault(LCP, "the line is looped back", hint="our own packets return; check the cabling"), now
            )


class Authentication(Option):
    """Authentication-Protocol (§6.2): ``ours`` is what the peer shall prove itself with, ``peers`` what we shall."""

    def __init__(self, link):
        demand = link.demand
        super().__init__(AUTHENTICATION, "auth", methods.method(demand[0])[1] if demand else None)
        self._link = link
        self._refused = 0  # methods of the peer that we refused in this negotiation
        self._offered = 0  # methods that we asked in this negotiation

    def begin(self):
        self.ours = self.wish
        self._refused = 0
        self._offered = 1

    def judge(self, value, now):
        allowed = self._link.auth
        if methods.name_of(value) in allowed:
            return value
        names = " ".join(allowed) or "none"
        refusal = Fault(
            AUTH,
            "the peer demands " + methods.title(value) + ", allowed: " + names,
            hint="allow it in auth, if you trust it",
        )
        self._link.blame(refusal)
        if not allowed:
            return None  # the peer may do without
        self._refused += 1
        if self._refused > MAX_OFFERS * len(allowed):
            self._link.fail(refusal, now)
        return methods.method(allowed[(self._refused - 1) % len(allowed)])[1]

    def naked(self, value, now):
        if self.ours is None:
            return
        demand = self._link.demand
        if methods.name_of(value) in demand and self._offered <= len(demand):
            self.ours = value
            self._offered += 1
        elif self._offered < len(demand):
            self.ours = methods.method(demand[self._offered])[1]
            self._offered += 1
        else:
            self._refuse("would rather use " + methods.title(value), now)

    def rejected(self, now):
        self._refuse("will not", now)

    def _refuse(self, why, now):
        names = " ".join(self._link.demand)
        self._link.fail(Fault(AUTH, "the peer shall authenticate by " + names + ", but " + why), now)


class Lcp(Negotiation):
    """The link's own protocol; a peer silent for ``echo_failure`` times ``echo_interval`` ms (0: no Echo) is dead."""

    protocol = ppp.LCP
    layer = LCP

    def __init__(self, link, mru, accm, echo_interval, echo_failure):
        super().__init__(link)
        asynchronous = accm is not None
        self.mru = self.add(Mru(mru))
        self.accm = self.add(Accm(accm))
        self.authentication = self.add(Authentication(link))
        self.magic = self.add(Magic(link))
        self.pfc = self.add(Flag(PFC, "pcomp", b"" if asynchronous else None))
        self.acfc = self.add(Flag(ACFC, "accomp", b"" if asynchronous else None))
        self.proxied = False  # what was agreed was agreed by another for us (RFC 2661 §4.4.5)
        self._agreed = ({}, {})  # option type -> value, of us and of the peer, to be taken over
        self.identification = ""  # what the peer calls itself (RFC 1570 §2.1)
        self.alive = False  # anything came from the peer since the last Echo-Request
        self._echo_interval = echo_interval
        self._echo_failure = echo_failure
        self._echo_at = None
        self._echoed = None  # (identifier, when it was sent) of the Echo-Request that waits for its answer
        self._missed = 0
        self.rtt = None  # ms until the last one was answered

    def peer_mru(self):
        """Bytes of information the peer takes in one frame."""
        value = self.mru.peers
        return DEFAULT_MRU if value is None else value[0] << 8 | value[1]

    def blamed_layer(self):
        return AUTH if self.link.phase() == "Authenticate" else self.layer

    # -- the link hears of it -----------------------------------------------------------------------

    def begin(self):
        super().begin()
        self.proxied = False
        self.link.lcp_begins()

    def take_over(self, ours, peers, now):
        """Be Opened at once: another has negotiated these options, ``{type: value}``, for us (RFC 2661 §4.4.5)."""
        self._agreed = (ours, peers)
        self._step("Proxy", now)

    def _too(self, now):
        self.proxied = True
        for option in self.options:
            option.ours = self._agreed[0].get(option.type)
            option.peers = self._agreed[1].get(option.type)

    def on_up(self, now):
        self._missed = 0
        self.alive = True
        self._echo_at = ticks.add(now, self._echo_interval) if self._echo_interval else None
        self.link.lcp_up(now)

    def on_down(self, now):
        self._echo_at = None
        self.link.lcp_down(now)

    def on_finished(self, now):
        self.link.lcp_finished(now)

    # -- Echo as dead-peer detection ----------------------------------------------------------------

    def poll_at(self):
        return ticks.soonest(self._deadline, self._echo_at)

    def on_timer(self, now):
        super().on_timer(now)
        if ticks.due(self._echo_at, now):
            self._echo(now)

    def _echo(self, now):
        self._missed = 0 if self.alive else self._missed + 1
        if self._missed >= self._echo_failure:
            self._echo_at = None
            cause = "no answer to %d LCP Echo-Requests" % self._echo_failure
            self.link.fail(Fault(LCP, cause, hint="the peer or the way to it is dead"), now)
            return
        self.alive = False
        self._echo_at = ticks.add(now, self._echo_interval)
        self._echoed = (self.next_identifier(), now)
        self.link.send(self.protocol, ppp.ECHO_REQUEST, self._echoed[0], self._own_magic(), now)

    def _own_magic(self):
        return self.magic.ours or b"\0\0\0\0"

    def code_rejected(self, code):
        if code == ppp.ECHO_REQUEST:
            self._echo_at = None

    def on_extended(self, buf, at, end, now):
        """The codes that mean something only while Opened (RXR)."""
        code = buf[at]
        if code == ppp.PROTOCOL_REJECT:
            if end - at >= 6:
                self.link.protocol_rejected(buf[at + 4] << 8 | buf[at + 5], now)
            else:
                self.link.drop("Protocol-Reject of nothing")
        elif code != ppp.DISCARD_REQUEST:
            self._on_echo(code, buf, at, end, now)

    def _on_echo(self, code, buf, at, end, now):
        magic = bytes(buf[at + 4 : at + 8])
        if end - at < 8:
            self.link.drop("Echo without a magic number")
        elif self.magic.ours is not None and magic == self.magic.ours:
            self.alive = False  # a line that has become a loop answers everything, and nobody is there
            self.link.drop("Echo looped back")
        elif code == ppp.ECHO_REPLY:
            if self._echoed is not None and self._echoed[0] == buf[at + 1]:
                self.rtt = ticks.diff(now, self._echoed[1])
                self._echoed = None
        elif code == ppp.ECHO_REQUEST:
            buf[at] = ppp.ECHO_REPLY
            buf[at + 4 : at + 8] = self._own_magic()
            self.link.send_in_place(self.protocol, buf, at, end, now)

    def _on_identification(self, buf, at, end, now):
        if end - at >= 8:
            self.identification = clean(buf[at + 8 : end])

    def _on_terminate_request(self, buf, at, end, now):
        Automaton._on_terminate_request(self, buf, at, end, now)
        if self.state == REQ_SENT:
            self.link.peer_gave_up(now)

    CODES = dict(Automaton.CODES)
    CODES[ppp.TERMINATE_REQUEST] = _on_terminate_request
    CODES[ppp.PROTOCOL_REJECT] = Automaton._on_extended
    CODES[ppp.ECHO_REQUEST] = Automaton._on_extended
    CODES[ppp.ECHO_REPLY] = Automaton._on_extended
    CODES[ppp.DISCARD_REQUEST] = Automaton._on_extended
    CODES[ppp.IDENTIFICATION] = _on_identification
