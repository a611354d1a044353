"""Configuration trees as TOML for people: every key with what it means and its unit, in the order of the reference."""

import errno
import os
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table

from laclet.node.config import HIDDEN, is_secret, merge
from laclet.node.console import flat, lookup, put
from laclet.node.schema import SECTIONS, section

HEAD = "Every key and its default: docs/configuration.md. Values that are not here have their defaults."
SECRETS_HEAD = "Secrets, for their owner only. (hidden) stands for what the device has, and push leaves it as it is."


def split(tree: dict) -> tuple[dict, dict]:
    """``(tree without secrets, secrets)``; every section of a secret is in the first, if only empty."""
    main: dict = {}
    secrets: dict = {}
    for path, value in flat(tree):
        put(secrets if is_secret(path) else main, path, value)
    for path, _ in flat(secrets):
        if lookup(main, _where(path)) is None:
            put(main, _where(path), {})
    return main, secrets


def _where(path: tuple) -> tuple:
    """The section of a key."""
    found = section(path[0])
    return path[: 2 if found is not None and found[1] else 1]


def join(main: dict, secrets: dict) -> dict:
    """The one tree of both."""
    return merge(main, secrets)[0]


def keep(tree: dict, there: dict) -> tuple[dict, list[tuple]]:
    """``tree`` with each secret that reads ``(hidden)`` as it is ``there``, and the paths of those that are not."""
    out: dict = {}
    missing = []
    for path, value in flat(tree):
        if value == HIDDEN and is_secret(path):
            value = lookup(there, path)
            if value is None:
                missing.append(path)
                continue
        put(out, path, value)
    return out, missing


def changes(old: dict, new: dict) -> list[tuple[tuple, Any, Any]]:
    """``[(path, old value or None, new value or None), …]`` of all keys that differ, sorted."""
    was, will = dict(flat(old)), dict(flat(new))
    paths = sorted(set(was) | set(will))
    return [(p, was.get(p), will.get(p)) for p in paths if p not in was or p not in will or was[p] != will[p]]


def toml(tree: dict, text: str = "", head: str = HEAD) -> str:
    """TOML for ``tree``; comments, order and whatever else people wrote in ``text``, its old version, stay.

    New keys have a comment each, unless ``head``, that of a new file, is empty.
    """
    document = tomlkit.parse(text)
    if not text.strip() and head:
        document.add(tomlkit.comment(head))
    for path, _ in flat(document.unwrap()):
        if lookup(tree, path) is None:
            _remove(document, path)
    for name, many, rows, about in SECTIONS:
        if name == "":
            _fill(document, rows, tree, head)
        elif many:
            for number, each in enumerate(sorted(tree.get(name, {}))):
                about = about if number == 0 and head else ""
                _fill(_section(document, (name, each), about), rows, tree[name][each], head)
        elif name in tree:
            _fill(_section(document, (name,), about if head else ""), rows, tree[name], head)
    return tomlkit.dumps(document)


def _section(document, path: tuple, about: str) -> Table:
    """The table at ``path``; a new one after a comment that says what it is."""
    table: Any = document
    for depth, key in enumerate(path):
        if key not in table:
            if depth == len(path) - 1:
                if not document.as_string().endswith("\n\n"):
                    document.add(tomlkit.nl())
                made = tomlkit.table()
                if about:
                    made.comment(about)
            else:
                made = tomlkit.table(is_super_table=True)
            table.add(key, made)
        table = table[key]
    return table


def _fill(table, rows, values: dict, comments) -> None:
    """Set the keys of one section, in the order of the schema; a value that is the same is not touched."""
    for key, kind, _, _, _, about in rows:
        if key not in values:
            continue
        value = values[key]
        if key in table:
            if table[key] == value:
                continue
            table[key] = value
            continue
        item = tomlkit.item(value)
        if comments and not isinstance(value, dict):
            item.comment(("Seconds. " if kind == "seconds" else "") + about)
        table.add(key, item)


def _remove(document, path: tuple) -> None:
    """Take a key away, and the sections that are empty then."""
    tables: list[Any] = [document]
    for key in path[:-1]:
        tables.append(tables[-1][key])
    for table, key in zip(reversed(tables), reversed(path), strict=True):
        if table is tables[-1] or not table[key]:
            table.remove(key)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Put ``text`` in the place of the file, wholly or not at all."""
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    beside = path.with_name(path.name + ".new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(beside, path)


def merge_secrets(secrets: dict, main: dict, text: str, head: str) -> str:
    """The secrets' file: it may hold those of other configurations, and what a device hides it may know."""
    known = tomlkit.parse(text).unwrap()
    merged: dict = {}
    for path, value in flat(known):
        ours = lookup(main, _where(path)) is not None
        if not ours or lookup(secrets, path) is not None:
            put(merged, path, value)
    for path, value in flat(secrets):
        if value != HIDDEN or lookup(merged, path) is None:
            put(merged, path, value)
    return toml(merged, text, head)
