"""Power cut in the middle of every write and erase of a save: the old configuration, or the new one, and never neither.

On a LittleFS in memory, whose device fails for good at the cut; then it is mounted again.
"""

import json
import os

import vfs

from laclet_mcu.store import Store

_BLOCK = 512
_BLOCKS = 40


class Flash:
    """A block device in memory; in write or erase number ``cut`` half is done, and nothing more after that."""

    def __init__(self):
        self.data = bytearray(_BLOCK * _BLOCKS)
        self.cut = 0
        self.writes = 0

    def readblocks(self, block, buf, offset=0):
        at = block * _BLOCK + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        at = block * _BLOCK + offset
        size = self.room(len(buf))
        self.data[at : at + size] = memoryview(buf)[:size]
        return 0 if size == len(buf) else -5

    def room(self, size):
        self.writes += 1
        if not self.cut or self.writes < self.cut:
            return size
        return size // 2 if self.writes == self.cut else 0

    def ioctl(self, op, arg):
        if op == 4:
            return _BLOCKS
        if op == 5:
            return _BLOCK
        if op == 6:
            size = self.room(_BLOCK)
            self.data[arg * _BLOCK : arg * _BLOCK + size] = b"\xff" * size
            return 0 if size == _BLOCK else -5
        return 0


def pair(number):
    """Configuration and secrets number ``number``; longer than a block, so that a save takes many writes."""
    name = f"lns{number}.example"
    tree = {
        "tunnel": {"isp": {"server": name, "hostname": "h" * 60}},
        "call": {"isp": {"tunnel": "isp", "username": "u" * 120}},
    }
    return tree, {"call": {"isp": {"password": name}}, "tunnel": {"isp": {"tunnel_secret": "s" * 100}}}


def number(content):
    """Which pair it is; both parts must be of the same."""
    tree, secrets = content
    name = tree["tunnel"]["isp"]["server"]
    assert secrets["call"]["isp"]["password"] == name, "half of one, half of the other"
    return int(name[3:-8])


class Mounted:
    """The flash as a file system at /cut."""

    def __init__(self, flash, cut=0):
        flash.cut = cut
        flash.writes = 0
        vfs.mount(vfs.VfsLfs2(flash, progsize=32, readsize=32, lookahead=32), "/cut")

    def __enter__(self):
        return Store("/cut/config.json")

    def __exit__(self, *_):
        vfs.umount("/cut")


def with_saves(count):
    """A flash after that many saves."""
    flash = Flash()
    vfs.VfsLfs2.mkfs(flash, progsize=32, readsize=32, lookahead=32)
    with Mounted(flash) as store:
        for i in range(count):
            store.save(*pair(i))
    return flash


def cut_everywhere(saves, during, old, new):
    """``during(store)`` cut at every write; what counts afterwards is ``old`` or ``new``, and it stays."""
    flash = with_saves(saves)
    image = bytes(flash.data)
    with Mounted(flash) as store:
        during(store)
        total = flash.writes
    assert total > 8
    seen = set()
    for cut in range(1, total + 1):
        flash.data[:] = image
        try:
            with Mounted(flash, cut) as store:
                during(store)
        except OSError:
            pass
        with Mounted(flash) as store:
            found = number(store.read())
            assert found in (old, new), (cut, found)
            # The board goes on: what counted counts again, and the next save works.
            assert number(store.read()) == found
            assert not [name for name in os.listdir("/cut") if name.endswith("json.new")]
            store.save(*pair(7))
            assert number(store.read()) == 7 and number(store.read(True)) == found
        seen.add(found)
    assert seen == {old, new}


def test_a_save_is_all_or_nothing():
    cut_everywhere(2, lambda store: store.save(*pair(2)), 1, 2)


def test_an_interrupted_save_may_be_interrupted_while_it_is_ended():
    flash = with_saves(2)
    image = bytes(flash.data)
    with Mounted(flash) as store:
        store.save(*pair(2))
        total = flash.writes
    ended = 0
    for first in range(total // 2, total):
        flash.data[:] = image
        try:
            with Mounted(flash, first) as store:
                store.save(*pair(2))
        except OSError:
            pass
        half = bytes(flash.data)
        with Mounted(flash) as store:
            expected = number(store.read())
            writes = flash.writes
        ended += writes > 0
        for second in range(1, writes + 1):
            flash.data[:] = half
            try:
                with Mounted(flash, second) as store:
                    store.read()
            except OSError:
                pass
            with Mounted(flash) as store:
                assert number(store.read()) == expected, (first, second)
    assert ended


def test_the_first_save_over_files_that_were_copied_to_the_board():
    flash = with_saves(0)
    with Mounted(flash) as store:
        tree, secrets = pair(0)
        for name, content in (("config.json", tree), ("secrets.json", secrets)):
            with open("/cut/" + name, "w") as file:
                json.dump(content, file)
        assert number(store.read()) == 0 and store.read(True) is None
        store.save(*pair(1))
        assert number(store.read()) == 1 and number(store.read(True)) == 0
