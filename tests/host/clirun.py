"""The ``laclet`` command as tests start it: one-shot, or as a service whose log is read line by line."""

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds for one thing to happen


def environment(run_dir):
    """The environment of commands: this checkout's modules, control sockets in ``run_dir``."""
    paths = f"{ROOT / 'firmware'}{os.pathsep}{ROOT / 'host'}"
    return {**os.environ, "PYTHONPATH": paths, "LACLET_RUN_DIR": str(run_dir), "PYTHONDONTWRITEBYTECODE": "1"}


def laclet(run_dir, *words, timeout=PATIENCE, **options):
    """Run one command to its end: exit code, stdout and stderr."""
    return subprocess.run(
        [sys.executable, "-m", "laclet_host", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(run_dir),
        check=False,
        **options,
    )


class Service:
    """A running ``laclet run`` or ``laclet lns`` with a JSON log; ``said`` has all texts so far."""

    def __init__(self, run_dir, *words, prefix=(), **options):
        self.said = []
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "laclet_host", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(run_dir),
            **options,
        )
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text):
        """The next line that contains ``text``, as ``component: text``."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"never said {text!r}, but {self.said}") from None
            assert line is not None, f"ended without {text!r}: {self.said}"
            if text in line:
                return line

    def end(self, number=None):
        """Send a signal, if given, and wait for the end; the exit code."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self):
        """For clean-up."""
        if self.process.poll() is None:
            self.end(9)
        self.process.stdout.close()

    def _read(self):
        for raw in self.process.stdout:
            try:
                entry = json.loads(raw)
                line = f"{entry['component']}: {entry['text']}"
            except ValueError:
                line = raw.rstrip("\n")
            self.said.append(line)
            self._lines.put(line)
        self._lines.put(None)
