"""The reliable control channel by itself (RFC 2661 §5.8, Appendix A), and a tunnel's answer to a wrong version."""

from laclet.l2tp.channel import DELIVER, DUPLICATE, HELD, MAX_HELD, OUTSIDE, Channel
from laclet.l2tp.endpoint import Endpoint
from laclet.l2tp.tunnel import TunnelOptions
from laclet.wire import avp
from laclet.wire.l2tp import put_control


def message():
    return bytearray(20)


def ns_nr(item):
    m = item[1]
    return (m[8] << 8 | m[9], m[10] << 8 | m[11])


def pull_all(channel, now):
    out = []
    item = channel.pull(now)
    while item is not None:
        out.append(item)
        item = channel.pull(now)
    return out


def channel_with(n, window=4, **options):
    c = Channel(**options)
    c.set_window(window)
    for _ in range(n):
        c.queue(0, message())
    return c


def test_slow_start_and_congestion_avoidance():
    c = channel_with(40, window=8)
    sizes = []
    acked = 0
    for _ in range(6):
        flight = pull_all(c, 0)
        sizes.append(len(flight))
        for _ in flight:
            acked += 1
            c.acknowledged(acked, 0)
    assert sizes == [1, 2, 4, 8, 8, 8]
    # A timeout halves the threshold and begins again with one.
    pull_all(c, 0)
    c.on_timer(c.poll_at())
    sizes = []
    for _ in range(3):
        flight = pull_all(c, 0)
        sizes.append(len(flight))
        for _ in flight:
            acked += 1
            c.acknowledged(acked, 0)
    assert sizes[:2] == [1, 2]


def test_the_peers_window_is_kept():
    for window, most in ((1, 1), (4, 4), (0, 1), (65535, 40)):
        c = channel_with(400, window)
        acked = 0
        largest = 0
        while not c.idle():
            flight = pull_all(c, 0)
            largest = max(largest, len(flight))
            assert len(flight) <= max(1, window)
            acked += len(flight)
            c.acknowledged(acked & 0xFFFF, 0)
        assert largest >= min(most, 4) or largest == most


def test_a_retransmission_keeps_ns_and_takes_the_current_nr():
    c = channel_with(1)
    assert ns_nr(c.pull(0)) == (0, 0)
    assert c.accept(0, 10) == DELIVER
    c.on_timer(1000)
    assert ns_nr(c.pull(1000)) == (0, 1)
    assert c.retransmissions == 1


def test_backoff_doubles_up_to_its_cap():
    c = channel_with(1, max_retries=6, retry_timeout=500)
    now = 0
    waits = []
    while not c.dead:
        if c.pull(now) is not None:
            waits.append(c.poll_at() - now)
        now = c.poll_at()
        c.on_timer(now)
    assert waits == [500, 1000, 2000, 4000, 8000, 8000, 8000]


def test_duplicates_are_acknowledged_and_not_delivered():
    c = Channel()
    assert c.accept(0, 0) == DELIVER
    assert c.accept(0, 0) == DUPLICATE
    assert c.pull(0) == (0, None)  # at once: our acknowledgement may have been lost
    assert c.pull(0) is None
    assert c.accept(40000, 0) == DUPLICATE  # 25,537 behind


def test_an_acknowledgement_is_late_by_a_moment_only():
    c = Channel()
    c.accept(0, 100)
    assert c.pull(100) is None  # it may still ride on a message
    assert 0 < c.poll_at() - 100 <= 50
    c.on_timer(c.poll_at())
    assert c.pull(150) == (0, None) and c.pull(150) is None and c.poll_at() is None
    c.accept(1, 200)
    c.queue(0, message())
    assert ns_nr(c.pull(200)) == (0, 2)  # it did
    c.acknowledged(1, 210)
    assert c.poll_at() is None


def test_out_of_order_messages_wait_for_their_turn():
    c = Channel(rws=4)
    assert c.accept(2, 0) == HELD
    c.hold(2, "two")
    assert c.accept(2, 0) == OUTSIDE  # once is enough
    assert c.accept(4, 0) == OUTSIDE  # beyond the window
    assert c.accept(0, 0) == DELIVER and c.next_held(0) is None
    assert c.accept(1, 0) == DELIVER
    assert c.next_held(0) == "two" and c.next_held(0) is None
    assert c.nr == 3


