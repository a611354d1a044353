"""Every transition of an AT modem, as its DTE sees it (ITU-T V.250, and the habits of modems).

A row is (state, input, next state, what the owner is told, action). What is in no row means nothing there: dropped,
counted, named. Only ``Modem._input`` assigns a state, and only what ``find`` gave it.
"""

# States.
OFF = 0
READYING = 1  # being set up
IDLE = 2  # in command mode, on hook
RINGING = 3  # not often enough yet
OFFERED = 4  # ringing, and the owner knows
DECLINED = 5  # ringing, and nobody wants to know
DIALLING = 6
ANSWERING = 7
CONNECTING = 8  # the rest of the line that began with CONNECT
ONLINE = 9
DROPPING = 10  # DTR is down, and silence reigns before the escape sequence
ESCAPING = 11  # +++, then on hook
RESTING = 12  # the modem did not do as it was told, or is not there
STATES = (
    "off",
    "readying",
    "idle",
    "ringing",
    "offered",
    "declined",
    "dialling",
    "answering",
    "connecting",
    "online",
    "dropping",
    "escaping",
    "resting",
)
ANY = 255

# Inputs.
START = 0
DONE = 1  # the chat script has come to its end
REFUSED = 2  # the chat script has failed
RING = 3
OFFER = 4  # it has rung often enough
CONNECT = 5  # a line that begins so is complete
LOST = 6  # NO CARRIER, or the carrier detect line
DIAL = 7
ANSWER = 8
HANG_UP = 9
TIMER = 10
GONE = 11  # the device itself hung up or vanished
INPUTS = (
    "start",
    "end of script",
    "refusal",
    "RING",
    "offer",
    "CONNECT",
    "NO CARRIER",
    "dial",
    "answer",
    "hang-up",
    "timer",
    "loss of the device",
)

# What the owner is told.
NOTHING = 0
FAILED = 1  # a call that did not come about, or a modem that does not work
HUNG_UP = 2

# Actions, in the order of Modem._ACTIONS.
MAKE_READY = 1
BE_READY = 2
REST = 3
DIAL_NUMBER = 4
COUNT_RING = 5
RING_TIME = 6
OFFER_CALL = 7
RING_ON = 8
FORGET_CALL = 9
ANSWER_CALL = 10
END_LINE = 11
GO_ONLINE = 12
DROP = 13
ESCAPE = 14

_ROWS = b"".join(
    [
        bytes(row)
        for row in (
            (OFF, START, READYING, NOTHING, MAKE_READY),
            (OFF, GONE, OFF, NOTHING, 0),
            (READYING, DONE, IDLE, NOTHING, BE_READY),
            (READYING, REFUSED, RESTING, FAILED, REST),
            (IDLE, DIAL, DIALLING, NOTHING, DIAL_NUMBER),
            (IDLE, RING, RINGING, NOTHING, COUNT_RING),
            (IDLE, CONNECT, ONLINE, NOTHING, GO_ONLINE),  # it answers by itself
            (RINGING, RING, RINGING, NOTHING, COUNT_RING),
            (RINGING, OFFER, OFFERED, NOTHING, OFFER_CALL),
            (RINGING, ANSWER, ANSWERING, NOTHING, ANSWER_CALL),
            (RINGING, CONNECT, ONLINE, NOTHING, GO_ONLINE),
            (RINGING, TIMER, RINGING, NOTHING, RING_TIME),
            (RINGING, LOST, IDLE, NOTHING, FORGET_CALL),
            (OFFERED, RING, OFFERED, NOTHING, RING_ON),
            (OFFERED, ANSWER, ANSWERING, NOTHING, ANSWER_CALL),
            (OFFERED, CONNECT, ONLINE, NOTHING, GO_ONLINE),
            (OFFERED, TIMER, IDLE, FAILED, FORGET_CALL),
            (OFFERED, LOST, IDLE, FAILED, FORGET_CALL),
            (OFFERED, HANG_UP, DECLINED, FAILED, RING_ON),
            (OFFERED, GONE, RESTING, FAILED, REST),
            (DECLINED, RING, DECLINED, NOTHING, RING_ON),
            (DECLINED, CONNECT, DROPPING, NOTHING, DROP),
            (DECLINED, TIMER, IDLE, NOTHING, FORGET_CALL),
            (DECLINED, LOST, IDLE, NOTHING, FORGET_CALL),
            (DIALLING, DONE, CONNECTING, NOTHING, END_LINE),
            (DIALLING, REFUSED, READYING, FAILED, MAKE_READY),
            (DIALLING, LOST, READYING, FAILED, MAKE_READY),
            (DIALLING, HANG_UP, DROPPING, FAILED, DROP),
            (DIALLING, GONE, RESTING, FAILED, REST),
            (ANSWERING, DONE, CONNECTING, NOTHING, END_LINE),
            (ANSWERING, REFUSED, READYING, FAILED, MAKE_READY),
            (ANSWERING, LOST, READYING, FAILED, MAKE_READY),
            (ANSWERING, HANG_UP, DROPPING, FAILED, DROP),
            (ANSWERING, GONE, RESTING, FAILED, REST),
            (CONNECTING, CONNECT, ONLINE, NOTHING, GO_ONLINE),
            (CONNECTING, TIMER, ONLINE, NOTHING, GO_ONLINE),
            (CONNECTING, LOST, READYING, FAILED, MAKE_READY),
            (CONNECTING, HANG_UP, DROPPING, FAILED, DROP),
            (CONNECTING, GONE, RESTING, FAILED, REST),
            (ONLINE, LOST, READYING, HUNG_UP, MAKE_READY),
            (ONLINE, TIMER, READYING, HUNG_UP, MAKE_READY),  # silence after NO CARRIER
            (ONLINE, HANG_UP, DROPPING, HUNG_UP, DROP),
            (ONLINE, GONE, RESTING, HUNG_UP, REST),
            (DROPPING, TIMER, ESCAPING, NOTHING, ESCAPE),
            (DROPPING, LOST, READYING, NOTHING, MAKE_READY),  # DTR was enough
            (ESCAPING, DONE, READYING, NOTHING, MAKE_READY),
            (ESCAPING, REFUSED, READYING, NOTHING, MAKE_READY),
            (RESTING, TIMER, DROPPING, NOTHING, DROP),  # it may be online and not know us any more
            (RESTING, START, READYING, NOTHING, MAKE_READY),
            (ANY, GONE, RESTING, NOTHING, REST),
        )
    ]
)


def find(state, given):
    """``(next state, told, action)`` as three bytes, or None."""
    rows = _ROWS
    for at in range(0, len(rows), 5):
        if rows[at + 1] == given and (rows[at] == state or rows[at] == ANY):
            return rows[at + 2 : at + 5]
    return None
