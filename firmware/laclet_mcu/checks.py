"""The configuration checked against the schema: loaded when files or code have changed, and forgotten again."""

from laclet.node.config import check, merge
from laclet.node.values import dotted

from .store import read_json


def checked(pair):
    """``(config, lines)`` of the two files: problems as lines of text."""
    path, secrets_path = pair
    lines = []
    config = None
    tree = read_json(path, lines)
    secrets = read_json(secrets_path, lines, False)
    if not lines:
        tree, problems = merge(tree, secrets)
        lines += [_line(secrets_path, problem) for problem in problems]
        config, problems = check(tree, True)
        lines += [_line(path, problem) for problem in problems]
    return config, lines


def _line(path, problem):
    where, what, mend = problem
    return path + ": " + (dotted(where) + ": " if where else "") + what + "; " + mend


def plain(value):
    """A checked configuration as JSON can hold it: a tuple is a list that begins with null. No list of ours does."""
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return ([None] if isinstance(value, tuple) else []) + [plain(item) for item in value]
    return value
