"""Read a configuration and its secrets from TOML (Linux) or JSON (boards); every problem with its file and line."""

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from laclet.node import config as core
from laclet.node.values import dotted

_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)")


class Finding(NamedTuple):
    """One thing wrong in one place; ``str()`` is the line for people."""

    file: str
    line: int
    key: str
    what: str
    mend: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {key}{self.what}; {self.mend}"


class Loaded(NamedTuple):
    """``config`` as ``laclet.node.config.check`` gives it; not to be used when there are ``errors``.

    ``tree`` is what was read, secrets in their places.
    """

    config: dict[str, Any]
    errors: list[Finding]
    warnings: list[Finding]
    tree: dict[str, Any]


class _Unreadable(Exception):
    """A file that gives no tree."""

    def __init__(self, finding: Finding):
        super().__init__(str(finding))
        self.finding = finding


class Source:
    """One file: its ``tree``, and on which line each path of it stands."""

    def __init__(self, path: Path):
        self.file = str(path)
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            raise self._unreadable(1, error.strerror or str(error), "check the name and the permissions") from None
        except UnicodeDecodeError:
            raise self._unreadable(1, "is not UTF-8 text", "save it as UTF-8") from None
        try:
            self.tree = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = _AT_LINE.search(str(error))
            line = int(found[1]) if found else text.count("\n") + 1
            raise self._unreadable(line, _AT_LINE.sub("", str(error)), "mend the TOML syntax there") from None
        except json.JSONDecodeError as error:
            raise self._unreadable(error.lineno, error.msg, "mend the JSON syntax there") from None
        except RecursionError:
            raise self._unreadable(1, "is nested too deep", "write plain tables and lists") from None
        self.lines = _Lines(text, path.suffix == ".json").found

    def _unreadable(self, line: int, what: str, mend: str) -> _Unreadable:
        return _Unreadable(Finding(self.file, line, "", what, mend))

    def line(self, path: tuple) -> int:
        """The line where ``path`` stands, or else the nearest table around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def finding(self, path: tuple, what: str, mend: str) -> Finding:
        return Finding(self.file, self.line(path), dotted(path), what, mend)


class _Lines:
    """Walks over the text of a file that has been parsed already, and notes the line of every path in ``found``.

    A JSON document is an inline table to it, with ``:`` for ``=``.
    """

    _SPACE = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
    _QUOTED = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\]|\\.)*"|\'[^\']*\'', re.S)
    _BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
    _BARE_VALUE = re.compile(r"[^,\]}#\n]*")

    def __init__(self, text: str, is_json: bool):
        self.found: dict[tuple, int] = {}
        self._text = text
        self._is_json = is_json
        self._pos = 0
        self._counted = 0  # newlines before this position are in self._line
        self._line = 1
        self._tables: dict[tuple, int] = {}  # path of an array of tables -> entries so far
        self._space()
        if is_json:
            self._value(())
        else:
            self._document()

    def _document(self) -> None:
        table: tuple = ()
        while self._pos < len(self._text):
            if self._text[self._pos] == "[":
                double = self._text.startswith("[[", self._pos)
                self._pos += 2 if double else 1
                self._space()
                table = self._header(self._key(), double)
                self._note(table)
                self._pos = self._text.index("]", self._pos) + (2 if double else 1)
            else:
                self._pair(table)
            self._space()

    def _header(self, key: tuple, double: bool) -> tuple:
        """The path of a table's header, with the index of the last entry after each array of tables."""
        path: tuple = ()
        for part in key[:-1]:
            path = (*path, part)
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        path = (*path, key[-1])
        if double:
            self._tables[path] = self._tables.get(path, 0) + 1
            path = (*path, self._tables[path] - 1)
        return path

    def _pair(self, table: tuple) -> None:
        path = table + self._key()
        self._note(path)
        self._pos += 1  # = or :
        self._space()
        self._value(path)

    def _key(self) -> tuple:
        parts = []
        while True:
            quoted = self._QUOTED.match(self._text, self._pos)
            found = quoted or self._BARE_KEY.match(self._text, self._pos)
            assert found is not None, "the parser has accepted this text"
            parts.append(self._unquoted(found[0]) if quoted else found[0])
            self._pos = found.end()
            self._space()
            if self._text[self._pos] != ".":
                return tuple(parts)
            self._pos += 1
            self._space()

    def _value(self, path: tuple) -> None:
        first = self._text[self._pos]
        if first == "{":
            self._pos += 1
            self._space()
            while self._text[self._pos] != "}":
                self._pair(path)
                self._space()
            self._pos += 1
        elif first == "[":
            self._pos += 1
            self._space()
            index = 0
            while self._text[self._pos] != "]":
                self._note((*path, index))
                self._value((*path, index))
                self._space()
                index += 1
            self._pos += 1
        else:
            found = self._QUOTED.match(self._text, self._pos) or self._BARE_VALUE.match(self._text, self._pos)
            assert found is not None
            self._pos = found.end()

    def _space(self) -> None:
        found = self._SPACE.match(self._text, self._pos)
        assert found is not None
        self._pos = found.end()

    def _note(self, path: tuple) -> None:
        self._line += self._text.count("\n", self._counted, self._pos)
        self._counted = self._pos
        for end in range(1, len(path) + 1):  # a dotted key makes the tables on its way
            self.found.setdefault(path[:end], self._line)

    def _unquoted(self, text: str) -> str:
        """The key that a quoted key stands for."""
        if text[0] == "'":
            return text[1:-1]
        return json.loads(text) if self._is_json else next(iter(tomllib.loads(text + "=0")))


