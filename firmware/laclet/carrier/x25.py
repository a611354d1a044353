"""The packet layer of X.25 (ITU-T X.25 §3, §4) for L2TP: virtual circuits that come up when there is something to send.

Datagrams travel on a circuit whose Call User Data names L2TP (RFC 1356 §3.2), in packets chained by the M bit. Below
stands a carrier of packets: a link, which starts with a restart, or one TCP connection of XOT (RFC 1613), which carries
no restarts. An address is ``("x25", name, X.121 number)``.
"""

from .. import ticks
from ..fault import LINE, Fault
from ..port import HEADROOM, TAILROOM
from .snap import Carrier
from .x25table import (
    BAD,
    HANG_UP,
    READY,
    REFUSED,
    T20,
    T21,
    T22,
    T23,
    TABLE,
    TIMER,
    TRANSFER,
    WAITING,
    WANTED,
)
from .x25wire import (
    CALL,
    CALL_ACCEPTED,
    CLEAR,
    CLEAR_CONFIRMATION,
    DATA,
    DEFAULT_SIZE,
    DEFAULT_WINDOW,
    DIAGNOSTIC,
    HEADER,
    INTERRUPT_CONFIRMATION,
    MODULO_8,
    MORE,
    PACKET_SIZE,
    QUALIFIED,
    RESET,
    RESET_CONFIRMATION,
    RESTART,
    RESTART_CONFIRMATION,
    RNR,
    RR,
    USER_DATA,
    WINDOW,
    call_packet,
    cause_text,
    packet,
    parse_call,
)

# Causes and diagnostics of our own packets (tables 5-7, 5-8, annex E).
_BY_DTE = b"\x00\x00"
_NO_CIRCUIT = b"\x00\x24"  # packet on an unassigned logical channel
_BAD_NUMBERS = b"\x00\x01"  # invalid P(S)
_TIMER = b"\x00\x31"

# What we ask for, and at most agree to: packets of 1024 octets and a window of 7; the other side may lower it.
_SIZE = 10
_WINDOW = 7
# The smallest packet there is, as a power of two (§7.2.2.1.1).
_SIZE_MIN = 4
# Datagrams of a circuit that wait for the call or for the window.
_QUEUE = 16
# The longest datagram that is put together.
MAX_DATAGRAM = 2048
# Circuits of a link; each has a buffer for the datagram in the making.
_CIRCUITS = 16


class Circuit:
    """One virtual circuit. All of it belongs to the ``X25``."""

    def __init__(self, lcn, addr):
        self.lcn = lcn
        self.addr = addr
        self.state = READY
        self.deadline = None
        self.stale = False  # the deadline was made where no clock was at hand
        self.queue = []  # datagrams to be sent; ``offset`` bytes of the first are on their way
        self.buf = None  # the datagram in the making
        self.size_out = self.size_in = 1 << DEFAULT_SIZE  # octets of a packet
        self.window = DEFAULT_WINDOW  # packets that we may send ahead
        self.zero()

    def zero(self):
        """Numbers start from 0, and half-sent and half-received datagrams from their beginning: call and reset."""
        self.next_out = 0  # P(S) of our next packet
        self.acked = 0  # the oldest P(S) that is not acknowledged
        self.next_in = 0  # P(S) of their next packet, P(R) of ours
        self.busy = False  # they sent RNR
        self.offset = 0
        self.size = 0
        self.lost = False  # too long: wait for its last packet


