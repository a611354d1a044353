"""Deadlines of many machines in one heap: adding a call costs the same whether there are ten or five thousand."""

import heapq

from . import ticks


class Timers:
    """Machines with ``poll_at()`` and ``on_timer(now)``; each needs an attribute ``armed`` (its entry, or None).

    Lazy: a deadline that moves later leaves its entry in place, and the machine is merely asked again when it comes. An
    entry that does not count any more lets go of its machine: until its time comes it would keep a tunnel in memory.
    """

    def __init__(self):
        self._heap = []  # [key, serial, machine or None]; key is a tick unwrapped to an ever-growing int
        self._serial = 0
        self._last = None  # the last tick seen, and what it stands for
        self._key = 0

    def _unwrap(self, tick):
        return self._key + ticks.diff(tick, self._last)

    def _see(self, now):
        if self._last is None:
            self._last = now
        self._key = self._unwrap(now)
        self._last = now

    def update(self, machine, now):
        """Make sure that ``machine`` is called by its ``poll_at()``; call it whenever that may have moved earlier."""
        at = machine.poll_at()
        if at is None:
            return
        self._see(now)
        key = self._unwrap(at)
        if machine.armed is not None:
            if key >= machine.armed[0]:
                return
            machine.armed[2] = None
        self._serial += 1
        machine.armed = [key, self._serial, machine]
        heapq.heappush(self._heap, machine.armed)

    def poll_at(self):
        """The earliest deadline, or None; it may turn out to be early."""
        while self._heap and (self._heap[0][2] is None or self._heap[0][2].armed is not self._heap[0]):
            heapq.heappop(self._heap)
        return ticks.add(self._last, self._heap[0][0] - self._key) if self._heap else None

    def on_timer(self, now):
        """Call every machine whose time has come, and arm it again."""
        self._see(now)
        limit = self._key
        for _ in range(len(self._heap)):  # what fires at once again waits for the next call
            if not self._heap or self._heap[0][0] > limit:
                return
            entry = heapq.heappop(self._heap)
            machine = entry[2]
            if machine is None or machine.armed is not entry:
                continue
            machine.armed = None
            machine.on_timer(now)
            self.update(machine, now)

    def forget(self, machine):
        """Do not call this machine again, unless it is brought up to date once more."""
        if machine.armed is not None:
            machine.armed[2] = None
            machine.armed = None
