# heap: 192K
"""IKE messages in pieces: out of order, repeated, missing, and what is none."""

from ipseclink import CLIENT, SERVER, Scene, listener, policy

from laclet.carrier.ipsec import payload as p
from laclet.carrier.ipsec.fragments import Fragments, split

COOKIES = bytes(range(16))
SMALL = 120


def message(size):
    """A message of quick mode with ``size`` bytes behind its header."""
    return p.header(COOKIES, p.HASH, p.QUICK, 1, b"\x00\x00\x00\x07", size) + bytes([i & 0xFF for i in range(size)])


def test_pieces_make_the_whole():
    for size in (1, SMALL, 1000, 2000):
        whole = message(size)
        pieces = split(whole, 5, SMALL)
        assert all(len(piece) <= SMALL and piece[:16] == COOKIES and piece[p.NEXT] == p.FRAGMENT for piece in pieces)
        assert all(p.u32(piece, p.LENGTH) == len(piece) for piece in pieces)
        for order in (pieces, pieces[::-1], [pieces[0]] + pieces):
            fragments = Fragments(4096)
            answers = [fragments.add(piece) for piece in order]
            assert whole in answers and set(answers) <= {b"", whole}


def test_a_newer_message_pushes_out():
    fragments = Fragments(4096)
    first, second = split(message(500), 1, SMALL), split(message(600), 2, SMALL)
    assert fragments.add(first[0]) == b""
    assert [fragments.add(piece) for piece in second][-1] == message(600)


def test_what_is_no_piece():
    fragments = Fragments(1000)
    good = split(message(300), 1, SMALL)
    for cut in range(len(good[0])):
        assert fragments.add(good[0][:cut]) in (None, b"")
    zero = bytearray(good[0])
    zero[p.HEADER + 6] = 0
    assert fragments.add(bytes(zero)) is None
    zero[p.HEADER + 6] = 200
    assert fragments.add(bytes(zero)) is None
    answers = [fragments.add(piece) for piece in split(message(3000), 3, SMALL)]
    assert None in answers and message(3000) not in answers


def test_negotiation_in_pieces():
    """Everything either machine sends goes in pieces, once both have said that they take them."""
    for options in ({}, {"aggressive": True}):
        scene = Scene(policy(whole=SMALL, **options), listener(whole=SMALL, **options), delay=5)
        assert scene.dial()
        pieces = [item for item in scene.wire.trace if item[1][1] == 4500 and item[3][4 + p.NEXT] == p.FRAGMENT]
        assert {item[1][0] for item in pieces} == {CLIENT, SERVER}
        assert max([len(item[3]) for item in pieces]) <= SMALL + 4
        assert scene.client.drops == {} and scene.server.drops == {}


def test_pieces_and_loss():
    for seed in range(1, 6):
        scene = Scene(policy(whole=SMALL), listener(whole=SMALL), seed=seed, loss=10, repeat=10, reorder=20)
        scene.client.connect(scene.lns, scene.world.now)
        for _ in range(30):
            scene.wire.trace.clear()
            scene.send(scene.client, b"SCCRQ", scene.lns)
            scene.world.run(1000)
        assert scene.server.endpoint.got or scene.faults(scene.client), seed


def test_pieces_from_strangers():
    scene = Scene()
    assert scene.dial()
    for piece in split(message(500), 1, SMALL):
        scene.inject(scene.server.ike, piece, ("203.0.113.9", 500))
    assert scene.server.drops == {"unknown cookies": 7}
    sa = scene.server.peers[0].sas[0]
    inner = split(sa.cookies + message(300)[16:], 1, SMALL)
    nested = split(inner[0], 2, 90)
    for piece in nested + [inner[0][: p.HEADER + 6]]:
        at = p.LENGTH
        piece = piece[:at] + p.p32(len(piece)) + piece[at + 4 :]
        scene.inject(scene.server.natt, bytes(4) + piece, (CLIENT, 4500))
    assert scene.server.drops["bad fragment"] == 2
    assert SERVER in [item[1][0] for item in scene.wire.trace]
