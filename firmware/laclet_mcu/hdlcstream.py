"""The stream that ``network.PPP`` gets: lwIP's PPP on one side, a SerialLine of the core on the other.

lwIP's timers write in interrupt context: ``write`` neither allocates nor raises, and takes everything. All else happens
in the main loop.
"""

import io

from laclet.line.serial import SerialLine
from micropython import const

try:
    from laclet.wire.fast import copy
except (ImportError, ValueError, SyntaxError):  # no native code on this port

    def copy(source, start, end, target, at):
        """Copy ``source[start:end]`` to ``target`` from ``at`` on."""
        while start < end:
            target[at] = source[start]
            start += 1
            at += 1


_POLL = const(3)  # MP_STREAM_POLL
_POLLIN = const(1)
_POLLOUT = const(4)
_RING = const(4096)  # octets that lwIP may write before the loop comes round: a packet of 1500, all escaped, fits


class HdlcStream(io.IOBase):
    """``line`` is the port to be joined. Only one place writes ``_head``, and only one ``_tail``: no lock is needed."""

    IRQ_RXIDLE = 1

    def __init__(self):
        self.line = SerialLine()
        self.bell = Bell(self)
        self.lost = 0  # octets that found no room; PPP repeats what they were part of
        self._ring = bytearray(_RING)
        self._head = 0  # where the next octet goes
        self._tail = 0  # the oldest octet
        self._handler = None

    # -- for network.PPP --------------------------------------------------------------------------------

    def irq(self, handler=None, trigger=0, hard=False):
        """``handler(stream)`` reads when there is something to read."""
        self._handler = handler

    def readinto(self, buf):
        """Octets for lwIP, or None."""
        line = self.line
        n = line.tx_end - line.tx_start
        if n == 0:
            return None
        if n > len(buf):
            n = len(buf)
        copy(line.tx, line.tx_start, line.tx_start + n, buf, 0)
        line.sent(n)
        return n

    def write(self, buf):
        """Octets of lwIP, maybe in interrupt context; ``buf`` is only valid meanwhile."""
        n = len(buf)
        head = self._head
        if n > (self._tail - head - 1) % _RING:
            self.lost += n
            return n
        first = _RING - head
        if first > n:
            first = n
        copy(buf, 0, first, self._ring, head)
        copy(buf, first, n, self._ring, 0)
        self._head = (head + n) % _RING
        return n

    def ioctl(self, request, argument):
        """For poll(): there is always room."""
        return argument & _POLLOUT if request == _POLL else -1

    # -- for the loop -----------------------------------------------------------------------------------

    def waiting(self):
        """1 when lwIP has written something, else 0."""
        return _POLLIN if self._head != self._tail else 0

    def pump(self, now):
        """Bring on what either side has for the other."""
        while self._tail != self._head:
            head = self._head
            end = head if head > self._tail else _RING
            self.line.receive(self._ring, self._tail, end, now)
            self._tail = end % _RING
        if self.line.tx_end != self.line.tx_start and self._handler is not None:
            self._handler(self)


class Bell(io.IOBase):
    """For poll(): can be read when lwIP has written."""

    def __init__(self, stream):
        self._stream = stream

    def ioctl(self, request, argument):
        """The answer to poll()."""
        return argument & self._stream.waiting() if request == _POLL else -1
