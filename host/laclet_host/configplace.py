"""Where a device keeps its configuration, and how to get at it: its console, its prompt, or its files.

A place has ``name``, ``read()`` (the tree, secrets as ``(hidden)`` where they are not shown), ``compare(tree)`` (old
and new tree for people), ``write(tree, tell)`` (all or nothing) and ``close()``. What fails is a ``Trouble``.
"""

import json
import time
from pathlib import Path

from laclet.node.config import HIDDEN, is_secret
from laclet.node.console import LINE_MAX, flat, put
from laclet.node.values import dotted

from .configtext import changes, join, keep, split, write
from .device.link import Link, Refused
from .device.ports import DeviceError, WrongDevice
from .device.repl import Repl
from .ui import CONFIG_INVALID, TIMEOUT, Trouble

CHANGED = "(hidden, changed)"
_CONFIRM = 3  # minutes after which the board goes back by itself when we are cut off
_LOOK = 0.25  # s between looks whether tunnels are up
_AROUND = 48  # characters of a request around path and value
_UP = ("up", "waiting")  # what a call reads when nothing is wrong: a line waits for its host


def open_place(port: str, prompt: bool = False, discard: bool = False):
    """The place at ``port``: a folder or config.json; a board's console; its prompt where laclet does not run, or when
    ``prompt``. ``discard``: changes that somebody has left uncommitted at the console are forgotten."""
    path = Path(port)
    if path.is_dir() or path.suffix == ".json":
        return Folder(path)
    if not prompt:
        try:
            return Console(Link(port), discard)
        except WrongDevice:
            pass
    return Files(Repl(port))


class Folder:
    """``config.json`` and ``secrets.json`` in a folder: a mounted board, or one still to be made."""

    def __init__(self, path: Path):
        self._path = path / "config.json" if path.is_dir() else path
        self.name = str(self._path)

    def read(self) -> dict:
        return join(*self._pair())

    def compare(self, tree: dict) -> tuple[dict, dict]:
        old = self.read()
        return _shown(old, _changed_secrets(old, keep(tree, old)[0])), _shown(tree, set())

    def write(self, tree: dict, tell, up: float = 0) -> None:
        main, secrets = split(_kept(tree, self.read()))
        write(self._path.with_name("secrets.json"), json.dumps(secrets) + "\n", 0o600)
        write(self._path, json.dumps(main) + "\n")

    def close(self) -> None:
        """Nothing is open."""

    def _pair(self) -> tuple[dict, dict]:
        found = []
        for path in (self._path, self._path.with_name("secrets.json")):
            try:
                found.append(json.loads(path.read_text("utf-8")) if path.exists() else {})
            except ValueError:
                raise Trouble(f"{path}: is not JSON; mend it, or remove it", CONFIG_INVALID) from None
        return found[0], found[1]


class Files(Folder):
    """The files of a board at MicroPython's prompt. A service that runs there is stopped for it; at the end the board
    restarts."""

    def __init__(self, repl: Repl):
        self._repl = repl
        self.name = repl.port

    def write(self, tree: dict, tell, up: float = 0) -> None:
        if up:
            raise Trouble("--up needs the console of a board that works; leave it out")
        main, secrets = split(_kept(tree, self.read()))
        try:
            self._repl.exec(_WRITE.format(main=json.dumps(main), secrets=json.dumps(secrets)))
        except Trouble as trouble:
            raise Trouble(f"{trouble}; the old configuration is kept", trouble.code) from None
        tell("the board restarts with it")

    def close(self) -> None:
        self._repl.leave()

    def _pair(self) -> tuple[dict, dict]:
        said = self._repl.exec(_READ).strip().splitlines()
        try:
            main, secrets = json.loads(said[-1])
        except (ValueError, IndexError):
            raise Trouble(f"{self.name}: its files could not be read: {' '.join(said)}") from None
        return main or {}, secrets or {}


# On the board; through laclet's own store where it is, for a power cut to harm nothing.
_READ = """
import json
pair = (None, None)
try:
    from laclet_mcu.store import Store
    pair = Store("/config.json").read() or pair
except ImportError:
    def _file(path):
        try:
            with open(path) as file:
                return json.load(file)
        except OSError:
            return None
    pair = (_file("/config.json"), _file("/secrets.json"))
print()
print(json.dumps(pair))
"""
_WRITE = """
import json
main = json.loads({main!r})
secrets = json.loads({secrets!r})
try:
    from laclet_mcu.store import Store
    Store("/config.json").save(main, secrets)
except ImportError:
    for path, content in (("/secrets.json", secrets), ("/config.json", main)):
        with open(path, "w") as file:
            json.dump(content, file)
"""


