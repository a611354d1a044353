"""LCP's options and codes, one link against a peer that the test plays."""

from pppwire import Pair, Peer, server

from laclet import port
from laclet.ppp.options import MAX_ANSWER, Option
from laclet.wire import ppp

REQUEST, ACK, NAK, REJECT = ppp.CONFIGURE_REQUEST, ppp.CONFIGURE_ACK, ppp.CONFIGURE_NAK, ppp.CONFIGURE_REJECT
MAGIC = b"\x05\x06wxyz"


def answer(peer, options, identifier=1):
    """How the link answers a Configure-Request: (code, options)."""
    peer.take()
    peer.say(ppp.LCP, REQUEST, identifier, options)
    for protocol, code, answered, data in peer.take():
        if protocol == ppp.LCP and answered == identifier and code in (ACK, NAK, REJECT):
            return code, data
    return None


def test_what_is_asked():
    for options, types in (
        ({}, [5]),
        ({"mru": 1400}, [1, 5]),
        ({"accm": b"\0\0\0\0"}, [2, 5, 7, 8]),
        (dict(server("chap"), mru=1492, accm=b"\0\x0a\0\0"), [1, 2, 3, 5, 7, 8]),
    ):
        data = Peer(**options).take()[0][3]
        assert [type for type, _ in ppp.options(data, 0, len(data))] == types


def test_what_is_agreed_to():
    for options in (
        b"",
        b"\x01\x04\x05\xdc",
        b"\x01\x04\x00\x80",
        b"\x01\x04\xff\xff",
        b"\x02\x06\xff\xff\xff\xff",
        MAGIC,
        b"\x07\x02\x08\x02",
        b"\x03\x04\xc0\x23",
        b"\x01\x04\x05\x78\x02\x06\0\0\0\0\x03\x05\xc2\x23\x05" + MAGIC + b"\x07\x02\x08\x02",
    ):
        assert answer(Peer(), options) == (ACK, options)


def test_what_is_naked():
    for options, better in (
        (b"\x01\x04\x00\x7f", b"\x01\x04\x00\x80"),
        (b"\x01\x03\x05", b"\x01\x04\x05\xdc"),
        (b"\x01\x04\x00\x00" + MAGIC, b"\x01\x04\x00\x80"),
        (b"\x02\x03\x05", b"\x02\x06\0\0\0\0"),
        (b"\x07\x03\x05", b"\x07\x02"),
    ):
        assert answer(Peer(), options) == (NAK, better)
    code, data = answer(Peer(), b"\x05\x06\0\0\0\0")
    assert code == NAK and data[:2] == b"\x05\x06" and data[2:] != b"\0\0\0\0"


def test_what_is_rejected():
    for options, rejected in (
        (b"\x0d\x03\x06", b"\x0d\x03\x06"),  # callback
        (b"\x11\x04\x05\xdc\x13\x03\x00" + MAGIC, b"\x11\x04\x05\xdc\x13\x03\x00"),  # multilink
        (b"\x04\x04\xc0\x25", b"\x04\x04\xc0\x25"),
        (b"\x01\x04\x00\x01\xee\x02", b"\xee\x02"),  # rejects go before Naks
        (MAGIC + MAGIC, MAGIC),  # an option stands once
    ):
        assert answer(Peer(), options) == (REJECT, rejected)


def test_naks_end_in_a_reject():
    peer = Peer()
    for identifier in range(1, 6):
        assert answer(peer, b"\x01\x04\x00\x01", identifier) == (NAK, b"\x01\x04\x00\x80")
    assert answer(peer, b"\x01\x04\x00\x01", 6) == (REJECT, b"\x01\x04\x00\x01")
    assert answer(peer, b"", 7) == (ACK, b"")


class Wanted(Option):
    """An option that the peer should ask."""

    def judge(self, value, now):
        return b"yes"

    def missing(self, now):
        return b"yes"


