"""Every transition of L2TP: the control connection and the four kinds of call (RFC 2661 §7).

A row is (state, event, action, next state). What is in no row is illegal there: dropped, counted, named. Messages are
events under their own message type; where the RFC asks "acceptable?" the message type means yes and BAD means no.
Only ``Tunnel._step`` and ``Session._step`` assign a state, and only what ``find`` gave them.
"""

from ..wire.l2tp import CDN, ICCN, ICRP, ICRQ, OCCN, OCRP, OCRQ, SCCCN, SCCRP, SCCRQ, STOPCCN

# Events that are not messages.
OPEN = 32  # the owner wants it (a call: and the tunnel is up)
CLOSE = 33  # the owner wants it no longer
BAD = 34  # a message that belongs here, but is not acceptable
ACKED = 35  # everything we sent has been acknowledged
EXPIRE = 36  # the time for this state is over
DEAD = 37  # the control channel gave up; a call: its tunnel is no more
ACCEPT = 38  # the owner takes the call that the peer asks for
CONNECT = 39  # the bearer answered (at the LAC)
LOSE = 40  # the peer's SCCRQ wins the tie (§4.4.3 Tie Breaker)


def _table(*rows):
    return b"".join([bytes(row) for row in rows])


def find(table, state, event):
    """Index of the row for ``event`` in ``state``, or -1; action and next state stand at index + 2 and + 3."""
    for i in range(0, len(table), 4):
        if table[i] == state and table[i + 1] == event:
            return i
    return -1


# -- control connection: states (§7.2), actions, rows ---------------------------------------------

IDLE = 0
WAIT_CTL_REPLY = 1
WAIT_CTL_CONN = 2
ESTABLISHED = 3
CLOSING = 4  # StopCCN sent: waiting for its acknowledgement (§5.7)
LINGER = 5  # StopCCN received: acknowledging its repetitions for one retransmission cycle (§5.7)
GONE = 6

SEND_SCCRQ = 1
SEND_SCCRP = 2
SEND_SCCCN = 3
SEND_STOPCCN = 4
TUNNEL_UP = 5
FORGET = 6

CONTROL = _table(
    (IDLE, OPEN, SEND_SCCRQ, WAIT_CTL_REPLY),  # §7.2.1
    (IDLE, SCCRQ, SEND_SCCRP, WAIT_CTL_CONN),
    (IDLE, BAD, SEND_STOPCCN, CLOSING),
    (WAIT_CTL_REPLY, SCCRP, SEND_SCCCN, ESTABLISHED),
    (WAIT_CTL_REPLY, BAD, SEND_STOPCCN, CLOSING),
    (WAIT_CTL_REPLY, SCCRQ, SEND_STOPCCN, CLOSING),
    (WAIT_CTL_REPLY, SCCCN, SEND_STOPCCN, CLOSING),
    (WAIT_CTL_REPLY, STOPCCN, 0, LINGER),
    (WAIT_CTL_REPLY, CLOSE, SEND_STOPCCN, CLOSING),
    (WAIT_CTL_REPLY, LOSE, FORGET, GONE),
    (WAIT_CTL_REPLY, DEAD, FORGET, GONE),  # §5.8
    (WAIT_CTL_REPLY, EXPIRE, SEND_STOPCCN, CLOSING),  # it acknowledged, but never answered
    (WAIT_CTL_CONN, SCCCN, TUNNEL_UP, ESTABLISHED),
    (WAIT_CTL_CONN, BAD, SEND_STOPCCN, CLOSING),
    (WAIT_CTL_CONN, SCCRQ, SEND_STOPCCN, CLOSING),
    (WAIT_CTL_CONN, SCCRP, SEND_STOPCCN, CLOSING),
    (WAIT_CTL_CONN, STOPCCN, 0, LINGER),
    (WAIT_CTL_CONN, CLOSE, SEND_STOPCCN, CLOSING),
    (WAIT_CTL_CONN, DEAD, FORGET, GONE),
    (WAIT_CTL_CONN, EXPIRE, SEND_STOPCCN, CLOSING),
    (ESTABLISHED, BAD, SEND_STOPCCN, CLOSING),
    (ESTABLISHED, SCCRQ, SEND_STOPCCN, CLOSING),
    (ESTABLISHED, SCCRP, SEND_STOPCCN, CLOSING),
    (ESTABLISHED, SCCCN, SEND_STOPCCN, CLOSING),
    (ESTABLISHED, STOPCCN, 0, LINGER),
    (ESTABLISHED, CLOSE, SEND_STOPCCN, CLOSING),
    (ESTABLISHED, DEAD, FORGET, GONE),
    (CLOSING, STOPCCN, 0, LINGER),  # §5.7: state is kept for a full retransmission cycle
    (CLOSING, ACKED, 0, LINGER),
    (CLOSING, DEAD, FORGET, GONE),
    (CLOSING, EXPIRE, FORGET, GONE),
    (LINGER, DEAD, FORGET, GONE),
    (LINGER, EXPIRE, FORGET, GONE),
)

