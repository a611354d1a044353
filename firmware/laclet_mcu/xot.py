"""X.25 over TCP (XOT, RFC 1613) on a board: one connection, made when there is something to send."""

import select
import socket

from laclet.carrier.x25 import X25
from laclet.carrier.xot import Xot
from laclet.fault import LINE, Fault
from micropython import const

_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
_SIZE = const(512)  # octets read at once
# Octets that may wait for TCP: a window of the packet layer, 7 packets of 1024, and what answers the other side's.
_ROOM = const(8192)


class XotCarrier:
    """The circuit ("xot", host, port, number) to the station with that number."""

    def __init__(self, shell, endpoint, circuit, events):
        self.owner = None
        self.stream = None  # the socket, for poll()
        self.drops = {}
        self._shell = shell
        self._host, self._port = circuit[1:3]
        self._events = events
        self._addr = ("x25", "xot", circuit[3])
        self._up = False  # TCP is connected
        self._out = bytearray(_ROOM)
        self._start = self._end = 0  # what waits in it
        self._xot = None
        self._x25 = None
        self.endpoint = endpoint

    def drop(self, reason):
        """Count a thing that was dropped."""
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def send(self, buf, start, end, addr):
        """A datagram to the station."""
        if self.stream is None:
            try:
                self._connect()
            except OSError:
                self.drop("no connection")
                return
        self._x25.send(buf, start, end, addr)

    def settle(self, addr):
        """A circuit has one far end."""

    def hang_up(self, addr):
        """Clear the call; what is sent next calls again."""
        if self.stream is not None:
            self._x25.hang_up(addr, None)
            self._over(None)

    def close(self):
        """Clear the call and close the connection."""
        self.hang_up(self._addr)

    def ready(self, events, now):
        """TCP is connected, takes more, has brought something, or is gone."""
        if events & (select.POLLERR | select.POLLHUP) and not events & select.POLLIN:
            self._over(Fault(LINE, "no XOT connection"))
            return
        self._up = True
        self._flush()
        if events & select.POLLIN:
            self._read(now)

    def _read(self, now):
        try:
            data = self.stream.recv(_SIZE)
        except OSError:
            data = b""
        if not data:
            self._over(Fault(LINE, "the XOT connection was closed"))
            return
        self._xot.receive(data, 0, len(data), None, now)
        if self._xot.broken:
            self._over(Fault(LINE, "the peer speaks no XOT"))

    def _connect(self):
        info = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)[0]
        stream = socket.socket(info[0], socket.SOCK_STREAM)
        stream.setblocking(False)
        try:
            stream.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)  # a window of two small packets waits for each
        except OSError:
            pass  # not on every board
        try:
            stream.connect(info[-1])
        except OSError as error:
            if error.errno not in (115, 119):  # EINPROGRESS, as Linux and lwIP have it
                stream.close()
                raise
        self.stream = stream
        self._up = False
        self._start = self._end = 0
        self._xot = Xot(self._write)
        self._x25 = X25("xot", "", False, False, answers=False, events=self._events)
        self._x25.owner = self.owner
        self._x25.carrier = self._xot
        self._x25.endpoint = self.endpoint
        self._xot.endpoint = self._x25
        self._shell.watch(self)
        self._shell.watch_room(self, True)

    def _write(self, buf, start, end):
        size = end - start
        if self._end + size > _ROOM:
            left = self._end - self._start
            self._out[:left] = memoryview(self._out)[self._start : self._end]
            self._start, self._end = 0, left
        if self._end + size > _ROOM:
            self.drop("too much waits for TCP")
            return
        self._out[self._end : self._end + size] = memoryview(buf)[start:end]
        self._end += size
        if self._up:
            self._flush()

    def _flush(self):
        if self._end > self._start:
            try:
                self._start += self.stream.send(memoryview(self._out)[self._start : self._end])
            except OSError:
                pass  # full; or gone, which comes as an event
            if self._start == self._end:
                self._start = self._end = 0
        self._shell.watch_room(self, self._end > self._start)

    def _over(self, fault):
        self._shell.unwatch(self)
        self.stream.close()
        self.stream = None
        if fault is not None:
            self._events.append(("x25-down", self, (self._addr, fault)))
