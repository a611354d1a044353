"""Identification, Time-Remaining, Callback (RFC 1570) and link quality (RFC 1989)."""

from pppwire import CLIENT, Pair, Peer, server

from laclet.ppp.extras import MIN_PERIOD, REPORT, Extras
from laclet.wire import ppp

REQUEST, ACK, NAK, REJECT = ppp.CONFIGURE_REQUEST, ppp.CONFIGURE_ACK, ppp.CONFIGURE_NAK, ppp.CONFIGURE_REJECT
LQR = b"\x04\x08\xc0\x25"


def opened(options=b"", **extras):
    """A link that is up, by a peer that the test plays."""
    peer = begun(**extras)
    peer.open_lcp(options)
    return peer


def begun(**extras):
    """A link that has sent its first request."""
    peer = Peer()
    Extras(peer.link, **extras)
    peer.link.lower_down(peer.now)
    peer.side.take(peer.now)
    peer.take()
    peer.link.lower_up(peer.now)
    return peer


class Counting:
    """Something joined that counts as a Session does, and loses what it shall."""

    def __init__(self, path):
        self.path = path
        self.tx_packets = self.tx_bytes = self.rx_packets = self.rx_bytes = 0
        self.drops = {}
        self.other = None
        self.link = None
        self.lose = 0

    def carry(self, buf, start, end, now):
        self.tx_packets += 1
        self.tx_bytes += end - start
        if self.lose:
            self.lose -= 1
        else:
            self.path.carry(bytes(buf[start:end]), self.other.arrive)

    def arrive(self, buf, start, end, now):
        self.rx_packets += 1
        self.rx_bytes += end - start
        self.link.carry(buf, start, end, now)


def test_identification_is_told():
    peer = opened(identification=b"laclet 1")
    magic = peer.link.lcp.magic.ours
    assert [sent[3] for sent in peer.take() if sent[1] == ppp.IDENTIFICATION] == [magic + b"laclet 1"]


def test_time_remaining_both_ways():
    pair = Pair(CLIENT, server("chap"))
    ours = Extras(pair.a.link)
    Extras(pair.b.link)
    heard = []
    take = pair.b.take

    def listen(now):
        events = pair.b.link.events
        heard.extend([event[2] for event in events if event[0] == "time-remaining"])
        events[:] = [event for event in events if event[0] != "time-remaining"]
        take(now)

    pair.world._machines[1] = (pair.b.link, listen)
    assert pair.run(3000, pair.up)
    ours.time_remaining(3600, b"an hour\x07", pair.world.now)
    pair.run(100)
    assert heard == [(3600, "an hour.")]
    pair.a.link.close(pair.world.now)
    pair.run(100)
    ours.time_remaining(1, b"", pair.world.now)  # not while LCP is closed
    pair.run(100)
    assert len(heard) == 1


def test_time_remaining_that_is_cut_short():
    peer = opened()
    peer.take()
    peer.say(ppp.LCP, ppp.TIME_REMAINING, 1, b"abcd\0\0")
    assert peer.take() == [] and not [e for e in peer.link.events if e[0] == "time-remaining"]


def test_callback_is_asked_when_the_peer_wants_it():
    for allowed in (True, False):
        peer = Peer()
        Extras(peer.link, callback=allowed)
        _, _, identifier, asked = peer.take()[0]
        assert b"\x0d\x03" not in asked
        peer.say(ppp.LCP, NAK, identifier, b"\x0d\x03\x00")
        assert (peer.take()[-1][3][-3:] == b"\x0d\x03\x00") == allowed
        peer.say(ppp.LCP, REQUEST, 1, b"\x0d\x03\x00")  # but we call nobody back
        assert peer.take()[-1][1:] == (REJECT, 1, b"\x0d\x03\x00")


def test_quality_is_negotiated():
    peer = begun(quality=5000)
    assert LQR + b"\0\0\x01\xf4" in peer.take()[0][3]
    peer.say(ppp.LCP, REQUEST, 1, b"\x04\x04\xc1\x23")
    assert peer.take()[-1][1:] == (NAK, 1, LQR + bytes(4))
    peer.say(ppp.LCP, REQUEST, 2, LQR + b"\0\0\0\x01")
    assert peer.take()[-1][1] == ACK


def test_reports_tell_what_is_lost():
    pair = Pair(CLIENT, server("chap"))
    sides = pair.a.link, pair.b.link
    extras = [Extras(link, quality=2000) for link in sides]
    ports = [Counting(pair.path), Counting(pair.path)]
    for i in range(2):
        ports[i].other, ports[i].link = ports[1 - i], sides[i]
        sides[i].joined = ports[i]
    for link in sides:  # ask for it from the beginning
        link.lower_down(pair.world.now)
        link.lower_up(pair.world.now)
    assert pair.run(3000, pair.up)
    pair.run(9000)
    assert [each.status() for each in extras] == [{"lost_out": 0, "lost_in": 0}] * 2
    packet = bytearray(100) + b"\x45" + bytes(99) + bytearray(50)
    ports[0].lose = 7
    for _ in range(10):
        sides[0].send_ip(packet, 100, 200, pair.world.now)
    seen = [0, 0]
    for _ in range(8):
        pair.run(1000)
        seen[0] = max(seen[0], extras[0].lost_out)
        seen[1] = max(seen[1], extras[1].lost_in)
    assert seen == [7, 7] and extras[0].lost_in == extras[1].lost_out == 0


def test_a_report_is_answered_when_no_period_was_agreed():
    peer = opened(LQR + bytes(4))
    peer.take()
    assert peer.link.extras.poll_at() is None
    report = bytearray(2 + REPORT)
    report[:2] = b"\xc0\x25"
    peer.link.carry(report, 0, len(report), peer.now)
    assert [sent[0] for sent in peer.take()] == [ppp.LQR]
    peer.link.carry(report, 0, 20, peer.now)
    report[2:6] = peer.link.lcp.magic.ours
    peer.link.carry(report, 0, len(report), peer.now)
    assert peer.take() == []
    assert peer.link.drops == {"Link-Quality-Report cut short": 1, "Link-Quality-Report looped back": 1}


def test_an_impatient_peer_has_to_wait():
    peer = opened(LQR + b"\0\0\0\x01")
    peer.take()
    peer.wait(MIN_PERIOD - 1)
    assert not [sent for sent in peer.take() if sent[0] == ppp.LQR]
    peer.wait(1)
    assert len([sent for sent in peer.take() if sent[0] == ppp.LQR]) == 1
