"""ATM between two guests: the kernel's `atmtcp` interfaces, whose cells Debian's `atmtcp` carries over TCP.

Since 2025 Linux refuses what the program answers when a PVC is opened (`atmtcp_c_pre_send`), so that every opener
hangs, Debian's own `aread` too. The guests therefore get the module with that one function emptied.
"""

import shutil
import struct
from pathlib import Path

from peers.lab import Daemon

MODULE = "kernel/drivers/atm/atmtcp.ko"
REFUSAL = b"atmtcp_c_pre_send"
RETURN_0 = b"\x31\xc0\xc3"  # xor eax, eax; ret


def _sections(image):
    """(type, file offset, size, link) of each section of a 64-bit ELF file."""
    (table,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    for i in range(count):
        _, kind, _, _, offset, length, link = struct.unpack_from("<IIQQQQI", image, table + i * size)
        yield kind, offset, length, link


def without_refusal(image):
    """The module with `atmtcp_c_pre_send` returning 0; as it is where it has no such function."""
    sections = list(_sections(image))
    image = bytearray(image)
    for kind, offset, length, link in sections:
        if kind != 2:  # the table of symbols
            continue
        for at in range(offset, offset + length, 24):
            name, _, _, section, value = struct.unpack_from("<IBBHQ", image, at)
            start = sections[link][1] + name
            if image[start : image.index(0, start)] == REFUSAL:
                where = sections[section][1] + value
                image[where : where + len(RETURN_0)] = RETURN_0
    return bytes(image)


class AtmTcp(Daemon):
    """ATM interface 0 of `place`, joined to that of `other`, or listening for one."""

    def __init__(self, place, other=None):
        self.place = place
        self.other = other

    def start(self):
        """Load the modules, start the program; self."""
        place = self.place
        release = place.run("uname", "-r").out.strip()
        folder = Path(shutil.which("linux.uml") or "").parent.parent / "lib/uml/modules" / release
        local = place.lab.directory / "atmtcp.ko"
        local.write_bytes(without_refusal((folder / MODULE).read_bytes()))
        place.run("modprobe", "-q", "-a", "-d", "/run/mod", "atm", "tun")
        if "atmtcp " not in place.run("cat", "/proc/modules").out:
            place.run("insmod", local)
        way = ["connect", self.other.address] if self.other else ["listen"]
        self.process = place.spawn("atmtcp", "virtual", *way, log="atmtcp.log")
        self.process.said("connection to" if self.other else "virtual interface")
        return self

    def stop(self):
        self.process.stop()
