"""Two PPP links over a path that loses, repeats and reorders: up and correct, or down with the right cause."""

import gc

from pppwire import ALICE, BOB, CLIENT, Pair, server

from laclet.ppp.automaton import OPENED

SEEDS = 6


def calm(pair):
    """Let the path be good again, and everything come to rest."""
    pair.path.loss = pair.path.repeat = pair.path.reorder = 0
    pair.run(40000)


def lossy(demand, loss, repeat, reorder, delay):
    for seed in range(1, SEEDS + 1):
        gc.collect()
        pair = Pair(dict(CLIENT, mru=1400), server(demand), seed, delay, loss=loss, repeat=repeat, reorder=reorder)
        assert pair.run(60000, pair.decided), (demand, seed)
        calm(pair)
        states = [side.link.ncps[0].state for side in (pair.a, pair.b)]
        if states == [OPENED, OPENED]:
            assert pair.a.settings["local"] == BOB and pair.a.settings["remote"] == ALICE
            assert pair.b.settings["remote"] == BOB and pair.b.link.peer_name == b"bob"
        else:  # ten requests in a row can get lost; then both must say so
            assert pair.a.faults and pair.b.faults, (demand, seed, states)
            assert "no answer" in str(pair.a.faults[0]) or "closed" in str(pair.a.faults[0]), pair.a.faults
        pair = None


def test_loss_pap():
    lossy("pap", 30, 0, 0, 20)


def test_loss_chap():
    lossy("chap", 30, 0, 0, 20)


def test_repetition_and_reordering():
    lossy("chap", 0, 30, 30, 20)


def test_everything_at_once_on_a_long_path():
    lossy("chap", 20, 20, 20, 400)


def test_without_loss_nothing_is_repeated():
    for demand in ("pap", "chap"):
        pair = Pair(dict(CLIENT), server(demand), delay=100)
        assert pair.run(5000, pair.up)
        for side in (pair.a, pair.b):
            frames = [data for data in pair.frames(side) if data[:2] == b"\xc0\x21"]
            assert len(frames) == len(set(frames)) == 2, frames
