"""The house stands as docs/architecture.md draws it: imports go down only, and the core does no I/O."""

import ast
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
CORE = FIRMWARE / "laclet"
FLOORS = {
    "": 0,  # modules of the package itself
    "wire": 1,
    "crypto": 1,
    "ppp": 2,
    "l2tp": 2,
    "line": 2,
    "carrier": 2,
    "ip": 2,
    "node": 3,
}
NO_IO = {"socket", "time", "random", "os", "asyncio", "threading", "select", "machine", "network", "io", "subprocess"}
FILES = sorted(CORE.rglob("*.py"))


def room(parts):
    """``wire`` for ``laclet.wire.avp``; "" for ``laclet.ticks``."""
    return parts[1] if len(parts) > 1 and parts[1] in FLOORS else ""


def imports(path):
    """``(line, module)`` of everything a file imports, absolute; names of a package as modules of their own."""
    package = ("laclet", *path.relative_to(CORE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield node.lineno, (*base, alias.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_imports_go_down_and_touch_no_io(path):
    here = room(("laclet", *path.relative_to(CORE).parts))
    for line, module in imports(path):
        where = f"{path.name}:{line} imports {'.'.join(module)}"
        if module[0] == "laclet":
            there = room(module)
            assert there == here or FLOORS[there] < FLOORS[here] or FLOORS[there] == FLOORS[here] <= 1, where
        else:
            assert (module[0] not in NO_IO or module == ("io", "StringIO")) and not module[0].startswith("laclet"), (
                where
            )


def test_shells_hold_no_protocol_tables():
    for shell in ("laclet_linux", "laclet_mcu"):
        for path in (FIRMWARE / shell).rglob("*.py"):
            names = [
                alias
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.ImportFrom)
                for alias in [f"{node.module}"]
            ]
            assert not [n for n in names if n in ("laclet.l2tp.tables", "laclet.ppp.automaton")], path
