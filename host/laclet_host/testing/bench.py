"""What stands on the desk for a test: the device, a test LNS, and a PPP host behind the modem on its line."""

import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from laclet.node.console import flat

from ..device.flash import wait_for_device
from ..device.link import Link, Refused
from ..device.ports import DeviceError
from ..ui import Trouble

USER, PASSWORD = "laclet-test", "laclet-test-password"
# A configuration that does nothing: nobody is at that address (RFC 5737).
IDLE = {"tunnel": {"idle": {"server": "192.0.2.1"}}, "call": {"idle": {"tunnel": "idle"}}}
_AUTH = "eap,mschap-v2,mschap,chap,pap"
_LOOK = 0.2  # s between looks at a status
_START = 15.0  # s for the LNS
_UP = 30.0  # s for a call
# s that a device has to be on before its power is cut: six shorter cycles in a row are its way to a factory reset.
_SETTLED = 6.0
_OURS = ("tunnel", "call", "lns", "dialout")  # sections for tests; the rest is the device's own: uplinks, terminals
_QUIET = 8.0  # s without a word: it has restarted, and more
_POWER = 60.0  # s for the command that cuts power


def command(*words: str) -> list[str]:
    """``laclet`` with these words, as a process."""
    return [sys.executable, "-m", "laclet_host", *words]


