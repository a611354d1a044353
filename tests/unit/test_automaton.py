"""The automaton of RFC 1661 §4 against the RFC's own table, and its timer and counters."""

from laclet import ticks
from laclet.ppp import automaton
from laclet.ppp.automaton import ACK_RCVD, ACK_SENT, CLOSED, OPENED, REQ_SENT, STATES, STOPPED, TABLE, Automaton
from laclet.wire import ppp

# RFC 1661 §4.1, as printed.
RFC_LOW = """
 Up   |    2     irc,scr/6     -         -         -         -
 Down |    -         -         0       tls/1       0         1
 Open |  tls/1       1     irc,scr/6     3r        5r        5r
 Close|    0       tlf/0       2         2         4         4
  TO+ |    -         -         -         -       str/4     str/5
  TO- |    -         -         -         -       tlf/2     tlf/3
 RCR+ |    -         -       sta/2 irc,scr,sca/8   4         5
 RCR- |    -         -       sta/2 irc,scr,scn/6   4         5
 RCA  |    -         -       sta/2     sta/3       4         5
 RCN  |    -         -       sta/2     sta/3       4         5
 RTR  |    -         -       sta/2     sta/3     sta/4     sta/5
 RTA  |    -         -         2         3       tlf/2     tlf/3
 RUC  |    -         -       scj/2     scj/3     scj/4     scj/5
 RXJ+ |    -         -         2         3         4         5
 RXJ- |    -         -       tlf/2     tlf/3     tlf/2     tlf/3
 RXR  |    -         -         2         3         4         5
"""
RFC_HIGH = """
 Up   |    -         -         -           -
 Down |    1         1         1         tld/1
 Open |    6         7         8           9r
 Close|irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
  TO+ |  scr/6     scr/6     scr/8         -
  TO- |  tlf/3p    tlf/3p    tlf/3p        -
 RCR+ |  sca/8   sca,tlu/9   sca/8   tld,scr,sca/8
 RCR- |  scn/6     scn/7     scn/6   tld,scr,scn/6
 RCA  |  irc/7     scr/6x  irc,tlu/9   tld,scr/6x
 RCN  |irc,scr/6   scr/6x  irc,scr/8   tld,scr/6x
 RTR  |  sta/6     sta/6     sta/6   tld,zrc,sta/5
 RTA  |    6         6         8       tld,scr/6
 RUC  |  scj/6     scj/7     scj/8       scj/9
 RXJ+ |    6         6         8           9
 RXJ- |  tlf/3     tlf/3     tlf/3   tld,irc,str/5
 RXR  |    6         7         8         ser/9
"""
# The states in which the Restart timer runs: those with TO events.
RUNNING = (4, 5, 6, 7, 8)


def rfc_rows():
    """[(event, [(actions, state) or None] * 10)] of the printed table."""
    rows = []
    high = RFC_HIGH.strip().split("\n")
    for i, low in enumerate(RFC_LOW.strip().split("\n")):
        event, left = low.split("|")
        again, right = high[i].split("|")
        assert event.strip() == again.strip()
        row = []
        for cell in left.split() + right.split():
            if cell == "-":
                row.append(None)
                continue
            actions, _, state = cell.rpartition("/")
            row.append((actions.split(",") if actions else [], int(state[0])))
        assert len(row) == 10
        rows.append((event.strip(), row))
    return rows


class Link:
    """Keeps what an automaton sends and drops."""

    def __init__(self):
        self.sent = []
        self.dropped = []
        self.fault = None

    def send(self, protocol, code, identifier, data, now):
        self.sent.append((code, identifier, bytes(data)))

    def drop(self, reason):
        self.dropped.append(reason)

    def fail(self, fault, now):
        self.fault = fault


class Plain(Automaton):
    """An automaton without options: everything is agreed, but for a request of b"\\xff\\x02"."""

    protocol = 0xC021
    layer = "lcp"

    def __init__(self):
        super().__init__(Link())
        self.heard = []

    def begin(self):
        self.heard.append("begin")

    def request(self):
        return b"\x05\x06abcd"

    def review(self, options, now):
        if options == [(0xFF, b"")]:
            return ppp.CONFIGURE_REJECT, b"\xff\x02"
        return ppp.CONFIGURE_ACK, b""

    def naked(self, options, now):
        self.heard.append(("naked", options))

    def rejected(self, options, now):
        self.heard.append(("rejected", options))

    def code_rejected(self, code):
        self.heard.append(("code", code))

    def on_up(self, now):
        self.heard.append("up")

    def on_down(self, now):
        self.heard.append("down")

    def on_finished(self, now):
        self.heard.append("finished")

    def on_extended(self, buf, at, end, now):
        self.heard.append("extended")

    def take(self, code, identifier, data=b"", now=0):
        packet = bytes((code, identifier, 0, len(data) + 4)) + data
        self.receive(packet, 0, len(packet), now)

    def sent(self):
        sent = self.link.sent
        self.link.sent = []
        return sent


class Recorder(Plain):
    """Notes the actions instead of doing them."""

    def __init__(self):
        super().__init__()
        self.actions = []


