"""Two PPP links face to face."""

from pppwire import ALICE, BOB, CLIENT, Pair, server

from laclet import port
from laclet.fault import Fault
from laclet.wire import ppp


def send(link, packet, now):
    """Give an IP packet to a link, as the IP side would."""
    buf = port.frame_buffer(len(packet))
    buf[port.HEADROOM : port.HEADROOM + len(packet)] = packet
    link.send_ip(buf, port.HEADROOM, port.HEADROOM + len(packet), now)


def test_up_without_authentication():
    pair = Pair({"mru": 1400}, server(mru=1450))
    assert pair.run(5000, pair.up)
    assert pair.a.settings == {"family": 4, "local": BOB, "remote": ALICE, "dns": [], "mtu": 1400}
    assert pair.b.settings == {"family": 4, "local": ALICE, "remote": BOB, "dns": [], "mtu": 1400}
    assert pair.a.link.phase() == pair.b.link.phase() == "Network"


def test_packets_both_ways():
    pair = Pair({"mru": 1400}, server())
    packet = b"\x45" + bytes(range(99))
    another = b"\x46" + bytes(77)
    send(pair.a.link, packet, pair.world.now)
    assert pair.a.link.drops == {"IP packet before its NCP is open": 1}
    pair.run(5000, pair.up)
    send(pair.a.link, packet, pair.world.now)
    send(pair.b.link, b"\x60" + bytes(50), pair.world.now)  # first nibble 6: no IPv6 here
    send(pair.b.link, another, pair.world.now)
    send(pair.b.link, b"\x45" + bytes(1399), pair.world.now)
    send(pair.b.link, b"\x45" + bytes(1400), pair.world.now)  # above what the peer takes
    pair.run(1000)
    assert pair.b.link.above.packets == [packet]
    assert pair.a.link.above.packets == [another, b"\x45" + bytes(1399)]
    assert pair.b.link.drops == {"IP packet before its NCP is open": 1, "IP packet above the MTU": 1}


def test_fewest_round_trips():
    """Out and back three times with a remembered address: LCP; credentials with IPCP; nothing more."""
    for demand in ("pap", "chap"):
        for remembered, expected in ((BOB, {"pap": 3, "chap": 4}), (None, {"pap": 4, "chap": 5})):
            pair = Pair(dict(CLIENT, address=remembered), server(demand), delay=50)
            assert pair.run(5000, pair.a.up)
            halves = -(-pair.world.elapsed // 50)
            assert halves <= 2 * expected[demand], (demand, remembered, halves)
            assert not pair.a.link.lcp.mru.ours  # nothing asked that everybody has


def test_tap_sees_control_frames_only():
    seen = []
    pair = Pair(CLIENT, server("pap"))
    pair.a.link.tap = lambda received, buf, start, end: seen.append((received, ppp.head(buf, start, end) & 0xFFFF))
    pair.run(5000, pair.up)
    count = len(seen)
    assert (False, ppp.PAP) in seen and (True, ppp.IPCP) in seen and (True, ppp.LCP) in seen
    send(pair.a.link, b"\x45" + bytes(30), pair.world.now)
    send(pair.b.link, b"\x45" + bytes(30), pair.world.now)
    pair.run(100)
    assert len(seen) == count and pair.a.link.above.packets


def test_status():
    pair = Pair(CLIENT, server("chap", mru=1400))
    pair.run(5000, pair.up)
    status = pair.b.link.status()
    assert status["phase"] == "Network" and status["lcp"] == "Opened" and status["ncps"] == {"ipcp": "Opened"}
    assert status["auth"] == ["none", "CHAP-MD5"] and status["peer_name"] == "bob"
    assert status["options"]["lcp"]["mru"] == ("0578", None) and status["mtu"] == 1400
    assert pair.a.link.status()["auth"] == ["CHAP-MD5", "none"]
    assert "builder" not in str(status) + str(pair.a.link.status())


def test_every_truncation_of_every_frame_is_harmless():
    pair = Pair(CLIENT, server("chap"))
    pair.run(5000, pair.up)
    frames = {pair.a: pair.frames(pair.a), pair.b: pair.frames(pair.b)}
    assert len(frames[pair.a]) > 5
    for target, source in ((pair.a, pair.b), (pair.b, pair.a)):
        for data in frames[source]:
            for stop in range(len(data)):
                # First with the true length inside, then with the length made to fit.
                for fit in (False, True):
                    buf = port.frame_buffer(len(data))
                    buf[72 : 72 + stop] = data[:stop]
                    if fit and stop >= 6:
                        buf[75] = stop - 2
                    target.link.carry(buf, 72, 72 + stop, pair.world.now)
    pair.frames(pair.a)
    pair.frames(pair.b)
    pair.run(60000)
    assert pair.a.link.phase() == "Network" or pair.a.faults
    assert all(isinstance(fault, Fault) for fault in pair.a.faults + pair.b.faults)
