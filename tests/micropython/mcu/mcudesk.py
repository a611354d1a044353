"""Stand-ins for what surrounds a carrier or a wire of laclet_mcu, and a plain UDP socket to talk to."""

import select
import socket

from laclet.port import HEADROOM
from laclet.timers import Timers
from laclet_mcu.unix import address


class Desk:
    """A shell, its node, an endpoint and a line at once: it notes what is called."""

    def __init__(self):
        self.watched = []
        self.room_wanted = []
        self.said = []
        self.received = []  # (bytes, addr)
        self.drops = []
        self.tunnels = {1: None}
        self.accept = None
        self.timers = Timers()
        self.node = self
        self.time = 0

    # shell

    def now(self):
        return self.time

    def log(self, level, component, text):
        self.said.append((level, text))

    def watch(self, port):
        self.watched.append(port)

    def watch_room(self, port, wanted):
        self.room_wanted.append(wanted)

    def unwatch(self, port):
        self.watched.remove(port)

    def flush(self):
        pass

    # endpoint

    def receive(self, buf, start, end, addr, now):
        assert start == HEADROOM
        self.received.append((bytes(buf[start:end]), addr))

    def drop(self, reason):
        self.drops.append(reason)


class Peer:
    """A UDP socket on loopback; ``addr`` is where it is."""

    def __init__(self, port):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
        self.sock.settimeout(2)
        self.addr = ("127.0.0.1", port)
        self.heard = None  # the packed address of whoever sent last

    def receive(self):
        data, self.heard = self.sock.recvfrom(2048)
        return data, address(self.heard)[1]

    def send(self, data, to=None):
        self.sock.sendto(data, self.heard if to is None else socket.getaddrinfo(to[0], to[1])[0][-1])

    def close(self):
        self.sock.close()


def wait(port):
    """Wait until ``port`` can read; returns the events, 0 after two seconds."""
    poll = select.poll()
    poll.register(port.stream, select.POLLIN)
    ready = poll.poll(2000)
    return ready[0][1] if ready else 0
