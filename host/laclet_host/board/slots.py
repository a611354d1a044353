"""What a board takes as an update: the manifest of a folder of code. See docs/update.md."""

import hashlib
import hmac
from pathlib import Path

import laclet

MANIFEST = "manifest"
SELECTOR = "laclet_slots"  # stands outside of the slots
IMAGE = "code.img"  # all code of a slot in one file
_SUFFIXES = (".mpy", ".py", ".img")
_BLOCK = 256  # bytes; of the LittleFS in an image, as laclet_slots mounts it


def files(folder):
    """Paths of the code in a folder, relative to it, sorted; without the selector, which no update replaces."""
    folder = Path(folder)
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix in _SUFFIXES)
    return sorted(path for path in found if path.parts[0] != SELECTOR)


def image(folder):
    """A LittleFS (bytes) of small blocks with the code of a folder: a file of its own would take 4 KiB or more each.

    Raises ImportError without littlefs-python.
    """
    import littlefs

    code = {path.as_posix(): (Path(folder) / path).read_bytes() for path in files(folder)}
    blocks = sum(map(len, code.values())) // _BLOCK + len(code)
    while True:
        system = littlefs.LittleFS(block_size=_BLOCK, block_count=blocks, prog_size=64, disk_version=0x00020000)
        try:
            for path, data in code.items():
                if "/" in path:
                    system.makedirs(path.rpartition("/")[0], exist_ok=True)
                with system.open(path, "wb") as file:
                    file.write(data)
            return bytes(system.context.buffer)
        except littlefs.LittleFSError:  # it is full
            blocks += 1 + blocks // 32


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
