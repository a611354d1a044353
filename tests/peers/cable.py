"""A serial cable: two pseudo-terminals and a thread that carries the bytes between them."""

import contextlib
import os
import select
import threading
import tty
from pathlib import Path

BUFFER = 16384  # bytes on the way in one direction before the sender must wait
IDLE = 0.02  # seconds between two looks at an end that nobody has open


class SerialCable:
    """`near` is the device for the program under test, `far` the one for a guest or a peer.

    The near end can be unplugged, as a USB adapter is: whoever has it open sees a hang-up, the device's name is gone,
    and comes back, as another terminal, with `plug`.
    """

    def __init__(self, directory, name):
        Path(directory).mkdir(exist_ok=True)
        self.near = f"{directory}/{name}-near"
        self.far = f"{directory}/{name}-far"
        self.carried = [0, 0]  # bytes near to far, far to near
        self._lock = threading.Lock()
        self._wake = os.pipe()
        self._masters = [None, _terminal(self.far)]
        self._pending = [bytearray(), bytearray()]  # waiting to be written to near, to far
        self._closed = False
        self.plug()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def plug(self):
        """Make the near end appear."""
        with self._lock:
            self._masters[0] = _terminal(self.near)
        os.write(self._wake[1], b"x")

    def unplug(self):
        """Take the near end away; bytes from the far end are lost meanwhile."""
        with self._lock:
            os.unlink(self.near)
            os.close(self._masters[0])
            self._masters[0] = None
            self._pending = [bytearray(), bytearray()]
        os.write(self._wake[1], b"x")

    def close(self):
        self._closed = True
        os.write(self._wake[1], b"x")
        self._thread.join()
        for descriptor in (*self._masters, *self._wake):
            if descriptor is not None:
                os.close(descriptor)

    def _carry(self):
        while not self._closed:
            with self._lock:
                readable = [self._wake[0]]
                writable = []
                for end, master in enumerate(self._masters):
                    if master is not None and len(self._pending[1 - end]) < BUFFER:
                        readable.append(master)
                    if master is not None and self._pending[end]:
                        writable.append(master)
            # An unplugged terminal is closed under the lock; select then names it bad, and the next turn leaves it out.
            with contextlib.suppress(OSError, ValueError):
                readable, writable, _ = select.select(readable, writable, [])
                self._move(readable, writable)

    def _move(self, readable, writable):
        if self._wake[0] in readable:
            os.read(self._wake[0], 64)
        idle = False
        with self._lock:
            for end, master in enumerate(self._masters):
                if master in readable:
                    idle = not self._take(end, master) or idle
            for end, master in enumerate(self._masters):
                if master in writable and self._pending[end]:
                    with contextlib.suppress(BlockingIOError):
                        sent = os.write(master, self._pending[end])
                        del self._pending[end][:sent]
        if idle:
            select.select([self._wake[0]], [], [], IDLE)

    def _take(self, end, master):
        """Read what an end has sent; False when nobody has its device open."""
        try:
            data = os.read(master, 4096)
        except BlockingIOError:
            return True
        except OSError:  # EIO: opened once, and closed
            return False
        if self._masters[1 - end] is not None:
            self.carried[end] += len(data)
            self._pending[1 - end] += data
        return True


def _terminal(name):
    """A new pseudo-terminal in raw mode, whose slave is called `name`; its master."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    os.symlink(os.ttyname(slave), name)
    os.close(slave)
    return master
