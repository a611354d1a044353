"""Control messages in words: names and values, no secrets."""

from laclet.l2tp.describe import describe
from laclet.wire import avp
from laclet.wire.l2tp import SCCRP, put_control


def test_names_and_values_without_secrets():
    w = avp.Writer(SCCRP)
    w.put(avp.HOST_NAME, b"lns\x07")
    w.u16(avp.ASSIGNED_TUNNEL_ID, 5)
    w.put(avp.CHALLENGE_RESPONSE, b"0123456789abcdef")
    w.result(2, 6, "no")
    put_control(w.buf, 0, len(w.buf), 7, 0, 1, 2)
    text = describe(w.buf, 0, len(w.buf))
    assert text == (
        "L2TP SCCRP tunnel 7 session 0 Ns 1 Nr 2 <Host Name 'lns.'> <Assigned Tunnel ID 5>"
        " <Challenge Response (hidden)> <Result Code 2 error 6 'no'>"
    )


def test_zlb_and_anything_else():
    header = bytearray(12)
    put_control(header, 0, 12, 7, 0, 1, 2)
    assert describe(header, 0, 12) == "L2TP ZLB tunnel 7 session 0 Ns 1 Nr 2"
    for n in range(12):
        assert describe(header, 0, n) == "L2TP control message with a bad header"
