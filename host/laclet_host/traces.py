"""Tracebacks of a board made readable: compiled code names file and function, but no line.

The sources that it was compiled from tell the rest: of each frame the line that calls the next one, where only one
does, and of the last frame where its function stands.
"""

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

from .board.link import UNITS

HEAD = "Traceback (most recent call last):"
_FRAME = re.compile(r'^  File "([^"]+)", line (\d+)(?:, in (.+))?$')
_MODULE = re.compile(r"^laclet(_mcu|_slots)?(\.\w+)*$")


class Frame(NamedTuple):
    """``first`` and ``last`` line of where it was, 0 when nothing tells; ``source``: the line itself, if it is one."""

    file: str
    function: str
    first: int = 0
    last: int = 0
    source: str = ""

    def __str__(self) -> str:
        lines = f":{self.first}" + (f"-{self.last}" if self.last > self.first else "") if self.first else ""
        return f"  {self.file}{lines} in {self.function}" + (f": {self.source}" if self.source else "")


def frame(line: str) -> Frame | None:
    """The frame that a line of a traceback tells of, or None."""
    found = _FRAME.match(line)
    if found is None:
        return None
    number = int(found[2])
    known = number if number > 1 else 0  # compiled without line numbers, every line is 1
    return Frame(_path(found[1]), found[3] or "<module>", known, known)


def _path(file: str) -> str:
    """Compiled code of ours calls itself by the name of its module."""
    return file.replace(".", "/") + ".py" if _MODULE.match(file) else file


def decode(frames: list[Frame], root: Path) -> list[Frame]:
    """The frames with lines and sources, from the packages below ``root``; what is not there stays as it is."""
    out = []
    for i, each in enumerate(frames):
        callee = frames[i + 1].function if i + 1 < len(frames) else None
        out.append(_located(each, callee, root))
    return out


def _located(each: Frame, callee: str | None, root: Path) -> Frame:
    """In one of the files that have become a module, when only one fits."""
    parts = (each.file,) if each.first else UNITS.get(each.file, (each.file,))
    found = [_in_file(each._replace(file=part), callee, root) for part in parts]
    found = [made for made in found if made.source] or [made for made in found if made.first]
    return found[0] if len(found) == 1 else each


def _in_file(each: Frame, callee: str | None, root: Path) -> Frame:
    path = (root / each.file).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return each
    text, tree = _parsed(path)
    if each.first:
        return each._replace(source=_line(text, each.first))
    bodies = _functions(tree, each.function)
    calls = sorted({number for body in bodies for number in _calls(body, callee)}) if callee else []
    if len(calls) == 1:
        return each._replace(first=calls[0], last=calls[0], source=_line(text, calls[0]))
    if calls:  # each of these calls it
        bodies = [body for body in bodies if list(_calls(body, callee))]
    if len(bodies) == 1 and not isinstance(bodies[0], ast.Module):
        return each._replace(first=bodies[0].lineno, last=bodies[0].end_lineno or 0)
    return each


@functools.lru_cache(maxsize=64)
def _parsed(path: Path) -> tuple[list[str], ast.Module]:
    text = path.read_text("utf-8")
    return text.splitlines(), ast.parse(text)


def _line(text: list[str], number: int) -> str:
    return text[number - 1].strip() if number <= len(text) else ""


def _functions(tree: ast.Module, name: str) -> list:
    if name == "<module>":
        return [tree]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds) and node.name == name]


def _calls(body, callee: str | None):
    """The lines in a function that call something of this name; an instance is made by calling its class."""
    for node in ast.walk(body):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            if name == callee or (callee == "__init__" and name[:1].isupper()):
                yield node.lineno
