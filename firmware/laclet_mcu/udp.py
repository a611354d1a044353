"""UDP sockets as carriers of datagrams."""

import socket
import sys

from laclet.port import HEADROOM, TAILROOM

if sys.platform == "linux":
    from .unix import address
else:

    def address(addr):
        """A socket address is what the core wants already."""
        return addr


class Udp:
    """A socket under an L2TP endpoint. ``rx`` is the buffer for what comes in, shared by all sockets of a shell.

    It is connected as soon as the endpoint has settled on a peer and has no other tunnel, and opened anew at the same
    port when another peer is written to: what is sent then allocates nothing. What comes in costs one allocation each,
    because readinto() goes on until the buffer is full, and would make one of several datagrams.
    """

    def __init__(self, shell, endpoint, local, port, peer, rx):
        """Raises OSError."""
        self.stream = None  # the socket, for poll()
        self._shell = shell
        self._endpoint = endpoint
        self._rx = rx
        self._size = len(rx) - HEADROOM - TAILROOM
        self._v6 = ":" in (local or (peer[0] if peer else ""))
        self.local = local  # an address of ours, when it was given
        self._port = port
        self._peer = None  # what it is connected to
        self._heard = None  # the last packed sender, and what it stands for
        self._from = None  # whose datagram was read last
        self._spoken = None  # the same for the last receiver
        self._to = None
        self._closed = False
        self._open()

    def send(self, buf, start, end, addr):
        """Send ``buf[start:end]``; what the network does not take is lost and counted."""
        if addr is not self._peer and addr != self._peer:
            sent = self._send_to(memoryview(buf)[start:end], addr)
        else:
            sent = self._write(buf, start, end - start)
        if sent is None:
            self._endpoint.drop("not sent")

    def _write(self, buf, start, size):
        try:
            return self.stream.write(buf, start, size)
        except OSError:
            return None

    def _send_to(self, packet, addr):
        if self._closed:
            return None
        try:
            if self._peer is not None or self.stream is None:
                self._reopen()
            return self.stream.sendto(packet, self._packed(addr))
        except OSError:
            return None

    def settle(self, addr):
        """The peer's address is final. Who takes calls has to hear others, too."""
        if self._peer is None and self._endpoint.accept is None and len(self._endpoint.tunnels) == 1:
            try:
                self.stream.connect(self._packed(addr))
            except OSError:
                return  # it goes on unconnected
            self._peer = self._from = addr

    def source(self, addr):
        """Our own address as ``addr`` would see it: sockets do not tell it here."""
        return None

    def close(self):
        """Close the socket; what is sent from now on is lost."""
        self._closed = True
        self._peer = None
        self._shut()

    def ready(self, events, now):
        """Bring on a datagram that has come."""
        data = self._read()
        if data is not None:
            self._bring(data, now)

    def _bring(self, data, now):
        end = HEADROOM + len(data)
        self._rx[HEADROOM:end] = data
        self._endpoint.receive(self._rx, HEADROOM, end, self._from, now)

    def _read(self):
        """The next datagram, whose sender is then ``_from``; None when there is none after all."""
        try:
            if self._peer is not None:
                return self.stream.recv(self._size)
            data, sender = self.stream.recvfrom(self._size)
        except OSError:  # an ICMP error in the place of a datagram
            self._endpoint.drop("refused")
            return None
        if sender != self._heard:
            self._heard = sender
            self._from = address(sender)
        return data

    def _open(self):
        stream = socket.socket(socket.AF_INET6 if self._v6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if self.local or self._port:
                local = self.local or ("::" if self._v6 else "0.0.0.0")
                stream.bind(socket.getaddrinfo(local, self._port)[0][-1])
            stream.setblocking(False)
        except OSError:
            stream.close()
            raise
        self.stream = stream
        self._shell.watch(self)

    def _shut(self):
        if self.stream is not None:
            self._shell.unwatch(self)
            self.stream.close()
            self.stream = None

    def _reopen(self):
        """Raises OSError; then the next datagram to be sent tries it again."""
        self._shut()
        self._peer = self._heard = None
        self._open()

    def _packed(self, addr):
        """What the socket wants for ``addr``."""
        if addr != self._spoken:
            self._spoken = addr
            self._to = socket.getaddrinfo(addr[0], addr[1])[0][-1]
        return self._to