class Console:
    """The console of a board that works: nothing stops, and secrets are never shown."""

    def __init__(self, link: Link, discard: bool = False):
        self._link = link
        self.name = link.port
        left = link.get("show status")["console"]["uncommitted"]
        if left and not discard:
            link.close()
            raise Trouble(
                f"{self.name}: somebody has left {left} lines of changes there; "
                "commit or discard them at its console, or give --discard"
            )
        self._do("discard")

    def read(self) -> dict:
        return self._do("show config")

    def compare(self, tree: dict) -> tuple[dict, dict]:
        old = self.read()
        secrets = self._propose(tree)
        self._do("discard")
        return _shown(old, secrets), _shown(tree, set())

    def write(self, tree: dict, tell, up: float = 0) -> None:
        """Commit with a way back, see that the board still answers (``up``: that its tunnels come up within so many
        seconds), then confirm and save."""
        self._propose(tree)
        if not self._do("compare"):
            return
        try:
            self._link.get(f"commit confirm {_CONFIRM}")
        except Refused as refused:
            self._do("discard")
            raise Trouble(f"{self.name}: {refused}", CONFIG_INVALID) from None
        try:
            if up:
                self._wait_up(up, tell)
            self._do("confirm")
            self._do("save")
        except (DeviceError, KeyboardInterrupt):
            tell(f"cut off: unless it was saved, the board goes back to its old configuration in {_CONFIRM} minutes")
            raise

    def close(self) -> None:
        self._link.close()

    def _do(self, command: str, value=None):
        try:
            return self._link.get(command, value)
        except Refused as refused:
            raise Trouble(f"{self.name}: {refused}") from None

    def _propose(self, tree: dict) -> set[tuple]:
        """Make ``tree`` the candidate; the paths of secrets that would change, for the board alone can tell."""
        old = self.read()
        new = _kept(tree, old)
        for path, _, will in changes(old, new):
            try:
                if will is None:
                    self._link.get("delete " + ".".join(path))
                elif will != HIDDEN or not is_secret(path):
                    if len(".".join(path)) + len(json.dumps(will)) > LINE_MAX - _AROUND:
                        raise Refused({"error": "is too long for the console; use --prompt"})
                    self._link.get("set " + ".".join(path), will)
            except Refused as refused:
                self._do("discard")
                raise Trouble(f"{self.name}: {dotted(path)}: {refused}; nothing is changed", CONFIG_INVALID) from None
        said = {line[2:].rpartition(" = ")[0] for line in self._do("compare") if line.startswith(("+ ", "- "))}
        return {path for path, _ in flat(new) if is_secret(path) and dotted(path) in said}

    def _wait_up(self, seconds: float, tell) -> None:
        """Wait for tunnels and calls; what does not come up in time takes the board back."""
        deadline = time.monotonic() + seconds
        while True:
            status = self._do("show status")
            down = _down(status)
            if not down:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK)
        self._do("rollback")
        self._do("commit")
        tell("the board runs its old configuration again")
        raise Trouble(f"{self.name}: not up within {seconds:g} s: {'; '.join(down)}", TIMEOUT)


def _down(status: dict) -> list[str]:
    """What is not up, with the last failure of it."""
    out = []
    for kind, good in (("tunnels", ("up",)), ("calls", _UP)):
        for name, each in sorted(status[kind].items()):
            state = each["state"]
            if state not in good or (state == "waiting" and "device" not in each):
                out.append(f"{kind[:-1]} {name} is {state}" + (f" ({each['fault']})" if each.get("fault") else ""))
    return out


def _kept(tree: dict, there: dict) -> dict:
    """``tree`` with the secrets that stay; Trouble names those that are not there."""
    full, missing = keep(tree, there)
    if missing:
        names = ", ".join(dotted(path) for path in missing)
        raise Trouble(f"{names}: reads (hidden), and the device has no such secret; write it", CONFIG_INVALID)
    return full


def _changed_secrets(old: dict, new: dict) -> set[tuple]:
    return {path for path, _, _ in changes(old, new) if is_secret(path)}


def _shown(tree: dict, changed: set[tuple]) -> dict:
    """A tree for people: its secrets hidden; of those in ``changed`` that much is told."""
    out: dict = {}
    for path, value in flat(tree):
        put(out, path, (CHANGED if path in changed else HIDDEN) if is_secret(path) else value)
    return out
