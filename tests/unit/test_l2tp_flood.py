"""A flood of forged SCCRQs: bounded in memory, and no amplifier."""

from laclet.l2tp.endpoint import MAX_HALF_OPEN
from laclet.wire import avp
from unit.test_l2tp_tunnel import pair


def test_flood_of_sccrqs_is_bounded():
    world, net, a, b = pair()
    w = avp.Writer(1)
    w.u16(avp.PROTOCOL_VERSION, 0x0100)
    w.u16(avp.ASSIGNED_TUNNEL_ID, 7)
    for port in range(200):
        data = bytearray(w.buf)
        data[:12] = bytes([0xC8, 2, 0, len(data), 0, 0, 0, 0, 0, 0, 0, 0])
        b.endpoint.receive(data, 0, len(data), ("10.9.9.9", port), world.now)
    assert len(b.endpoint.tunnels) == MAX_HALF_OPEN
    assert b.endpoint.drops["SCCRQ: too many tunnels"] == 200 - MAX_HALF_OPEN
    world.run(120_000)
    assert not b.endpoint.tunnels
    assert len(net.trace) == MAX_HALF_OPEN * 3  # our SCCRP and two repetitions: no amplifier
