"""How long to wait before the next try: doubling, with jitter, up to a bound."""


class Backoff:
    """``first`` and ``longest`` in ms; ``random(n)`` gives bytes for the jitter; ``limit`` tries (0: no end)."""

    def __init__(self, random, first, longest, limit=0):
        self._random = random
        self._first = first
        self._longest = longest
        self._limit = limit
        self._step = first
        self.tries = 0  # failures in a row

    def reset(self):
        """It worked: begin anew with the shortest wait."""
        self._step = self._first
        self.tries = 0

    def next(self):
        """The wait before the next try in ms, half to all of the current step; None when the limit is reached."""
        self.tries += 1
        if self._limit and self.tries > self._limit:
            return None
        step = self._step
        self._step = min(step * 2, self._longest)
        jitter = self._random(2)
        return step - (step >> 1) * (jitter[0] << 8 | jitter[1]) // 65536
