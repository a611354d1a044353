"""XOT over real TCP: a connection that ends, from either side, is told once, and the next datagram makes another."""

import select
import socket

from laclet_mcu.xot import XotCarrier

ADDR = ("x25", "xot", "0815")


class Shell:
    """Which carriers are polled."""

    def __init__(self):
        self.watched = []

    def watch(self, carrier):
        self.watched.append(carrier)

    def watch_room(self, carrier, wanted):
        pass

    def unwatch(self, carrier):
        self.watched.remove(carrier)


def listening():
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for port in range(20_700, 20_800):
        try:
            server.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            break
        except OSError:
            pass
    server.listen(1)
    return server, port


def told(events):
    """How often the end of a connection was told."""
    return len([event for event in events if event[0] == "x25-down"])


def calling(carrier):
    """Send a datagram over a connection to be made."""
    carrier.send(bytearray(120), 64, 84, ADDR)
    poll = select.poll()
    poll.register(carrier.stream, select.POLLOUT)
    assert poll.poll(5000)
    carrier.ready(select.POLLOUT, 0)


def test_a_connection_that_ends_is_told_and_made_anew():
    server, port = listening()
    shell, events = Shell(), []
    carrier = XotCarrier(shell, None, ("xot", "127.0.0.1", port, "0815"), events)
    for times in (1, 2):
        calling(carrier)
        far = server.accept()[0]
        assert shell.watched == [carrier]
        assert far.recv(4)[:2] == b"\0\0"  # the version of XOT
        far.close()
        poll = select.poll()
        poll.register(carrier.stream, select.POLLIN)
        assert poll.poll(5000)
        carrier.ready(select.POLLIN, 0)
        assert told(events) == times and carrier.stream is None and shell.watched == []
    calling(carrier)
    carrier.close()
    carrier.close()
    assert told(events) == 2 and carrier.stream is None and shell.watched == []
    server.close()
