"""Frames and control packets of PPP, and their description."""

from laclet.ppp.describe import describe
from laclet.wire import ppp


def test_head():
    for raw, protocol, skip in (
        (b"\xff\x03\xc0\x21", ppp.LCP, 4),
        (b"\xc0\x21\x01", ppp.LCP, 2),
        (b"\xff\x03\x00\x21\x45", ppp.IP, 4),
        (b"\x00\x21", ppp.IP, 2),
        (b"\x21\x45", ppp.IP, 1),
        (b"\xff\x03\x21", ppp.IP, 3),
        (b"\x57", ppp.IPV6, 1),
    ):
        assert ppp.head(raw, 0, len(raw)) == skip << 16 | protocol
        padded = b"\0\0\0" + raw + b"\0"
        assert ppp.head(padded, 3, 3 + len(raw)) == skip << 16 | protocol
    for raw in (b"", b"\xff\x03", b"\xc0", b"\xff\x03\x00", b"\x00\x20", b"\xff\x03\xc0\x22"):
        assert ppp.head(raw, 0, len(raw)) == 0


def test_packet_end():
    assert ppp.packet_end(b"\x01\x01\x00\x04", 0, 4) == 4
    assert ppp.packet_end(b"..\x01\x01\x00\x05x\0\0\0", 2, 10) == 7  # the rest is padding
    for raw in (b"", b"\x01", b"\x01\x01\x00", b"\x01\x01\x00\x03", b"\x01\x01\x00\x05", b"\x01\x01\xff\xff"):
        assert ppp.packet_end(raw, 0, len(raw)) == -1


def test_options():
    raw = ppp.option(1, b"\x05\xdc") + ppp.option(7, b"")
    assert raw == b"\x01\x04\x05\xdc\x07\x02"
    assert ppp.options(raw, 0, len(raw)) == [(1, b"\x05\xdc"), (7, b"")]
    assert ppp.options(raw, 6, 6) == []
    many = b"\x07\x02" * ppp.MAX_OPTIONS
    assert len(ppp.options(many, 0, len(many))) == ppp.MAX_OPTIONS


def test_options_of_a_wrong_shape_are_named():
    for raw, reason in (
        (b"\x01", "option cut short"),
        (b"\x01\x00", "option length below 2"),
        (b"\x01\x04\x05\xdc\x01\x01", "option length below 2"),
        (b"\x01\x04\x05", "option beyond the packet"),
        (b"\x01\xff\x05\xdc", "option beyond the packet"),
        (b"\x07\x02" * (ppp.MAX_OPTIONS + 1), "too many options"),
    ):
        assert ppp.options(raw, 0, len(raw)) == reason


def test_write():
    buf = bytearray(b"\xaa" * 12)
    end = ppp.write(buf, 2, ppp.IPCP, ppp.CONFIGURE_ACK, 0x7F, b"xy")
    assert bytes(buf) == b"\xaa\xaa\x80\x21\x02\x7f\x00\x06xy\xaa\xaa" and end == 10


def described(protocol, code, data, identifier=1):
    buf = bytearray(8 + len(data))
    end = ppp.write(buf, 0, protocol, code, identifier, data)
    return describe(buf, 0, end)


def test_describe():
    assert (
        described(ppp.LCP, 1, b"\x01\x04\x05\x78\x03\x05\xc2\x23\x05\x05\x06\x12\x34\xab\xcd\x07\x02")
        == "LCP ConfReq id=0x1 <mru 1400> <auth CHAP-MD5> <magic 0x1234abcd> <pcomp>"
    )
    assert described(ppp.IPCP, 3, b"\x03\x06\x0a\x00\x00\x02", 9) == "IPCP ConfNak id=0x9 <addr 10.0.0.2>"
    assert described(ppp.LCP, 8, b"\x80\xfd\x01\x01\x00\x04") == "LCP ProtRej id=0x1 CCP"
    assert described(ppp.LCP, 9, b"\x12\x34\x56\x78") == "LCP EchoReq id=0x1 magic=0x12345678"
    assert described(ppp.LCP, 5, b"bye\n") == 'LCP TermReq id=0x1 "bye."'
    assert described(ppp.LCP, 12, b"\0\0\0\0box 1") == 'LCP Ident id=0x1 magic=0x00000000 "box 1"'
    assert described(ppp.LCP, 0x55, b"") == "LCP code=0x55 id=0x1"
    assert described(ppp.LCP, 1, b"\x01\x09") == "LCP ConfReq id=0x1 (option beyond the packet)"
    assert described(ppp.CHAP, 1, b"\x02\xaa\xbblns") == 'CHAP Challenge id=0x1 <0xaabb>, name = "lns"'
    assert described(ppp.CHAP, 4, b"go away") == 'CHAP Failure id=0x1 "go away"'
    assert described(ppp.PAP, 2, b"\x02hi") == 'PAP AuthAck id=0x1 "hi"'
    assert described(ppp.EAP, 1, b"\x01") == "EAP Request id=0x1 type=1"
    assert describe(b"\x00\x21\x45\x00", 0, 4) == "protocol 0x21, 2 bytes"
    assert describe(b"\xc0\x21\x01", 0, 3) == "LCP packet cut short"
    assert describe(b"\xc0", 0, 1) == "frame without a protocol"


def test_describe_hides_secrets():
    assert described(ppp.PAP, 1, b"\x03bob\x07builder") == 'PAP AuthReq id=0x1 user="bob" password=<hidden>'
    assert described(ppp.CHAP, 2, b"\x07builderbob") == 'CHAP Response id=0x1 <hidden>, name = "bob"'
    # Not even when the lengths inside lie.
    for code in range(6):
        for data in (b"\x03bob\xffbuilder", b"\x03bob\x07build", b"\xff", b""):
            assert "build" not in described(ppp.PAP, 1, data)
            assert "\n" not in described(ppp.PAP, code, data) and described(ppp.EAP, code, data)
    assert "build" not in described(ppp.CHAP, 2, b"\xffbuilder")


def test_describe_survives_every_truncation():
    buf = bytearray(64)
    end = ppp.write(buf, 0, ppp.LCP, 1, 1, b"\x01\x04\x05\x78\x03\x05\xc2\x23\x05\x05\x06\x12\x34\xab\xcd")
    for stop in range(end):
        assert describe(buf, 0, stop)
