"""A LittleFS on a block device in memory whose power can be cut in the middle of any write or erase."""

import vfs

_BLOCK = 512


class Flash:
    """In write or erase number ``cut`` half is done, and nothing more after that."""

    def __init__(self, blocks):
        self.data = bytearray(_BLOCK * blocks)
        self.cut = 0
        self.writes = 0
        vfs.VfsLfs2.mkfs(self, progsize=32, readsize=32, lookahead=32)

    def readblocks(self, block, buf, offset=0):
        at = block * _BLOCK + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        at = block * _BLOCK + offset
        size = self._room(len(buf))
        self.data[at : at + size] = memoryview(buf)[:size]
        return 0 if size == len(buf) else -5

    def _room(self, size):
        self.writes += 1
        if not self.cut or self.writes < self.cut:
            return size
        return size // 2 if self.writes == self.cut else 0

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // _BLOCK
        if op == 5:
            return _BLOCK
        if op == 6:
            size = self._room(_BLOCK)
            self.data[arg * _BLOCK : arg * _BLOCK + size] = b"\xff" * size
            return 0 if size == _BLOCK else -5
        return 0


class Mounted:
    """The flash as a file system at /cut; ``with`` gives the root of it."""

    def __init__(self, flash, cut=0):
        flash.cut = cut
        flash.writes = 0
        vfs.mount(vfs.VfsLfs2(flash, progsize=32, readsize=32, lookahead=32), "/cut")

    def __enter__(self):
        return "/cut/"

    def __exit__(self, *_):
        vfs.umount("/cut")
