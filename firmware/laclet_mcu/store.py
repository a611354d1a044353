"""The configuration on the board's file system: config.json, and secrets.json beside it."""

import json
import sys


def load(path):
    """``(config, problems)`` of the configuration at ``path``: checked, secrets merged in; problems as lines of text.

    The checks leave memory again: they are as large as a role.
    """
    from laclet.node.config import check, merge
    from laclet.node.values import dotted

    secrets_path = path[: path.rfind("/") + 1] + "secrets.json"
    lines = []
    tree = _read(path, lines)
    secrets = _read(secrets_path, lines, False)
    config = None
    if not lines:
        tree, problems = merge(tree, secrets)
        lines += [_line(secrets_path, problem, dotted) for problem in problems]
        config, problems = check(tree, True)
        lines += [_line(path, problem, dotted) for problem in problems]
    _forget("config", "schema", "values")
    return config, lines


def _line(path, problem, dotted):
    where, what, mend = problem
    return path + ": " + (dotted(where) + ": " if where else "") + what + "; " + mend


def _read(path, lines, must=True):
    try:
        with open(path) as file:
            return json.load(file)
    except ValueError:
        lines.append(path + ": is no JSON; look for a comma or a quote too many or too few")
    except OSError:
        if must:
            lines.append(path + ": is missing")
    return {}


def _forget(*names):
    """Let modules of laclet.node be collected."""
    package = sys.modules["laclet.node"]
    for name in names:
        sys.modules.pop("laclet.node." + name, None)
        if hasattr(package, name):
            delattr(package, name)
