"""A virtual board: the real unix port of MicroPython behind a pty, with a board's heap, flash, reset button and UARTs.

mpremote, pyserial and Thonny drive it as they would a board::

    with VirtualBoard(flash="board.img") as board:
        subprocess.run(["mpremote", "connect", board.port, "ls"])

A supervisor thread stands between the console's pty and MicroPython's own tty. It plays what a board's firmware does
around the interpreter: soft resets, the reset button, the watchdog, power cuts. The board's own side is in ``micro/``.
"""

import hashlib
import json
import os
import queue
import re
import select
import signal
import subprocess
import termios
import threading
import time
from pathlib import Path

from .cable import Flow, Pty, carry
from .launch import MICRO, LaunchError, command

BLOCK = 4096  # bytes of flash erased at once
BLOCKS = 512  # 2 MiB
BOOT_TIMEOUT = 10.0  # s until the start-up script has mounted the file system; it needs about 0.05

# Values of machine.reset_cause().
PWRON_RESET, HARD_RESET, WDT_RESET, SOFT_RESET = 1, 2, 3, 5

_CTRL_A = b"\x01"
_CTRL_C = b"\x03"
_CALM_NAP = 0.0005  # s between looks whether Ctrl-C may come
_CALM_TRIES = 200
_RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_PROMPT = re.compile(rb'MicroPython [^\r\n]*\r\nType "help\(\)" for more information\.\r\n>>> ')
_BANNER_MAX = 256  # bytes; neither is longer
_SAID_MAX = 4096  # bytes kept of what a board prints before it is up
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")


