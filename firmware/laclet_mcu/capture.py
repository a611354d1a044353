"""PPP frames of calls, for the console: see docs/console.md. Loaded with the first ``capture``.

Something stands in the join of each call that is watched, and hands frames on after a copy of their head. Other calls,
and all calls when nobody watches, do not notice.
"""

import json
import time
from binascii import hexlify

from laclet import ticks
from laclet.port import Port
from micropython import const

_SNAP = const(256)  # octets kept of a frame
_WAITING_MAX = const(32)  # frames that wait for the port; then the oldest is lost
_AT_ONCE = const(4)  # lines written before others get their turn
_FROM_LNS = 0
_TO_LNS = 1
_PAP_REQUEST = const(1)
_1970 = const(946684800)  # s until 2000, where some ports begin


class Capture:
    """``write(text)`` to the terminal; ``names`` of calls, () for all; ``as_json``: lines for tools."""

    def __init__(self, shell, names, write, as_json):
        self.names = names
        self.armed = None  # for Timers
        self._shell = shell
        self._write = write
        self._as_json = as_json
        self._began = shell.now()
        self._waiting = []  # (name, ms, direction, octets, head)
        self._frames = 0
        self._lost = 0
        self._taps = []
        self._lines = []  # those that tell us when they are joined
        shell.bypass = self._joined
        self.attach()

    def about(self):
        """What the answer to ``capture`` tells."""
        wanted = self.names or sorted(self._shell.node.calls)
        return {"calls": list(wanted), "time": clock()}

    def attach(self):
        """Look at the calls of the node, which may be a new one."""
        node = self._shell.node
        for name in node.calls:
            if self._wants(name):
                for each in getattr(node.calls[name], "legs", (node.calls[name],)):
                    self._look_at(name, each)
        if node.lns is not None:
            for caller in node.lns.callers.values():
                self._joined(caller.link, caller.session, None)

    def close(self):
        """Leave the joins as they were; what ``capture stop`` tells."""
        self._shell.bypass = None
        for tap in self._taps:
            tap.close()
        for line in self._lines:
            del line.release
        return {"frames": self._frames, "lost": self._lost}

    def poll_at(self):
        """At once while something waits."""
        return self._shell.now() if self._waiting else None

    def on_timer(self, now):
        """Write some of what waits."""
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            self._write(self._line(*self._waiting.pop(0)))

    def note(self, name, direction, buf, start, end, now):
        """A frame passes."""
        self._frames += 1
        if len(self._waiting) >= _WAITING_MAX:
            self._waiting.pop(0)
            self._lost += 1
        head = bytearray(buf[start : min(end, start + _SNAP)])
        mask(head)
        self._waiting.append((name, ticks.diff(now, self._began), direction, end - start, head))
        self._shell.node.timers.update(self, now)

    def _wants(self, name):
        return not self.names or name in self.names

    def _look_at(self, name, call):
        if not hasattr(call, "line"):
            if call.link.joined is not None and not isinstance(call.link.joined, _Tap):
                self._tap(name, call.link, call.session)
            return
        line = call.line
        if line in self._lines:  # it has stayed through a change of the configuration
            return

        # A line is released after every change of its join.
        def release(now):
            if line.joined is not None and not isinstance(line.joined, _Tap):
                self._tap(name, line, line.joined)
            type(line).release(line, now)

        line.release = release
        self._lines.append(line)
        if line.joined is not None:
            self._tap(name, line, line.joined)

    def _joined(self, port, session, config):
        """A call of this board itself, or one to our LNS, has just been joined."""
        if isinstance(port.joined, _Tap):  # it has stayed through a change of the configuration
            return None
        owner = port.owner
        name = getattr(owner, "name", None) or getattr(owner, "component", "?")
        return self._tap(name, port, session) if self._wants(name) else None

    def _tap(self, name, port, session):
        tap = _Tap(self, name, port, session)
        self._taps = [each for each in self._taps if each.joined is not None] + [tap]
        return tap

    def _line(self, name, ms, direction, octets, head):
        if self._as_json:
            return (
                json.dumps({"cap": name, "ms": ms, "dir": direction, "len": octets, "hex": hexlify(head).decode()})
                + "\n"
            )
        from laclet.ppp.describe import describe

        return "[%s]: %s [%s]\n" % (name, "sent" if direction else "rcvd", describe(head, 0, len(head)))


class _Tap(Port):
    """Stands between a port and its session: this half takes what goes to the LNS, ``back`` what comes from it."""

    def __init__(self, capture, name, port, session):
        Port.__init__(self)
        self.capture = capture
        self.name = name
        self.session = session
        self.joined = port
        self.back = _Back(self)
        port.joined = self
        session.joined = self.back

    def carry(self, buf, start, end, now):
        self.capture.note(self.name, _TO_LNS, buf, start, end, now)
        self.session.carry(buf, start, end, now)

    def close(self):
        """Join the two as they were; when they have parted since, there is nothing to do."""
        port, self.joined = self.joined, None
        if port is not None and port.joined is self:
            port.joined = self.session
            self.session.joined = port
        elif self.session.joined is self.back:
            self.session.joined = None


class _Back:
    def __init__(self, tap):
        self.tap = tap

    def carry(self, buf, start, end, now):
        tap = self.tap
        if tap.joined is None:
            tap.session.drop("not joined")
            return
        tap.capture.note(tap.name, _FROM_LNS, buf, start, end, now)
        tap.joined.carry(buf, start, end, now)


def mask(frame):
    """Write over the password of a PAP Authenticate-Request (RFC 1334 §2.2.1)."""
    at = 2 if frame[:2] == b"\xff\x03" else 0
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
