"""Faults on demand for the test LNS: what a network, or an LNS, does to a device, in words."""

import random

# Word -> (lowest, highest number behind it or None for no number, what it does).
GRAMMAR = {
    "loss": (0, 100, "per cent of datagrams lost, each way"),
    "duplicate": (0, 100, "per cent of datagrams that come twice"),
    "reorder": (0, 100, "per cent of datagrams that are overtaken by the next ones"),
    "corrupt": (0, 100, "per cent of datagrams with one octet changed"),
    "delay": (0, 60000, "ms on the way, each way"),
    "jitter": (0, 60000, "ms more, at random"),
    "drop-after": (1, 1000000, "datagrams from now on, then silence"),
    "silent": None,
    "refuse-tunnel": (1, 7, "tunnels are closed with this result of StopCCN"),
    "refuse-call": (1, 11, "calls are cleared with this result of CDN"),
    "wrong-password": None,
    "renegotiate": None,
    "hang-up": None,
    "calm": None,
}
MEANING = {
    "silent": "nothing is answered any more",
    "wrong-password": "every log-in is refused",
    "renegotiate": "LCP begins anew in every call, once",
    "hang-up": "every call is cleared, once",
    "calm": "all faults end",
}
ONCE = ("renegotiate", "hang-up", "calm")
_OVERTAKEN = 30  # ms


class BadFault(ValueError):
    """What is wrong with the words, and what is allowed."""


def parse(text: str) -> tuple[str, int]:
    """``("loss", 30)`` of ``"loss 30"``; 1 where no number belongs. Raises ``BadFault``."""
    words = text.split()
    if not words or words[0] not in GRAMMAR:
        raise BadFault(f"no such fault: {text.strip() or 'nothing'}; there are {', '.join(GRAMMAR)}")
    limits = GRAMMAR[words[0]]
    if limits is None:
        if len(words) > 1:
            raise BadFault(f"{words[0]}: takes no number")
        return words[0], 1
    low, high, meaning = limits
    if len(words) != 2 or not words[1].isdigit() or not low <= int(words[1]) <= high:
        raise BadFault(f"{words[0]}: needs a number from {low} to {high}: {meaning}")
    return words[0], int(words[1])


def read_script(lines) -> list[tuple[float, str]]:
    """``[(seconds, fault)]`` of lines ``SECONDS FAULT``; empty ones and comments (#) aside. Raises ``BadFault``."""
    script = []
    for number, line in enumerate(lines, 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        at, _, text = line.partition(" ")
        try:
            seconds = float(at)
            parse(text)
        except BadFault as error:
            raise BadFault(f"line {number}: {error}") from None
        except ValueError:
            raise BadFault(f"line {number}: begins with no number of seconds; write it like: 5 loss 30") from None
        script.append((seconds, text.strip()))
    return sorted(script)


class Faults:
    """What holds now; all decisions come from ``seed``."""

    def __init__(self, seed: int | None = None):
        self._random = random.Random(seed)
        self._now: dict[str, int] = {}
        self._left = 0

    def put(self, word: str, number: int) -> None:
        """A fault of ``parse`` holds from now on; 0 ends it, ``calm`` ends all."""
        if word == "calm":
            self._now.clear()
        elif word not in ONCE:
            self._now[word] = number
        if word == "drop-after":
            self._left = number

    def get(self, word: str) -> int:
        """Its number, or 0."""
        return self._now.get(word, 0)

    def shown(self) -> list[str]:
        """What holds, in the words of ``parse``."""
        return [word if GRAMMAR[word] is None else f"{word} {number}" for word, number in sorted(self._now.items())]

    def ways(self, size: int) -> list[tuple[int, int | None]]:
        """What becomes of a datagram of ``size`` octets: ``(ms, octet changed or None)`` for each that arrives."""
        if "drop-after" in self._now:
            self._left -= 1
            if self._left < 0:
                return []
        if "silent" in self._now or self._happens("loss"):
            return []
        return [self._way(size) for _ in range(2 if self._happens("duplicate") else 1)]

    def _way(self, size: int) -> tuple[int, int | None]:
        ms = self.get("delay") + (self._random.randrange(self.get("jitter") + 1) if self.get("jitter") else 0)
        if self._happens("reorder"):
            ms += _OVERTAKEN
        return ms, self._random.randrange(size) if size and self._happens("corrupt") else None

    def _happens(self, word: str) -> bool:
        return word in self._now and self._random.random() * 100 < self._now[word]
