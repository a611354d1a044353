"""An AT modem (ITU-T V.250) in front of a SerialLine: made ready, dialled, answered and hung up, over and over."""
# ruff: noqa: PIE810 - startswith of MicroPython takes no tuple

from .. import ticks
from ..fault import MODEM, Fault
from ..port import HEADROOM
from .chat import Chat
from .tables import (
    ANSWER,
    CONNECT,
    CONNECTING,
    DECLINED,
    DIAL,
    DIALLING,
    DONE,
    DROPPING,
    ESCAPING,
    FAILED,
    GONE,
    HANG_UP,
    IDLE,
    INPUTS,
    LOST,
    OFF,
    OFFER,
    OFFERED,
    ONLINE,
    READYING,
    REFUSED,
    RESTING,
    RING,
    RINGING,
    START,
    STATES,
    TIMER,
    find,
)

# Timers, ms.
_RING_GAP = 10_000  # rings are 2 to 6 s apart: after this the caller has given up
_CALLER_TIME = 500  # after the ring on which ``ring`` is due, for the caller's number
_LINE_TIME = 1000  # for the rest of a CONNECT line, whose end some modems leave out
_QUIET = 500  # after NO CARRIER inside a frame: from a modem nothing follows, from a peer the frame's end
_GUARD = 1500  # silence around +++: 1 s (S12), and what is still under way; DTR acts within it
_REST = 2000  # before the modem is tried again; doubles each time
_REST_MAX = 30_000

_COMMAND_TIME = 5  # s for OK
_ABORTS = ("BUSY", "NO CARRIER", "NO DIALTONE", "NO DIAL TONE", "NO ANSWER", "DELAYED", "BLACKLISTED", "VOICE", "ERROR")
_CAUSES = {
    "BUSY": ("the number is busy", ""),
    "NO CARRIER": ("the modems did not connect", ""),
    "NO DIALTONE": ("no dial tone", "check the telephone cable"),
    "NO DIAL TONE": ("no dial tone", "check the telephone cable"),
    "NO ANSWER": ("nobody answered", ""),
    "DELAYED": ("the modem makes the number wait", ""),
    "BLACKLISTED": ("the modem refuses to dial the number again", ""),
    "VOICE": ("a person answered", "check the number"),
}
_SPEED_MAX = 4_294_967_295  # what a Connect Speed AVP can hold (RFC 2661 §4.4.6)
_LINE_MAX = 100  # characters of a line that are looked at
_CALLER_MAX = 32  # E.164 has 15 digits; names come here too
_DIALLABLE = "0123456789*#+ABCDPTWabcdptw,!@()-. "  # V.250 §6.3.1; above all no carriage return

# chat(8) scripts. \T is the number.
_ESCAPE_SCRIPT = ("TIMEOUT", "2", "", "+++\\c", "OK-\\c-", "ATH", "OK-\\c-")
_ANSWER_WORDS = ("", "ATA", "CONNECT")
_DIAL_WORDS = ("", "ATD\\T", "CONNECT")


def _abort_words(texts):
    words = []
    for text in texts:
        words += ["ABORT", text]
    return words


def ready_script(commands):
    """The script that makes a modem ready: reset, no echo, results as words, then each of ``commands``."""
    words = ["ABORT", "ERROR", "TIMEOUT", str(_COMMAND_TIME), "", "AT", "OK-AT-OK", "ATZ", "OK", "ATE0Q0V1", "OK"]
    for command in commands:
        words += [command, "OK"]
    return words


def cellular(apn, pin=""):
    """Commands that make a cellular modem ready; dial ``*99#`` then (3GPP TS 27.007)."""
    commands = ["AT+CPIN=" + pin] if pin else []
    return commands + ["AT+CMEE=2", 'AT+CGDCONT=1,"IP","' + apn + '"']


