"""Log lines: ``[HH:MM:SS][L][component]: text`` for people, or one JSON object a line."""

import json
import sys
import time

LEVELS = ("error", "warning", "info", "debug")


class Log:
    """``log(level, component, text)``, from any thread; levels beyond ``level`` are left out."""

    def __init__(self, level="info", as_json=False, stream=None):
        self._stream = stream or sys.stderr
        self.set(level, as_json)

    def set(self, level, as_json):
        """From now on."""
        self._wanted = LEVELS[: LEVELS.index(level) + 1]
        self._as_json = as_json

    def __call__(self, level, component, text):
        if level not in self._wanted:
            return
        now = time.time()
        if self._as_json:
            line = json.dumps({"time": round(now, 3), "level": level, "component": component, "text": text})
        else:
            clock = time.strftime("%H:%M:%S", time.localtime(now))
            line = f"[{clock}][{level[0].upper()}][{component}]: {text}"
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads it any more: the tunnel matters more than its log