def _takes_sigint(pid):
    """True when the process has a handler for SIGINT and waits for something, or when this system does not tell.

    The unix port raises KeyboardInterrupt wherever it is; in the middle of a collection its heap stays locked.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return True
    caught = int(re.search(rb"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)[1], 16)
    return bool(caught >> (signal.SIGINT - 1) & 1) and b"State:\tS" in status


class BoardError(Exception):
    """The board did not boot; the text holds what it printed."""


class _Console:
    """What passes the console on its way out: which REPL it is, and a raw one entered again after a soft reset."""

    def __init__(self):
        self.raw = False  # the raw REPL is on
        self.said = b""  # since the boot, for the error when it fails
        self._last = b""  # enough of the past to find a banner that came in pieces
        self._entering = None  # while entering the raw REPL: what to send MicroPython at its prompt
        self._hidden = b""

    def boot(self, enter_raw):
        """A new MicroPython begins. ``enter_raw``: call this when its prompt comes, and hide what it says of that."""
        self.raw = False
        self.said = self._last = self._hidden = b""
        self._entering = enter_raw

    def see(self, data):
        """What MicroPython printed, as the host shall see it."""
        self.said = (self.said + data)[-_SAID_MAX:]
        if self._entering or self._hidden:
            data = self._hide(data)
        if not self.raw:  # a board prints CR LF; in the raw REPL the bytes may be a tool's own
            before = b"\r" if self._last.endswith(b"\r") else b""
            data = _BARE_NEWLINE.sub(b"\r\n", before + data)[len(before) :]
        self._last += data
        prompt = max((match.start() for match in _PROMPT.finditer(self._last)), default=-1)
        banner = self._last.rfind(_RAW_BANNER)
        if prompt != banner:
            self.raw = banner > prompt
        self._last = self._last[-_BANNER_MAX:]
        return data

    def _hide(self, data):
        self._hidden += data
        if self._entering:
            prompt = _PROMPT.search(self._hidden)
            if prompt is None:
                shown, self._hidden = self._hidden[:-_BANNER_MAX], self._hidden[-_BANNER_MAX:]
                return shown
            shown = self._hidden[: prompt.start()]
            self._hidden = self._hidden[prompt.start() :]
            enter, self._entering = self._entering, None
            enter()
            return shown
        at = self._hidden.find(_RAW_BANNER)
        if at < 0:
            return b""
        shown, self._hidden = self._hidden[at:], b""
        return shown


class VirtualBoard:
    """One board. ``port`` is its console; ``uarts`` maps UART numbers to the far ends of their wires: paths of ttys.

    Its file system is either the folder ``root`` or a LittleFS in the file ``flash`` (2 MiB, made when missing).
    ``rom`` is a ROMFS image in a file, mounted at /rom. ``prefix`` comes before the command that starts MicroPython:
    ``["ip", "netns", "exec", …]`` for a board in a network of its own.
    """

    def __init__(self, root=None, flash=None, heap="128K", uarts=(1,), rom=None, prefix=()):
        if (root is None) == (flash is None):
            raise ValueError("a board has either a root folder or a flash file")
        try:
            start, self._environment = command(heap, rom, tty=True)
        except LaunchError as error:
            raise BoardError(str(error)) from None
        self.boots = 0  # times its file system was mounted
        self._command = [*prefix, *start, "-i", os.path.join(MICRO, "start.py")]
        self._root = None if root is None else Path(root).resolve()
        self._flash = None if flash is None else Path(flash).resolve()
        self._console = Pty()
        self._wires = {int(number): (Pty(), Pty()) for number in uarts}  # (the board's end, the far end)
        self.port = self._console.path
        self.uarts = {number: far.path for number, (_, far) in self._wires.items()}
        self._wire_flows = []
        for near, far in self._wires.values():
            self._wire_flows += [Flow(near, far), Flow(far, near)]
        self._commands = queue.SimpleQueue()  # (method, arguments, done event)
        self._wake, self._waker = os.pipe()
        self._change = threading.Condition()  # of ``boots`` and ``powered``
        self._thread = None
        self._ended = False
        self._view = _Console()
        # Of the MicroPython that runs now:
        self._process = None
        self._tty = None
        self._in = Flow(self._console, None, self._typed)  # to its tty
        self._out = Flow(None, self._console, self._view.see)
        self._control = None  # its words to us
        self._words = b""
        self._ready = False
        self._watchdog = None  # (period, deadline) in s

    # --- the user's side ---

    @property
    def powered(self):
        """True while MicroPython runs."""
        return self._process is not None

    def start(self, cut_after=0):
        """Switch on and wait until the file system is mounted; raises ``BoardError``.

        ``cut_after`` = n cuts the power in the middle of the n-th write or erase of the flash in this boot.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._supervise, name=f"board {self.port}", daemon=True)
            self._thread.start()
        self._boot_and_wait(PWRON_RESET, cut_after)

    def reset(self):
        """Press the reset button; returns when the board has booted again."""
        self._boot_and_wait(HARD_RESET, 0)

    def kill(self):
        """Cut the power. The ptys stay; ``start`` boots again."""
        if self._thread is not None:
            self._do(self._power_off)

    def stop(self):
        """Cut the power and remove the ptys."""
        if self._ended:
            return
        if self._thread is not None:
            self._do(self._end)
            self._thread.join()
        self._ended = True
        for pty in (self._console, *(pty for wire in self._wires.values() for pty in wire)):
            pty.close()
        os.close(self._wake)
        os.close(self._waker)

    def wait(self, ready, timeout=BOOT_TIMEOUT):
        """Wait until ``ready(board)`` is true, looked at when the board boots or loses power; False at the timeout."""
        with self._change:
            return self._change.wait_for(lambda: ready(self), timeout)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _do(self, method, *arguments):
        """Have the supervisor call ``method``."""
        done = threading.Event()
        self._commands.put((method, arguments, done))
        os.write(self._waker, b"!")
        done.wait()

    def _boot_and_wait(self, cause, cut_after):
        boots = self.boots
        self._do(self._boot, cause, cut_after)
        if not self.wait(lambda board: board.boots > boots or not board.powered):
            self.kill()
        if self.boots == boots and not (cut_after and not self.powered):
            said = self._view.said.decode(errors="replace").strip()
            raise BoardError(f"the board did not boot: {said or 'it said nothing'}")

    # --- the supervisor's side: all below runs in its thread ---

    def _supervise(self):
        while not self._ended:
            flows = [*self._wire_flows, *((self._in, self._out) if self._process else ())]
            others = {self._wake} if self._control is None else {self._wake, self._control}
            timeout = None if self._watchdog is None else max(0.0, self._watchdog[1] - time.monotonic())
            readable = carry(flows, others, timeout)
            if self._control in readable:
                self._listen()
            elif self._process and self._process.poll() is not None and self._tty.state() == select.POLLHUP:
                self._exited(self._process.returncode)
            if self._watchdog is not None and time.monotonic() >= self._watchdog[1]:
                self._boot(WDT_RESET)
            if self._wake in readable:
                os.read(self._wake, 64)
            while not self._commands.empty():
                method, arguments, done = self._commands.get()
                method(*arguments)
                done.set()

    def _end(self):
        self._power_off()
        self._ended = True

    def _boot(self, cause, cut_after=0, main=True, raw=False):
        """Begin a new MicroPython; ``main``: run main.py; ``raw``: enter the raw REPL again."""
        self._stop_process()
        if cause != SOFT_RESET:
            self._console.drain()
        for near, _ in self._wires.values():
            near.drain()
        self._tty = Pty()
        self._view.boot(self._enter_raw if raw else None)
        self._out.source = self._in.target = self._tty
        self._in.held = True  # until it is ready: an early Ctrl-C would be lost
        self._control, control = os.pipe()
        slave = os.open(self._tty.path, os.O_RDWR | os.O_NOCTTY)
        about = {
            "micro": MICRO,
            "root": str(self._root),
            "flash": self._flash and str(self._flash),
            "blocks": self._flash and self._flash_blocks(),
            "cut": cut_after,
            "control": control,
            "uarts": {str(number): near.path for number, (near, _) in self._wires.items()},
            "cause": cause,
            "main": main,
            "id": hashlib.sha256(str(self._flash or self._root).encode()).hexdigest()[:12],
        }
        with self._change:
            self._process = subprocess.Popen(
                self._command,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**self._environment, "LACLET_BOARD": json.dumps(about)},
                pass_fds=(control,),
            )
        os.close(slave)
        os.close(control)

    def _flash_blocks(self):
        if not self._flash.exists():
            self._flash.write_bytes(b"\xff" * BLOCK * BLOCKS)
        return self._flash.stat().st_size // BLOCK

    def _typed(self, data):
        """What the host sent. Ctrl-C must not come between two statements: there it would kill MicroPython.

        Code that never waits gets it after a tenth of a second.
        """
        if _CTRL_C in data:
            for _ in range(_CALM_TRIES):
                if not termios.tcgetattr(self._tty.master)[3] & termios.ISIG or _takes_sigint(self._process.pid):
                    break
                time.sleep(_CALM_NAP)
        return data

    def _enter_raw(self):
        os.write(self._tty.master, _CTRL_A)

    def _stop_process(self):
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._tty.close()
        if self._control is not None:
            os.close(self._control)
        self._control = self._watchdog = None
        self._words = b""
        self._ready = False
        self._process = None

    def _power_off(self):
        self._stop_process()
        with self._change:
            self._change.notify_all()

    def _exited(self, code):
        """MicroPython ended by itself: a soft reset on a board, unless it never came up."""
        if not self._ready:
            self._power_off()
        elif code == -signal.SIGINT:  # Ctrl-C in the moment between two statements: all it can do is go to the prompt
            self._boot(SOFT_RESET, main=False, raw=self._view.raw)
        elif code < 0:  # it crashed
            self._boot(HARD_RESET)
        else:
            self._soft_reset()

    def _soft_reset(self):
        self._out.put(b"MPY: soft reboot\r\n")
        self._boot(SOFT_RESET, main=not self._view.raw, raw=self._view.raw)

    def _listen(self):
        """What machine.tell() says on the board."""
        data = os.read(self._control, 1024)
        if not data:  # closed by its exit
            os.close(self._control)
            self._control = None
            return
        *words, self._words = (self._words + data).split(b"\n")
        for word, *arguments in map(bytes.split, words):
            if word == b"ready":
                self._ready = True
                self._in.held = False
                with self._change:
                    self.boots += 1
                    self._change.notify_all()
            elif word == b"wdt":
                period = int(arguments[0]) / 1000
                self._watchdog = (period, time.monotonic() + period)
            elif word == b"feed" and self._watchdog is not None:
                self._watchdog = (self._watchdog[0], time.monotonic() + self._watchdog[0])
            elif word in (b"reset", b"restart", b"cut", b"dead"):  # it prints nothing more, and waits to be killed
                while self._tty.state() & select.POLLIN:
                    self._out.move({})
                if word == b"reset":
                    self._boot(HARD_RESET)
                elif word == b"restart":
                    self._soft_reset()
                else:
                    self._power_off()
                return
