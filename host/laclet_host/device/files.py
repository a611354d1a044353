"""What stands on a device: laclet compiled for its processor, what starts it, its board, its configuration."""

import atexit
import functools
import json
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

from laclet.node import config as core
from laclet.node.values import dotted

from .. import config as source
from ..board import catalogue, mpy, slots
from ..configtext import split
from ..ui import CONFIG_INVALID, Trouble, report

# sys.implementation._mpy: version 6 of the format, its sub-version 3 of machine code, the number of the architecture.
_MPY = 6 | 3 << 8
ARCHITECTURES = {"x64": 2, "armv6m": 4, "armv7m": 5, "armv7emsp": 7, "xtensawin": 10, "rv32imc": 11}
SLOT = "a"  # where a first installation goes; see docs/update.md
_compiling = threading.Lock()
_SPARE = 64 * 1024  # bytes of a file system that are for others than the code
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
    beside = source.secrets_path(path)
    secrets = source.Source(beside).tree if beside.exists() and beside != path else {}
    return joined(source.Source(path).tree, secrets, str(path))


def joined(tree: dict[str, Any], secrets: dict[str, Any], name: str) -> Config:
    """A configuration that a board can run, secrets apart; raises ``Trouble`` with all that is wrong in ``name``."""
    merged, problems = core.merge(tree, secrets)
    if not problems:
        _, problems = core.check(merged, True)
    if problems:
        lines = [f"{name}: {dotted(path)}: {what}; {mend}" for path, what, mend in problems]
        raise Trouble("\n".join(lines), CONFIG_INVALID)
    return Config(*split(merged))


def mpy_number(arch: str) -> int:
    """``sys.implementation._mpy`` of boards of that architecture, with MicroPython 1.23 or newer."""
    return _MPY | ARCHITECTURES[arch] << 10


def arch_of(number: int) -> str | None:
    """The architecture that ``sys.implementation._mpy`` tells, None when laclet is not compiled for it."""
    return next((arch for arch, place in ARCHITECTURES.items() if place == number >> 10 & 15), None)


def compiled(arch: str) -> Path:
    """The folder with all packages, compiled once; it goes with this process. Raises ``Trouble``."""
    with _compiling:
        return _compiled(arch)


@functools.cache
def _compiled(arch: str) -> Path:
    folder = tempfile.mkdtemp(prefix="laclet-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        mpy.build(folder, arch)
    except mpy.CompileError as error:
        raise Trouble(str(error)) from None
    return Path(folder)


def for_slots(folder: Path, size: int) -> Path:
    """``folder``, or one with the image of its code where a file system of ``size`` bytes has no room for two slots."""
    rounded = sum(-(-(folder / path).stat().st_size // BLOCK) * BLOCK for path in slots.files(folder))
    if slots.files(folder) in ([], [Path(slots.IMAGE)]) or 2 * rounded + _SPARE <= size:
        return folder
    with _compiling:
        return _packed(folder)


@functools.cache
def _packed(folder: Path) -> Path:
    target = Path(tempfile.mkdtemp(prefix="laclet-"))
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    try:
        (target / slots.IMAGE).write_bytes(slots.image(folder))
    except ImportError:
        raise Trouble("littlefs-python is missing: pip install 'laclet[board]'") from None
    return target


def code(arch: str, size: int, slot: str = SLOT, number: int | None = None) -> dict[str, bytes]:
    """``{"/a/laclet/ticks.mpy": …}``: a slot and its manifest, and the package that chooses it, for a file system of
    ``size`` bytes. ``number``: see ``mpy_number``."""
    base = compiled(arch)
    folder = for_slots(base, size)
    found = {f"/{slot}/{path.as_posix()}": (folder / path).read_bytes() for path in slots.files(folder)}
    for path in sorted((base / slots.SELECTOR).rglob("*.mpy")):
        found[f"/lib/{path.relative_to(base).as_posix()}"] = path.read_bytes()
    found[f"/{slot}/{slots.MANIFEST}"] = slots.manifest(folder, number or mpy_number(arch))
    return found


def starters() -> dict[str, bytes]:
    """boot.py and main.py."""
    folder = mpy.source_root() / "laclet_mcu" / "files"
    return {f"/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.py")) if path.stem in ("boot", "main")}


def device(
    board: dict[str, Any], config: Config | None, arch: str | None = None, size: int | None = None
) -> dict[str, bytes]:
    """All files of a new device: ``{"/main.py": …}``, for a file system of ``size`` bytes."""
    files = {**starters(), **code(arch or board["arch"], size or board["memory"]["file_system"])}
    files["/slots.json"] = _json({"good": SLOT})
    files["/board.json"] = board_json(board)
    if config is not None:
        files["/config.json"] = _json(config.tree)
        if config.secrets:
            files["/secrets.json"] = _json(config.secrets)
    return files


def board_json(board: dict[str, Any]) -> bytes:
    """``/board.json``, which tells the firmware pins, LED and button."""
    return _json({name: board[name] for name in board if name != "$schema"})


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
        needed = sum(-(-len(data) // BLOCK) * BLOCK for data in files.values()) // 1024
        raise Trouble(
            f"the files do not fit: {needed} KiB in a file system of {size // 1024} KiB; take a board with more flash"
        ) from None
    return bytes(image.context.buffer)