def speeds(line):
    """``(tx, rx)`` in bits a second out of a CONNECT, CARRIER or +MRR line; 0 where it does not say.

    ``CONNECT 33600/V34/LAPM``, ``CONNECT 1200/75``, ``CONNECT 115200/V34/33600:TX/31200:RX``, ``+MRR: 33600,28800``.
    """
    tx = rx = 0
    for word in line.replace("/", " ").replace(",", " ").split(" ")[1:]:
        number, _, way = word.partition(":")
        if not _is_number(number):
            continue
        speed = min(int(number), _SPEED_MAX)
        if way == "TX":
            tx = speed
        elif way == "RX":
            rx = speed
        elif not tx:
            tx = rx = speed
        elif rx == tx:
            rx = speed
    return tx, rx


def _is_number(text):
    return 0 < len(text) <= 10 and all(c in "0123456789" for c in text)


class Modem:
    """Takes the octets of the device in command mode, and hands them to ``line`` in data mode.

    All output goes through the line's ``tx``. Events (name, modem, detail):

    - ``ring``: detail is the caller's number, "" when unknown; take it by answer(), decline it by hang_up()
    - ``connected``: (tx, rx) in bits a second, 0 when unknown
    - ``hung_up``: a Fault, once for each ``connected``
    - ``failed``: a Fault, when a call did not come about or the modem does not work
    - ``dtr``: drop DTR for a moment, if there is one
    - ``timer``: poll_at() may have moved earlier
    """

    def __init__(self, line, init=(), answer_rings=1, dial_timeout=60_000, dial_script=None):
        """``init``: AT commands; ``answer_rings``: how many before ``ring``; ``dial_timeout``: ms to wait for CONNECT.

        ``dial_script``: chat words that dial, the last one being expected from a modem that is online.
        """
        timeout = ["TIMEOUT", str(max(1, dial_timeout // 1000))]
        self.line = line
        self.state = OFF
        self.events = []
        self.drops = {}  # input in a state where it means nothing -> count
        self.owner = None  # free for the node
        self.armed = None  # for Timers
        self.caller = ""
        self.speeds = (0, 0)
        self._ready_script = ready_script(init)
        self._answer_script = timeout + _abort_words(_ABORTS) + list(_ANSWER_WORDS)
        self._dial_script = timeout + _abort_words(_ABORTS) + list(dial_script or _DIAL_WORDS)
        self._answer_rings = max(1, answer_rings)
        self._rings = 0
        self._number = None  # to be dialled, once the modem is ready
        self._chat = None
        self._deadline = None  # of the state
        self._told = None  # poll_at() of the last ``timer`` event
        self._rest = _REST
        self._text = ""  # of the line being received
        self._fault = None  # why the present call ends
        line.up = False

    # -- verbs --------------------------------------------------------------------------------------

    def start(self, now):
        """Make the modem ready, and again whenever it has to be; at once when it rests."""
        self._input(START, now)

    def dial(self, number, now):
        """Call ``number``, as soon as the modem is ready; then ``connected`` or ``failed``."""
        if not number or not all(c in _DIALLABLE for c in number):
            self._event("failed", Fault(MODEM, "not a number that can be dialled"))
        elif self._number is not None or self.state not in (READYING, IDLE, DROPPING, ESCAPING, RESTING):
            self._event("failed", Fault(MODEM, "the modem is " + STATES[self.state]))
        else:
            self._number = number
            if self.state == IDLE:
                self._input(DIAL, now)

    def answer(self, now):
        """Take the call that rings."""
        self._input(ANSWER, now)

    def hang_up(self, now):
        """End the call, or the attempt at one."""
        self._fault = Fault(MODEM, "hung up by this side")
        if self._number is not None and self.state not in (DIALLING, CONNECTING):
            self._number = None  # it has not even been dialled
            self._event("failed", self._fault)
        else:
            self._input(HANG_UP, now)

    def busy(self):
        """True from the first ring or the dialling to the end of the call."""
        return RINGING <= self.state <= ONLINE

    def carrier_lost(self, now):
        """The carrier detect line (DCD) went off."""
        self._fault = Fault(MODEM, "the carrier was lost")
        self._input(LOST, now)

    def hung_up(self, now):
        """The device hung up or vanished; the modem is made ready again when it has come back."""
        self._fault = Fault(MODEM, "the device of the modem hung up", "", "check its cable and power")
        self._rest = _REST
        self._input(GONE, now)

    def receive(self, buf, start, end, now):
        """Octets from the device."""
        while start < end and self.state != ONLINE:
            self._hear(buf[start], now)
            start += 1
        if start < end:
            self.line.receive(buf, start, end, now)
            self._deadline = None
            if buf[end - 1] == 0x0A:
                self._suspect(now)
        self._tell_timer()

    def poll_at(self):
        """Deadline of the next on_timer(), or None."""
        return self._deadline if self._chat is None else ticks.soonest(self._deadline, self._chat.deadline)

    def on_timer(self, now):
        """A script waits no longer, or a state has lasted too long."""
        if self._chat is not None and ticks.due(self._chat.deadline, now):
            self._chat.on_timer(now)
            self._after_chat(now)
        if ticks.due(self._deadline, now):
            self._deadline = None
            self._input(TIMER, now)
        self._tell_timer()

    def next_event(self):
        """The oldest event not yet taken, ``(name, modem, detail)``, or None."""
        return self.events.pop(0) if self.events else None

    def status(self):
        """For people and tools."""
        return {
            "state": STATES[self.state],
            "caller": self.caller,
            "tx_speed": self.speeds[0],
            "rx_speed": self.speeds[1],
            "drops": dict(self.drops),
        }

    # -- what the modem says ------------------------------------------------------------------------

    def _hear(self, octet, now):
        if self.state == OFF:
            return
        if octet == 0x0A or (octet == 0x0D and self.state != CONNECTING):
            text = self._text
            self._text = ""
            if text:
                self._line_heard(text, now)
        elif octet == 0x7E and self.state == CONNECTING:
            self._input(CONNECT, now)  # a frame begins: this modem does not end its lines
            return
        elif len(self._text) < _LINE_MAX and 32 <= octet < 127:
            self._text += chr(octet)
        if self._chat is not None:
            self._chat.hear(octet, now)
            self._after_chat(now)

    def _line_heard(self, text, now):
        if text.startswith("RING") or text.startswith("+CRING"):
            self._input(RING, now)
        elif text.startswith("+CLIP:"):
            self._caller_heard(text[6:].split(",")[0], now)
        elif text.startswith("NMBR"):
            self._caller_heard(text.partition("=")[2], now)
        elif text.startswith("CARRIER ") or text.startswith("+MRR:"):
            self.speeds = speeds(text)
        elif text.startswith("CONNECT"):
            if not self.speeds[0]:  # a line that told the carrier's own speed came before
                self.speeds = speeds(text)
            if self.state in (IDLE, RINGING, OFFERED, DECLINED, CONNECTING):  # otherwise a script goes on
                self._input(CONNECT, now)
        elif text.startswith("NO CARRIER"):
            self._fault = _far_end_gone()
            if self.state in (RINGING, OFFERED, DECLINED, CONNECTING, DROPPING):  # a script sees it for itself
                self._input(LOST, now)
        elif self.state == CONNECTING:
            self._input(CONNECT, now)  # the last word of a script of one's own

    def _caller_heard(self, text, now):
        self.caller = text.strip(' "')[:_CALLER_MAX]
        if self.state == RINGING and self._rings >= self._answer_rings:
            self._input(OFFER, now)

    def _suspect(self, now):
        """A line feed came last: is it the end of NO CARRIER?"""
        buf, end = self.line.decoder.buf, self.line.decoder.partial()
        while end > HEADROOM and buf[end - 1] in b"\r\n":
            end -= 1
        if bytes(buf[end - 10 : end]) != b"NO CARRIER":
            return
        self._fault = _far_end_gone()
        if end - HEADROOM <= 12:  # nothing but a line end stands before it: no frame was under way
            self._input(LOST, now)
        else:
            self._deadline = ticks.add(now, _QUIET)

    # -- transitions --------------------------------------------------------------------------------

    def _input(self, what, now):
        """The one place where ``state`` changes."""
        row = find(self.state, what)
        if row is None:
            reason = INPUTS[what] + " while " + STATES[self.state]
            self.drops[reason] = self.drops.get(reason, 0) + 1
            return
        if self.state == ONLINE:
            self.line.up = False
            self.line.reset()
        self.state = row[0]
        self._chat = None
        self._deadline = None
        if row[1]:
            self._event("failed" if row[1] == FAILED else "hung_up", self._fault)
            self._number = None
        action = self._ACTIONS[row[2]]
        if action is not None:
            action(self, now)
        self._tell_timer()

    def _event(self, name, detail=None):
        self.events.append((name, self, detail))

    def _tell_timer(self):
        at = self.poll_at()
        if at is not None and at != self._told:
            self._event("timer")
        self._told = at

    def _run(self, script, now):
        self._chat = Chat(script, self.line.write, self._number or "")
        self._chat.start(now)
        self._after_chat(now)

    def _after_chat(self, now):
        chat = self._chat
        if chat is not None and chat.ok is not None:
            if not chat.ok:
                self._fault = _chat_fault(chat)
            self._input(DONE if chat.ok else REFUSED, now)

    # -- actions ------------------------------------------------------------------------------------

    def _make_ready(self, now):
        self.line.reset()
        self._text = ""
        self.speeds = (0, 0)
        self._forget_call(now)
        self._run(self._ready_script, now)

    def _be_ready(self, now):
        self._rest = _REST
        if self._number is not None:
            self._input(DIAL, now)

    def _be_at_rest(self, now):
        self._forget_call(now)
        self._deadline = ticks.add(now, self._rest)
        self._rest = min(2 * self._rest, _REST_MAX)

    def _dial(self, now):
        self._run(self._dial_script, now)

    def _count_ring(self, now):
        self._rings += 1
        if self._rings < self._answer_rings:
            self._ring_on(now)
        elif self.caller or self._rings > self._answer_rings:
            self._input(OFFER, now)
        else:
            self._deadline = ticks.add(now, _CALLER_TIME)

    def _ring_time(self, now):
        self._input(OFFER if self._rings >= self._answer_rings else LOST, now)

    def _offer_call(self, now):
        self._fault = Fault(MODEM, "the caller gave up")
        self._event("ring", self.caller)
        self._ring_on(now)

    def _ring_on(self, now):
        self._deadline = ticks.add(now, _RING_GAP)

    def _forget_call(self, now):
        self.caller = ""
        self._rings = 0

    def _answer(self, now):
        self._run(self._answer_script, now)

    def _end_line(self, now):
        self._deadline = ticks.add(now, _LINE_TIME)

    def _go_online(self, now):
        self._number = None
        self._text = ""
        self.line.reset()
        self.line.up = True
        self._event("connected", self.speeds)

    def _drop(self, now):
        self.line.reset()
        self._event("dtr")
        self._deadline = ticks.add(now, _GUARD)

    def _escape(self, now):
        self._run(_ESCAPE_SCRIPT, now)

    _ACTIONS = (
        None,
        _make_ready,
        _be_ready,
        _be_at_rest,
        _dial,
        _count_ring,
        _ring_time,
        _offer_call,
        _ring_on,
        _forget_call,
        _answer,
        _end_line,
        _go_online,
        _drop,
        _escape,
    )


def _far_end_gone():
    return Fault(MODEM, "the far end hung up", "NO CARRIER")


def _chat_fault(chat):
    if not chat.abort:
        asked = chat.asked.split("=")[0]  # what stands behind may be a PIN
        cause = "no " + chat.waited + " in time after " + asked
        return Fault(MODEM, cause, "", "check device, baud rate, flow control and power" if chat.waited == "OK" else "")
    cause, hint = _CAUSES.get(chat.abort, ("the modem refused " + chat.asked.split("=")[0], ""))
    return Fault(MODEM, cause, chat.said.strip(), hint)
