"""What a board takes as an update: the manifest of a folder of code. See docs/update.md."""

import hashlib
import hmac
from pathlib import Path

import laclet

MANIFEST = "manifest"
SELECTOR = "laclet_slots"  # stands outside of the slots
_SUFFIXES = (".mpy", ".py")


def files(folder):
    """Paths of the code in a folder, relative to it, sorted; without the selector, which no update replaces."""
    folder = Path(folder)
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix in _SUFFIXES)
    return sorted(path for path in found if path.parts[0] != SELECTOR)


def manifest(folder, mpy, key=None, version=laclet.__version__):
    """The manifest (bytes) of a folder as ``mpy.build()`` leaves it.

    ``mpy``  the number that the board's ``update status`` tells
    ``key``  bytes of its ``board.update_key``, or None
    """
    folder = Path(folder)
    rows = [(path.as_posix(), (folder / path).read_bytes()) for path in files(folder)]
    lines = [f"# laclet {version}", f"# mpy {mpy}", f"# size {sum(len(data) for _, data in rows)}"]
    lines += [f"{hashlib.sha256(data).hexdigest()}  {path}" for path, data in rows]
    text = "".join(line + "\n" for line in lines).encode()
    if key is not None:
        text += b"# hmac " + hmac.digest(key, text, "sha256").hex().encode() + b"\n"
    return text