def _record(name):
    def action(self, now):
        self.actions.append(name)

    return action


for _name in ("tlu", "tld", "tls", "tlf", "irc", "zrc", "scr", "sca", "scn", "str", "sta", "scj", "ser"):
    setattr(Recorder, "_" + _name, _record(_name))


def test_every_cell_of_the_table():
    visited = 0
    for event, row in rfc_rows():
        for state in range(10):
            machine = Recorder()
            machine.state = state
            machine._deadline = 1234
            machine._step(event, 0)
            where = event + " in " + STATES[state]
            if row[state] is None:
                assert machine.state == state and not machine.actions, where
                assert machine.link.dropped == ["illegal event"], where
            else:
                actions, after = row[state]
                assert machine.actions == actions, (where, machine.actions)
                assert machine.state == after, (where, machine.state)
                assert (machine._deadline is None) == (after not in RUNNING), where
            visited += 1
    assert visited == 160 and len(TABLE) == 17  # with "Proxy", which is not the RFC's


def opened(now=0):
    machine = Plain()
    machine.open(now)
    machine.up(now)
    code, identifier, data = machine.sent()[0]
    machine.take(ppp.CONFIGURE_REQUEST, 7, b"\x01\x04\x05\xdc", now)
    machine.take(ppp.CONFIGURE_ACK, identifier, data, now)
    assert machine.state == OPENED and machine.sent() == [(ppp.CONFIGURE_ACK, 7, b"\x01\x04\x05\xdc")]
    return machine


def test_opening():
    machine = opened()
    assert machine.heard == ["begin", "up"]
    assert machine.poll_at() is None


def test_restart_timer_doubles_and_gives_up():
    start = ticks.PERIOD - 1000  # the tick counter wraps on the way
    machine = Plain()
    machine.open(start)
    machine.up(start)
    now = start
    waits = []
    while machine.state == REQ_SENT:
        waits.append(ticks.diff(machine.poll_at(), now))
        machine.on_timer(ticks.add(machine.poll_at(), -1))  # early: nothing happens
        now = machine.poll_at()
        machine.on_timer(now)
    assert waits == [300, 600, 1200, 2400] + [3000] * 6
    assert machine.state == STOPPED and machine.heard == ["begin", "finished"]
    requests = machine.sent()
    assert len(requests) == automaton.MAX_CONFIGURE
    assert len(set(requests)) == 1  # the same identifier each time, so that an answer to any of them counts
    assert machine.why.cause == "no answer to our Configure-Requests"


def test_terminate_is_sent_twice():
    machine = opened()
    machine.close(0, b"bye")
    now = 0
    for _ in range(2):
        now = machine.poll_at()
        machine.on_timer(now)
    requests = machine.sent()
    assert [(code, data) for code, _, data in requests] == [(ppp.TERMINATE_REQUEST, b"bye")] * 2
    assert requests[0][1] != requests[1][1]
    assert machine.state == CLOSED and machine.heard[-2:] == ["down", "finished"]


def test_only_the_first_answer_counts():
    machine = Plain()
    machine.open(0)
    machine.up(0)
    _, identifier, data = machine.sent()[0]
    machine.take(ppp.CONFIGURE_ACK, identifier + 1, data)
    machine.take(ppp.CONFIGURE_ACK, identifier, data + b"\x07\x02")
    assert machine.state == REQ_SENT
    machine.take(ppp.CONFIGURE_ACK, identifier, data)
    assert machine.state == ACK_RCVD
    machine.take(ppp.CONFIGURE_ACK, identifier, data)  # by the table alone this would start all over
    assert machine.state == ACK_RCVD
    assert machine.link.dropped == ["stale answer", "Configure-Ack of something else", "stale answer"]
    assert ticks.diff(machine.poll_at(), 0) == automaton.RESTART_LAST  # now it is the peer's turn


def test_a_copy_of_the_request_does_not_bring_the_link_down():
    machine = opened()
    machine.take(ppp.CONFIGURE_REQUEST, 7, b"\x01\x04\x05\xdc", automaton.COPY_TIME - 1)
    assert machine.state == OPENED and machine.sent() == [(ppp.CONFIGURE_ACK, 7, b"\x01\x04\x05\xdc")]
    machine.take(ppp.CONFIGURE_REQUEST, 8, b"\x01\x04\x05\xdc", 10)
    assert machine.state == ACK_SENT and machine.heard[-2:] == ["begin", "down"]


def test_a_late_copy_of_an_earlier_request_is_dropped():
    machine = Plain()
    machine.open(0)
    machine.up(0)
    _, identifier, data = machine.sent()[0]
    machine.take(ppp.CONFIGURE_REQUEST, 1, b"\xff\x02")
    machine.take(ppp.CONFIGURE_REQUEST, 2)
    machine.take(ppp.CONFIGURE_ACK, identifier, data)
    machine.take(ppp.CONFIGURE_REQUEST, 1, b"\xff\x02", 100)
    assert machine.state == OPENED and machine.link.dropped == ["late copy of a Configure-Request"]


