"""Files over HTTP and HTTPS, for fetch.Fetch: one GET each, in small pieces."""

import socket

from laclet import ticks
from micropython import const

from .update import Refused

_PIECE = const(512)  # bytes read at once
_READS = const(4)  # pieces before others get their turn
_HEAD_MAX = const(2048)  # bytes of an answer before its body
_PATIENCE = const(30_000)  # ms for a piece to come
_CONNECT = 10  # s; connecting and the TLS handshake wait, whatever we do


class Http:
    """A port of the shell, and the way of a Fetch."""

    def __init__(self, shell, fetch, scheme, host, port, folder):
        self.stream = None
        self._shell = shell
        self._fetch = fetch
        self._tls = scheme == "https"
        self._host = host
        self._port = port
        self._folder = folder
        self._path = None
        self._piece = bytearray(_PIECE)
        self._head = b""  # of an answer, until it is complete; then None
        self._left = 0  # bytes of the body that are to come
        self._due = None  # when to go on reading
        self._until = None  # when to lose patience

    def ask(self, path, now):
        """Connect, and ask for a file."""
        stream = socket.socket()
        try:
            info = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)[0]
            if info[0] != socket.AF_INET:
                stream.close()
                stream = socket.socket(info[0])
            stream.settimeout(_CONNECT)
            stream.connect(info[-1])
            raw = stream
            if self._tls:
                stream = _secure(stream, self._host)
            stream.write(("GET %s%s HTTP/1.0\r\nHost: %s\r\n\r\n" % (self._folder, path, self._host)).encode())
            raw.setblocking(False)
        except OSError:
            stream.close()
            raise
        self.stream = stream
        self._path = path
        self._head = b""
        self._wait(now)
        self._shell.watch(self)

    def ready(self, events, now):
        """Take what has come."""
        self._fetch.guarded(self._read, now)

    def poll_at(self):
        """When to go on, or to give up."""
        return self._due if self._due is not None else self._until

    def on_timer(self, now):
        """Go on reading, or lose patience."""
        if ticks.due(self._due, now):
            self._read(now)
        elif ticks.due(self._until, now):
            raise Refused(self._host + " says nothing any more; try again")

    def close(self):
        """Hang up."""
        self._due = self._until = None
        if self.stream is not None:
            self._shell.unwatch(self)
            self.stream.close()
            self.stream = None

    def _wait(self, now):
        self._due = None
        self._until = ticks.add(now, _PATIENCE)

    def _read(self, now):
        for _ in range(_READS):
            n = self.stream.readinto(self._piece)
            if n is None:
                self._wait(now)
                return
            if not n:
                raise Refused("%s ended too early; try again" % self._path)
            self._take(memoryview(self._piece)[:n])
            if self._head is None and not self._left:
                self.close()
                self._fetch.ended(now)
                return
        self._due = now  # TLS may hold more than poll() knows of

    def _take(self, piece):
        """Bytes of an answer."""
        if self._head is not None:
            self._head += bytes(piece)
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                if len(self._head) > _HEAD_MAX:
                    raise Refused("%s is no HTTP server; check the address" % self._host)
                return
            self._left = self._length(self._head[:end])
            piece = self._head[end + 4 :]
            self._head = None
        if len(piece) > self._left:
            raise Refused("%s is longer than was said; try again" % self._path)
        if piece:
            self._left -= len(piece)
            self._fetch.take(piece)

    def _length(self, head):
        """Bytes of the body; raises Refused unless the answer is good."""
        words = head.split(b"\r\n")[0].split()
        if words[1:2] != [b"200"]:
            said = b" ".join(words[1:])[:40]
            raise Refused("%s: the server says %s; check the address" % (self._path, repr(said)[2:-1]))
        for line in head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length" and value.strip().isdigit():
                return int(value)
        raise Refused(self._path + ": the server gives no Content-Length; choose another")


def _secure(stream, host):
    """TLS over it. Certificates are not checked: a board has none to check them with; the manifest's key proves."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(stream, server_hostname=host)
