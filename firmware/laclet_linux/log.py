"""Log lines: ``[HH:MM:SS][L][component]: text`` for people, one JSON object each; or syslog's, or the journal's."""

import json
import os
import sys
import syslog
import time
from collections import deque

LEVELS = ("error", "warning", "info", "debug")
PRIORITIES = {"error": 3, "warning": 4, "info": 6, "debug": 7}  # of syslog(3)
_KEPT = 500  # entries that who comes later still sees


class Log:
    """``log(level, component, text)``, from any thread; levels beyond ``level`` are left out.

    A stream that leads to systemd's journal gets the priority in front of each line (sd-daemon(3)), and no clock.
    ``kept`` holds the last entries, ``{"n", "time", "level", "component", "text"}`` with ``n`` counting from 1;
    ``on_entry()`` is called after each, in the thread that logs.
    """

    def __init__(self, level="info", as_json=False, stream=None, to_syslog=False):
        self.kept = deque(maxlen=_KEPT)
        self.on_entry = None
        self._stream = stream or sys.stderr
        self._journal = _leads_to_journal(self._stream)
        self._count = 0
        self.set(level, as_json, to_syslog)

    def set(self, level, as_json, to_syslog=False):
        """From now on."""
        self._wanted = LEVELS[: LEVELS.index(level) + 1]
        self._as_json = as_json
        if to_syslog:
            syslog.openlog("laclet", syslog.LOG_PID, syslog.LOG_DAEMON)
        self._syslog = to_syslog

    def __call__(self, level, component, text):
        if level not in self._wanted:
            return
        now = time.time()
        entry = {"time": round(now, 3), "level": level, "component": component, "text": text}
        if self._syslog:
            syslog.syslog(PRIORITIES[level], f"{component}: {text}")
        else:
            self._write(entry, now)
        self._count += 1
        self.kept.append({"n": self._count, **entry})
        if self.on_entry is not None:
            self.on_entry()

    def _write(self, entry, now):
        level, component, text = entry["level"], entry["component"], entry["text"]
        if self._as_json:
            line = json.dumps(entry)
        elif self._journal:
            line = f"<{PRIORITIES[level]}>{component}: {text}"
        else:
            clock = time.strftime("%H:%M:%S", time.localtime(now))
            line = f"[{clock}][{level[0].upper()}][{component}]: {text}"
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads it any more: the tunnel matters more than its log


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


def _leads_to_journal(stream):
    """True when systemd has connected this very stream with its journal."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
