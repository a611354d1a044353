"""A board's MicroPython prompt, by mpremote. What runs there is stopped, in order, before mpremote comes."""

import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec

import serial

from .device.ports import Absent, Mute, address, open_port
from .ui import Trouble

_PROMPT = b">>> "
_CALM = 6.0  # s for a service to close its tunnels: a peer that does not answer is waited for for 3
_TRIES = 2
_PATIENCE = 60  # s for a script


class Prompt:
    """The prompt at ``port``. Raises ``DeviceError`` (absent, busy, mute), ``Trouble`` from scripts that fail."""

    def __init__(self, port: str):
        self.name = port
        self.stopped = False  # something ran there until we came
        if find_spec("mpremote") is None:
            raise Trouble("mpremote is missing: pip install 'laclet[board]'")
        with open_port(port) as line:
            self._interrupt(line)
        self._port = address(port)

    def _interrupt(self, line: serial.SerialBase) -> None:
        """Ctrl-C until the prompt is there. A service that closes its tunnels would take what mpremote sends."""
        try:
            said = b""
            for _ in range(_TRIES):
                line.write(b"\r\x03\x02\r")  # and out of a raw REPL
                deadline = time.monotonic() + _CALM
                while time.monotonic() < deadline:
                    said += line.read(64)
                    if said.endswith(_PROMPT):
                        self.stopped = b"KeyboardInterrupt" in said
                        return
        except (serial.SerialException, OSError):
            raise Absent(f"{self.name}: has gone while we talked; plug it in again and repeat the command") from None
        raise Mute(f"{self.name}: no prompt of MicroPython after Ctrl-C; reset the board and try again")

    def run(self, script: str) -> str:
        """What a script prints. It goes through a file: others can see the arguments of programs."""
        with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as file:
            file.write(script)
            file.flush()
            return self._mpremote("run", file.name)

    def reset(self) -> None:
        """Restart the board, and so what it does by itself."""
        self._mpremote("reset")

    def _mpremote(self, *words: str) -> str:
        command = [sys.executable, "-m", "mpremote", "connect", self._port, "resume", *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise Mute(f"{self.name}: has not answered for {_PATIENCE} s; reset the board and try again") from None
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise Trouble(f"{self.name}: {last[0] if last else 'mpremote has failed'}; reset the board and try again")
        return done.stdout
