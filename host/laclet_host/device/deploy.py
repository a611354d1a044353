"""laclet on a board that has MicroPython: only what has changed is written, and what is stale goes."""

import hashlib
import json
from typing import Any

from ..board import mpy
from ..board.slots import IMAGE, MANIFEST, SELECTOR
from ..ui import Trouble
from . import files
from .ports import WrongDevice
from .progress import Tell
from .repl import Repl

_MPY_VERSION = 6  # of the format, in the low byte of sys.implementation._mpy: MicroPython 1.20 and newer
_OLDEST = (1, 22)


def deploy(
    repl: Repl,
    tell: Tell,
    board: dict[str, Any] | None = None,
    config: files.Config | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Bring the board's files up to date; what was done as plain values. The board has to be restarted then.

    Whenever it is cut short, MicroPython's prompt is still there, and the next deploy goes on. Raises ``Trouble``.
    """
    tell("looking at the board", None)
    about = repl.about()
    arch = architecture(about, repl.port)
    if board is not None and board["arch"] != arch:
        raise WrongDevice(
            f"{repl.port}: is a {about['machine']} ({arch}), not a {board['product']}; name the right board"
        )
    have = repl.digests()
    slot = _slot(repl)
    inside = f"/{slot}/"
    wanted = _wanted(arch, slot, about, board, have)
    changed = [path for path, data in wanted.items() if have.get(path) != hashlib.sha256(data).hexdigest()]
    stale = sorted(path for path in have if path not in wanted and _is_stale(path, inside))
    _check_room(repl, about["free"], wanted, changed, have, stale)
    done = {"port": repl.port, "arch": arch, "slot": slot, "written": changed, "removed": stale}
    done |= {"unchanged": len(wanted) - len(changed), "bytes": sum(len(wanted[path]) for path in changed)}
    if dry_run:
        return done
    # A slot without its manifest is not run: half of a new one never starts.
    manifest = inside + MANIFEST
    if manifest in have and any(path.startswith(inside) for path in (*changed, *stale)):
        repl.remove(manifest)
        if manifest not in changed:
            changed = [*changed, manifest]
        image = inside + IMAGE
        if image in have and image not in stale:  # beside the old one there is no room for it
            repl.exec(_UNMOUNT)
            repl.remove(image)
    for path in stale:
        repl.remove(path)
    written, total = 0, sum(len(wanted[path]) for path in changed) or 1
    for path in sorted(
        changed, key=lambda path: (path == "/slots.json", path == manifest, not path.startswith(inside))
    ):
        tell(f"writing {path}", 100.0 * written / total)
        repl.write(path, wanted[path])
        written += len(wanted[path])
    if config is not None:
        tell("writing the configuration", None)
        save_config(repl, config)
    return done


def architecture(about: dict[str, Any], port: str) -> str:
    """The architecture of a board's .mpy files; raises ``Trouble`` when it cannot run laclet."""
    version = tuple(int(part) for part in about["micropython"].split(".")[:2])
    if version < _OLDEST or about["mpy"] & 0xFF != _MPY_VERSION:
        raise Trouble(f"{port}: MicroPython {about['micropython']} cannot run laclet; 1.22 or newer: see laclet flash")
    arch = files.arch_of(about["mpy"])
    if arch is None:
        raise Trouble(f"{port}: a {about['machine']} has a processor that laclet is not compiled for")
    return arch


def _wanted(arch: str, slot: str, about: dict, board: dict[str, Any] | None, have: dict) -> dict[str, bytes]:
    wanted = {**files.starters(), **files.code(arch, about["size"], slot, about["mpy"])}
    if board is not None:
        wanted["/board.json"] = files.board_json(board)
    if "/slots.json" not in have:
        wanted["/slots.json"] = json.dumps({"good": slot}).encode()
    return wanted


def _slot(repl: Repl) -> str:
    """The slot that runs; raises ``Trouble`` while another is tried."""
    try:
        state = json.loads(repl.read("/slots.json") or b"{}")
    except ValueError:
        state = {}
    if state.get("trial"):
        raise Trouble(f"{repl.port}: an update is on trial; wait until laclet update --status says it is good")
    return state.get("good") or files.SLOT


def _is_stale(path: str, inside: str) -> bool:
    """Old code of ours: it takes room, and a .py comes before the .mpy beside it."""
    if path.startswith((inside, f"/lib/{SELECTOR}/")):
        return True
    ours = any(path.startswith((f"/{package}/", f"/lib/{package}/")) for package in mpy.PACKAGES)
    return path.endswith(".new") if not ours else path.endswith((".py", ".new"))


def _check_room(repl: Repl, free: int, wanted: dict, changed: list, have: dict, stale: list) -> None:
    """Raise ``Trouble`` when the new files will not fit, before anything is written."""
    new = sum(-(-len(wanted[path]) // files.BLOCK) for path in changed if path not in have)
    room = free // files.BLOCK + len(stale)
    if new > room:
        kilo = files.BLOCK // 1024
        raise Trouble(
            f"{repl.port}: its file system is full: {new * kilo} KiB are needed, {room * kilo} KiB are free; "
            "remove files there, or the other slot"
        )


# On the board: laclet's own store, which a power cut does not harm, from the code that runs or was just put there.
_STORE = """
import json, sys
for s in %r:
    if s not in sys.path: sys.path.insert(0, s)
sys.modules.pop('laclet_slots', None)
try:
    import laclet_slots
    if '/code' not in sys.path: sys.path.insert(0, laclet_slots.place('/' + (laclet_slots.read()['good'] or 'a')))
except (ImportError, AttributeError):
    pass
from laclet_mcu.store import Store
store = Store('/config.json')
"""
_PLACES = ("/lib", f"/{files.SLOT}")
_UNMOUNT = """
try: import vfs
except ImportError: import os as vfs
try: vfs.umount('/code')
except OSError: pass
import sys
if '/code' in sys.path: sys.path.remove('/code')
"""


def save_config(repl: Repl, config: files.Config) -> None:
    """Keep a configuration on a board that has laclet, all or nothing."""
    tree, secrets = json.dumps(config.tree), json.dumps(config.secrets)
    repl.exec(_STORE % (_PLACES,))
    repl.exec(f"store.save(json.loads({tree!r}), json.loads({secrets!r}))")


def load_config(repl: Repl) -> files.Config | None:
    """The configuration that counts on a board that has laclet; None without one."""
    if not repl.exists("/config.json"):
        return None
    repl.exec(_STORE % (_PLACES,))
    tree, secrets = json.loads(repl.exec("print(json.dumps(store.read()))"))
    return files.Config(tree, secrets)