# -- calls: states (§7.4, §7.5), actions, rows ------------------------------------------------------

# IDLE, ESTABLISHED and GONE as above.
WAIT_TUNNEL = 7
WAIT_REPLY = 8
WAIT_CONNECT = 9
OFFERED = 10  # the peer asks for a call; our owner thinks about it
WAIT_CS_ANSWER = 11  # the bearer is being dialled, or answered
_STATES = (
    "idle wait-ctl-reply wait-ctl-conn established closing linger gone"
    " wait-tunnel wait-reply wait-connect offered wait-cs-answer"
)


def state_name(state):
    """``wait-ctl-reply`` for WAIT_CTL_REPLY …"""
    return _STATES.split()[state]


SEND_ICRQ = 1
SEND_ICRP = 2
SEND_ICCN = 3
SEND_OCRQ = 4
SEND_OCRP = 5
SEND_OCCN = 6
SEND_CDN = 7
OFFER = 8
CALL_UP = 9
CLEAR = 10  # the peer or the tunnel ended it: nothing to send
ACCEPTED = 11  # the LNS takes the call: answer the bearer now


def _clearing(*states):
    """The rows that end a call in any of these states (§5.6, §7.4, §7.5)."""
    rows = []
    for s in states:
        rows += [(s, CDN, CLEAR, GONE), (s, DEAD, CLEAR, GONE), (s, CLOSE, SEND_CDN, GONE), (s, BAD, SEND_CDN, GONE)]
        rows.append((s, EXPIRE, SEND_CDN, GONE))
    return rows


LAC_INCOMING = _table(
    (IDLE, OPEN, 0, WAIT_TUNNEL),  # §7.4.1
    (WAIT_TUNNEL, OPEN, SEND_ICRQ, WAIT_REPLY),
    (WAIT_TUNNEL, CLOSE, CLEAR, GONE),
    (WAIT_TUNNEL, DEAD, CLEAR, GONE),
    (WAIT_REPLY, ICRP, SEND_ICCN, ESTABLISHED),
    (WAIT_REPLY, ICRQ, SEND_CDN, GONE),
    (WAIT_REPLY, ICCN, SEND_CDN, GONE),
    (ESTABLISHED, ICRQ, SEND_CDN, GONE),
    (ESTABLISHED, ICRP, SEND_CDN, GONE),
    (ESTABLISHED, ICCN, SEND_CDN, GONE),
    *_clearing(WAIT_REPLY, ESTABLISHED),
)

