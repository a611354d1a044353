"""Pseudo-terminals, and bytes carried from one to another: the cables of a virtual board."""

import os
import select
import time
import tty

CHUNK = 16384  # bytes moved at once
BACKLOG = 65536  # bytes kept for a reader that is slow; then the writer waits
STUCK = 0.5  # s after which a reader that takes nothing loses what waits for it, as on USB serial ports
ABSENT_TICK = 0.01  # s between looks whether somebody has opened a pty


class Pty:
    """A pseudo-terminal in raw mode: we hold ``master``, somebody opens ``path``."""

    def __init__(self):
        self.master, slave = os.openpty()
        self.path = os.ttyname(slave)
        tty.setraw(slave)
        os.close(slave)
        os.set_blocking(self.master, False)
        self._poll = select.poll()
        self._poll.register(self.master, select.POLLIN)

    def state(self):
        """The poll events of this moment: POLLIN with bytes to read, POLLHUP while nobody has ``path`` open."""
        events = self._poll.poll(0)
        return events[0][1] if events else 0

    def drain(self):
        """Forget what was sent to us."""
        while self.state() & select.POLLIN:
            os.read(self.master, CHUNK)

    def close(self):
        os.close(self.master)


class Flow:
    """Bytes one way. ``see`` (bytes -> bytes) watches, and may change, what passes."""

    def __init__(self, source, target, see=None):
        self.source = source
        self.target = target
        self.see = see
        self.held = False  # the owner's: nothing is taken from the source meanwhile
        self._waiting = bytearray()
        self._since = 0.0  # when the target last took something, s

    def move(self, interest):
        """Carry what can be carried now; note in ``interest`` {fd: events} what to wait for.

        Returns seconds after which to look again whatever happens, or None.
        """
        again = None
        if not self.held and len(self._waiting) < BACKLOG:
            state = self.source.state()
            if state & select.POLLIN:
                data = os.read(self.source.master, CHUNK)
                self.put(self.see(data) if self.see else data)
                again = 0.0
            elif state & select.POLLHUP:  # not to be polled: a master alone is always ready, for nothing
                again = ABSENT_TICK
            else:
                interest[self.source.master] = interest.get(self.source.master, 0) | select.POLLIN
        self._write()
        if self._waiting:
            interest[self.target.master] = interest.get(self.target.master, 0) | select.POLLOUT
            again = STUCK if again is None else again
        return again

    def put(self, data):
        """Send these bytes after what waits already."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting += data
        self._write()

    def _write(self):
        while self._waiting:
            if self.target.state() & select.POLLHUP:  # nobody listens: lost, as on a wire
                self._waiting.clear()
                return
            try:
                taken = os.write(self.target.master, self._waiting)
            except BlockingIOError:
                if time.monotonic() - self._since > STUCK:
                    self._waiting.clear()
                return
            del self._waiting[:taken]
            self._since = time.monotonic()


def carry(flows, others, timeout):
    """Move what can be moved, then sleep until there is more, at most ``timeout`` s (None: for ever).

    Returns the set of those of the descriptors ``others`` that can be read.
    """
    interest = dict.fromkeys(others, select.POLLIN)
    for flow in flows:
        again = flow.move(interest)
        if again is not None:
            timeout = again if timeout is None else min(timeout, again)
    poll = select.poll()
    for fd, events in interest.items():
        poll.register(fd, events)
    ready = poll.poll(None if timeout is None else timeout * 1000)
    return {fd for fd, _ in ready if fd in others}
