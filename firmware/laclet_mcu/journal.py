"""The last lines of the log, and the last crash: kept in memory, and in a file that survives a restart."""

import gc
import io
import os
import sys
import time

from laclet import ticks
from micropython import const

PATH = "/log"
CRASH = "/crash"
_LINES = const(24)
_LINE_MAX = const(160)  # characters of a line
_CRASH_MAX = const(1024)
_PAUSE = const(60_000)  # ms between writes: flash wears


class Journal:
    """Takes the place of ``shell.log``. ``cause``: of the restart before, as machine.reset_cause() gives it."""

    def __init__(self, shell, cause=None):
        self.lines = []
        self._before = read(PATH).split("\n")[-_LINES:]
        self._cause = cause
        self._due = None  # when what is new is to be written
        self._shell = shell
        self._say = shell.log
        shell.log = self.log

    def log(self, level, component, text):
        """A line: said by the shell, and kept."""
        self._say(level, component, text)
        if level == "debug":
            return
        at = time.localtime()
        if len(self.lines) >= _LINES:
            self.lines.pop(0)
        line = "[%02d:%02d:%02d][%s][%s]: %s" % (at[3], at[4], at[5], level[0].upper(), component, text)
        self.lines.append(line[:_LINE_MAX])
        if level != "info" and self._due is None:
            self._due = ticks.add(self._shell.now(), _PAUSE)

    def show(self):
        """What there was before the last restart, and what there is now."""
        out = list(self._before) if self._before != [""] else []
        crash = read(CRASH)
        if crash:
            out += ["-- the last crash --"] + crash.split("\n")
        if self._cause is not None:
            out.append("-- restarted, cause %s --" % self._cause)
        return out + self.lines

    def flush(self, now=None):
        """Write what is new: with ``now`` when its time has come, else in any case."""
        if now is not None and not ticks.due(self._due, now):
            return
        self._due = None
        write(PATH, self.lines)

    def crashed(self, error):
        """Keep the traceback of an exception, and the lines; as far as there is memory."""
        try:
            text = io.StringIO()
            sys.print_exception(error, text)
            lines = text.getvalue()[-_CRASH_MAX:].strip().split("\n")
        except MemoryError:
            lines = [repr(error)]
        write(CRASH, ["%d-%02d-%02d %02d:%02d:%02d" % time.localtime()[:6]] + lines)
        self.flush()


def read(path):
    """The text of a file; "" without one."""
    try:
        with open(path) as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def write(path, lines):
    """Write them, if file system and memory allow: LittleFS keeps the old content until the new is complete."""
    gc.collect()
    try:
        with open(path, "w") as file:
            for line in lines:
                file.write(line)
                file.write("\n")
    except (OSError, MemoryError):
        pass


def forget():
    """Remove both files."""
    for path in (PATH, CRASH):
        try:
            os.remove(path)
        except OSError:
            pass
