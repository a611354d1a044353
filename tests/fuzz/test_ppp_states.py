"""Every phase of a PPP link against any packet: nothing raises, answers are bounded, and time ends it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from laclet.fault import Fault
from laclet.ip.host import Host
from laclet.port import HEADROOM, frame_buffer
from laclet.ppp.automaton import INITIAL, OPENED
from laclet.ppp.describe import describe
from laclet.wire import ppp
from unit.pppwire import BOB, CLIENT, Peer, secrets, server

PROTOCOLS = (ppp.LCP, ppp.IPCP, ppp.PAP, ppp.CHAP, ppp.EAP, ppp.IP, ppp.IPV6, ppp.CCP, ppp.LQR, ppp.MULTILINK)
MAX_ANSWERS = 6  # frames sent because of one packet; most it takes is Success, two requests, an Ack and a credential
MAX_FRAME = 576

KINDS = (
    {"mru": 1400, "echo_interval": 1000},
    dict(CLIENT, address=BOB, want_dns=True),
    server("chap", "pap", dns=(BOB,)),
    dict(server("pap"), **CLIENT),
    dict(CLIENT, demand=("chap",), secret_of=secrets(lns="castle"), accm=b"\0\0\0\0"),
)

# Options that mean something, so that the random ones sometimes lead somewhere.
options = st.lists(
    st.one_of(
        st.sampled_from(
            (
                b"\x01\x04\x05\xdc",
                b"\x02\x06\0\0\0\0",
                b"\x03\x04\xc0\x23",
                b"\x03\x05\xc2\x23\x05",
                b"\x03\x04\xc2\x27",
                b"\x05\x06abcd",
                b"\x07\x02",
                b"\x08\x02",
                b"\x03\x06\x0a\0\0\1",
                b"\x03\x06\0\0\0\0",
                b"\x81\x06\0\0\0\0",
                b"\x02\x06\0\x2d\x0f\1",
            )
        ),
        st.binary(min_size=2, max_size=12),
    ),
    max_size=5,
).map(b"".join)
bodies = st.one_of(
    options, st.binary(max_size=80), st.just(b"\x03bob\x07builder"), st.just(b"\x10" + bytes(16) + b"bob")
)
control = st.tuples(
    st.just("control"), st.sampled_from(PROTOCOLS), st.integers(0, 14), st.integers(0, 6), bodies, st.integers(-3, 3)
)
# An answer to the last packet the link sent: the way deeper into the machine.
echo = st.tuples(st.just("answer"), st.sampled_from((2, 2, 2, 3, 4)), st.integers(0, 255))
raw = st.tuples(st.just("raw"), st.binary(max_size=60))
time = st.tuples(st.just("time"), st.sampled_from((1, 300, 1000, 3000, 30000)))
verb = st.tuples(st.just("verb"), st.sampled_from(("open", "close", "lower_up", "lower_down", "kick")))
steps = st.lists(st.one_of(control, control, echo, echo, raw, time, verb), max_size=40)


class Fuzzed(Peer):
    """A peer that checks every frame the link sends."""

    def __init__(self, **options):
        self.count = 0
        self.echo = None
        super().__init__(**options)
        self.link.above = Host(self.link)

    def carry(self, buf, start, end, now):
        self.count += 1
        head = ppp.head(buf, start, end)
        protocol = head & 0xFFFF
        at = start + (head >> 16)
        assert head and end - start <= MAX_FRAME
        if protocol >= 0x8000:
            assert ppp.packet_end(buf, at, end) == end
            assert "builder" not in describe(buf, start, end)
            if buf[at] == ppp.CONFIGURE_REQUEST and protocol in (ppp.LCP, ppp.IPCP):
                assert isinstance(ppp.options(buf, at + 4, end), list)
            self.echo = (protocol, buf[at + 1], bytes(buf[at + 4 : end]))


def play(peer, step):
    link = peer.link
    if step[0] == "control":
        _, protocol, code, identifier, data, lie = step
        buf = frame_buffer(200)
        end = ppp.write(buf, HEADROOM, protocol, code, identifier, data)
        buf[HEADROOM + 5] = (buf[HEADROOM + 5] + lie) & 0xFF
        link.carry(buf, HEADROOM, end, peer.now)
    elif step[0] == "answer" and peer.echo is not None:
        protocol, identifier, data = peer.echo
        peer.say(protocol, step[1], identifier, data[: step[2]] if step[2] < 20 else data)
    elif step[0] == "raw":
        buf = frame_buffer(60)
        buf[HEADROOM : HEADROOM + len(step[1])] = step[1]
        link.carry(buf, HEADROOM, HEADROOM + len(step[1]), peer.now)
    elif step[0] == "time":
        peer.wait(step[1])
    elif step[0] == "verb":
        getattr(link, step[1])(peer.now)


@settings(max_examples=400)
@given(st.sampled_from(KINDS), steps)
def test_any_sequence(kind, script):
    peer = Fuzzed(**kind)
    for step in script:
        peer.count = 0
        play(peer, step)
        assert peer.count <= MAX_ANSWERS, (step, peer.count)
        peer.side.take(peer.now)
        assert all(isinstance(fault, Fault) for fault in peer.side.faults)
        assert INITIAL <= peer.link.lcp.state <= OPENED
        assert len(peer.link.events) < 8
        status = peer.link.status()
        del status["identification"], status["fault"]  # these quote the peer, who may say what it likes
        assert "builder" not in str(status) and "castle" not in str(status)
        if peer.link.network:
            assert peer.link.lcp.state == OPENED
    # Left alone it comes to rest: up with its Echo unanswered at most so often, or down.
    for _ in range(200):
        at = peer.link.poll_at()
        if at is None:
            break
        peer.now = at
        peer.link.on_timer(at)
    assert peer.link.poll_at() is None, peer.link.status()
    assert len(peer.link.drops) < 40


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_describe_any_bytes(data):
    text = describe(data, 0, len(data))
    assert text and text.isprintable()


@settings(max_examples=300)
@given(st.binary(max_size=120))
def test_host_any_packet(data):
    class Nowhere:
        def send_ip(self, buf, start, end, now):
            assert end - start <= 1500

    host = Host(Nowhere())
    host.address = data[16:20] if len(data) >= 20 else BOB
    host.udp[7] = lambda buf, start, end, address, port, now: None
    buf = frame_buffer(len(data))
    buf[HEADROOM : HEADROOM + len(data)] = data
    host.receive_ip(buf, HEADROOM, HEADROOM + len(data), 0)
    assert sum(host.drops.values()) + host.echoed <= 1
