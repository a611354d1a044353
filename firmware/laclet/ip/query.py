"""One question in UDP, asked until a server answers or all have been silent for long enough."""

from .. import ticks

_FIRST = 1000  # ms until it is asked again; doubles each time
_TRIES = 4  # 15 s in all


class Query:
    """``parse(buf, start, end)`` gives what the asker wants of an answer; None when it is none; a Fault to give up.

    ``open_udp(handler)`` makes a socket: ``send(data, address, port, now)``, ``close()``; ``handler(buf, start, end,
    address, port, now)`` hears its datagrams. ``servers`` are addresses of four bytes, asked in turn. ``done(answer,
    fault, now)`` is called once; ``fault`` is handed on when nobody has answered.
    """

    def __init__(self, open_udp, servers, port, packet, parse, done, fault):
        self.armed = None  # for Timers
        self._servers = servers
        self._port = port
        self._packet = packet
        self._parse = parse
        self._done = done
        self._fault = fault
        self._tries = 0
        self._at = None
        self._socket = open_udp(self.heard)

    def start(self, now):
        """Ask."""
        self._ask(now)

    def close(self):
        """Nobody wants the answer any longer."""
        self._at = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def heard(self, buf, start, end, address, port, now):
        """A datagram; only those of the servers count."""
        if self._socket is None or port != self._port or address not in self._servers:
            return
        answer = self._parse(buf, start, end)
        if answer is not None:
            wrong = hasattr(answer, "layer")
            self._end(None if wrong else answer, answer if wrong else None, now)

    def poll_at(self):
        """When to ask again."""
        return self._at

    def on_timer(self, now):
        """Ask again, the next server if there is one; or give up."""
        if ticks.due(self._at, now):
            if self._tries < _TRIES:
                self._ask(now)
            else:
                self._end(None, self._fault, now)

    def _ask(self, now):
        server = self._servers[self._tries % len(self._servers)]
        self._at = ticks.add(now, _FIRST << self._tries)
        self._tries += 1
        self._socket.send(self._packet, server, self._port, now)

    def _end(self, answer, fault, now):
        self.close()
        self._done(answer, fault, now)
