"""The event loop: file descriptors, a node's clock, timers, threads' results. Small: data packets pass through it."""

import contextlib
import heapq
import os
import select
import time
from collections import deque

from laclet import ticks

# Those of epoll, in numbers: the tools import this on systems that have none.
READ = 0x001
WRITE = 0x004
ERROR = 0x008
HANGUP = 0x010

_LONGEST = 60_000  # ms; the loop wakes up now and then all the same


def now_ms():
    """The core's clock."""
    return time.monotonic_ns() // 1_000_000 & (ticks.PERIOD - 1)


class Loop:
    """``watch`` file descriptors, then ``run(owner)``, which has ``poll_at``, ``on_timer`` and ``settle``."""

    def __init__(self):
        self._epoll = select.epoll()
        self._watched = {}  # fd -> on_ready(events, now)
        self._timers = []  # heap of [monotonic ms, serial, call or None]
        self._serial = 0
        self._later = deque()  # calls from other threads
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stopped = False
        self.watch(self._wake_read, self._on_wake)

    def watch(self, fd, on_ready, events=READ):
        """Call ``on_ready(events, now)`` when ``fd`` is ready; call again to change ``events``."""
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._watched[fd] = on_ready

    def unwatch(self, fd):
        """Forget ``fd``, before it is closed."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def after(self, ms, call):
        """Call ``call(now)`` once, ``ms`` from now. Returns what ``cancel`` takes."""
        self._serial += 1
        entry = [time.monotonic_ns() // 1_000_000 + ms, self._serial, call]
        heapq.heappush(self._timers, entry)
        return entry

    def cancel(self, entry):
        """Don't call it any more; harmless when it has been called already, and with None."""
        if entry is not None:
            entry[2] = None

    def from_thread(self, call):
        """Call ``call(now)`` in the loop: the one method for other threads and signal handlers."""
        self._later.append(call)
        # A full pipe wakes it as well; a closed one means that nobody waits any more.
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")

    def stop(self):
        """Let ``run`` return."""
        self._stopped = True

    def run(self, owner):
        """Serve until ``stop``."""
        self._stopped = False
        while not self._stopped:
            self.once(owner, _LONGEST)

    def once(self, owner, longest):
        """Wait for something to do, at most ``longest`` ms, and do it."""
        ready = self._epoll.poll(self._wait(owner, longest) / 1000)
        now = now_ms()
        for fd, events in ready:
            on_ready = self._watched.get(fd)  # None: an earlier one has closed it
            if on_ready is not None:
                on_ready(events, now)
        timers = self._timers
        while timers and (timers[0][2] is None or timers[0][0] <= time.monotonic_ns() // 1_000_000):
            call = heapq.heappop(timers)[2]
            if call is not None:
                call(now)
        if ticks.due(owner.poll_at(), now):
            owner.on_timer(now)
        owner.settle(now)

    def close(self):
        """Give back what the loop itself holds."""
        self._watched.clear()
        self._epoll.close()
        write, self._wake_write = self._wake_write, -1
        os.close(write)
        os.close(self._wake_read)

    def _wait(self, owner, longest):
        """Milliseconds until something is due."""
        at = owner.poll_at()
        if at is not None:
            longest = min(longest, ticks.diff(at, now_ms()))
        if self._timers:
            longest = min(longest, self._timers[0][0] - time.monotonic_ns() // 1_000_000)
        return max(0, longest)

    def _on_wake(self, events, now):
        os.read(self._wake_read, 4096)
        for _ in range(len(self._later)):
            self._later.popleft()(now)