class X25(Carrier):
    """The packet layer on the link ``name``; ``number`` is our own X.121 number in digits, or "".

    ``dce``: we stand on the network's side. ``restarts``: the link starts with a restart. ``answers``: take calls.
    ``calls``: call stations to which there is no circuit.
    Events: x25-up addr · x25-down (addr, Fault).
    """

    def __init__(self, name, number="", dce=False, restarts=True, answers=True, calls=True, events=None):
        Carrier.__init__(self)
        self.name = name
        self.number = number
        self.events = [] if events is None else events
        self.armed = None  # for Timers
        self._dce = dce
        self._restarts = restarts
        self._answers = answers
        self._calls = calls
        self._restarted = not restarts
        self._restart_at = None
        self._circuits = {}  # logical channel number -> Circuit
        self._by_addr = {}  # addr -> the Circuit that sends to it
        self._tx = bytearray(HEADROOM + HEADER + (1 << _SIZE) + TAILROOM)

    # -- carrier and machine --------------------------------------------------------------------------

    def start(self, now):
        """The link is there: restart it (§3.3)."""
        if self._restarts:
            self._put(packet(0, RESTART, _BY_DTE))
            self._restart_at = ticks.add(now, T20)
            self.events.append(("timer", self, None))

    def send(self, buf, start, end, addr):
        """A datagram for the station ``addr``, which is called when there is no circuit to it."""
        circuit = self._by_addr.get(addr)
        if circuit is None and not (self._calls and addr[2].isdigit()):  # who called without a number cannot be called
            self.drop("no circuit")
            return
        circuit = circuit or self._new(addr)
        if circuit is None:
            self.drop("no free channel")
        elif end - start > MAX_DATAGRAM:
            self.drop("too long")
        elif len(circuit.queue) >= _QUEUE:
            self.drop("queue full")
        else:
            circuit.queue.append(bytes(buf[start:end]))
            if circuit.state == READY and self._restarted:
                self._step(circuit, WANTED, None)
            else:
                self._pump(circuit)

    def hang_up(self, addr, now):
        """Clear the circuit to ``addr``."""
        circuit = self._by_addr.get(addr)
        if circuit is not None:
            self._step(circuit, HANG_UP, now)

    def poll_at(self):
        """The next deadline, or None."""
        found = self._restart_at
        for circuit in self._circuits.values():
            found = ticks.soonest(found, circuit.deadline)
        return found

    def on_timer(self, now):
        """T20 to T23."""
        if ticks.due(self._restart_at, now):
            self.start(now)
        for circuit in list(self._circuits.values()):
            if circuit.stale:
                circuit.stale = False
                circuit.deadline = ticks.add(now, T21)
            elif ticks.due(circuit.deadline, now):
                self._step(circuit, TIMER, now)

    def next_event(self):
        """The oldest event not yet taken, ``(name, self, detail)``, or None."""
        return self.events.pop(0) if self.events else None

    def receive(self, buf, start, end, addr, now):
        """A packet; ``addr`` of what is below means nothing here."""
        if end - start < HEADER or buf[start] & 0x30 != MODULO_8:
            self.drop("not X.25 modulo 8")
            return
        lcn = (buf[start] & 0x0F) << 8 | buf[start + 1]
        kind = buf[start + 2]
        if lcn == 0:
            self._link(kind, now)
            return
        if not kind & 1:
            kind = DATA
        elif kind & 0x1F in (RR, RNR):
            kind &= 0x1F
        circuit = self._circuits.get(lcn)
        if kind == CALL:
            self._called(circuit, lcn, buf, start, end, now)
        elif circuit is not None:
            self._step(circuit, kind, now, buf, start, end)
        else:
            self.drop("no such circuit")
            if kind == CLEAR:
                self._put(packet(lcn, CLEAR_CONFIRMATION))
            elif kind != CLEAR_CONFIRMATION:
                self._put(packet(lcn, CLEAR, _NO_CIRCUIT))  # or the other side would wait for ever

    # -- the link (§3.3) ------------------------------------------------------------------------------

    def _link(self, kind, now):
        if kind == RESTART and self._restarts:
            for circuit in list(self._circuits.values()):
                if circuit.state != READY:
                    self._down(circuit, Fault(LINE, "the X.25 link was restarted"))
                    self._remove(circuit)
            if self._restart_at is None:  # else the two restarts cross, and need no confirmation
                self._put(packet(0, RESTART_CONFIRMATION))
        elif kind != RESTART_CONFIRMATION or self._restart_at is None:
            self.drop("diagnostic" if kind == DIAGNOSTIC else "unexpected packet")
            return
        self._restart_at = None
        self._restarted = True
        for circuit in list(self._circuits.values()):
            if circuit.state == READY:
                self._step(circuit, WANTED, now)

    # -- circuits -------------------------------------------------------------------------------------

    def _new(self, addr):
        """A circuit on a free channel: from the top for a DTE, from the bottom for a DCE (annex A); None when full."""
        for lcn in range(1, _CIRCUITS + 1) if self._dce else range(_CIRCUITS, 0, -1):
            if lcn not in self._circuits:
                circuit = self._circuits[lcn] = self._by_addr[addr] = Circuit(lcn, addr)
                return circuit
        return None

    def _called(self, circuit, lcn, buf, start, end, now):
        """An incoming call (§4.1.3): for L2TP, and with room for it, or it is refused."""
        call = parse_call(buf, start + HEADER, end)
        fits = call is not None and self._answers and self._restarted and call[3][: len(USER_DATA)] == USER_DATA
        if circuit is None:
            if len(self._circuits) >= _CIRCUITS:
                self.drop("no free channel")
                self._put(packet(lcn, CLEAR, _BY_DTE))
                return
            circuit = self._circuits[lcn] = Circuit(lcn, None)
        elif circuit.state == WAITING and not (self._dce and fits):
            self.drop("call collision")  # §4.1.5: a DTE's own call goes on
            return
        if not fits:
            self.drop("call refused")
        self._step(circuit, CALL if fits else REFUSED, now, call or b"")

    def _step(self, circuit, event, now, buf=b"", start=0, end=0):
        """One event of a circuit; ``buf`` is the packet, or a call as ``parse_call`` gives it."""
        for state, legal, action, following in TABLE:
            if state == circuit.state and legal == event:
                circuit.state = following
                if following in (READY, TRANSFER):
                    circuit.deadline = None
                if action is not None:
                    getattr(self, "_do_" + action)(circuit, now, buf, start, end)
                if circuit.state == READY:
                    self._remove(circuit)
                return
        self.drop("unexpected packet")

    def _wait(self, circuit, now, ms):
        circuit.stale = now is None
        circuit.deadline = ticks.add(now or 0, ms)
        self.events.append(("timer", self, None))

    def _remove(self, circuit):
        self._circuits.pop(circuit.lcn, None)
        if self._by_addr.get(circuit.addr) is circuit:
            self._by_addr.pop(circuit.addr)

    def _down(self, circuit, fault):
        """The way to ``addr`` is gone, and what waited for it: L2TP repeats what it needs, and that calls again."""
        if self._by_addr.get(circuit.addr) is circuit:
            self._by_addr.pop(circuit.addr)
        circuit.queue.clear()
        self.events.append(("x25-down", self, (circuit.addr, fault)))

    def _put(self, data):
        end = HEADROOM + len(data)
        self._tx[HEADROOM:end] = data
        self.carrier.send(self._tx, HEADROOM, end, None)

    # -- actions: call and clear ------------------------------------------------------------------------

    def _do_call(self, circuit, now, buf, start, end):
        called = circuit.addr[2]
        self._put(call_packet(circuit.lcn, CALL, called, self.number, _SIZE, _WINDOW, USER_DATA))
        self._wait(circuit, now, T21)

    def _do_answer(self, circuit, now, call, start, end):
        called, calling, facilities, _ = call
        if circuit.addr is not None:
            self._down(circuit, Fault(LINE, "an X.25 call from the other side went first"))
        # A caller without a number is known by its channel. The newest circuit of a caller is the one that sends.
        circuit.addr = ("x25", self.name, calling or "channel %d" % circuit.lcn)
        self._by_addr[circuit.addr] = circuit
        sizes = facilities.get(PACKET_SIZE, (DEFAULT_SIZE, DEFAULT_SIZE))
        windows = facilities.get(WINDOW, (DEFAULT_WINDOW, DEFAULT_WINDOW))
        size = min(max(min(sizes), _SIZE_MIN), _SIZE)
        window = min(max(min(windows), 1), _WINDOW)
        self._agree(circuit, (size, size), window)
        self._put(call_packet(circuit.lcn, CALL_ACCEPTED, called, calling, size, window))
        self.events.append(("x25-up", self, circuit.addr))

    def _do_opened(self, circuit, now, buf, start, end):
        """Our call was accepted, perhaps with less than we asked for (§7.2.2.1); silence there means it is granted."""
        call = parse_call(buf, start + HEADER, end)
        facilities = call[2] if call is not None else {}
        sizes = facilities.get(PACKET_SIZE, (_SIZE, _SIZE))
        windows = facilities.get(WINDOW, (_WINDOW, _WINDOW))
        self._agree(circuit, [min(max(size, _SIZE_MIN), _SIZE) for size in sizes], min(max(windows[1], 1), _WINDOW))
        self.events.append(("x25-up", self, circuit.addr))
        self._pump(circuit)

    def _agree(self, circuit, sizes, window):
        circuit.size_in, circuit.size_out = 1 << sizes[0], 1 << sizes[1]
        circuit.window = window

    def _do_cleared(self, circuit, now, buf, start, end):
        self._put(packet(circuit.lcn, CLEAR_CONFIRMATION))
        cause = buf[start + 3] if end - start > 3 else 0
        diagnostic = buf[start + 4] if end - start > 4 else 0
        self._down(circuit, Fault(LINE, "the X.25 call was cleared", cause_text(cause, diagnostic)))

    def _do_confirm(self, circuit, now, buf, start, end):
        self._put(packet(circuit.lcn, CLEAR_CONFIRMATION))

    def _do_clear(self, circuit, now, buf, start, end):
        self._put(packet(circuit.lcn, CLEAR, _BY_DTE))
        self._wait(circuit, now, T23)
        if self._by_addr.get(circuit.addr) is circuit:
            self._by_addr.pop(circuit.addr)

    def _do_unanswered(self, circuit, now, buf, start, end):
        self._put(packet(circuit.lcn, CLEAR, _TIMER))
        self._wait(circuit, now, T23)
        self._down(circuit, Fault(LINE, "no answer to the X.25 call", "", "is the number right?"))

    # -- actions: reset and interrupt -------------------------------------------------------------------

    def _do_reset(self, circuit, now, buf, start, end):
        self._put(packet(circuit.lcn, RESET, _BAD_NUMBERS))
        self._wait(circuit, now, T22)

    def _do_confirm_reset(self, circuit, now, buf, start, end):
        self._put(packet(circuit.lcn, RESET_CONFIRMATION))
        self._do_begin_anew(circuit, now, buf, start, end)

    def _do_begin_anew(self, circuit, now, buf, start, end):
        self.drop("reset")
        circuit.zero()
        self._pump(circuit)

    def _do_interrupt(self, circuit, now, buf, start, end):
        self._put(packet(circuit.lcn, INTERRUPT_CONFIRMATION))

    # -- actions: data and flow control (§4.4.1) --------------------------------------------------------

    def _do_data(self, circuit, now, buf, start, end):
        kind = buf[start + 2]
        size = end - start - HEADER
        if kind >> 1 & 7 != circuit.next_in or size > circuit.size_in or not self._acknowledge(circuit, kind >> 5):
            self._step(circuit, BAD, now)
            return
        circuit.next_in = circuit.next_in + 1 & 7
        if buf[start] & QUALIFIED:
            self.drop("qualified data")
        else:
            self._gather(circuit, buf, start + HEADER, size, kind & MORE, now)
        before = circuit.next_out
        self._pump(circuit)
        if circuit.next_out == before:  # nothing went out that acknowledges it
            self._put(packet(circuit.lcn, RR | circuit.next_in << 5))

    def _gather(self, circuit, buf, at, size, more, now):
        if circuit.size + size > MAX_DATAGRAM:
            circuit.lost = True
        else:
            if circuit.buf is None:
                circuit.buf = bytearray(HEADROOM + MAX_DATAGRAM + TAILROOM)
            to = HEADROOM + circuit.size
            circuit.buf[to : to + size] = buf[at : at + size]
            circuit.size += size
        if not more:
            length, lost = circuit.size, circuit.lost
            circuit.size, circuit.lost = 0, False
            if lost:
                self.drop("too long")
            elif length:
                self.endpoint.receive(circuit.buf, HEADROOM, HEADROOM + length, circuit.addr, now)

    def _do_ready(self, circuit, now, buf, start, end):
        if not self._acknowledge(circuit, buf[start + 2] >> 5):
            self._step(circuit, BAD, now)
            return
        circuit.busy = buf[start + 2] & 0x1F == RNR
        self._pump(circuit)

    def _acknowledge(self, circuit, number):
        """Take a P(R); False when it lies outside of what is under way (§4.4.1.2)."""
        if number - circuit.acked & 7 > circuit.next_out - circuit.acked & 7:
            return False
        circuit.acked = number
        return True

    def _pump(self, circuit):
        """Send what the window allows; a datagram longer than a packet goes in several, all but the last with M."""
        while circuit.state == TRANSFER and circuit.queue and not circuit.busy:
            if circuit.next_out - circuit.acked & 7 >= circuit.window:
                return
            data = circuit.queue[0]
            part = data[circuit.offset : circuit.offset + circuit.size_out]
            circuit.offset += len(part)
            more = circuit.offset < len(data)
            kind = circuit.next_in << 5 | (MORE if more else 0) | circuit.next_out << 1
            circuit.next_out = circuit.next_out + 1 & 7
            if not more:
                circuit.queue.pop(0)
                circuit.offset = 0
            self._put(packet(circuit.lcn, kind, part))
