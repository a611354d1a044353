"""What waits at the REPL's port while the board works: the console is loaded when somebody presses Enter there."""

import gc
import select
import sys

from laclet import ticks
from micropython import const

from .store import forget

_LOG_LINES = const(24)  # kept for ``show log``
_OCTETS_MAX = const(256)  # read at one time
_LOADING = const(2048)  # bytes between collections while it is loaded: its code stays together
_LAST_WORDS = const(300)  # ms before a restart: a USB port that vanishes takes along what was not read
_WAKE = b"\r\n{"


class Door:
    """A port of the shell. Ctrl-C is no input: it is a KeyboardInterrupt, ends the shell, and gives the prompt.

    A machine, too. To run another configuration the console is unloaded, for it is as large as a role, and all that it
    has to remember is kept here.
    """

    def __init__(self, shell, path):
        self.stream = sys.stdin
        self.armed = None  # for Timers
        self.lines = []  # of the log
        self.updates = None  # Updates, once there was talk of one
        self.capture = None  # a Capture that runs
        self._shell = shell
        self._path = path
        self._board = None
        self._state = None  # of an unloaded console
        self._next = None  # (the configuration to run, or None to restart,)
        self._next_at = None  # when
        self._octet = bytearray(1)
        self._more = select.poll()
        self._more.register(self.stream, select.POLLIN)
        self._say = shell.log
        shell.log = self.log
        shell.watch(self)

    def log(self, level, component, text):
        """The shell's log; the last lines are kept."""
        self._say(level, component, text)
        if level != "debug":
            if len(self.lines) >= _LOG_LINES:
                self.lines.pop(0)
            self.lines.append("[" + component + "]: " + text)

    def ready(self, events, now):
        """Take what was typed."""
        typed = b""
        while len(typed) < _OCTETS_MAX and self._more.poll(0):
            if not sys.stdin.buffer.readinto(self._octet):  # it was closed
                self._shell.unwatch(self)
                break
            typed += self._octet
        if self._board is None:
            new = self._state is None  # otherwise somebody works at it
            if new and not any(octet in _WAKE for octet in typed):
                return
            if not self._load():
                return
            if new and b"{" not in typed:
                self._board.console.start()
                return
        self._board.console.receive(typed, now)
        self._shell.node.timers.update(self, now)

    def soon(self, config):
        """Run this as soon as the shell is not in the middle of input; None: restart, in a moment."""
        self._next = (config,)
        now = self._shell.now()
        self._next_at = ticks.add(now, _LAST_WORDS if config is None else 0)
        self._shell.node.timers.update(self, now)

    def poll_at(self):
        """When there is something to do."""
        if self._next is not None:
            return self._next_at
        if self._board is not None:
            return self._board.poll_at()
        return self._state[0] if self._state else None

    def on_timer(self, now):
        """Run another configuration, or serve the console."""
        if self._next is None:
            at = self.poll_at()
            if ticks.due(at, now):
                # A commit was not confirmed. What was not saved is forgotten by a restart as well.
                if self._board is None and not self._load():
                    self.soon(None)
                else:
                    self._board.on_timer(now)
        if self._next is None or not ticks.due(self._next_at, now):
            return
        config = self._next[0]
        self._next = None
        if config is None:
            import machine

            self._shell.end()
            machine.reset()
        self._unload()
        self._shell.renew(config)
        if self.capture is not None:
            self.capture.attach()
        self.armed = None  # the timers are new
        self._shell.node.timers.update(self, self._shell.now())

    def _load(self):
        """Load the console; False without memory for it: calls go on."""
        gc.collect()
        before = gc.threshold()
        gc.threshold(_LOADING)
        try:
            from .console import Board

            self._board = Board(self._shell, self._path, self, self._state)
            self._state = None
            return True
        except MemoryError:
            self._forget()
            self.log("error", "console", "no memory for it beside the calls; Ctrl-C gives the prompt")
            return False
        finally:
            gc.collect()
            gc.threshold(before)

    def _unload(self):
        self._state = self._board.console.state()
        self._board = None
        self._forget()

    def _forget(self):
        forget("laclet_mcu", "console")
        forget("laclet.node", "console", "config", "schema", "values")
        gc.collect()