def test_a_wide_window_keeps_a_bounded_number_out_of_order():
    c = Channel(rws=65535)
    for n in range(1, 1000):
        verdict = c.accept(n, 0)
        assert verdict == (HELD if n <= MAX_HELD else OUTSIDE), n
        if verdict == HELD:
            c.hold(n, n)
    assert c.accept(0, 0) == DELIVER
    for n in range(1, MAX_HELD + 1):
        assert c.next_held(0) == n
    assert c.next_held(0) is None and c.accept(MAX_HELD + 1, 0) == DELIVER
    assert c.accept(0x7FFF, 0) == HELD and c.accept(0xFFF0, 0) == DUPLICATE


def test_sequence_numbers_wrap():
    c = channel_with(0)
    for n in range(70_000):
        assert c.accept(n & 0xFFFF, 0) == DELIVER
        c.queue(0, message())
        item = c.pull(0)
        assert ns_nr(item) == (n & 0xFFFF, (n + 1) & 0xFFFF)
        c.acknowledged((n + 1) & 0xFFFF, 0)
    assert c.idle() and not c.dead


def test_false_acknowledgements_are_ignored():
    c = channel_with(3)
    c.pull(0)
    c.acknowledged(2, 0)  # one was sent
    c.acknowledged(65535, 0)
    assert not c.idle() and len(pull_all(c, 0)) == 0
    c.acknowledged(1, 0)
    assert len(pull_all(c, 0)) == 2


def test_a_peer_that_lets_us_talk_for_ever_is_dead():
    c = channel_with(600)
    assert c.dead


def sccrq(version):
    w = avp.Writer(1)
    w.u16(avp.PROTOCOL_VERSION, version)
    w.u32(avp.FRAMING_CAPABILITIES, 3)
    w.put(avp.HOST_NAME, b"peer")
    w.u16(avp.ASSIGNED_TUNNEL_ID, 77)
    put_control(w.buf, 0, len(w.buf), 0, 0, 0, 0)
    return w.buf


class Keep:
    def __init__(self):
        self.sent = []

    def send(self, buf, start, end, addr):
        self.sent.append(bytes(buf[start:end]))

    def settle(self, addr):
        pass


def test_another_protocol_version_is_refused():
    endpoint = Endpoint(lambda n: bytes(range(1, n + 1)), TunnelOptions("lns"))
    endpoint.carrier = Keep()
    data = sccrq(0x0200)
    endpoint.receive(data, 0, len(data), "peer", 0)
    mtype, avps, _ = avp.parse(endpoint.carrier.sent[0], 12, len(endpoint.carrier.sent[0]))
    assert mtype == 4 and avp.get(avps, avp.RESULT_CODE)[0] == 5


def test_ids_come_from_the_random_source():
    wanted = [0x1111, 0x2222, 0x2222, 0]

    def random(n):
        return bytes(16) if n > 2 else wanted.pop(0).to_bytes(2, "big")

    endpoint = Endpoint(random)
    endpoint.carrier = Keep()
    tunnel = endpoint.open("lns", TunnelOptions("lac"), 0)
    sids = [tunnel.incoming_call(0).sid for _ in range(3)]
    assert tunnel.tid == 0x1111
    assert sids == [0x2222, 0x2223, 1]  # one that is taken, or 0, gives way to the next: no source can make us loop


def test_the_round_trip_is_measured_of_what_is_sent_once():
    c = channel_with(3)
    assert c.rtt is None
    pull_all(c, 100)
    c.acknowledged(1, 142)
    assert c.rtt == 42
    pull_all(c, 142)
    at = c.poll_at()
    c.on_timer(at)  # lost, or late: which of the two will be acknowledged?
    pull_all(c, at)
    c.acknowledged(3, at + 500)
    assert c.rtt == 42
    c.queue(0, message())
    pull_all(c, 2**30 - 10)
    c.acknowledged(4, 20)  # over the wrap of the clock
    assert c.rtt == 30
