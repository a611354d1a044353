"""Every transition of a circuit of X.25 (ITU-T X.25 §4, annex B). What is in no row is dropped, counted, named."""

from .x25wire import (
    CALL,
    CALL_ACCEPTED,
    CLEAR,
    CLEAR_CONFIRMATION,
    DATA,
    INTERRUPT,
    INTERRUPT_CONFIRMATION,
    RESET,
    RESET_CONFIRMATION,
    RNR,
    RR,
)

# Events that are not packets.
WANTED = 0x100  # there is something to send
HANG_UP = 0x101  # the owner wants the circuit no longer
REFUSED = 0x102  # a call that is not for us
BAD = 0x103  # numbers out of order
TIMER = 0x104  # T21, T22 or T23

# States of a circuit (annex B): p1, p2 or p3, d1, d2, p6.
READY = 0
WAITING = 1
TRANSFER = 2
RESETTING = 3
CLEARING = 4

# (state, event, action, next state); actions are methods ``_do_…``.
TABLE = (
    (READY, WANTED, "call", WAITING),  # §4.1.2
    (READY, CALL, "answer", TRANSFER),  # §4.1.3, §4.1.4
    (READY, REFUSED, "clear", CLEARING),
    (READY, CLEAR, "confirm", READY),  # §4.1.7
    (WAITING, CALL_ACCEPTED, "opened", TRANSFER),  # §4.1.4
    (WAITING, CALL, "answer", TRANSFER),  # §4.1.5, at the network's side: the caller's call goes on
    (WAITING, CLEAR, "cleared", READY),
    (WAITING, HANG_UP, "clear", CLEARING),  # §4.1.6
    (WAITING, TIMER, "unanswered", CLEARING),  # T21
    (TRANSFER, DATA, "data", TRANSFER),  # §4.3
    (TRANSFER, RR, "ready", TRANSFER),  # §4.4.1.3
    (TRANSFER, RNR, "ready", TRANSFER),  # §4.4.1.4
    (TRANSFER, INTERRUPT, "interrupt", TRANSFER),  # §4.3.5
    (TRANSFER, INTERRUPT_CONFIRMATION, None, TRANSFER),
    (TRANSFER, RESET, "confirm_reset", TRANSFER),  # §4.4.3.2
    (TRANSFER, BAD, "reset", RESETTING),  # §4.4.3.1
    (TRANSFER, CLEAR, "cleared", READY),
    (TRANSFER, HANG_UP, "clear", CLEARING),
    (RESETTING, RESET_CONFIRMATION, "begin_anew", TRANSFER),
    (RESETTING, RESET, "begin_anew", TRANSFER),  # §4.4.3.3: resets that cross need no confirmation
    (RESETTING, DATA, None, RESETTING),
    (RESETTING, RR, None, RESETTING),
    (RESETTING, RNR, None, RESETTING),
    (RESETTING, CLEAR, "cleared", READY),
    (RESETTING, HANG_UP, "clear", CLEARING),
    (RESETTING, TIMER, "unanswered", CLEARING),  # T22
    (CLEARING, CLEAR_CONFIRMATION, None, READY),  # §4.1.6
    (CLEARING, CLEAR, None, READY),  # §4.1.8: clears that cross
    (CLEARING, DATA, None, CLEARING),
    (CLEARING, RR, None, CLEARING),
    (CLEARING, RNR, None, CLEARING),
    (CLEARING, RESET, None, CLEARING),
    (CLEARING, CALL_ACCEPTED, None, CLEARING),
    (CLEARING, TIMER, "clear", CLEARING),  # T23
)

# Timers of a DTE (table D-1), ms.
T20 = 180000  # restart
T21 = 200000  # call
T22 = 180000  # reset
T23 = 180000  # clear
