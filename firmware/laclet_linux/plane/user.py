"""The userspace data plane: IP packets of established sessions between TUN interfaces and one UDP socket.

A thread of its own moves them, many at a time. What is no IP packet of a session it knows (control messages, LCP,
IPCP, calls of other kinds) goes to its owner through bounded queues: the core sees what it would have seen without a
plane, and control never waits behind data.

    TUN --super-packets--> cut --UDP_SEGMENT--> socket --UDP_GRO--> merge --super-packets--> TUN

Each step falls back by itself: no numpy, no segmentation in the socket, none in the interface, one packet per call.
"""

import contextlib
import errno
import os
import select
import threading
from collections import deque

from .circuit import Circuit
from .headers import L2TP_S, L2TP_T, ns_offset
from .inbound import Inbound
from .outbound import Outbound
from .plain import Plain

try:
    from .vector import Vector as Engine
except ImportError:  # without numpy
    Engine = Plain

__all__ = ["Circuit", "UserPlane"]

# What waits for the owner, in datagrams: control messages of many tunnels at once; frames that the core relays itself.
_MAX_CONTROL = 1024
_MAX_FRAMES = 1024
# Bytes the socket holds while this thread does something else, at a gigabit a second for 30 ms.
_SOCKET_ROOM = 4 << 20
_SO_SNDBUFFORCE = 32  # linux/socket.h; Python has no names for them
_SO_RCVBUFFORCE = 33


class UserPlane:
    """Moves the packets of any number of circuits over one UDP ``sock``, which stays its owner's.

    ``fileno()`` is readable when ``next_event()`` has something. ``engine``: a Plain, to do without numpy.
    ``on_error()`` is called in the thread when the socket has something in its error queue, to empty it.
    """

    def __init__(self, sock, engine=None, on_error=None):
        sock.setblocking(False)
        for option, plain in ((_SO_SNDBUFFORCE, 7), (_SO_RCVBUFFORCE, 8)):
            _grow(sock, option, plain)
        engine = engine or Engine()
        self._sock = sock
        self._circuits = {}  # our tunnel and session id -> Circuit
        self._by_fd = {}
        self._by_peer = {}  # the peer's ids -> Circuits, for numbers of the owner's own frames
        self._control = deque()
        self._frames = deque()
        self._failed = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()  # held while packets are moved
        self._gate = threading.Lock()  # held by who wants the lock next: it is not taken again before their turn
        self._on_error = on_error
        self._running = False
        self._thread = None
        self._outbound = Outbound(sock, engine)
        self._inbound = Inbound(sock, engine, self._circuits, self._pass_up)
        self._poll = select.epoll()
        self._poll.register(sock, select.EPOLLIN)
        self._poll.register(self._wake, select.EPOLLIN)

    # -- for the owner ------------------------------------------------------------------------------------

    def start(self):
        """Begin to move packets."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name="laclet-plane", daemon=True)
        self._thread.start()

    def stop(self):
        """End the thread; the socket and the interfaces stay open. Not to be started again.

        Returns the datagrams that nobody has taken yet, as events.
        """
        self._running = False
        os.eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._inbound.end()
        self._poll.close()
        os.close(self._wake)
        os.close(self._bell)
        return [*self._control, *self._frames]

    def add(self, circuit):
        """Let the packets of ``circuit`` go this way from now on."""
        with self.held():
            self._circuits[circuit.key] = circuit
            self._by_peer[(circuit.addr, circuit.peer_key)] = circuit
            self._by_fd[circuit.tun.fd] = circuit
            self._poll.register(circuit.tun.fd, select.EPOLLIN)

    def remove(self, circuit):
        """Forget ``circuit``; when this returns its interface is no longer used."""
        with self.held():
            self._forget(circuit)
            del self._circuits[circuit.key]
            del self._by_peer[(circuit.addr, circuit.peer_key)]

    @contextlib.contextmanager
    def held(self):
        """No packet is moved meanwhile."""
        with self._gate, self._lock:
            yield

    def fileno(self):
        """A descriptor that is readable while events wait."""
        return self._bell

    def next_event(self):
        """The oldest event not yet taken, or None.

        ``("datagram", bytes, addr)``, control messages first; ``("failed", circuit, cause)``: its interface is gone.
        """
        for waiting in (self._control, self._failed, self._frames):
            if waiting:
                return waiting.popleft()
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return None
        return self.next_event()  # something may have come between the look and the read

    def send(self, buf, start, end, addr):
        """Send a datagram of the owner's, in its turn."""
        self.number(buf, start, addr)
        with memoryview(buf) as view:
            if addr is None:
                self._sock.send(view[start:end])
            else:
                self._sock.sendto(view[start:end], addr)

    def number(self, buf, start, addr):
        """Data of a numbered circuit that the owner sends itself get the circuit's next number."""
        first = buf[start]
        if first & L2TP_S and not first & L2TP_T:
            at = start + ns_offset(first)
            with self.held():
                circuit = self._by_peer.get((addr, int.from_bytes(buf[at - 4 : at], "big")))
                if circuit is not None:
                    buf[at : at + 2] = circuit.next_ns().to_bytes(2, "big")

    def drops(self):
        """What was dropped before its circuit was known: reason -> count."""
        return dict(self._inbound.drops)

    # -- the thread ---------------------------------------------------------------------------------------

    def _run(self):
        # It need not interrupt who fills its queues: a fuller queue costs less for each packet.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        socket_fd = self._sock.fileno()
        while self._running:
            for fd, events in self._poll.poll():
                with self._gate:
                    pass
                with self._lock:
                    circuit = self._by_fd.get(fd)
                    if fd == socket_fd:
                        if events & select.EPOLLERR and self._on_error is not None:
                            self._on_error()
                        self._inbound.read()
                    elif circuit is not None:
                        self._from_interface(circuit)

    def _from_interface(self, circuit):
        try:
            self._outbound.read(circuit)
        except OSError as error:  # EBADFD: the interface was deleted
            circuit.failed = errno.errorcode.get(error.errno, "error")
            self._forget(circuit)
            self._failed.append(("failed", circuit, circuit.failed))
            os.eventfd_write(self._bell, 1)

    def _forget(self, circuit):
        if self._by_fd.pop(circuit.tun.fd, None) is not None:
            self._poll.unregister(circuit.tun.fd)

    def _pass_up(self, data, addr, control):
        waiting, most = (self._control, _MAX_CONTROL) if control else (self._frames, _MAX_FRAMES)
        if len(waiting) >= most:
            self._inbound.drop("owner's queue full")
            return
        waiting.append(("datagram", data, addr))
        os.eventfd_write(self._bell, 1)


def _grow(sock, forced, plain):
    """Make a socket buffer large, beyond the system's limit if we may."""
    try:
        sock.setsockopt(1, forced, _SOCKET_ROOM)
    except OSError:
        sock.setsockopt(1, plain, _SOCKET_ROOM)
