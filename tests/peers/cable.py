"""A serial cable: a terminal for the program under test, a guest or another terminal at the far end."""

import contextlib
import fcntl
import os
import select
import termios
import threading
import tty
from pathlib import Path

BUFFER = 16384  # bytes on the way in one direction before the sender must wait
PIPE = 1 << 20  # bytes; a guest whose serial port cannot take a byte at once may never try again
TICK = 0.05  # seconds between two looks at a modem's clocks
IDLE = 0.02  # seconds between two looks at a terminal that nobody has open


class Terminal:
    """An end of a cable that any program can open by its name."""

    def __init__(self, name):
        self.name = name
        self.reader = self.writer = None
        self.plug()

    def plug(self):
        """A new pseudo-terminal in raw mode, whose slave is called `name`."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        os.symlink(os.ttyname(slave), self.name)
        os.close(slave)
        self.reader = self.writer = master

    def unplug(self):
        os.unlink(self.name)
        os.close(self.reader)
        self.reader = self.writer = None

    def flush(self):
        """Forget what has been sent and not been read."""
        if self.reader is not None:
            termios.tcflush(self.reader, termios.TCIOFLUSH)

    def close(self):
        if self.reader is not None:
            self.unplug()


class Port:
    """An end of a cable in the serial port of a guest: two pipes, `name`.in and `name`.out as the guest sees them."""

    def __init__(self, name):
        self.name = name
        for way in ("in", "out"):
            os.mkfifo(f"{name}.{way}")
        # Both are opened for both ways, so that neither end waits for the other to be there.
        self.reader = os.open(f"{name}.out", os.O_RDWR | os.O_NONBLOCK)
        self.writer = os.open(f"{name}.in", os.O_RDWR | os.O_NONBLOCK)
        for pipe in (self.reader, self.writer):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)

    def flush(self):
        """Forget what has been sent and not been read."""
        for pipe in (self.reader, self.writer):
            with contextlib.suppress(BlockingIOError):
                while os.read(pipe, PIPE):
                    pass

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


class SerialCable:
    """A thread carries the bytes between `near` and `far`, each a Terminal or a Port; a modem can stand in between."""

    def __init__(self, near, far):
        self.ends = (near, far)
        self.carried = [0, 0]  # bytes near to far, far to near
        self._pending = [bytearray(), bytearray()]  # waiting to be written to near, to far
        self._modem = None
        self._lock = threading.RLock()
        self._wake = os.pipe()
        self._closed = False
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    @property
    def near(self):
        """The device at the near end, for the program under test."""
        return self.ends[0].name

    def unplug(self):
        """Take the near end away, as a USB adapter: its name is gone, who has it open sees a hang-up."""
        with self.changed():
            self.ends[0].unplug()
            self._pending = [bytearray(), bytearray()]

    def plug(self):
        """Put it back: another terminal under the same name."""
        with self.changed():
            self.ends[0].plug()

    def attach(self, modem):
        """Put a modem into the line, None to take it out; bytes that are on the way are forgotten.

        It has `from_near(data)` and `from_far(data)`, which return what goes on to the other end, `near_closed()` and
        `on_timer()`; all are called with the line to themselves.
        """
        with self.changed():
            self._modem = modem
            self._pending = [bytearray(), bytearray()]
            for end in self.ends:
                end.flush()

    def send_near(self, data):
        """Put bytes of the modem's own on the way to the near end."""
        with self.changed():
            if self.ends[0].writer is not None:
                self._pending[0] += data

    @contextlib.contextmanager
    def changed(self):
        """Keep the thread out, then have it look again."""
        with self._lock:
            yield
        os.write(self._wake[1], b"x")

    def close(self):
        with self.changed():
            self._closed = True
        self._thread.join()
        for end in self.ends:
            end.close()
        for descriptor in self._wake:
            os.close(descriptor)

    def _carry(self):
        while not self._closed:
            with self._lock:
                reading, writing = [self._wake[0]], []
                for index, end in enumerate(self.ends):
                    if end.reader is not None and len(self._pending[1 - index]) < BUFFER:
                        reading.append(end.reader)
                    if end.writer is not None and self._pending[index]:
                        writing.append(end.writer)
                modem = self._modem
            # An unplugged terminal is closed meanwhile; select names it bad, and the next turn leaves it out.
            with contextlib.suppress(OSError, ValueError):
                readable, writable, _ = select.select(reading, writing, [], TICK if modem else None)
                idle = self._move(readable, writable)
                if idle:
                    select.select([self._wake[0]], [], [], IDLE)

    def _move(self, readable, writable):
        """Move what can be moved; True when a terminal is only readable because nobody has it open."""
        if self._wake[0] in readable:
            os.read(self._wake[0], 64)
        idle = False
        with self._lock:
            if self._modem:
                self._modem.on_timer()
            for index, end in enumerate(self.ends):
                if end.reader in readable:
                    idle = not self._take(index, end) or idle
            for index, end in enumerate(self.ends):
                if end.writer in writable and self._pending[index]:
                    with contextlib.suppress(BlockingIOError):
                        sent = os.write(end.writer, self._pending[index])
                        del self._pending[index][:sent]
        return idle

    def _take(self, index, end):
        """Read what an end has sent; False when nobody has its terminal open."""
        try:
            data = os.read(end.reader, 65536)
        except BlockingIOError:
            return True
        except OSError:  # EIO: opened once, and closed
            if self._modem and index == 0:
                self._modem.near_closed()
            return False
        if self._modem:
            data = self._modem.from_far(data) if index else self._modem.from_near(data)
        if self.ends[1 - index].writer is not None:
            self.carried[index] += len(data)
            self._pending[1 - index] += data
        return True


def cable(directory, name, near=Terminal, far=Port):
    """A cable whose ends are called `name`-near and `name`-far in `directory`."""
    Path(directory).mkdir(exist_ok=True)
    return SerialCable(near(f"{directory}/{name}-near"), far(f"{directory}/{name}-far"))
