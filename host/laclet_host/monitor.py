"""What the live screen shows: a device or service asked again and again, and what its counters come to.

``Watch`` does the asking in a thread of its own; ``History`` turns one status after the other into rates. Neither
knows of the screen.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from .logs import Reader
from .ui import Trouble

POINTS = 120  # of a sparkline
_AGAIN = 2.0  # s between tries to reach what has gone
_PIECE = 0.2  # s that a board is listened to at one time
_HEAP = 10  # a board is asked for its memory once in so many rounds: it collects garbage for that
_COUNTER = 1 << 30  # counters of a board begin anew there


class Point(NamedTuple):
    """Bytes a second received and sent through all calls; round trip in ms, or None."""

    received: float
    sent: float
    rtt: float | None


class History:
    """The last ``POINTS`` points."""

    def __init__(self) -> None:
        self.points: deque[Point] = deque(maxlen=POINTS)
        self._last: tuple[float, dict[str, tuple[int, int]]] | None = None

    def add(self, status: dict, at: float) -> Point:
        """The point of a status that was asked for at ``at`` s; a session that is new begins at its first counters."""
        counters = {name: (each["rx_bytes"], each["tx_bytes"]) for name, each in sessions(status)}
        received = sent = 0.0
        if self._last is not None and at > self._last[0]:
            span = at - self._last[0]
            for name, (rx, tx) in counters.items():
                was = self._last[1].get(name)
                if was is not None:
                    received += _grown(was[0], rx) / span
                    sent += _grown(was[1], tx) / span
        self._last = (at, counters)
        point = Point(received, sent, rtt(status))
        self.points.append(point)
        return point


def _grown(was: int, now: int) -> int:
    """What a counter has grown by; it may have come round, or have begun anew."""
    if now >= was:
        return now - was
    return now - was + _COUNTER if was > _COUNTER * 3 // 4 else now


def sessions(status: dict) -> list[tuple[str, dict]]:
    """``(name, session)`` of everything that carries data: our calls, their legs, and callers."""
    found = []
    for name, call in status["calls"].items():
        for leg in call.get("legs", (call,)):
            if leg["session"] is not None:
                found.append((f"{name}/{leg['session']['local_session']}", leg["session"]))
    for caller in status.get("lns", {}).get("callers", ()):
        session = caller["session"]
        found.append((f"{caller['peer']}/{session['local_session']}", session))
    return found


def rtt(status: dict) -> float | None:
    """The round trip in ms: of PPP's echoes, or else of L2TP's control messages; of several the longest."""
    links = [call.get("ppp") for call in status["calls"].values()]
    links += [caller["ppp"] for caller in status.get("lns", {}).get("callers", ())]
    echoes = [ppp["rtt"] for ppp in links if ppp and ppp.get("rtt") is not None]
    tunnels = [each["tunnel"]["rtt"] for each in status["tunnels"].values() if each["tunnel"]]
    return max(echoes or [each for each in tunnels if each is not None], default=None)


class Watch:
    """Asks a source in a thread. ``on_status(status)``, ``on_entry(entry)`` of its log, ``on_trouble(text or None)``
    are called in that thread."""

    def __init__(self, interval: float, on_status: Callable, on_entry: Callable, on_trouble: Callable):
        self.interval = interval
        self.on_status = on_status
        self.on_entry = on_entry
        self.on_trouble = on_trouble
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._again_and_again, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(2)

    def ask(self) -> None:
        """Ask until something fails."""
        raise NotImplementedError

    def ended(self) -> bool:
        """True when nobody wants to know any more."""
        return self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep; True when it has ended meanwhile."""
        return self._ended.wait(seconds)

    def _again_and_again(self) -> None:
        while not self.ended():
            try:
                self.ask()
            except (Trouble, OSError) as error:
                if not self.ended():
                    self.on_trouble(str(error))
            self.wait(_AGAIN)


class Board(Watch):
    """A board, by its console."""

    def __init__(self, port: str, interval: float, **calls):
        super().__init__(interval, **calls)
        self._port = port

    def ask(self) -> None:
        from .board.mpy import source_root
        from .device.link import Link

        reader = Reader(source_root())
        with Link(self._port) as link:
            self.on_trouble(None)
            self._tell(reader, link.get("show log"), None)
            stats: dict[str, Any] = {}
            count = 0
            while not self.ended():
                if count % _HEAP == 0:
                    stats = link.get("show stats")
                count += 1
                self.on_status({**link.get("show status"), "stats": stats})
                deadline = time.monotonic() + self.interval
                while (left := deadline - time.monotonic()) > 0 and not self.ended():
                    self._tell(
                        reader, [line for line in link.lines(min(left, 0.2)) if isinstance(line, str)], time.time
                    )

    def _tell(self, reader: Reader, lines: list, clock) -> None:
        for line in lines:
            entry = reader.take(line, clock() if clock else None)
            if entry is not None:
                self.on_entry(entry)


class Service(Watch):
    """A service of this machine, by its control socket."""

    def __init__(self, name: str, interval: float, **calls):
        super().__init__(interval, **calls)
        self._name = name
        self._seen = 0.0  # time of the last entry of its log

    def start(self) -> None:
        super().start()
        threading.Thread(target=self._follow, daemon=True).start()  # it may wait for a word for ever

    def ask(self) -> None:
        from laclet_linux.control import ask

        from .commands.service import absent

        while not self.ended():
            try:
                answer = ask(self._name, {"do": "status"})
            except OSError as error:
                raise Trouble(f"{self._name}: {absent(error)}") from None
            if answer is None:
                raise Trouble(f"{self._name}: gives no answer")
            self.on_trouble(None)
            self.on_status(answer["status"])
            self.wait(self.interval)

    def _follow(self) -> None:
        """The log; a service that was started again repeats nothing of it."""
        from .logs import of_service

        while not self.ended():
            try:
                for entry in of_service(self._name, True, None):
                    if self.ended():
                        return
                    if entry["time"] > self._seen:
                        self._seen = entry["time"]
                        self.on_entry(entry)
            except (Trouble, OSError):
                pass  # whoever asks for the status says so
            self.wait(_AGAIN)
