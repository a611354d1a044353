"""Code on trial after an update: it proves itself, or the board goes back. Loaded only then."""

import laclet_slots
from laclet import ticks
from micropython import const

_LONGEST = const(600_000)  # ms to prove itself


class Trial:
    """``state`` as laclet_slots.read() gives it; ``root``: where it is kept."""

    def __init__(self, shell, state, root="/"):
        self._shell = shell
        self._root = root
        self._good = state["good"]
        self._slot = state["trial"]
        self._tunnel = state.get("tunnel", False)  # one has to come up
        self._until = ticks.add(shell.now(), _LONGEST)
        self.failed = False

    def looked(self, minute, now):
        """Look once a second; ``minute``: the service has run for so long. True when it is decided.

        Then it is good; or it has ``failed``, and the board is to be restarted.
        """
        if self._tunnel:
            for dialer in self._shell.node.dialers.values():
                if dialer.usable():
                    self._tunnel = False
        if minute and not self._tunnel:
            self._end({"good": self._slot}, "the update is good")
            return True
        if ticks.due(self._until, now):
            self._end({"good": self._good, "failed": self._slot}, "no tunnel came up: back to the code before")
            return True
        return False

    def _end(self, state, text):
        self.failed = "failed" in state
        try:
            laclet_slots.write(state, self._root)
        except OSError as error:  # as it is, the boots that are left run out
            text += "; not kept: " + str(error)
        laclet_slots.trial = None
        self._shell.log("error" if self.failed else "info", "update", text)
