"""What other RFCs and rarer messages add to L2TP: disconnect causes, classes of service, errors of a line."""

from laclet.fault import AUTH, CCP, IPCP, LCP, LINE, SESSION, Fault
from laclet.l2tp import disconnect
from laclet.l2tp.endpoint import Endpoint
from laclet.l2tp.tunnel import TunnelOptions
from laclet.wire import avp
from sim.net import Network, World

LAC = ("10.0.0.1", 40000)
LNS = ("10.0.0.2", 1701)


class Marked:
    """A carrier that can mark, around one that sends."""

    def __init__(self, carrier):
        self.carrier = carrier
        self.marked = []
        self.send = carrier.send
        self.settle = carrier.settle

    def mark(self, dscp):
        self.marked.append(dscp)


class Ends:
    """Two endpoints with a call between them; ``events`` of both by name."""

    def __init__(self, ours=None, theirs=None):
        self.world = World(7)
        net = Network(self.world)
        options = [TunnelOptions("lac"), TunnelOptions("lns")]
        options[0].dscp, options[1].dscp = ours, theirs
        self.ends = []
        self.events = []
        self.sessions = []
        for i in range(2):
            end = net.attach(Endpoint(self.world.random.bytes, options[i]), (LAC, LNS)[i])
            end.carrier = Marked(end.carrier)
            self.ends.append(end)
            self.world.add(end, self.take_of(end))
        self.tunnel = self.ends[0].open(LNS, options[0], self.world.now)
        self.call = self.tunnel.incoming_call(self.world.now)
        self.world.run(1000)

    def take_of(self, end):
        def take(now):
            event = end.next_event()
            while event is not None:
                name, source, detail = event
                if name == "call-offered":
                    self.sessions.append(source)
                    source.accept(now)
                self.events.append((name, source, detail))
                event = end.next_event()

        return take

    def last(self, name):
        return [event for event in self.events if event[0] == name][-1]


def test_the_cause_of_a_ppp_failure_travels_with_the_cdn():
    ends = Ends()
    ends.call.close(Fault(AUTH, "PAP: the peer gave a wrong name or password: tom"), ends.world.now)
    ends.world.run(1000)
    faults = [event[2] for event in ends.events if event[0] == "call-down" and event[1] is ends.sessions[0]]
    assert [fault.layer for fault in faults] == [AUTH]
    assert [fault.said for fault in faults] == [
        "CDN 3: administrative reasons; PPP: authentication failed at the far end, "
        "'PAP: the peer gave a wrong name or password: tom'"
    ]


def test_causes_have_the_codes_of_their_rfc():
    for fault, code, protocol, direction in (
        (Fault(LCP, "closed by us"), 1, 0xC021, 0),
        (Fault(LCP, "the peer closed it"), 3, 0xC021, 1),
        (Fault(LCP, "the negotiation came to no end"), 5, 0xC021, 2),
        (Fault(LCP, "no answer to our Configure-Requests"), 6, 0xC021, 1),
        (Fault(LCP, "the line is looped back"), 7, 0xC021, 0),
        (Fault(LCP, "no answer to 4 LCP Echo-Requests"), 8, 0xC021, 1),
        (Fault(AUTH, "no answer to the CHAP Challenge"), 13, 0, 1),
        (Fault(AUTH, "the peer shall authenticate by chap, but will not"), 15, 0, 1),
        (Fault(AUTH, "CHAP: wrong name or password"), 16, 0, 2),
        (Fault(CCP, "the peer does not encrypt"), 4, 0x80FD, 0),
        (Fault(IPCP, "the peer gave us no address"), 19, 0x8021, 2),
        (Fault(IPCP, "the peer does not speak this protocol"), 18, 0x8021, 0),
    ):
        value = disconnect.cause(fault)
        assert value[:5] == bytes((0, code, protocol >> 8, protocol & 0xFF, direction)), fault
        assert value[5:] == fault.cause.encode()
        assert fault.cause in disconnect.text(value)
        assert disconnect.layer(value) == (fault.layer if code > 3 else SESSION)
    assert disconnect.cause(Fault(LINE, "unplugged")) is None


def test_a_cause_that_lies_is_shown_as_it_is():
    assert disconnect.text(b"\0\x10") == "a disconnect cause that cannot be read"
    assert disconnect.text(b"\xff\xff\0\0\xff") == "disconnect code 65535"
    assert disconnect.layer(b"\0\x10") == disconnect.layer(b"\xff\xff\0\0\xff") == SESSION
    assert disconnect.text(b"\0\x01\0\0\0" + b"\x1b[2J") == "ended by an administrator, '.[2J'"


def test_a_class_of_service_is_agreed_on():
    for ours, theirs, agreed in ((46, 46, 46), (46, 10, 10), (46, None, None), (None, 10, None)):
        ends = Ends(ours, theirs)
        assert ends.tunnel.state == 3 or ends.tunnel.status()["state"] == "established"
        assert ends.tunnel.dscp == agreed, (ours, theirs)
        for end in ends.ends:
            assert end.carrier.marked == ([agreed] if agreed is not None else [])
        offered = avp.get(ends.last("call-offered")[2], avp.SESSION_DS)
        assert offered == (None if ours is None else ours << 10)


def test_errors_of_the_line_are_told_and_never_end_the_call():
    ends = Ends()
    ends.call.tell_errors([5, 1, 0, 2, 0, 0], ends.world.now)
    ends.world.run(1000)
    assert ends.last("line-errors")[2] == (5, 1, 0, 2, 0, 0)
    assert ends.sessions[0].status()["state"] == "established"


def test_private_group_and_speeds_reach_the_lns():
    ends = Ends()
    call = ends.tunnel.incoming_call(ends.world.now, private_group=b"blue", physical=7, tx_speed=33600, rx_speed=31200)
    ends.world.run(1000)
    session = ends.sessions[1]
    assert (session.private_group, session.tx_speed, session.rx_speed) == (b"blue", 33600, 31200)
    offers = [event[2] for event in ends.events if event[0] == "call-offered"]
    assert avp.get(offers[1], avp.PHYSICAL_CHANNEL) == 7 and call.sid != ends.call.sid
