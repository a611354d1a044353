"""One PPP link against a peer that the test plays."""

from pppwire import ALICE, BOB, Peer

from laclet import port
from laclet.wire import ppp

REQUEST, ACK, NAK, REJECT = ppp.CONFIGURE_REQUEST, ppp.CONFIGURE_ACK, ppp.CONFIGURE_NAK, ppp.CONFIGURE_REJECT


def test_silence_is_named():
    peer = Peer()
    for _ in range(12):
        peer.wait(3000)
    assert str(peer.fault()) == "lcp: no answer to our Configure-Requests"
    assert len(peer.take()) == 10


def test_kick_repeats_the_first_request():
    peer = Peer()
    first = peer.take()
    peer.link.kick(peer.now)
    assert peer.take() == first
    peer.say(ppp.LCP, REQUEST, 1)
    peer.say(ppp.LCP, ACK, first[0][2], first[0][3])
    peer.take()
    peer.link.kick(peer.now)  # Opened: nothing to repeat
    assert peer.take() == []


def test_timer_event_when_a_frame_moves_the_deadline():
    peer = Peer(echo_interval=50)
    assert [name for name, _, _ in peer.link.events] == ["timer"]
    peer.link.events.clear()
    peer.open_lcp()
    assert "timer" in [name for name, _, _ in peer.link.events]
    assert peer.link.poll_at() == peer.now + 50


def test_unknown_protocols_are_rejected_once_open():
    peer = Peer()
    peer.say(ppp.CCP, REQUEST, 1)
    assert peer.link.drops == {"frame before LCP is open": 1}
    peer.open_lcp()
    peer.take()
    peer.say(0x8223, REQUEST, 5, bytes(900))
    protocol, code, _, data = peer.take()[0]
    assert (protocol, code) == (ppp.LCP, ppp.PROTOCOL_REJECT)
    assert data[:6] == b"\x82\x23\x01\x05\x03\x88" and len(data) == 2 + 64
    for raw in (b"", b"\x80", b"\xff\x03"):
        buf = port.frame_buffer(8)
        buf[72 : 72 + len(raw)] = raw
        peer.link.carry(buf, 72, 72 + len(raw), peer.now)
    assert peer.link.drops["frame without a protocol"] == 3


def test_ipcp_rejected():
    peer = Peer()
    peer.open_lcp()
    request = peer.take()[-1]
    assert request[0] == ppp.IPCP
    peer.say(ppp.LCP, ppp.PROTOCOL_REJECT, 1, b"\x80\x21" + bytes(4))
    peer.say(ppp.LCP, ppp.TERMINATE_ACK, 9)
    assert str(peer.fault()) == "ipcp: the peer does not speak this protocol"


def test_ipcp_answered_by_terminate_ack_is_tried_again():
    """accel-ppp answers so while its CCP is busy."""
    peer = Peer()
    peer.open_lcp()
    for _ in range(4):
        request = peer.take()[-1]
        assert request[0] == ppp.IPCP and request[1] == REQUEST
        peer.say(ppp.IPCP, ppp.TERMINATE_ACK, request[2])
        assert peer.fault() is None
        peer.wait(3000)
    request = peer.take()[-1]
    peer.say(ppp.IPCP, NAK, request[2], b"\x03\x06" + BOB)
    request = peer.take()[-1]
    peer.say(ppp.IPCP, REQUEST, 1, b"\x03\x06" + ALICE)
    peer.say(ppp.IPCP, ACK, request[2], request[3])
    assert peer.fault() is None and peer.side.settings["local"] == BOB
    peer.say(ppp.IPCP, ppp.TERMINATE_ACK, 77)  # Opened: IPCP starts over, the link lives
    assert peer.take()[-1][:2] == (ppp.IPCP, REQUEST) and peer.fault() is None


def test_ipcp_closed_by_the_peer_closes_the_link():
    peer = Peer(address=BOB)
    peer.open_lcp()
    request = peer.take()[-1]
    peer.say(ppp.IPCP, REQUEST, 1, b"\x03\x06" + ALICE)
    peer.say(ppp.IPCP, ACK, request[2], request[3])
    peer.say(ppp.IPCP, ppp.TERMINATE_REQUEST, 2, b"lease over")
    peer.wait(3000)
    peer.say(ppp.LCP, ppp.TERMINATE_ACK, 2)
    assert str(peer.fault()) == "ipcp: the peer closed it; the peer said: lease over"


def test_padding_is_tolerated():
    peer = Peer()
    _, _, identifier, data = peer.take()[0]
    peer.say(ppp.LCP, REQUEST, 1, b"\x01\x04\x05\xb4", b"\0" * 20)
    assert peer.take() == [(ppp.LCP, ACK, 1, b"\x01\x04\x05\xb4")]
    peer.say(ppp.LCP, ACK, identifier, data, b"\xff" * 3)
    assert peer.link.phase() == "Network"


def test_not_joined_and_nothing_above():
    peer = Peer(address=BOB)
    peer.open_lcp()
    _, _, identifier, data = peer.take()[-1]
    peer.say(ppp.IPCP, REQUEST, 1, b"\x03\x06" + ALICE)
    peer.say(ppp.IPCP, ACK, identifier, data)
    peer.link.above = peer.link.joined = None
    buf = port.frame_buffer(60)
    buf[port.HEADROOM] = 0x45
    peer.link.send_ip(buf, port.HEADROOM, port.HEADROOM + 60, peer.now)
    peer.link.send_ip(buf, port.HEADROOM, port.HEADROOM, peer.now)
    peer.say(ppp.IP, 0x45, 0)
    peer.say(ppp.LCP, ppp.ECHO_REQUEST, 1, bytes(4))
    peer.link.close(peer.now)
    assert peer.link.drops == {"not joined": 3, "nothing above": 1, "IP packet before its NCP is open": 1}


def test_wrong_arguments():
    for wrong in (
        {"auth": ("chap", "kerberos")},
        {"demand": ("chap",)},
        {"username": bytes(256)},
        {"password": bytes(256)},
    ):
        try:
            Peer(**wrong)
        except ValueError:
            continue
        raise AssertionError("accepted: " + str(wrong))
