"""The virtual boards of ``laclet virtual`` that run on this machine: each leaves a file beside services' sockets."""

import contextlib
import json
import os
from pathlib import Path


def _folder():
    from laclet_linux.control import run_dir

    return Path(run_dir())


def _path(name):
    return _folder() / f"{name}.board"


@contextlib.contextmanager
def announced(name, board):
    """Have ``known`` name this running board, as long as the block lasts. Raises OSError; FileExistsError when another
    board of that name runs."""
    if name in known():
        raise FileExistsError(f"a virtual board called {name} is running already")
    path = _path(name)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    about = {"port": board.port, "uarts": {str(number): tty for number, tty in board.uarts.items()}, "pid": os.getpid()}
    path.write_text(json.dumps(about))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def known():
    """``{name: {"port", "uarts", "pid"}}`` of all that run; what a killed one has left is not among them."""
    found = {}
    if os.name != "posix":  # there are none
        return found
    for path in sorted(_folder().glob("*.board")):
        try:
            about = json.loads(path.read_text())
            os.kill(about["pid"], 0)
        except PermissionError:
            pass
        except (OSError, ValueError, KeyError):
            continue
        if os.path.exists(about["port"]):
            found[path.stem] = about
    return found