# A modem still rings: it is answered only when the LNS has accepted the call (§5.2.1, §7.4).
LAC_RINGING = _table(
    (IDLE, OPEN, 0, WAIT_TUNNEL),
    (WAIT_TUNNEL, OPEN, SEND_ICRQ, WAIT_REPLY),
    (WAIT_TUNNEL, CLOSE, CLEAR, GONE),
    (WAIT_TUNNEL, DEAD, CLEAR, GONE),
    (WAIT_REPLY, ICRP, ACCEPTED, WAIT_CS_ANSWER),
    (WAIT_REPLY, ICRQ, SEND_CDN, GONE),
    (WAIT_REPLY, ICCN, SEND_CDN, GONE),
    (WAIT_CS_ANSWER, CONNECT, SEND_ICCN, ESTABLISHED),
    (WAIT_CS_ANSWER, ICRP, SEND_CDN, GONE),
    (ESTABLISHED, ICRQ, SEND_CDN, GONE),
    (ESTABLISHED, ICRP, SEND_CDN, GONE),
    (ESTABLISHED, ICCN, SEND_CDN, GONE),
    *_clearing(WAIT_REPLY, WAIT_CS_ANSWER, ESTABLISHED),
)

LNS_INCOMING = _table(
    (IDLE, ICRQ, OFFER, OFFERED),  # §7.4.2
    (IDLE, BAD, SEND_CDN, GONE),
    (OFFERED, ACCEPT, SEND_ICRP, WAIT_CONNECT),
    (WAIT_CONNECT, ICCN, CALL_UP, ESTABLISHED),
    (WAIT_CONNECT, ICRQ, SEND_CDN, GONE),
    (WAIT_CONNECT, ICRP, SEND_CDN, GONE),
    (ESTABLISHED, ICRQ, SEND_CDN, GONE),
    (ESTABLISHED, ICRP, SEND_CDN, GONE),
    (ESTABLISHED, ICCN, SEND_CDN, GONE),
    *_clearing(OFFERED, WAIT_CONNECT, ESTABLISHED),
)

LAC_OUTGOING = _table(
    (IDLE, OCRQ, OFFER, OFFERED),  # §7.5.1
    (IDLE, BAD, SEND_CDN, GONE),
    (OFFERED, ACCEPT, SEND_OCRP, WAIT_CS_ANSWER),
    (WAIT_CS_ANSWER, CONNECT, SEND_OCCN, ESTABLISHED),
    (WAIT_CS_ANSWER, OCRQ, SEND_CDN, GONE),
    (WAIT_CS_ANSWER, OCRP, SEND_CDN, GONE),
    (WAIT_CS_ANSWER, OCCN, SEND_CDN, GONE),
    (ESTABLISHED, OCRQ, SEND_CDN, GONE),
    (ESTABLISHED, OCRP, SEND_CDN, GONE),
    (ESTABLISHED, OCCN, SEND_CDN, GONE),
    *_clearing(OFFERED, WAIT_CS_ANSWER, ESTABLISHED),
)

LNS_OUTGOING = _table(
    (IDLE, OPEN, 0, WAIT_TUNNEL),  # §7.5.2
    (WAIT_TUNNEL, OPEN, SEND_OCRQ, WAIT_REPLY),
    (WAIT_TUNNEL, CLOSE, CLEAR, GONE),
    (WAIT_TUNNEL, DEAD, CLEAR, GONE),
    (WAIT_REPLY, OCRP, 0, WAIT_CONNECT),
    (WAIT_REPLY, OCCN, SEND_CDN, GONE),
    (WAIT_REPLY, OCRQ, SEND_CDN, GONE),
    (WAIT_CONNECT, OCCN, CALL_UP, ESTABLISHED),
    (WAIT_CONNECT, OCRP, SEND_CDN, GONE),
    (WAIT_CONNECT, OCRQ, SEND_CDN, GONE),
    (ESTABLISHED, OCRQ, SEND_CDN, GONE),
    (ESTABLISHED, OCRP, SEND_CDN, GONE),
    (ESTABLISHED, OCCN, SEND_CDN, GONE),
    *_clearing(WAIT_REPLY, WAIT_CONNECT, ESTABLISHED),
)
