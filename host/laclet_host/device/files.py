"""What stands on a device: laclet compiled for its processor, what starts it, its board, its configuration."""

import functools
import hashlib
import hmac
import json
import re
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

import laclet
from laclet.node import config as core
from laclet.node.values import dotted

from .. import config as source
from ..board import catalogue, mpy
from ..ui import CONFIG_INVALID, Trouble, report

# sys.implementation._mpy: version 6 of the format, its sub-version 3 of machine code, the number of the architecture.
_MPY = 6 | 3 << 8
_ARCHITECTURES = {"x64": 2, "armv6m": 4, "armv7m": 5, "armv7emsp": 7, "xtensawin": 10, "rv32imc": 11}
SLOT = "a"  # where a first installation goes; see docs/update.md
CHOOSER = "laclet_slots"  # the package that chooses the slot; it stands in /lib
_compiling = threading.Lock()
BLOCK = 4096  # bytes of flash erased at once, on every board that is known


class Config(NamedTuple):
    """A board's configuration in the two parts that it has there."""

    tree: dict[str, Any]
    secrets: dict[str, Any]


def board_named(name: str) -> dict[str, Any]:
    """What boards/NAME/board.json holds; raises ``Trouble``."""
    known = catalogue.boards()
    if name not in known:
        raise Trouble(f"no board is called {name}; known are {', '.join(known)}", 2)
    return known[name]


def read_config(path: Path) -> Config:
    """The configuration for a board in a TOML or JSON file, its secrets beside it or in it. Raises ``Trouble``, after
    everything that is wrong was reported."""
    loaded = source.load(path)
    if any(not finding.key for finding in loaded.errors):  # unreadable
        report(loaded)
        raise Trouble(f"{path}: is not used", CONFIG_INVALID)
    tree = source.Source(path).tree
    beside = source.secrets_path(path)
    secrets = source.Source(beside).tree if beside.exists() and beside != path else {}
    return checked(split(tree, secrets), str(path))


def split(tree: dict[str, Any], secrets: dict[str, Any]) -> Config:
    """Move secrets that stand in ``tree`` to ``secrets``."""
    tree, secrets = json.loads(json.dumps(tree)), json.loads(json.dumps(secrets))
    for path in core.exposed(tree):
        value = _take(tree, path)
        into = secrets
        for part in path[:-1]:
            into = into.setdefault(part, {})
        into[path[-1]] = value
    return Config(tree, secrets)


def checked(config: Config, name: str) -> Config:
    """``config``, when a board can run it; raises ``Trouble`` with all that is wrong."""
    merged, problems = core.merge(config.tree, config.secrets)
    if not problems:
        _, problems = core.check(merged, True)
    if problems:
        lines = [f"{name}: {dotted(path)}: {what}; {mend}" for path, what, mend in problems]
        raise Trouble("\n".join(lines), CONFIG_INVALID)
    return config


def _take(tree: Any, path: tuple) -> Any:
    for part in path[:-1]:
        tree = tree[part]
    return tree.pop(path[-1])


def mpy_number(arch: str) -> int:
    """``sys.implementation._mpy`` of boards of that architecture."""
    return _MPY | _ARCHITECTURES[arch] << 10


def compiled(arch: str) -> dict[str, bytes]:
    """``{"laclet/ticks.mpy": …}``: all packages, compiled once. Raises ``Trouble``."""
    with _compiling:
        return _compiled(arch)


@functools.cache
def _compiled(arch: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="laclet-") as folder:
        try:
            names = mpy.build(folder, arch)
        except mpy.CompileError as error:
            raise Trouble(str(error)) from None
        return {name: Path(folder, name).read_bytes() for name in names}


def code(arch: str, slot: str = SLOT, key: bytes | None = None) -> dict[str, bytes]:
    """``{"/a/laclet/ticks.mpy": …}``: a slot and its manifest, and the package that chooses it."""
    packages = compiled(arch)
    inside = {name: data for name, data in packages.items() if not name.startswith(CHOOSER)}
    found = {f"/lib/{name}": data for name, data in packages.items() if name.startswith(CHOOSER)}
    found |= {f"/{slot}/{name}": data for name, data in inside.items()}
    found[f"/{slot}/manifest"] = manifest(inside, mpy_number(arch), key)
    return found


def manifest(files: dict[str, bytes], number: int, key: bytes | None = None) -> bytes:
    """The manifest of a slot with ``files``; see docs/update.md."""
    lines = [f"# laclet {laclet.__version__}", f"# mpy {number}", f"# size {sum(map(len, files.values()))}"]
    lines += [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items())]
    text = "".join(line + "\n" for line in lines).encode()
    return text if key is None else text + f"# hmac {hmac.new(key, text, 'sha256').hexdigest()}\n".encode()


def starters() -> dict[str, bytes]:
    """boot.py and main.py."""
    folder = mpy.source_root() / "laclet_mcu" / "files"
    return {f"/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.py")) if path.stem in ("boot", "main")}


def device(board: dict[str, Any], config: Config | None, arch: str | None = None) -> dict[str, bytes]:
    """All files of a new device: ``{"/main.py": …}``."""
    files = {**starters(), **code(arch or board["arch"])}
    files["/slots.json"] = _json({"good": SLOT})
    files["/board.json"] = _json({name: board[name] for name in board if name != "$schema"})
    if config is not None:
        files["/config.json"] = _json(config.tree)
        if config.secrets:
            files["/secrets.json"] = _json(config.secrets)
    return files


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def littlefs(files: dict[str, bytes], size: int) -> bytes:
    """A LittleFS of ``size`` bytes that holds ``files``, as every MicroPython from 1.20 on mounts it."""
    try:
        import littlefs as lfs
    except ImportError:
        raise Trouble("littlefs-python is missing: pip install 'laclet[board]'") from None
    image = lfs.LittleFS(block_size=BLOCK, block_count=size // BLOCK, prog_size=256, disk_version=0x00020000)
    try:
        for path, data in sorted(files.items()):
            folder = path.rpartition("/")[0]
            if folder:
                image.makedirs(folder, exist_ok=True)
            with image.open(path, "wb") as file:
                file.write(data)
    except lfs.LittleFSError:
        needed = sum(map(len, files.values())) // 1024
        raise Trouble(
            f"the files do not fit: {needed} KiB in a file system of {size // 1024} KiB; take a board with more flash"
        ) from None
    return bytes(image.context.buffer)


def clean_name(text: str) -> str:
    """``text`` as part of a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)