def test_the_same_request_much_later_is_a_renegotiation():
    machine = opened()
    machine.take(ppp.CONFIGURE_REQUEST, 7, b"\x01\x04\x05\xdc", automaton.COPY_TIME)
    assert machine.state == ACK_SENT and "down" in machine.heard
    codes = [code for code, _, _ in machine.sent()]
    assert codes == [ppp.CONFIGURE_REQUEST, ppp.CONFIGURE_ACK]


def test_a_peer_that_comes_alive_hears_our_request_at_once():
    machine = Plain()
    machine.open(0)
    machine.up(0)
    for now in (300, 900):
        machine.on_timer(now)
    machine.sent()
    machine.take(ppp.CONFIGURE_REQUEST, 1, b"", 1500)
    assert [code for code, _, _ in machine.sent()] == [ppp.CONFIGURE_REQUEST, ppp.CONFIGURE_ACK]
    machine.take(ppp.CONFIGURE_REQUEST, 2, b"", 2500)
    assert [code for code, _, _ in machine.sent()] == [ppp.CONFIGURE_ACK]


def test_kick_repeats_the_request_and_starts_the_timer_anew():
    machine = Plain()
    machine.kick(0)
    machine.open(0)
    machine.up(0)
    machine.on_timer(300)
    machine.sent()
    machine.kick(400)
    assert [code for code, _, _ in machine.sent()] == [ppp.CONFIGURE_REQUEST]
    assert machine.poll_at() == 700
    machine.kick(500, 150)
    assert machine.poll_at() == 650
    machine = opened()
    machine.kick(0)
    assert machine.sent() == []


def test_endless_refusals_end():
    machine = Plain()
    machine.open(0)
    machine.up(0)
    for _ in range(automaton.MAX_NAKED + 1):
        assert machine.link.fault is None
        _, identifier, _ = machine.sent()[-1]
        machine.take(ppp.CONFIGURE_NAK, identifier, b"\x05\x06wxyz")
    assert machine.link.fault.layer == "lcp" and "20 refusals" in machine.link.fault.cause


def test_code_reject():
    machine = opened()
    machine.take(ppp.CODE_REJECT, 1, b"\x09\x01\x00\x08\0\0\0\0")
    assert machine.heard[-1] == ("code", 9) and machine.state == OPENED
    machine.take(ppp.CODE_REJECT, 1, b"\x01\x01\x00\x04")
    assert machine.state == automaton.STOPPING and machine.why.cause == "the peer does not speak this protocol"
    machine.take(ppp.CODE_REJECT, 1)
    assert machine.link.dropped == ["Code-Reject of nothing"]


def test_unknown_code_is_rejected_and_quoted_in_part():
    machine = opened()
    machine.take(0x77, 9, bytes(200))
    code, _, data = machine.sent()[0]
    assert code == ppp.CODE_REJECT and len(data) == automaton.MAX_SAID and data[:4] == b"\x77\x09\x00\xcc"


def test_a_closed_automaton_says_so():
    machine = Plain()
    machine.up(0)
    for code in (ppp.CONFIGURE_REQUEST, ppp.CONFIGURE_ACK, ppp.CONFIGURE_NAK, ppp.CONFIGURE_REJECT):
        machine.take(code, 40 + code)
        assert machine.sent() == [(ppp.TERMINATE_ACK, 40 + code, b"")]
    assert machine.state == CLOSED and machine.heard == []


def test_packets_with_a_wrong_shape():
    machine = Plain()
    machine.take(ppp.CONFIGURE_REQUEST, 1)
    assert machine.link.dropped == ["control packet before the layer is up"]
    machine.open(0)
    machine.up(0)
    machine.take(ppp.CONFIGURE_NAK, machine.sent()[0][1], b"\x05\x01")
    assert machine.link.dropped[1:] == ["option length below 2"] and machine.state == REQ_SENT
    machine = opened()
    for packet in (b"", b"\x01\x01\x00", b"\x01\x01\x00\x03", b"\x01\x01\x00\x05"):
        machine.receive(packet, 0, len(packet), 0)
    assert machine.link.dropped == ["control packet with a wrong length"] * 4
    machine.link.dropped = []
    for data, reason in (
        (b"\x01", "option cut short"),
        (b"\x01\x00", "option length below 2"),
        (b"\x01\x01\x00", "option length below 2"),
        (b"\x01\x05\x00\x00", "option beyond the packet"),
        (b"\x09\x02" * 33, "too many options"),
    ):
        machine.take(ppp.CONFIGURE_REQUEST, 99, data)
        assert machine.link.dropped.pop() == reason
    assert machine.state == OPENED and machine.sent() == []


def test_what_the_peer_says_when_it_closes():
    machine = opened()
    machine.take(ppp.TERMINATE_REQUEST, 3, b"no\nmore")
    assert machine.state == automaton.STOPPING and machine.sent() == [(ppp.TERMINATE_ACK, 3, b"")]
    assert str(machine.why) == "lcp: the peer closed it; the peer said: no.more"
    machine.on_timer(machine.poll_at())
    assert machine.state == STOPPED and machine.heard[-2:] == ["down", "finished"]
