"""A plain UDP socket of the system, as laclet.ip.query wants it."""

import socket

from laclet.wire.address import ipv4_bytes, ipv4_text
from micropython import const

from .udp import address

_SIZE = const(516)  # a block of TFTP; DNS and NTP need less


class Datagrams:
    """``handler(buf, start, end, address, port, now)`` hears what comes; raises OSError."""

    def __init__(self, shell, handler):
        self.stream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stream.setblocking(False)
        self._shell = shell
        self._handler = handler
        shell.watch(self)

    def send(self, data, to, port, now):
        """Send to an address of four bytes; False when the network does not take it."""
        try:
            self.stream.sendto(data, socket.getaddrinfo(ipv4_text(to), port)[0][-1])
            return True
        except OSError:
            return False

    def ready(self, events, now):
        """One has come."""
        try:
            data, sender = self.stream.recvfrom(_SIZE)
        except OSError:  # an ICMP error in its place
            return
        sender = address(sender)
        self._handler(data, 0, len(data), ipv4_bytes(sender[0]), sender[1], now)

    def close(self):
        """Close the socket."""
        if self.stream is not None:
            self._shell.unwatch(self)
            self.stream.close()
            self.stream = None
