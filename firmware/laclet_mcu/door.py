"""What waits at a terminal while the board works: the console is loaded when somebody presses Enter there."""

import gc

from laclet import ticks
from micropython import const

from . import forget

_LOADING = const(2048)  # bytes between collections while it is loaded: its code stays together
_ROOM = const(8192)  # bytes in one piece that it leaves: a call must be able to come up beside it
_LAST_WORDS = const(300)  # ms before a restart: a USB port that vanishes takes along what was not read
_WAKE = b"\r\n{"


class Desk:
    """What the doors of a board share: there is one console at a time, and one candidate."""

    def __init__(self, journal):
        self.journal = journal
        self.state = None  # of an unloaded console
        self.owner = None  # the Door that has the console
        self.updates = None  # Updates, once there was talk of one
        self.capture = None  # a Capture that runs

    def stop_capture(self):
        """Forget it and its code; what it has to tell, or None."""
        running, self.capture = self.capture, None
        told = running.close() if running is not None else None
        forget("laclet_mcu", "capture", "frametaps", "datagramtaps")
        return told


class Door:
    """A port of the shell, and a machine.

    To run another configuration the console is unloaded, for it is as large as a role, and all that it has to remember
    is kept in the desk.
    """

    def __init__(self, shell, path, desk, terminal):
        self.stream = terminal.stream
        self.terminal = terminal
        self.desk = desk
        self.armed = None  # for Timers
        self.leaving = False  # the console was told to
        self._shell = shell
        self._path = path
        self._board = None
        self._next = None  # (the configuration to run, or None to restart,)
        self._next_at = None  # when
        shell.watch(self)

    def ready(self, events, now):
        """Take what was typed."""
        typed = self.terminal.read()
        if typed is None:
            self._shell.unwatch(self)
            return
        new = self.desk.owner is not self  # otherwise somebody works at it
        if new and not self._open(typed):
            return
        if (self._board is None and not self._load(new)) or self._greeted(new, typed):
            return
        try:
            self._board.console.receive(typed, now)
        except MemoryError:
            self.leaving = True
            self._starved()
        if self.leaving:
            self._leave()
        self._shell.node.timers.update(self, now)

    def _open(self, typed):
        """True when somebody knocks, and the console is free."""
        if not any(octet in _WAKE for octet in typed):
            return False
        if self.desk.owner is not None:
            self.terminal.write("error: the console is open at another port; write exit there\n")
            return False
        if self._board is not None:  # it is there because of a deadline
            self._unload()
        return True

    def _greeted(self, new, typed):
        if new:
            self.desk.owner = self
        if not new or b"{" in typed:
            return False
        self._board.console.start()
        return True

    def close(self):
        """Give back the terminal."""
        self._shell.unwatch(self)
        self.terminal.close()
        if self.desk.owner is self:
            self._leave()

    def _leave(self):
        """Nobody works here any longer; what was committed and waits for save or confirm is remembered."""
        self.leaving = False
        self._unload()
        self.desk.owner = None

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
        return self.desk.state[0] if self.desk.state and self.desk.owner in (None, self) else None

    def on_timer(self, now):
        """Run another configuration, or serve the console."""
        if self._next is None:
            at = self.poll_at()
            if ticks.due(at, now):
                # A commit was not confirmed. What was not saved is forgotten by a restart as well.
                if self._board is None and not self._load(True):
                    self.soon(None)
                else:
                    self._board.on_timer(now)
        if self._next is None or not ticks.due(self._next_at, now):
            return
        config = self._next[0]
        self._next = None
        if config is None:
            import machine

            self._unload()
            self._shell.end()
            self.desk.journal.flush()
            machine.reset()
        self._unload()
        self._shell.renew(config)
        if self.desk.capture is not None:
            self.desk.capture.attach()
        self.armed = None  # the timers are new
        self._shell.node.timers.update(self, self._shell.now())

    def _load(self, new):
        """Load the console, for somebody ``new`` or not; False without memory for it: calls go on."""
        gc.collect()
        before = gc.threshold()
        gc.threshold(_LOADING)
        try:
            from .console import Board

            self._board = Board(self._shell, self._path, self, self.desk.state, not new)
            gc.collect()
            bytearray(_ROOM)
            self.desk.state = None
            return True
        except MemoryError:
            self._board = None
            self._forget()
            self._starved()
            return False
        finally:
            gc.collect()
            gc.threshold(before)

    def _starved(self):
        """The tools know these words."""
        gc.collect()
        self._shell.log("error", "console", "no memory for it beside the calls; Ctrl-C gives the prompt")

    def _unload(self):
        if self._board is not None:
            self.desk.state = self._board.console.state()
            self._board = None
        self._forget()

    def _forget(self):
        forget("laclet_mcu", "console")
        forget("laclet.node", "console", "grammar", "lineedit", "config", "schema", "values")
        gc.collect()
