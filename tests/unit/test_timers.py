"""Deadlines of many machines in one heap."""

from laclet import ticks
from laclet.timers import Timers


class Machine:
    def __init__(self, at):
        self.armed = None
        self.at = at
        self.called = []

    def poll_at(self):
        return self.at

    def on_timer(self, now):
        self.called.append(now)
        if ticks.due(self.at, now):
            self.at = None


def kept(timers):
    """How often each machine is held by the heap."""
    return [entry[2] for entry in timers._heap if entry[2] is not None]


def test_each_is_called_at_its_deadline():
    timers = Timers()
    first, second = Machine(100), Machine(50)
    for machine in (first, second):
        timers.update(machine, 0)
    assert timers.poll_at() == 50
    timers.on_timer(50)
    timers.on_timer(70)
    assert (first.called, second.called) == ([], [50])
    timers.on_timer(100)
    assert first.called == [100] and timers.poll_at() is None


def test_a_deadline_that_moves_later_is_asked_for_again():
    timers = Timers()
    machine = Machine(50)
    timers.update(machine, 0)
    machine.at = 80
    timers.update(machine, 10)
    assert timers.poll_at() == 50, "early, and harmless"
    timers.on_timer(50)
    assert timers.poll_at() == 80
    timers.on_timer(80)
    assert machine.called == [50, 80] and machine.at is None


def test_a_deadline_that_moves_earlier_leaves_nothing_of_the_machine_behind():
    timers = Timers()
    machine = Machine(60_000)
    for at in (60_000, 8000, 1000):
        machine.at = at
        timers.update(machine, 0)
    assert kept(timers) == [machine]
    timers.on_timer(1000)
    assert machine.called == [1000] and kept(timers) == []
    assert timers.poll_at() is None


def test_what_is_forgotten_is_not_kept_until_its_time_has_come():
    timers = Timers()
    machine, other = Machine(60_000), Machine(100)
    for each in (machine, other):
        timers.update(each, 0)
    timers.forget(machine)
    timers.forget(machine)
    assert machine.armed is None and kept(timers) == [other]
    timers.on_timer(60_000)
    assert machine.called == []
    machine.at = 70_000
    timers.update(machine, 60_000)
    assert timers.poll_at() == 70_000, "it may be wanted again"


def test_the_wrap_of_the_clock():
    timers = Timers()
    now = ticks.PERIOD - 10
    machine = Machine(ticks.add(now, 30))
    timers.update(machine, now)
    assert timers.poll_at() == 20
    timers.on_timer(ticks.add(now, 29))
    assert machine.called == []
    timers.on_timer(20)
    assert machine.called == [20]


def test_one_that_has_gone_over_to_other_timers_is_not_called_by_the_old_ones():
    old, new = Timers(), Timers()
    machine = Machine(100)
    old.update(machine, 0)
    machine.armed = None  # the old ones are given up
    new.update(machine, 0)
    old.on_timer(100)
    assert machine.called == []
    new.on_timer(100)
    assert machine.called == [100]
