"""X.25 under an L2TP endpoint: over TCP (XOT, RFC 1613), with our own packet layer; or the kernel's, by AF_X25."""

import contextlib
import errno
import os
import socket

from laclet.carrier.x25 import X25
from laclet.carrier.x25wire import USER_DATA
from laclet.carrier.xot import Xot
from laclet.fault import LINE, Fault

from .loop import ERROR, HANGUP, READ, WRITE
from .packet import Socket, x25_accept, x25_socket

_SIZE = 65536
# Octets that wait for the network: the packet layer has its own window, so that this is never reached in good order.
_MAX_WAITING = 1 << 20
# TCP connections from callers, and calls of the kernel's.
_MAX_LINKS = 256


class _Link:
    """One TCP connection with its packet layer, ours or one that was ``connected`` to us; ``name`` tells it apart."""

    def __init__(self, carrier, sock, name, connected):
        self.carrier = carrier
        self.sock = sock
        self.x25 = X25(
            name, carrier.number, connected, False, answers=connected, calls=not connected, events=carrier.events
        )
        self.x25.owner = carrier.owner
        self.xot = Xot(self._write)
        self.x25.carrier, self.xot.endpoint = self.xot, self.x25
        self.x25.endpoint = self  # so that answers find the connection
        self._waiting = bytearray()
        self._connected = connected
        self._watch()

    def receive(self, buf, start, end, addr, now):
        """A datagram out of a circuit."""
        self.carrier.links[addr] = self
        self.carrier.above.receive(buf, start, end, addr, now)

    def _watch(self):
        events = READ | (WRITE if self._waiting or not self._connected else 0)
        self.carrier.loop.watch(self.sock.fileno(), self._on_ready, events)

    def _write(self, buf, start, end):
        if len(self._waiting) > _MAX_WAITING:
            self.carrier.drop("too much waits for TCP")
            return
        self._waiting += memoryview(buf)[start:end]
        self._flush()

    def _flush(self):
        if self._connected and self._waiting:
            with contextlib.suppress(BlockingIOError):
                try:
                    del self._waiting[: self.sock.send(self._waiting)]
                except BrokenPipeError:
                    return  # the end comes as an event
        if self.sock.fileno() >= 0:
            self._watch()

    def _on_ready(self, events, now):
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if events & (ERROR | HANGUP) else 0
        if code:
            self.end(Fault(LINE, "no XOT connection: " + os.strerror(code)))
            return
        self._connected = True
        self._flush()
        if events & READ:
            self._read(now)

    def _read(self, now):
        try:
            data = self.sock.recv(_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            data = b""
            self.carrier.drop("recv: " + os.strerror(error.errno))
        if not data:
            self.end(Fault(LINE, "the XOT connection was closed"))
            return
        self.xot.receive(data, 0, len(data), None, now)
        if self.xot.broken:
            self.end(Fault(LINE, "the peer speaks no XOT"))

    def end(self, fault):
        """Clear the circuits, as far as TCP takes it at once, and close the connection."""
        for addr, link in self.carrier.links.items():
            if link is self:
                self.x25.hang_up(addr, None)
        self.carrier.loop.unwatch(self.sock.fileno())
        self.sock.close()
        for addr in [addr for addr, link in self.carrier.links.items() if link is self]:
            del self.carrier.links[addr]
            self.carrier.events.append(("x25-down", self.x25, (addr, fault)))
        self.carrier.callers.discard(self)


class XotCarrier:
    """Circuits over TCP. ``circuit``: ("xot", host, port, number) to be called, or our own when ``listen``."""

    def __init__(self, loop, above, circuit, listen, events):
        _, self.host, self.port, number = circuit
        self.loop = loop
        self.above = above
        self.number = number if listen else ""
        self.events = events
        self.owner = None
        self.drops = {}
        self.links = {}  # addr -> _Link
        self.callers = set()
        self._listener = None
        if listen:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            self._listener = socket.create_server((self.host, self.port), family=family)
            self._listener.setblocking(False)
            loop.watch(self._listener.fileno(), self._on_call)
        self.local = ("xot", self.port)

    def drop(self, reason):
        """Count a thing that was dropped."""
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def send(self, buf, start, end, addr):
        """A datagram to the station ``addr``; without a listener, over a connection that is made for it."""
        link = self.links.get(addr)
        if link is None and self._listener is None:
            link = self._connect(addr)
        if link is None:
            self.drop("no connection")
        else:
            link.x25.send(buf, start, end, addr)

    def _connect(self, addr):
        try:
            family, _, _, _, name = socket.getaddrinfo(self.host, self.port, 0, socket.SOCK_STREAM)[0]
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(name)
        except OSError as error:
            code, sock = error.errno or errno.EIO, None
        if sock is None or code not in (0, errno.EINPROGRESS):
            self.drop("connect: " + os.strerror(code))
            return None
        self.links[addr] = _Link(self, sock, "xot", False)
        return self.links[addr]

    def _on_call(self, events, now):
        with contextlib.suppress(OSError):
            sock, peer = self._listener.accept()
            if len(self.callers) >= _MAX_LINKS:
                sock.close()
                self.drop("too many connections")
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.callers.add(_Link(self, sock, f"{peer[0]}:{peer[1]}", True))

    def settle(self, addr):
        """A circuit has one far end."""

    def hang_up(self, addr):
        """Clear the call to ``addr``; what is sent there next calls again."""
        link = self.links.get(addr)
        if link is not None:
            link.x25.hang_up(addr, None)
            del self.links[addr]
            link.end(None)

    def close(self):
        """Close all connections."""
        for link in {*self.links.values(), *self.callers}:
            link.end(Fault(LINE, "closed"))
        if self._listener is not None and self._listener.fileno() >= 0:
            self.loop.unwatch(self._listener.fileno())
            self._listener.close()


class _Call(Socket):
    """A connected socket of the kernel's X.25."""

    def __init__(self, carrier, sock, addr, connected):
        self._carrier = carrier
        self._connected = connected
        self._waiting = []
        super().__init__(carrier.loop, carrier.above, sock, addr)
        if not connected:
            carrier.loop.watch(sock.fileno(), self._on_ready, READ | WRITE)

    def _write(self, data):
        if self._connected:
            self.sock.send(data, socket.MSG_EOR)  # the kernel takes whole messages only, and makes packets of them
        else:
            self._waiting = [bytes(data)]  # L2TP repeats the others

    def _on_ready(self, events, now):
        if not self._connected:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code or events & (ERROR | HANGUP):
                self.ended(now, "no answer to the X.25 call: " + os.strerror(code or errno.ECONNREFUSED))
                return
            self._connected = True
            self._loop.watch(self.sock.fileno(), self._on_ready)
            for data in self._waiting:
                self._write(data)
        super()._on_ready(events, now)

    def ended(self, now, cause="the X.25 call was cleared"):
        """The call is over."""
        self.close()
        self._carrier.calls.pop(self._addr, None)
        self._carrier.events.append(("x25-down", self._carrier, (self._addr, Fault(LINE, cause))))


class X25Carrier:
    """Circuits of the kernel's X.25. ``circuit`` is ("x25", number): called, or our own when ``listen``."""

    def __init__(self, loop, above, circuit, listen, events):
        self.loop = loop
        self.above = above
        self.events = events
        self.owner = None
        self.drops = {}
        self.calls = {}  # addr -> _Call
        self._number = 0  # of the last call that came
        self.local = ("x25", circuit[1])
        self._listener = x25_socket(USER_DATA, circuit[1]) if listen else None
        if listen:
            loop.watch(self._listener.fileno(), self._on_call)

    def send(self, buf, start, end, addr):
        """A datagram to the station ``addr``, which is called when there is no call to it."""
        call = self.calls.get(addr)
        if call is None and self._listener is None:
            try:
                call = self.calls[addr] = _Call(self, x25_socket(USER_DATA, "", addr[2]), addr, False)
            except OSError as error:
                reason = "call: " + os.strerror(error.errno or errno.EIO)
                self.drops[reason] = self.drops.get(reason, 0) + 1
        if call is not None:
            call.send(buf, start, end, addr)

    def _on_call(self, events, now):
        with contextlib.suppress(OSError):
            sock, number = x25_accept(self._listener)
            if len(self.calls) >= _MAX_LINKS:
                sock.close()
                return
            self._number += 1
            addr = ("x25", "x25", number or f"call {self._number}")
            if addr in self.calls:
                self.calls[addr].close()
            self.calls[addr] = _Call(self, sock, addr, True)

    def settle(self, addr):
        """A circuit has one far end."""

    def hang_up(self, addr):
        """Clear the call to ``addr``; what is sent there next calls again."""
        call = self.calls.pop(addr, None)
        if call is not None:
            call.close()

    def close(self):
        """Clear all calls."""
        for call in self.calls.values():
            call.close()
        if self._listener is not None and self._listener.fileno() >= 0:
            self.loop.unwatch(self._listener.fileno())
            self._listener.close()
