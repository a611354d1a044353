"""Captures for the console: see docs/console.md. Loaded with the first ``capture``, forgotten with its end.

Who taps is loaded as it is wanted: ``frametaps`` for the PPP frames of calls, ``datagramtaps`` for datagrams of L2TP.
What is not tapped, and everything when nobody watches, does not notice.
"""

import json
import time
from binascii import hexlify

from laclet import ticks
from micropython import const

_SNAP = const(256)  # octets kept of a frame
_WAITING_MAX = const(32)  # frames that wait for the port; then the oldest is lost
_AT_ONCE = const(4)  # lines written before others get their turn
_PAP_REQUEST = const(1)
_1970 = const(946684800)  # s until 2000, where some ports begin


class Capture:
    """``write(text)`` to the terminal; ``names`` of calls, () for all, or ``("datagrams",)``; ``as_json``: for tools.

    Raises MemoryError, and has then tapped nothing.
    """

    def __init__(self, shell, names, write, as_json):
        self.armed = None  # for Timers
        self._shell = shell
        self._write = write
        self._as_json = as_json
        self._began = shell.now()
        self._waiting = []  # (name, ms, direction, octets, head, ends)
        self._frames = 0
        self._lost = 0
        self._told = 0  # of those
        if "datagrams" in names:
            from .datagramtaps import Taps
        else:
            from .frametaps import Taps
        self._taps = Taps(self, shell, names)
        try:
            self._taps.attach()
        except MemoryError:
            self._taps.close()
            raise

    def about(self):
        """What the answer to ``capture`` tells."""
        return {"calls": list(self._taps.about()), "time": clock()}

    def now(self):
        """The core's clock."""
        return self._shell.now()

    def attach(self):
        """Tap the node, which may be a new one."""
        self._taps.attach()

    def close(self):
        """Leave everything as it was; what ``capture stop`` tells."""
        self._taps.close()
        return {"frames": self._frames, "lost": self._lost}

    def poll_at(self):
        """At once while something waits."""
        return self._shell.now() if self._waiting else None

    def on_timer(self, now):
        """Write some of what waits."""
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            try:
                self._write(self._line(*self._waiting.pop(0)))
            except MemoryError:
                self._lost += 1

    def note(self, name, direction, buf, start, end, now, ends=None):
        """A frame passes; ``ends``: the addresses of a datagram, for tools."""
        self._frames += 1
        if len(self._waiting) >= _WAITING_MAX:
            self._waiting.pop(0)
            self._lost += 1
        try:
            head = bytearray(buf[start : min(end, start + _SNAP)])
            self._taps.hide(head)
            self._waiting.append((name, ticks.diff(now, self._began), direction, end - start, head, ends))
        except MemoryError:  # calls come first
            self._lost += 1
        self._shell.node.timers.update(self, now)

    def _line(self, name, ms, direction, octets, head, ends):
        if not self._as_json:
            return "[%s]: %s [%s]\n" % (name, "sent" if direction else "rcvd", self._taps.describe(head))
        line = {"cap": name, "ms": ms, "dir": direction, "len": octets, "hex": hexlify(head).decode()}
        if ends is not None:
            line["local"], line["peer"] = ends
        if self._lost > self._told:
            line["lost"] = self._lost - self._told
            self._told = self._lost
        return json.dumps(line) + "\n"


def mask(frame, at=0):
    """Write over the password of a PAP Authenticate-Request (RFC 1334 §2.2.1) that begins at ``at``."""
    if frame[at : at + 2] == b"\xff\x03":
        at += 2
    if frame[at : at + 2] != b"\xc0\x23" or len(frame) < at + 7 or frame[at + 2] != _PAP_REQUEST:
        return
    at += 7
    if at + frame[at - 1] < len(frame):  # else its lengths lie, or it was cut: nothing is sure
        at += frame[at - 1] + 1
    for i in range(at, len(frame)):
        frame[i] = 0x2A


def clock():
    """Seconds since 1970, or None while nobody has told the time."""
    now = time.gmtime()
    if now[0] < 2024:
        return None
    return int(time.time()) + (_1970 if time.gmtime(0)[0] == 2000 else 0)
