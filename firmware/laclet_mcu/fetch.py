"""An update fetched by the board itself, over HTTP or HTTPS, while calls go on. See docs/update.md."""

import socket

from laclet import ticks
from micropython import const

from .update import MANIFEST, Refused

_PIECE = const(512)  # bytes read at once
_READS = const(4)  # pieces before others get their turn
_HEAD_MAX = const(2048)  # bytes of an answer before its body
_PATIENCE = const(30_000)  # ms for a piece to come
_CONNECT = 10  # s; connecting and the TLS handshake wait, whatever we do
_PORTS = {"http": 80, "https": 443}


def split_url(url):
    """``(scheme, host, port, folder)`` of the address of a manifest; raises Refused."""
    scheme, mark, rest = url.partition("://")
    place, _, path = rest.partition("/")
    host, colon, port = place.rpartition(":") if place[-1:] != "]" else (place, "", "")
    if not colon:
        host, port = place, str(_PORTS.get(scheme, 0))
    folder, _, name = path.rpartition("/")
    if not mark or scheme not in _PORTS or not host or not port.isdigit() or name != MANIFEST or " " in url:
        raise Refused("is no address of a manifest; write it like http://192.0.2.1/laclet/manifest")
    return scheme, host.strip("[]"), int(port), "/" + folder + "/" if folder else "/"


class Fetch:
    """A port of the shell: GETs the manifest and the files that ``update`` wants; then calls ``done()``.

    ``error`` says why it ended, if not well.
    """

    def __init__(self, shell, update, url, done):
        """Raises Refused for an address that is none."""
        self.stream = None
        self.armed = None  # for Timers
        self.error = None
        self.path = MANIFEST  # that comes now, or None
        self._shell = shell
        self._update = update
        self._url = split_url(url)
        self._done = done
        self._paths = [MANIFEST]
        self._before = []  # those of the last round: what is wanted again is not what the manifest says
        self._piece = bytearray(_PIECE)
        self._head = b""  # of an answer, until it is complete; then None
        self._size = 0  # bytes of the body
        self._at = 0  # how many of them came
        self._due = shell.now()  # when to go on
        self._until = None  # when to lose patience
        shell.node.timers.update(self, self._due)

    def poll_at(self):
        """When to go on, or to give up."""
        return self._due if self._due is not None else self._until

    def on_timer(self, now):
        """Ask for a file, or go on reading one, or lose patience."""
        if ticks.due(self._due, now):
            self._guarded(self._ask if self.stream is None else self._read, now)
        elif ticks.due(self._until, now):
            self._fail(self._url[1] + " says nothing any more; try again")

    def ready(self, events, now):
        """Take what has come."""
        self._guarded(self._read, now)

    def close(self):
        """Give up; harmless at any time."""
        self._due = self._until = self.path = None
        if self.stream is not None:
            self._shell.unwatch(self)
            self.stream.close()
            self.stream = None

    def _guarded(self, step, now):
        try:
            step(now)
        except Refused as error:
            self._fail(str(error))
        except OSError as error:
            self._fail("%s: %s; is the address right, and the uplink up?" % (self._url[1], error))
        if self.poll_at() is not None:
            self._shell.node.timers.update(self, now)

    def _fail(self, text):
        self.close()
        self.error = text
        self._shell.log("warning", "update", text)

    def _ask(self, now):
        """Connect, and ask for the next file; without one all is there."""
        if not self._paths:
            self._paths = self._update.want()
            if not self._paths:
                self.close()
                self._done()
                return
            if self._paths[0] in self._before:
                raise Refused(self._paths[0] + " is not as in the manifest; mend the server's files")
            self._before = list(self._paths)
        self.path = self._paths.pop(0)
        scheme, host, port, folder = self._url
        stream = socket.socket()
        try:
            info = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
            if info[0] != socket.AF_INET:
                stream.close()
                stream = socket.socket(info[0])
            stream.settimeout(_CONNECT)
            stream.connect(info[-1])
            raw = stream
            if scheme == "https":
                stream = _secure(stream, host)
            stream.write(("GET %s%s HTTP/1.0\r\nHost: %s\r\n\r\n" % (folder, self.path, host)).encode())
            raw.setblocking(False)
        except OSError:
            stream.close()
            raise
        self.stream = stream
        self._head = b""
        self._at = 0
        self._wait(now)
        self._shell.watch(self)

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
                raise Refused("%s ended too early; try again" % self.path)
            self._take(memoryview(self._piece)[:n])
            if self._head is None and self._at == self._size:
                self._end(now)
                return
        self._due = now  # TLS may hold more than poll() knows of

    def _take(self, piece):
        """Bytes of an answer."""
        if self._head is None:
            if self._at + len(piece) > self._size:
                raise Refused("%s is longer than was said; try again" % self.path)
            self._at = self._update.put(self.path, self._at, piece)
            return
        self._head += bytes(piece)
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > _HEAD_MAX:
                raise Refused("%s is no HTTP server; check the address" % self._url[1])
            return
        head, rest = self._head[:end], self._head[end + 4 :]
        self._size = self._length(head)
        self._head = None
        self._take(rest)

    def _length(self, head):
        """Bytes of the body; raises Refused unless the answer is good."""
        words = head.split(b"\r\n")[0].split()
        if words[1:2] != [b"200"]:
            said = b" ".join(words[1:])[:40]
            raise Refused("%s: the server says %s; check the address" % (self.path, repr(said)[2:-1]))
        for line in head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length" and value.strip().isdigit():
                return int(value)
        raise Refused(self.path + ": the server gives no Content-Length; choose another")

    def _end(self, now):
        """A file is complete; the next is asked for in the next turn."""
        if self._size == 0:
            self._update.put(self.path, 0, b"")
        self._shell.unwatch(self)
        self.stream.close()
        self.stream = self._until = None
        self._due = now


def _secure(stream, host):
    """TLS over it. Certificates are not checked: a board has none to check them with; the manifest's key proves."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(stream, server_hostname=host)
