"""L2TP in frame relay frames: golden bytes of RFC 3070, every cut, what is not ours."""

from laclet.carrier import circuit
from laclet.carrier.framerelay import DLCI_LONG_MAX, FrameRelay, address
from laclet.node.config import check
from laclet.port import HEADROOM, TAILROOM

L2TP = b"\xc8\x02\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00"


class Wire:
    def __init__(self):
        self.sent = []

    def send(self, buf, start, end, addr):
        self.sent.append(bytes(buf[start:end]))


class Above:
    def __init__(self):
        self.got = []

    def receive(self, buf, start, end, addr, now):
        self.got.append((addr, bytes(buf[start:end])))


def carrier(dlcis=None):
    made = FrameRelay("hdlc0", dlcis)
    made.carrier, made.endpoint = Wire(), Above()
    return made


def send(fr, data, addr):
    buf = bytearray(HEADROOM + len(data) + TAILROOM)
    buf[HEADROOM : HEADROOM + len(data)] = data
    fr.send(buf, HEADROOM, HEADROOM + len(data), addr)
    return fr.carrier.sent[-1]


def receive(fr, data):
    buf = bytearray(b"\xee" * HEADROOM + data + b"\xee" * TAILROOM)
    fr.receive(buf, HEADROOM, HEADROOM + len(data), ("eth0", 0), 0)
    return fr.endpoint.got


def test_golden_bytes():
    # RFC 2427 §3: DLCI 100 in two octets, UI, pad, SNAP; RFC 3070: OUI 00-00-5E, PID 00-07.
    frame = send(carrier(), L2TP, ("fr", "hdlc0", 100))
    assert frame == bytes.fromhex("1841 03 00 80 00005e 0007".replace(" ", "")) + L2TP
    assert receive(carrier(), frame) == [(("fr", "hdlc0", 100), L2TP)]


def test_without_the_pad():
    assert receive(carrier(), bytes.fromhex("184103800000" + "5e0007") + L2TP) == [(("fr", "hdlc0", 100), L2TP)]


def test_addresses():
    known = {16: "0401", 100: "1841", 1007: "f8f1", 1023: "fcf1"}
    for dlci in (16, 100, 1007, 1023, 1024, 123456, DLCI_LONG_MAX):
        made = address(dlci)
        assert made[-1] & 1 and [octet & 1 for octet in made].count(1) == 1
        assert receive(carrier(), made + bytes.fromhex("03008000005e0007") + L2TP) == [(("fr", "hdlc0", dlci), L2TP)], (
            dlci
        )
        assert made == bytes.fromhex(known[dlci]) if dlci in known else len(made) == 4


def test_congestion_is_counted():
    fr = carrier()
    for second in (0x41, 0x49, 0x45, 0x43):  # none, FECN, BECN, DE
        receive(fr, bytes((0x18, second)) + bytes.fromhex("03008000005e0007") + L2TP)
    assert len(fr.endpoint.got) == 4 and fr.congested == 2


def test_what_is_not_ours():
    fr = carrier([100])
    receive(fr, bytes.fromhex("0401" + "03008000005e0007") + L2TP)
    assert fr.drops == {"unknown DLCI": 1}
    for other in ("1841" + "03cc", "1841" + "0300800080c20007", "1841" + "03008000005e0008", "1841" + "08020100"):
        before = fr.drops.get("not L2TP", 0)
        receive(fr, bytes.fromhex(other) + bytes(20))
        assert fr.drops["not L2TP"] == before + 1
    assert fr.endpoint.got == []


def test_every_cut():
    frame = send(carrier(), L2TP, ("fr", "hdlc0", 100))
    for size in range(10):
        fr = carrier()
        assert receive(fr, frame[:size]) == []
        assert sum(fr.drops.values()) == 1
    for size in range(10, len(frame)):
        assert receive(carrier(), frame[:size]) == [(("fr", "hdlc0", 100), L2TP[: size - 10])]


def test_circuits_are_bounded():
    fr = carrier()
    for dlci in range(1024, 1100):
        receive(fr, address(dlci) + bytes.fromhex("03008000005e0007") + L2TP)
    assert len(fr.endpoint.got) == 64 and fr.drops == {"too many DLCIs": 12}


def test_circuits_in_words():
    for name, words in (
        ("fr:eth0:100", "DLCI 100 of eth0"),
        ("aal5:eth0:1.32", "ATM eth0 1.32"),
        ("atm:0.0.100:vc", "ATM 0 0.100"),
        ("x25:4711", "X.25 4711"),
        ("xot:10.0.0.1:1999/4711", "X.25 4711"),
    ):
        assert circuit.text(circuit.address(circuit.parse(name))) == words
    assert circuit.text(("x25", "10.0.0.1:1998", "channel 1")) == "X.25 channel 1 at 10.0.0.1:1998"
    assert circuit.text(("192.0.2.1", 1701)) is None and circuit.text(("192.0.2.1", 1701, 3)) is None
    for wrong in (
        "",
        "fr:eth0",
        "fr:eth0:15",
        "fr::100",
        "aal5:eth0:0.5",
        "atm:0.100",
        "x25:",
        "x25:x",
        "xot:/1",
        "xot:h",
    ):
        assert circuit.parse(wrong) is None, wrong


def test_a_line_serves_one():
    tree = {
        "tunnel": {"office": {"circuit": "fr:frames:100"}},
        "line": {"frames": {"device": "1", "modem": "answer"}},
        "call": {"access": {"tunnel": "office", "line": "frames"}},
    }
    found = {path: (what, mend) for path, what, mend in check(tree, True)[1]}
    assert found[("tunnel", "office", "circuit")] == ("is a line with a modem", 'set its modem = "none"')
    assert found[("call", "access", "line")] == ("is taken by [tunnel.office]", "a line serves one")
