"""Many boards at once, each with a configuration of its own, from a CSV or TOML file; and the report."""

import csv
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from laclet.node.console import Refused, locate, parse_value, put

from ..configtext import join
from ..ui import CONFIG_INVALID, Trouble
from . import files
from .flash import flash
from .job import Job
from .progress import Tell, wide_console

_ABOUT = ("name", "port", "volume", "board", "config")  # columns that are no keys of the configuration


class Row(NamedTuple):
    """One board of a batch."""

    name: str
    job: Job


def read(path: Path, job: Job) -> list[Row]:
    """The boards of a file; what a row does not say is as in ``job``. Raises ``Trouble`` with all that is wrong."""
    try:
        rows = _toml(path) if path.suffix == ".toml" else _csv(path)
    except OSError as error:
        raise Trouble(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Trouble(f"{path}: is not UTF-8 text; write a CSV, or [[device]] tables in TOML", 3) from None
    except (csv.Error, tomllib.TOMLDecodeError) as error:
        raise Trouble(f"{path}: {error}; write a CSV with a line of names, or [[device]] tables in TOML", 3) from None
    found: list[Row] = []
    wrong = []
    for where, about, keys in rows:
        try:
            found.append(_row(path, about, keys, job))
        except Trouble as trouble:
            wrong.append(f"{path}:{where}: {trouble}")
    for field in ("name", "port"):
        values = [row.name if field == "name" else row.job.port for row in found]
        wrong += [f"{path}: {field} {each} is there twice" for each in {v for v in values if v and values.count(v) > 1}]
    if not wrong and not found:
        wrong = [f"{path}: names no board"]
    if wrong:
        raise Trouble("\n".join(wrong), CONFIG_INVALID)
    return found


def _csv(path: Path) -> list[tuple[int, dict[str, str], dict[str, Any]]]:
    rows = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        for row in reader:
            cells = {name: (cell or "").strip() for name, cell in row.items() if name}
            about = {name: cells[name] for name in _ABOUT if cells.get(name)}
            keys = {name: cell for name, cell in cells.items() if name not in _ABOUT and cell}
            rows.append((reader.line_num, about, keys))
    return rows


def _toml(path: Path) -> list[tuple[int, dict[str, str], dict[str, Any]]]:
    rows = []
    for number, table in enumerate(tomllib.loads(path.read_text("utf-8")).get("device", []), 1):
        about = {name: str(table[name]) for name in _ABOUT if name in table}
        rows.append((number, about, {name: table[name] for name in table if name not in _ABOUT}))
    return rows


def _row(path: Path, about: dict[str, str], keys: dict[str, Any], job: Job) -> Row:
    port, volume = about.get("port", job.port), about.get("volume", job.volume)
    if port is None and volume is None:
        raise Trouble("has no port; write one, laclet devices lists them")
    if "board" in about:
        files.board_named(about["board"])
    config = files.read_config(path.parent / about["config"]) if "config" in about else job.config
    if keys:
        config = _changed(config, keys)
    name = about.get("name") or (config.tree.get("hostname") if config else None) or port or volume
    job = job._replace(port=port, volume=volume, board=about.get("board", job.board), config=config)
    return Row(str(name), job)


def _changed(config: files.Config | None, keys: dict[str, Any]) -> files.Config:
    """``config`` with ``keys``: texts at dotted paths, or a tree."""
    tree = join(*config) if config else {}
    for name, value in keys.items():
        try:
            if isinstance(value, dict):
                _merge(tree, {name: value})
            else:
                path, row = locate(name, 0)
                if row is None:
                    raise Refused(f"{name} is a section", "write a key of it")
                put(tree, path, parse_value(row, path, value, 0) if isinstance(value, str) else value)
        except Refused as refused:
            raise Trouble(f"{name}: {refused.args[0]}") from None
    return files.joined(tree, {}, "its configuration")


def _merge(into: dict, tree: dict) -> None:
    for name, value in tree.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def run(rows: list[Row], jobs: int, teller: Callable[[str], Tell]) -> list[dict[str, Any]]:
    """Flash all; what became of each, in the order of the rows. A failure of one does not stop the others."""

    def one(row: Row) -> dict[str, Any]:
        began = time.monotonic()
        about = {"name": row.name, "port": row.job.port, "board": row.job.board, "ok": True, "error": None}
        tell = teller(row.name)
        try:
            return {**about, **flash(row.job, tell)}
        except Trouble as trouble:
            failed = {"ok": False, "error": str(trouble), "code": trouble.code}
        except OSError as error:
            failed = {"ok": False, "error": f"{error.filename or ''}: {error.strerror or error}", "code": 1}
        tell(f"failed: {failed['error']}", None)
        return {**about, **failed, "seconds": round(time.monotonic() - began, 1)}

    with ThreadPoolExecutor(max(1, min(jobs, len(rows)))) as pool:
        return list(pool.map(one, rows))


def table(done: list[dict[str, Any]]) -> None:
    """The report for people, on stdout."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(box=None, pad_edge=False)
    for name in ("board", "port", "MAC", "kind", "seconds", "result"):
        made.add_column(name, overflow="fold")
    for each in done:
        where = each.get("port") or each.get("volume") or ""
        result = "good" if each["ok"] else each["error"].removeprefix(f"{where}: ")
        cells = (each["name"], where, each.get("mac", ""), each.get("board", ""), each["seconds"], result)
        made.add_row(*[escape(str(cell)) for cell in cells])
    wide_console().print(made)