def test_an_option_that_the_peer_should_ask():
    peer = Peer()
    peer.link.lcp.add(Wanted(0x77, "wanted"))
    for identifier in range(1, 6):
        assert answer(peer, b"", identifier) == (NAK, b"\x77\x05yes")
    assert answer(peer, b"", 6) == (ACK, b"")  # then it goes without
    peer = Peer()
    peer.link.lcp.add(Wanted(0x77, "wanted"))
    assert answer(peer, b"\x77\x02", 1) == (NAK, b"\x77\x05yes")
    assert answer(peer, b"\x77\x05yes", 2) == (ACK, b"\x77\x05yes")
    assert peer.link.lcp.find(0x77).peers == b"yes"


def test_a_reject_that_would_grow_is_capped():
    peer = Peer()
    options = b"\xc8\xff" + bytes(253) + b"\xc9\xff" + bytes(253) + b"\xca\xff" + bytes(253)
    code, data = answer(peer, options)
    assert code == REJECT and data == options[:510] and len(data) <= MAX_ANSWER
    assert answer(peer, options[510:], 2) == (REJECT, options[510:])


def test_mru_both_ways():
    pair = Pair({"mru": 1400, "mtu": 1300}, server(mru=1450))
    pair.run(5000, pair.up)
    assert pair.a.settings["mtu"] == 1300 and pair.b.settings["mtu"] == 1400
    peer = Peer(mru=1400)
    request = peer.take()[0]
    peer.say(ppp.LCP, NAK, request[2], b"\x01\x04\x05\x00")  # the peer wants us to take less
    request = peer.take()[0]
    assert request[3][:4] == b"\x01\x04\x05\x00"
    for useless in (
        b"\x03\x04\xc0\x23",
        b"\x02\x06\0\0\0\0",
        b"\x01\x04\x00\x10",
        b"\x01\x04\x40\x00",
        b"\x01\x03\x05",
        b"\xee\x04ab",
    ):
        peer.say(ppp.LCP, NAK, request[2], useless)
        request = peer.take()[0]
        assert request[3][:4] == b"\x01\x04\x05\x00"
    peer.say(ppp.LCP, REJECT, request[2], b"\x01\x04\x05\x00")
    assert peer.take()[0][3][0] == 5


def test_accm_grows_by_what_the_peer_needs():
    peer = Peer(accm=b"\0\x0a\0\0")
    request = peer.take()[0]
    peer.say(ppp.LCP, NAK, request[2], b"\x02\x06\x80\0\0\x01")
    assert peer.take()[0][3][:6] == b"\x02\x06\x80\x0a\0\x01"


def test_protocol_field_compression_on_a_serial_line():
    """Used when the peer can take it and the line is slow enough to mind; over a tunnel it saves nothing."""
    for accm, head in ((b"\0\0\0\0", b"\x21"), (None, b"\x00\x21")):
        pair = Pair({"accm": accm}, server(accm=b"\0\0\0\0"))
        pair.run(5000, pair.up)
        pair.frames(pair.a)
        buf = port.frame_buffer(20)
        buf[port.HEADROOM] = 0x45
        pair.a.link.send_ip(buf, port.HEADROOM, port.HEADROOM + 20, pair.world.now)
        assert pair.frames(pair.a)[0] == head + b"\x45" + bytes(19)
        pair.run(100)
        assert pair.b.link.above.packets == [b"\x45" + bytes(19)]


def test_a_loop_in_the_line():
    peer = Peer()
    frames = []
    peer.link.joined = peer
    while peer.sent and peer.link.fault is None and len(frames) < 40:
        frames.append(peer.sent.pop(0))
        protocol, code, identifier, data = frames[-1]
        peer.say(protocol, code, identifier, data)
    assert str(peer.link.fault).startswith("lcp: the line is looped back")
    assert peer.link.phase() != "Network"


def test_equal_magic_numbers_by_chance():
    peer = Peer()
    request = peer.take()[0]
    code, data = answer(peer, request[3])
    assert code == NAK and data != request[3]
    peer.say(ppp.LCP, NAK, request[2], request[3])
    assert peer.take()[0][3] != request[3]
    assert answer(peer, MAGIC, 2) == (ACK, MAGIC)
    assert peer.link.fault is None
