"""The flash of a virtual board: a file on the host, in blocks of 4096 bytes."""

_BLOCK = 4096
_ERASED = b"\xff" * 256


class Blocks:
    """The extended block device protocol on a file; the power is cut in the middle of write or erase number ``cut``."""

    def __init__(self, machine, path, count, cut):
        self._machine = machine
        self._file = machine.host.open(path, "r+b")
        self._count = count
        self._cut = cut

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        if self._cuts():
            self._file.write(buf, len(buf) // 2)
            self._dark()
        self._file.write(buf)

    def ioctl(self, op, arg):
        if op == 4:  # MP_BLOCKDEV_IOCTL_BLOCK_COUNT
            return self._count
        if op == 5:  # MP_BLOCKDEV_IOCTL_BLOCK_SIZE
            return _BLOCK
        if op == 6:  # MP_BLOCKDEV_IOCTL_BLOCK_ERASE
            self._file.seek(arg * _BLOCK)
            cuts = self._cuts()
            for _ in range(_BLOCK // len(_ERASED) // (2 if cuts else 1)):
                self._file.write(_ERASED)
            if cuts:
                self._dark()
        return 0

    def _cuts(self):
        self._cut -= 1
        return self._cut == 0

    def _dark(self):
        self._machine.tell("cut")
        self._machine.halt()
