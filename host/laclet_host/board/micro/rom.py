"""The ROM image that launch.py has mapped into memory: code in it runs in place, and costs no heap but its objects."""

import os
import sys

import uctypes
import vfs


def mount():
    """Mount it at /rom, as boards with ROMFS do; without an image nothing happens."""
    where = os.getenv("LACLET_ROM")
    if where:
        address, size = where.split()
        vfs.mount(vfs.VfsRom(uctypes.bytearray_at(int(address), int(size))), "/rom")
        sys.path.append("/rom")
        sys.path.append("/rom/lib")
