"""The logs of boards and services as entries: ``{"time", "level", "component", "text"}``, and ``"trace"`` of a crash.

``time`` is in seconds since 1970, by this machine's clock for what a board says now; None for what it has kept.
"""

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import serial

from .traces import HEAD, Frame, decode, frame
from .ui import Trouble

_KEYS = ("time", "level", "component", "text")
LEVELS = {"E": "error", "W": "warning", "I": "info", "D": "debug"}
_LIVE = re.compile(r"^\[\d\d:\d\d:\d\d\]\[([EWID])\]\[([^\]]+)\]: (.*)$")
_KEPT = re.compile(r"^\[([^\]]+)\]: (.*)$")
_PATIENCE = 3.0  # s for its console to answer
_AGAIN = 1.0  # s between looks whether a board is back
_FOR_PEOPLE = ("laclet> ", "laclet console; ", "MicroPython ", 'Type "help()"', "MPY: soft reboot")  # nothing of a log


class Reader:
    """Lines of a board in, entries out. A traceback becomes one entry, when its last line has come."""

    def __init__(self, root: Path):
        self._root = root
        self._frames: list[Frame] | None = None

    def take(self, line: str, now: float | None) -> dict | None:
        """The entry that ends with this line, or None."""
        if line == HEAD:
            self._frames = []
            return None
        if self._frames is not None:
            found = frame(line)
            if found is not None:
                self._frames.append(found)
                return None
            trace, self._frames = decode(self._frames, self._root), None
            if line.startswith("KeyboardInterrupt"):
                return _entry(now, "info", "console", "interrupted by Ctrl-C")
            return _entry(now, "error", "crash", line, trace=[each._asdict() for each in trace])
        live = _LIVE.match(line)
        if live is not None:
            return _entry(now, LEVELS[live[1]], live[2], live[3])
        kept = _KEPT.match(line)
        if kept is not None:
            return _entry(now, None, kept[1], kept[2])
        if not line.strip() or line.startswith(_FOR_PEOPLE) or line == ">>> ":
            return None
        return _entry(now, "info", "console", line)


def _entry(now, level, component: str, text: str, **more) -> dict:
    when = None if now is None else round(now, 3)
    return {"time": when, "level": level, "component": component, "text": text, **more}


def of_board(port: str, follow: bool, last: int | None, tell) -> Iterator[dict]:
    """What a board has kept (the ``last`` of it), then, with ``follow``, what it says, for ever.

    One that is unplugged is waited for, and one whose console does not answer is listened to all the same:
    ``tell(text)`` is told of both.
    """
    from .board.mpy import source_root
    from .device.link import Link
    from .device.ports import Absent, Mute, WrongDevice, open_port

    reader = Reader(source_root())
    here = False
    try:
        with Link(port, patience=_PATIENCE) as link:
            here = True
            yield from _last(_entries(reader, link.get("show log"), None), last)
            if follow:
                yield from _entries(reader, (line for line in link.lines() if isinstance(line, str)), time.time)
    except (Mute, WrongDevice) as error:
        if not follow:
            raise
        here = True
        tell(f"{error} (listening all the same)")
    except Absent:
        if not follow or not here:
            raise
    while follow:
        try:
            with open_port(port) as line:
                if not here:
                    tell(f"{port} is back")
                here = True
                yield from _entries(reader, _lines(line), time.time)
        except Absent:
            if here:
                tell(f"{port} has gone; waiting for it")
            here = False
            time.sleep(_AGAIN)


def _last(entries: Iterable[dict], count: int | None) -> list[dict]:
    kept = list(entries)
    return kept if count is None else kept[len(kept) - min(count, len(kept)) :]


def _entries(reader: Reader, lines: Iterable[str], clock) -> Iterator[dict]:
    for line in lines:
        entry = reader.take(line, clock() if clock else None)
        if entry is not None:
            yield entry


def _lines(port: serial.SerialBase) -> Iterator[str]:
    """What comes, line by line, until the port is gone."""
    from .device.ports import Absent

    left = b""
    while True:
        try:
            left += port.read(4096)
        except (serial.SerialException, OSError, TypeError):
            raise Absent("gone") from None
        *whole, left = left.split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")


def of_service(name: str, follow: bool, last: int | None) -> Iterator[dict]:
    """What a service of this machine has kept, and with ``follow`` says, until it ends. Raises Trouble, OSError."""
    from laclet_linux.control import stream

    answers = stream(name, {"do": "log"})
    answer = next(answers)
    if not answer["ok"]:
        raise Trouble(f"{name}: {answer['error']}")
    for entry in _last(answer["entries"], last):
        yield {key: entry[key] for key in _KEYS}
    if follow:
        for entry in answers:
            yield {key: entry[key] for key in _KEYS}


def text(entry: dict, date: bool = False) -> str:
    """One entry for people; lines of a traceback below it."""
    clock = ""
    if entry["time"] is not None:
        clock = f"[{time.strftime('%Y-%m-%d %H:%M:%S' if date else '%H:%M:%S', time.localtime(entry['time']))}]"
    level = f"[{entry['level'][0].upper()}]" if entry["level"] else ""
    lines = [f"{clock}{level}[{entry['component']}]: {entry['text']}"]
    return "\n".join(lines + [str(Frame(**each)) for each in entry.get("trace", ())])
