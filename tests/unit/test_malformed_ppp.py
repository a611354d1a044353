"""Classes of malformed PPP input that have broken other implementations, one test for each; see docs/testing.md."""

from pppspoil import deliver, respell
from pppwire import CLIENT, Pair, Peer, server

from laclet.line.serial import SerialLine
from laclet.port import HEADROOM, TAILROOM
from laclet.ppp.mppe import MAX_MISSED, Receiver, Sender
from laclet.wire import ppp

REQUEST, ACK, NAK, REJECT = 1, 2, 3, 4
SUCCESS = 3


def eap_client():
    """A link that is asked for EAP, LCP being open."""
    peer = Peer(username=b"bob", password=b"builder", auth=("eap",))
    peer.open_lcp(b"\x03\x04\xc2\x27")
    peer.take()
    return peer


def test_class_eap_value_longer_than_its_packet():
    for size in (0, 1, 17, 200, 255):
        peer = eap_client()
        peer.say(ppp.EAP, 1, 9, bytes((4, size)) + b"c" * 16)
        sent = peer.take()
        assert size == 1 or not [packet for packet in sent if packet[3][:1] == b"\x04"], size
        assert peer.fault() is None


def test_class_eap_name_as_long_as_a_packet():
    peer = eap_client()
    peer.say(ppp.EAP, 1, 9, b"\x04\x10" + b"c" * 16 + b"n" * 1400)
    assert [packet[3][0] for packet in peer.take() if packet[0] == ppp.EAP] == [4], "answered; a name is not kept"
    server_side = Peer(demand=("eap",), secret_of=lambda name: b"builder", address=b"\x0a\0\0\1", peer_address=None)
    server_side.open_lcp()
    packet = next(packet for packet in server_side.take() if packet[0] == ppp.EAP)
    server_side.say(ppp.EAP, 2, packet[2], b"\x01" + b"n" * 1400)
    assert "EAP identity too long" in server_side.link.drops


def test_class_eap_length_and_type_that_lie():
    peer = eap_client()
    for packet in (b"\x01\x09\xff\xff\x04", b"\x01\x09\x00\x04", b"\x01", b"\x01\x09\0\3"):
        deliver(peer.side, b"\xc2\x27" + packet, peer.now)
    assert peer.fault() is None and peer.link.drops


def test_class_option_length_0_and_1():
    for code in (REQUEST, ACK, NAK, REJECT):
        for size in (0, 1, 200):
            peer = Peer()
            (_, _, identifier, _) = peer.take()[0]
            peer.say(ppp.LCP, code, identifier, bytes((1, size)) + b"\x05\xdc")
            assert len(peer.take()) <= 1 and peer.fault() is None


def test_class_nak_that_grows_without_end():
    """A Nak full of options, again and again: no request grows past what a link can send, and it ends."""
    many = [bytes((kind, 6)) + b"\1\2\3\4" for kind in range(20, 220)]
    peer = Peer()
    peer.say(ppp.LCP, NAK, peer.take()[0][2], b"".join(many))
    assert peer.take() == [] and peer.link.drops == {"too many options": 1}
    peer = Peer()
    for _ in range(100):
        sent = [packet for packet in peer.take() if packet[1] == REQUEST]
        if not sent:
            break
        assert len(sent[-1][3]) <= 512
        peer.say(ppp.LCP, NAK, sent[-1][2], b"\x01\x04\x05\x00" + b"".join(many[:16]))
    assert "no agreement" in str(peer.link.fault)


class Far:
    """Counts the frames that a relay brings on."""

    def __init__(self):
        self.count = 0

    def carry(self, buf, start, end, now):
        self.count += 1


def test_class_short_lcp_packet_at_a_snooping_relay():
    """A LAC looks into LCP for the line's ACCM: at every length, whatever the packet says of its own."""
    for code in (REQUEST, ACK):
        whole = bytes((0xFF, 3, 0xC0, 0x21, code, 1, 0, 10, 2, 6, 0, 0, 0, 0))
        for cut in range(4, len(whole) + 1):
            for claimed in (0, 4, 10, 0xFFFF):
                packet = bytearray(whole[:cut])
                if cut > 7:
                    packet[6], packet[7] = claimed >> 8, claimed & 0xFF
                host, relay, far = SerialLine(), SerialLine(), Far()
                relay.joined = far
                buf = bytearray(HEADROOM) + packet + bytearray(TAILROOM)
                for line in (relay, host):  # from the LNS, and to it
                    line.carry(buf, HEADROOM, HEADROOM + cut, 0)
                wire = bytearray(HEADROOM) + host.tx[host.tx_start : host.tx_end]
                relay.receive(wire, HEADROOM, len(wire), 0)
                assert far.count == 1, (code, cut, claimed)


def test_class_malformed_ms_chap_success():
    zeros = [b"S=" + b"0" * n for n in (0, 2, 39, 400)]
    for text in [b"", b"S", b"S=" + b"G" * 40, b"M=hi", b"\xff" * 42] + zeros:
        p = Pair(dict(CLIENT, auth=("mschap-v2",)), server("mschap-v2"))
        respell(p.b, ppp.CHAP, SUCCESS, lambda data, text=text: text)
        assert p.run(60_000, p.failed) and not p.up(), text
        assert p.a.faults[0].layer == "auth", text


def test_class_late_mppe_packet_forces_no_key_changes():
    start = bytes(range(100, 116))
    sender, receiver = Sender(start, 128, True), Receiver(start, 128, True)

    def sealed():
        buf = bytearray(8) + b"\x00\x21\x45" + bytes(60)
        return bytes(buf[sender.seal(buf, 8, len(buf)) :])

    def taken(frame):
        buf = bytearray(frame)
        return receiver.open(buf, 2, len(buf)) >= 0

    frames = [sealed() for _ in range(20)]
    for frame in frames:
        assert taken(frame)
    changes = []
    change = receiver._change_key
    receiver._change_key = lambda: (changes.append(1), change())
    for frame in frames:
        assert not taken(frame)
    assert not changes
    assert taken(sealed()) and len(changes) == 1 and MAX_MISSED < 4095