class Device:
    """A device at ``port``. What is tried on it is committed and not saved: a restart brings its own back.

    ``power`` is a command that cuts and restores its power, or a callable; None: nobody can.
    """

    def __init__(self, port: str, power=None):
        self.port = port
        self.power = power
        self.link = Link(port)
        self._on_since = time.monotonic()

    def run(self, tree: dict[str, Any]) -> None:
        """Run these tunnels and calls alone. Uplinks, and what else is the device's own, stay as they are."""
        self.link.get("discard")
        has = self.link.get("show config")
        for section in _OURS:
            if section in has:
                self.link.get(f"delete {section}")
        for name in tree.get("line", {}):
            if name in has.get("line", {}):
                self.link.get(f"delete line.{name}")
        for path, value in flat(tree):
            self.link.get("set " + ".".join(path), value)
        if self.link.get("compare"):
            self.link.get("commit")

    def line(self) -> dict[str, Any]:
        """The section of a line of its own that is neither an uplink nor a console; else UART 1 at 115200 bit/s."""
        config = self.link.get("show config")
        taken = [each.get("line") for each in config.get("uplink", {}).values()]
        taken.append(config.get("board", {}).get("console_line"))
        for name, line in sorted(config.get("line", {}).items()):
            if name not in taken and line.get("device") != "lwip":
                return line
        return {"device": "1", "baud": 115200}

    def up(self, seconds: float = _UP) -> dict[str, Any]:
        """The status as soon as every call is up."""
        return self.wait(lambda status: all(each["state"] == "up" for each in status["calls"].values()), seconds)

    def updates(self) -> bool:
        """True when it has two slots of code, and takes an update without a signature."""
        try:
            about = self.link.get("update status")
        except Refused:
            return False
        return bool(about["other"]) and not about["key"]

    def status(self) -> dict[str, Any]:
        """As ``show status`` gives it."""
        return self.link.get("show status")

    def wait(self, ready, seconds: float) -> dict[str, Any]:
        """The status as soon as ``ready(status)``; AssertionError with the last one otherwise."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status()
            if ready(status):
                return status
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {faults(status) or status}"
            time.sleep(_LOOK)

    def log(self) -> list[str]:
        """Its last lines."""
        return self.link.get("show log")

    def restart(self) -> None:
        """Reboot it; it comes back with what is saved."""
        self.link.get("reboot")
        self.restarted()

    def restarted(self) -> None:
        """It is about to restart by itself: find it again."""
        with contextlib.suppress(DeviceError):  # a port of USB goes with its board
            for _ in self.link.lines(silence=_QUIET):  # first it says goodbye to its peers
                pass
        self._back()

    def cut_power(self) -> None:
        """Without a warning."""
        time.sleep(max(0.0, self._on_since + _SETTLED - time.monotonic()))
        if callable(self.power):
            self.power()
        else:
            subprocess.run(shlex.split(self.power), check=True, timeout=_POWER)
        self._back()

    def _back(self) -> None:
        self.link.close()
        wait_for_device(self.port)
        self.link = Link(self.port)
        self._on_since = time.monotonic()

    def close(self) -> None:
        """Give the port back."""
        self.link.close()


def faults(status: dict[str, Any]) -> list[str]:
    """The failures that a status tells of."""
    found = []
    for kind in ("tunnels", "calls"):
        found += [f"{name}: {each['fault']}" for name, each in sorted(status[kind].items()) if each.get("fault")]
    return found


class Lns:
    """A test LNS as a process, and a capture of all it says; ``words`` go to ``laclet lns``.

    ``server`` is its address and port, ``user`` and ``password`` what it takes.
    """

    user, password = USER, PASSWORD

    def __init__(self, address: str, *words: str):
        self._folder = tempfile.TemporaryDirectory(prefix="laclet-test-")
        folder = Path(self._folder.name)
        self.port = free_port(address)
        self.server = f"{address}:{self.port}"
        self.capture = folder / "lns.pcapng"
        self._environment = {**os.environ, "LACLET_RUN_DIR": str(folder)}
        users = folder / "users"
        users.touch(0o600)
        users.write_text(f"{USER}:{PASSWORD}\n")
        self._log = (folder / "log").open("w+b")  # until close()
        start = ["lns", "--listen", self.server, "--user-file", str(users), "--auth", _AUTH, *words]
        self._lns = self._start(*start)
        self._capture = None
        self._wait_for("listening at")
        self._capture = self._start("capture", "lns", "-o", str(self.capture))
        self._wait_for("capturing lns")

    def _wait_for(self, words: str) -> None:
        """The LNS, or its capture, says this as soon as it works."""
        deadline = time.monotonic() + _START
        while words not in self._said():
            if self._lns.poll() is not None or time.monotonic() > deadline:
                said = self._said()
                self.close()
                raise Trouble(f"the test LNS does not start: {said}")
            time.sleep(0.05)

    def client(self, auth: str | None = None, *others: str) -> dict[str, Any]:
        """The configuration of a LAC client that calls here, as ``Device.run`` takes it; all waits are short.

        ``auth``: the only authentication it offers; ``others``: servers that it is to try before this one.
        """
        tunnel = {"server": [*others, self.server], "holdoff": 0.5, "redial_timeout": 2, "hello_interval": 2}
        tunnel |= {"retry_timeout": 0.3, "max_retries": 3}
        call = {"tunnel": "test", "username": self.user, "password": self.password}
        return {"tunnel": {"test": tunnel}, "call": {"test": call | ({"auth": [auth]} if auth else {})}}

    def fault(self, *words: str) -> list[str]:
        """Let something go wrong: see ``laclet fault``."""
        return json.loads(self._ask("fault", "lns", *words, "--json"))

    def callers(self) -> list[dict[str, Any]]:
        """Who is there."""
        return json.loads(self._ask("status", "lns", "--json"))["lns"]["lns"]["callers"]

    def wait_for_caller(self, seconds: float) -> dict[str, Any]:
        """The first caller that has an address; AssertionError with the log otherwise."""
        deadline = time.monotonic() + seconds
        while True:
            found = [each for each in self.callers() if each.get("address")]
            if found:
                return found[0]
            assert time.monotonic() < deadline, f"nobody called within {seconds:g} s; the LNS said:\n{self._said()}"
            time.sleep(_LOOK)

    def close(self) -> None:
        """End it; the capture is then whole, and stays until ``forget``."""
        for process in (self._lns, self._capture):
            if process is not None and process.poll() is None:
                process.terminate() if process is self._lns else None
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._log.close()

    def forget(self) -> None:
        """Remove its files."""
        self._folder.cleanup()

    def _start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen(command(*words), stdout=self._log, stderr=self._log, env=self._environment)

    def _ask(self, *words: str) -> str:
        done = subprocess.run(command(*words), capture_output=True, text=True, env=self._environment, timeout=_START)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _said(self) -> str:
        self._log.flush()
        return Path(self._log.name).read_text("utf-8", "replace")[-2000:]


def free_port(address: str) -> int:
    """A UDP port at ``address`` that nobody has."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        return sock.getsockname()[1]


def modem_at(path: str):
    """A ``Caller``: AT modem and PPP host at the far end of a device's line."""
    from ..desk.caller import Caller, open_raw

    return Caller(open_raw(path), USER, PASSWORD)


@contextlib.contextmanager
def virtual_device(heap: str = "320K"):
    """``(board, Device)``: real MicroPython with laclet, on a pty."""
    from ..board.virtual import VirtualBoard
    from ..commands.virtual import as_delivered, rom_image

    with tempfile.TemporaryDirectory(prefix="laclet-test-") as folder:
        flash = Path(folder) / "flash.img"
        flash.write_bytes(as_delivered())
        with VirtualBoard(flash=flash, rom=rom_image(Path(folder)), heap=heap) as board:

            def cut():
                board.kill()
                board.start()

            device = Device(board.port, cut)
            try:
                yield board, device
            finally:
                device.close()
