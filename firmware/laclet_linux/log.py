"""Log lines: ``[HH:MM:SS][L][component]: text`` for people, or one JSON object a line."""

import json
import sys
import time
from collections import deque

LEVELS = ("error", "warning", "info", "debug")
_KEPT = 500  # entries that who comes later still sees


class Log:
    """``log(level, component, text)``, from any thread; levels beyond ``level`` are left out.

    ``kept`` holds the last entries, ``{"n", "time", "level", "component", "text"}`` with ``n`` counting from 1;
    ``on_entry()`` is called after each, in the thread that logs.
    """

    def __init__(self, level="info", as_json=False, stream=None):
        self.kept = deque(maxlen=_KEPT)
        self.on_entry = None
        self._stream = stream or sys.stderr
        self._count = 0
        self.set(level, as_json)

    def set(self, level, as_json):
        """From now on."""
        self._wanted = LEVELS[: LEVELS.index(level) + 1]
        self._as_json = as_json

    def __call__(self, level, component, text):
        if level not in self._wanted:
            return
        now = time.time()
        entry = {"time": round(now, 3), "level": level, "component": component, "text": text}
        if self._as_json:
            line = json.dumps(entry)
        else:
            clock = time.strftime("%H:%M:%S", time.localtime(now))
            line = f"[{clock}][{level[0].upper()}][{component}]: {text}"
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads it any more: the tunnel matters more than its log
        self._count += 1
        self.kept.append({"n": self._count, **entry})
        if self.on_entry is not None:
            self.on_entry()


class Followers:
    """Clients of the control socket that are shown every entry from now on."""

    def __init__(self, log, loop):
        self._log = log
        self._loop = loop
        self._seen = {}  # client -> number of the last entry it was shown

    def add(self, client):
        """What is kept already, it has in the answer."""
        self._seen[client] = self._log.kept[-1]["n"] if self._log.kept else 0
        client.on_close = self._remove
        self._log.on_entry = self._wake

    def close(self):
        """The last words."""
        self._show(0)

    def _remove(self, client):
        self._seen.pop(client, None)
        if not self._seen:
            self._log.on_entry = None

    def _wake(self):
        self._loop.from_thread(self._show)

    def _show(self, now):
        """What a client does not take in time comes with the next entry, as long as it is kept."""
        entries = list(self._log.kept)
        for client, seen in list(self._seen.items()):
            for entry in entries:
                if entry["n"] > seen:
                    if not client.say(entry):
                        break
                    self._seen[client] = entry["n"]
