"""The console of a board as a tool uses it: questions and answers as lines of JSON, and the lines of the log between.

See docs/console.md. The board goes on working; Ctrl-C is never sent.
"""

import contextlib
import json
import re
import time
from collections import deque
from collections.abc import Iterator

import serial

from .ports import BAUD, Absent, Mute, WrongDevice, open_port

_PATIENCE = 8.0  # s for a board to answer at first: it may just have been reset, and waits a second for Ctrl-C itself
_AGAIN = 1.0  # s between first questions: what a board was sent before it listened is lost
_ANSWER = 10.0  # s for an answer
_PIECE = 64  # bytes written at once: a UART's buffer on a board may have no more than 256
_PAUSE = 0.005  # s between pieces
_KEPT = 1000  # lines of the log that wait for somebody to read them
# Out of a raw REPL that a tool has left (Ctrl-B); away with half a line, after half an escape sequence too (Ctrl-U).
_CLEAR = b"\x02\x15\x15"
_PROMPT = "laclet> "
_NO_MEMORY = "[console]: no memory for it"  # what a board says instead of an answer
_CRASHED = re.compile(r"restarting in \d+ s; Ctrl-C for the prompt$")  # … and after the traceback of its program


class Refused(Exception):
    """The board's own words for what it did not do; ``column`` counts from 1 in the command, or is 0."""

    def __init__(self, answer: dict):
        super().__init__(answer.get("error", "refused"))
        self.column = answer.get("column", 0)


class Link:
    """One board's console. A context manager; raises ``DeviceError`` (absent, busy, mute, not laclet).

    ::

        with Link("/dev/ttyACM0") as link:
            print(link.ask("show status"))
            for line in link.lines():
                print(line)
    """

    def __init__(self, port: str, baud: int = BAUD, patience: float = _PATIENCE):
        self.port = port
        self._id = 0
        self._left = b""  # the beginning of a line
        self._waiting: deque[str | dict] = deque(maxlen=_KEPT)
        self._line = open_port(port, baud)
        try:
            self._enter(patience)
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, value=None, timeout: float = _ANSWER, **more) -> dict:
        """The answer to one command, whatever it says: ``{"ok": …, "out" | "data" | "error": …}``.

        ``value`` goes with ``set PATH`` and others that want JSON. Raises ``Mute`` after ``timeout`` seconds, and when
        the board's program crashes meanwhile.
        """
        request = {"do": do, **more} if value is None else {"do": do, "value": value, **more}
        number = self._send(request)
        deadline = time.monotonic() + timeout
        while True:
            line = self._next(deadline)
            if line is None:
                raise Mute(f"{self.port}: has not answered for {timeout:g} s; reset the board and try again")
            if isinstance(line, dict) and "ok" in line:
                if line.get("id") == number:
                    return line
            else:
                self._waiting.append(line)
                if isinstance(line, str) and _CRASHED.match(line):
                    raise Mute(f"{self.port}: laclet has crashed there, {self._why()}, and restarts; see laclet logs")

    def _why(self) -> str:
        """The last line of the traceback before the last line."""
        said = [line for line in self._waiting if isinstance(line, str)]
        return said[-2] if len(said) > 1 else "without a word"

    def get(self, do: str, value=None, timeout: float = _ANSWER, **more):
        """``data`` (or else the lines of ``out``) of the answer; raises ``Refused`` with the board's own words."""
        answer = self.ask(do, value, timeout, **more)
        if not answer["ok"]:
            raise Refused(answer)
        return answer.get("data", answer.get("out", []))

    def lines(self, silence: float | None = None) -> Iterator[str | dict]:
        """What the board says by itself: lines of the log as text, events (captured frames) as dicts.

        Ends when nothing has come for ``silence`` seconds; without that never.
        """
        while True:
            if self._waiting:
                yield self._waiting.popleft()
                continue
            line = self._next(None if silence is None else time.monotonic() + silence)
            if line is None:
                return
            if not (isinstance(line, dict) and "ok" in line):  # an answer that came too late
                yield line

    def close(self) -> None:
        """Give the port back; the board goes on."""
        try:
            # In this order no ESP32 is reset by it.
            self._line.rts = False
            self._line.dtr = False
        except (OSError, ValueError):  # a pty has none, and what is unplugged has nothing
            pass
        with contextlib.suppress(OSError):
            self._line.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- the wire -------------------------------------------------------------------------------------

    def _enter(self, patience: float) -> None:
        """Ask until somebody answers."""
        deadline = time.monotonic() + patience
        heard = False
        while time.monotonic() < deadline:
            self._write(_CLEAR)
            self._send({"do": "help"})
            again = min(time.monotonic() + _AGAIN, deadline)
            while True:
                line = self._next(again)
                if line is None:
                    break
                heard = True
                if isinstance(line, dict) and line.get("ok") is not None:
                    return
                if isinstance(line, str) and line.startswith(">>> "):
                    raise WrongDevice(
                        f"{self.port}: MicroPython is at its prompt and laclet does not run; "
                        "reset the board (laclet deploy puts laclet there)"
                    )
                self._waiting.append(line)
        if heard:
            raise WrongDevice(
                f"{self.port}: what is there does not speak as laclet does; is it the right port, {BAUD}?"
            )
        raise Mute(f"{self.port}: nothing answers; is it the right port, and does the board have power?")

    def _send(self, request: dict) -> int:
        self._id += 1
        line = json.dumps({"id": self._id, **request}, separators=(",", ":"))
        self._write(line.encode() + b"\n")
        return self._id

    def _write(self, data: bytes) -> None:
        try:
            for start in range(0, len(data), _PIECE):
                if start:
                    time.sleep(_PAUSE)
                self._line.write(data[start : start + _PIECE])
        except (serial.SerialException, OSError):
            raise self._gone() from None

    def _next(self, deadline: float | None) -> str | dict | None:
        """The next whole line; None at the deadline."""
        while b"\n" not in self._left:
            if deadline is not None and time.monotonic() >= deadline:
                return None
            try:
                self._left += self._line.read(max(1, self._line.in_waiting))
            except (serial.SerialException, OSError, TypeError):  # TypeError: pyserial's, of a port closed meanwhile
                raise self._gone() from None
        raw, self._left = self._left.split(b"\n", 1)
        line = raw.decode("utf-8", "replace").rstrip("\r")
        if _NO_MEMORY in line:
            raise Mute(f"{self.port}: no memory for the console beside the calls; use its prompt (--prompt, mpremote)")
        while line.startswith(_PROMPT):
            line = line[len(_PROMPT) :]
        if line.startswith("{") and line.endswith("}"):
            try:
                return json.loads(line)
            except ValueError:
                pass
        return line

    def _gone(self) -> Absent:
        return Absent(f"{self.port}: has gone while we talked; plug it in again and repeat the command")
