# heap: 192K
"""MPPE on a link that loses: resets asked, given, repeated."""

from ccppair import IP4, ccp, encrypted, pair, send
from pppspoil import Spoiler, packets

from laclet.wire import ppp


def stateful(seed=1, **path):
    """A pair that agreed on stateful mode, which neither of ours asks for by itself."""
    p = pair({"stateful": True}, {"stateful": True}, seed=seed, **path)
    for side in (p.a, p.b):
        ccp(side).mppe.wish = b"\0\0\0\x40"
    assert encrypted(p, 30000)
    return p


def test_stateful_loss_costs_a_reset():
    p = stateful()
    assert send(p, p.a, IP4) == [IP4] and p.frames(p.a)[-1][:3] == b"\x00\xfd\x10"
    pipe = p.a.link.joined
    Spoiler(p.a, lambda frame: None)
    for _ in range(5):
        assert send(p, p.a, IP4) == []
    p.a.link.joined = pipe
    assert send(p, p.a, IP4) == []
    assert len(packets(p.b, ppp.CCP, 14)) == 1 and len(packets(p.a, ppp.CCP, 15)) == 1
    for _ in range(300):
        assert send(p, p.a, IP4) == [IP4]
        p.frames(p.a)
    assert p.b.link.drops["MPPE packet after a loss"] == 1


def test_a_lost_reset_request_is_repeated_in_time():
    p = stateful()
    send(p, p.a, IP4)
    wire = p.b.link.joined
    Spoiler(p.b, lambda frame: None if frame[:3] == b"\x80\xfd\x0e" else frame)
    ccp(p.a)._sender._count += 3  # three packets that nobody saw
    for _ in range(100):  # 40 ms each
        assert send(p, p.a, IP4) == []
        p.frames(p.a)
    p.b.link.joined = wire
    requests = packets(p.b, ppp.CCP, 14)
    assert 0 <= len(requests) <= 5
    p.run(1000)
    assert send(p, p.a, IP4) == []
    assert send(p, p.a, IP4) == [IP4]
    assert len(packets(p.b, ppp.CCP, 14)) == len(requests) + 1


def come_through(p):
    assert encrypted(p, 60000)
    passed = 0
    for _ in range(100):
        passed += len(send(p, p.a, IP4))
        p.frames(p.a)
    assert passed > 20, passed
    p.path.loss = 0
    p.run(1100)
    send(p, p.a, IP4)
    assert send(p, p.a, IP4) == [IP4]


def test_both_modes_come_through_loss():
    for seed in range(1, 5):
        come_through(pair({}, {}, seed=seed, loss=20))
        come_through(stateful(seed, loss=20))
