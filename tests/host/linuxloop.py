"""The event loop of the Linux shell, driven by tests: until something has happened, never for a time."""

import time

from laclet_linux.loop import Loop

PATIENCE = 60  # seconds until a test gives up


class Idle:
    """An owner with nothing to do."""

    def poll_at(self):
        return None

    def on_timer(self, now):
        raise AssertionError("nothing was due")

    def settle(self, now):
        pass


class TestLoop(Loop):
    """``until(condition)`` serves the loop until the condition holds."""

    __test__ = False

    def until(self, condition, owner=None):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            self.once(owner or Idle(), 100)
