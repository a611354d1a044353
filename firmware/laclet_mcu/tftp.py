"""Files over TFTP (RFC 1350), for fetch.Fetch: UDP, and so through the tunnel where the board's own IP is laclet's."""

from laclet import ticks
from laclet.wire.address import ipv4_bytes
from micropython import const

from .update import Refused

_RRQ = const(1)
_DATA = const(3)
_ACK = const(4)
_ERROR = const(5)
_BLOCK = const(512)
_FIRST = const(1000)  # ms until what we said last is said again; doubles each time
_TRIES = const(5)  # 31 s in all


def _socket(shell, handler):
    """Of the first call of this board itself that is up; otherwise of the uplink."""
    calls = shell.node.calls
    for name in sorted(calls):
        if getattr(calls[name], "settings", None) and hasattr(calls[name].interface, "open_udp"):
            return calls[name].interface.open_udp(handler)
    return shell.open_datagrams(handler)


class Tftp:
    """The way of a Fetch."""

    def __init__(self, shell, fetch, host, port, folder):
        """Raises Refused unless ``host`` is an IPv4 address."""
        self._shell = shell
        self._fetch = fetch
        self._address = ipv4_bytes(host)
        if self._address is None:
            raise Refused("needs an IPv4 address; write it like tftp://192.0.2.1/laclet/manifest")
        self._first_port = port
        self._folder = folder[1:]
        self._path = None
        self._socket = None
        self._port = 0  # the server's; it answers from one of its own
        self._said = b""  # our last packet
        self._block = 0  # the last that we have
        self._tries = 0
        self._at = None  # when to say it again

    def ask(self, path, now):
        """Ask for a file."""
        self._path = path
        self._socket = _socket(self._shell, self._heard)
        self._port = self._first_port
        self._block = 0
        name = (self._folder + path).encode()
        self._say(bytes((0, _RRQ)) + name + b"\0octet\0", now)

    def poll_at(self):
        """When to say it again."""
        return self._at

    def on_timer(self, now):
        """Say it again, or lose patience."""
        if self._tries >= _TRIES:
            raise Refused("%s: the server says nothing; check the address" % self._path)
        self._send(now)

    def close(self):
        """Give up."""
        self._at = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, packet, now):
        self._said = packet
        self._tries = 0
        self._send(now)

    def _send(self, now):
        self._at = ticks.add(now, _FIRST << self._tries)
        self._tries += 1
        self._socket.send(self._said, self._address, self._port, now)

    def _heard(self, buf, start, end, address, port, now):
        """A datagram; only those of the server count, and after the first those from its port."""
        if self._socket is None or address != self._address or end - start < 4 or buf[start]:
            return
        if self._block and port != self._port:
            return
        if buf[start + 1] == _ERROR:
            self._fetch.guarded(lambda now: self._refuse(bytes(buf[start + 4 : end])), now)
        elif buf[start + 1] == _DATA:
            self._port = port
            self._fetch.guarded(lambda now: self._take(buf, start + 2, end, now), now)

    def _refuse(self, text):
        said = repr(text[:40].rstrip(b"\0"))[2:-1]
        raise Refused("%s: the server says %s; check the address" % (self._path, said))

    def _take(self, buf, start, end, now):
        block = buf[start] << 8 | buf[start + 1]
        if block != (self._block + 1) & 0xFFFF:  # said again, because our answer was lost: it goes again by itself
            return
        start += 2
        self._block = block
        if end > start:
            self._fetch.take(memoryview(buf)[start:end])
        self._say(bytes((0, _ACK, block >> 8, block & 0xFF)), now)
        if end - start < _BLOCK:
            self.close()
            self._fetch.ended(now)
