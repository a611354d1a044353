"""The grammar of the console: lines into words, paths and values by the schema, and trees of these."""

import json

from .schema import LINUX, SECTIONS, section
from .values import LIST_KINDS, Wrong, check_value, clip, dotted, is_plain, nearest

LINE_MAX = 512  # characters of a line


class Refused(Exception):
    """One line that says what is wrong and what is allowed; ``column`` counts from 1, or is 0."""

    def __init__(self, what, mend="", column=0):
        super().__init__(what + ("; " + mend if mend else ""))
        self.column = column

    def text(self):
        """For people."""
        return ("column %d: " % self.column if self.column else "") + self.args[0]


def split(line):
    """``[(column, word), ...]`` of a line; columns count from 1."""
    found = []
    at = None
    for i in range(len(line) + 1):
        if i < len(line) and line[i] not in " \t":
            at = i if at is None else at
        elif at is not None:
            found.append((at + 1, line[at:i]))
            at = None
    return found


def allowed(word, names):
    """What is allowed instead of ``word``: the nearest name, or all."""
    hint = nearest(word, names)
    return "did you mean %s?" % hint if hint else "allowed: " + ", ".join(sorted(names))


def rows(name):
    """The keys of a section, by name."""
    return {row[0]: row for row in section(name)[2]}


def locate(text, column):
    """``(path, row)`` of a dotted path; ``row`` of the schema is None when it ends at a section. Raises Refused."""
    parts = text.split(".")
    path = ()
    names = [row[0] for row in SECTIONS if row[0]] + list(rows(""))
    for i in range(len(parts)):
        part = parts[i]
        here = column + len(".".join(parts[:i])) + (1 if i else 0)
        found = section(parts[0]) if i else None
        if i and found is None:
            raise Refused(parts[0] + " has no keys", "write " + parts[0], here)
        many = found is not None and found[1]
        if i == 1 and many:
            if not is_plain(part) or not 1 <= len(part) <= 32:
                raise Refused("is no name for a section", "use 1 to 32 letters, digits, - and _", here)
            path += (part,)
            continue
        if i:
            names = list(rows(parts[0]))
        if part not in names or not part:
            raise Refused(
                "no such key: " + clip(part) if i else "no such section: " + clip(part), allowed(part, names), here
            )
        path += (part,)
        row = rows(parts[0] if i else "").get(part)
        if row is not None:
            rest = ".".join(parts[i + 1 :])
            if not rest:
                return path, row
            if row[1] != "secrets":
                raise Refused(part + " has no keys", "write " + dotted(path), here + len(part) + 1)
            return path + (rest,), row
    return path, None


def parse_value(row, path, text, column):
    """The value that ``text`` means for a key of the schema; raises Refused."""
    kind = row[1]
    value = text
    if text[:1] in ('"', "["):
        try:
            value = json.loads(text)
        except ValueError:
            raise Refused("is no JSON", "look for a quote or a comma too many or too few", column) from None
    elif kind == "bool":
        value = {"true": True, "false": False}.get(text, text)
    elif kind in ("int", "seconds"):
        try:
            value = float(text) if "." in text else int(text)
        except ValueError:
            pass
    elif kind in LIST_KINDS:
        value = [text] if kind == "texts" else text.replace(",", " ").split()
    return fit(row, path, value, column)


def fit(row, path, value, column):
    """``value`` when it fits the key; raises Refused."""
    kind = row[1]
    if row[4] & LINUX:
        raise Refused("works on Linux only", "leave it out", column)
    if kind == "secrets" and path[-1] != row[0]:
        kind = "secret"
    try:
        check_value(kind, value, row[2])
    except Wrong as wrong:
        raise Refused(wrong.what, wrong.mend, column) from None
    return value


def lookup(tree, path):
    """What stands at ``path``, or None."""
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def put(tree, path, value):
    """Set ``path`` to ``value``; None removes it, and sections that are empty then."""
    if len(path) == 1:
        if value is None:
            tree.pop(path[0], None)
        else:
            tree[path[0]] = value
        return
    below = tree.setdefault(path[0], {})
    put(below, path[1:], value)
    if value is None and not below:
        del tree[path[0]]


def flat(tree, path=()):
    """``[(path, value), ...]`` of all keys, sorted; of lists and scalars."""
    if not isinstance(tree, dict):
        return [(path, tree)]
    out = []
    for key in sorted(tree):
        out += flat(tree[key], path + (key,))
    return out


def copy_of(tree):
    """A copy of a tree, its lists shared."""
    return {key: copy_of(tree[key]) for key in tree} if isinstance(tree, dict) else tree
