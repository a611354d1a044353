"""A board that boots, then saves configurations and makes updates until it is killed.

``main(["", FLASH, CONFIG, VERSION])``: the last numbers that it has said are kept.

It says ``kept CONFIG VERSION`` whenever something is kept for certain; ``new`` before that makes the file system.
"""

import random

import blocks
import vfs
from updatedesk import Life

_BLOCKS = 256  # of 4096 bytes


class _Machine:
    """What Blocks asks of a virtual board."""

    host = vfs.VfsPosix()


def main(argv):
    """Live; the exit code is not 0 when the board does not work."""
    device = blocks.Blocks(_Machine, argv[1], _BLOCKS, 0)
    if argv[2] == "new":
        vfs.VfsLfs2.mkfs(device, progsize=256)
    vfs.mount(vfs.VfsLfs2(device, progsize=256), "/cut")
    if argv[2] == "new":
        Life("/cut/", random.randrange, -1, 0).save()
        return
    life = Life("/cut/", random.randrange, int(argv[2]), int(argv[3]))
    life.boot()
    while True:
        print("kept", life.config, life.version)
        life.work()