def secrets_path(path: Path) -> Path:
    """Where the secrets of a configuration are: beside it."""
    return path.with_name("secrets" + path.suffix)


def _secrets(path: Path) -> Path:
    """The secrets beside a configuration; where we cannot read any, those that the service manager hands to us."""
    beside = secrets_path(path)
    handed = Path(os.environ.get("CREDENTIALS_DIRECTORY", ""), beside.name)
    return handed if handed.is_absolute() and handed.exists() and not os.access(beside, os.R_OK) else beside


def load(path: str | os.PathLike, on_board: bool | None = None) -> Loaded:
    """Read, merge and check a configuration. JSON is for a board, TOML for Linux, unless ``on_board`` tells."""
    main_path = Path(path)
    beside = _secrets(main_path)
    errors: list[Finding] = []
    warnings: list[Finding] = []
    sources = []
    for each in (main_path, beside) if beside != main_path and beside.exists() else (main_path,):
        try:
            sources.append(Source(each))
        except _Unreadable as unreadable:
            errors.append(unreadable.finding)
    if errors:
        return Loaded({}, errors, warnings, {})
    main, secrets = sources[0], sources[-1]
    for each in core.exposed(main.tree):
        warnings.append(main.finding(each, "is a secret", f"move it to {beside.name}"))
    tree = main.tree
    if secrets is not main:
        if beside == secrets_path(main_path):
            warnings += _readable_by_others(beside)
        tree, problems = core.merge(tree, secrets.tree)
        for where, what, mend in problems:
            # One secrets file may serve several configurations in a folder: a section too many is none of this one's.
            into = warnings if isinstance(_at(secrets.tree, where), dict) else errors
            into.append(secrets.finding(where, what, mend))
    config, problems = core.check(tree, main_path.suffix == ".json" if on_board is None else on_board)
    for where, what, mend in problems:
        source = secrets if core.is_secret(where) and where in secrets.lines else main
        errors.append(source.finding(where, what, mend))
    errors.sort(key=lambda finding: (finding.file != main.file, finding.line))
    return Loaded(config, errors, warnings, tree)


def _readable_by_others(path: Path) -> list[Finding]:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        return [Finding(str(path), 1, "", "others than its owner may read it", f"chmod 600 {path}")]
    return []


def _at(tree: Any, path: tuple) -> Any:
    for part in path:
        tree = tree[part]
    return tree
