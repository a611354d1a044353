"""Somebody at a terminal: a command on a pty of its own, keys, and what is seen."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time

from clirun import environment

PATIENCE = 60  # s


class Typist:
    """``laclet WORDS`` on a terminal of that size. A context manager."""

    def __init__(self, run_dir, *words, rows=40, columns=120):
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.settings = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "laclet_host", *map(str, words)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**environment(run_dir), "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def type(self, keys):
        os.write(self.master, keys)
        return self

    def expect(self, wanted):
        """Everything up to ``wanted``, which is taken away."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.seen:
            assert time.monotonic() < deadline, f"no {wanted} in {self.seen}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 4096)
            else:
                assert self.process.poll() is None, f"ended without {wanted}: {self.seen}"
        end = self.seen.index(wanted) + len(wanted)
        got, self.seen = self.seen[:end], self.seen[end:]
        return got

    def end(self):
        """The exit code, and what was left to see; the terminal must be as it was before."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None or select.select([self.master], [], [], 0)[0]:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 4096)
        assert termios.tcgetattr(self.slave) == self.settings, "the terminal is left as it was"
        return self.process.returncode, self.seen
