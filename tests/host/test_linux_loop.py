"""The event loop: descriptors, timers, the owner's clock, calls from threads."""

import os
import threading

import pytest
from linuxloop import Idle, TestLoop

from laclet import ticks
from laclet_linux.loop import READ, WRITE, now_ms


@pytest.fixture
def loop():
    made = TestLoop()
    yield made
    made.close()


def test_descriptors_become_ready_and_are_forgotten(loop):
    r, w = os.pipe()
    seen = []
    loop.watch(r, lambda events, now: seen.append((events, os.read(r, 9))))
    os.write(w, b"a")
    loop.until(lambda: seen)
    assert seen == [(READ, b"a")]
    loop.watch(w, lambda events, now: (seen.append(events), loop.unwatch(w)), WRITE)
    loop.until(lambda: len(seen) == 2)
    assert seen[1] == WRITE
    loop.unwatch(r)
    loop.unwatch(r)
    os.write(w, b"b")
    loop.once(Idle(), 0)
    assert len(seen) == 2
    os.close(r)
    os.close(w)


def test_one_that_closes_another_in_the_same_batch(loop):
    pipes = [os.pipe() for _ in range(2)]
    seen = []

    def close_all(events, now):
        seen.append(now)
        for r, _ in pipes:
            loop.unwatch(r)

    for r, w in pipes:
        loop.watch(r, close_all)
        os.write(w, b"x")
    loop.until(lambda: seen)
    loop.once(Idle(), 0)
    assert len(seen) == 1
    for r, w in pipes:
        os.close(r)
        os.close(w)


def test_timers_fire_in_order_unless_cancelled(loop):
    seen = []
    loop.after(2, lambda now: seen.append("second"))
    loop.after(1, lambda now: seen.append("first"))
    loop.cancel(loop.after(1, lambda now: seen.append("never")))
    loop.cancel(None)
    loop.until(lambda: len(seen) == 2)
    assert seen == ["first", "second"]


def test_owner_is_called_at_its_deadline_and_settled_always(loop):
    class Owner:
        at = ticks.add(now_ms(), 5)
        timers = settled = 0

        def poll_at(self):
            return self.at

        def on_timer(self, now):
            assert ticks.diff(now, self.at) >= 0
            self.at = None
            self.timers += 1

        def settle(self, now):
            self.settled += 1

    owner = Owner()
    loop.until(lambda: owner.timers, owner)
    assert owner.timers == 1 and owner.settled >= 1


def test_calls_from_threads_wake_the_loop_and_stop_it(loop):
    threading.Thread(target=lambda: loop.from_thread(lambda now: loop.stop())).start()
    loop.run(Idle())


def test_calls_from_threads_after_the_end_are_harmless():
    loop = TestLoop()
    loop.close()
    loop.from_thread(lambda now: None)
