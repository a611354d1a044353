"""The control socket of a running service: JSON lines over a UNIX socket, one answer to each command.

A command is ``{"do": "status"}`` or ``{"do": "up", "name": "office"}``. The answer is ``{"ok": true, …}`` or ``{"ok":
false, "error": "…"}``. Behind that of ``{"do": "capture"}`` more lines follow, until the client closes the connection.
"""

import contextlib
import errno
import json
import os
import socket
import struct
import tempfile

from .loop import READ, WRITE

_SOCKET = "control.sock"  # in the folder of its service
_LINE = 65536  # bytes of the longest command
_CLIENTS = 16
_WAITING = 1 << 20  # bytes that may wait for a client who is shown things
_PATIENCE = 5  # seconds a client waits for the service


def run_dir():
    """Where services have their folders: /run/laclet as root, else below XDG_RUNTIME_DIR; or LACLET_RUN_DIR."""
    given = os.environ.get("LACLET_RUN_DIR")
    if given:
        return given
    own = os.environ.get("XDG_RUNTIME_DIR")
    if not hasattr(os, "geteuid"):  # Windows, whose folder for such things is one's own
        return os.path.join(own or tempfile.gettempdir(), "laclet")
    if os.geteuid() == 0:
        return "/run/laclet"
    return os.path.join(own, "laclet") if own else f"/tmp/laclet-{os.getuid()}"


def socket_path(name):
    """The control socket of the service ``name``."""
    return os.path.join(run_dir(), name, _SOCKET)


def running():
    """The names of services that have a control socket, in order; one may have died without removing it."""
    try:
        return sorted(name for name in os.listdir(run_dir()) if os.path.exists(socket_path(name)))
    except OSError:
        return []


def ask(name, command):
    """Send one command to the service ``name``; its answer. Raises OSError when there is none."""
    for answer in stream(name, command):
        return answer


def stream(name, command):
    """Send one command to the service ``name``; its answer, and then whatever it says. Raises OSError without one."""
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "services run on Linux only")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_PATIENCE)
        sock.connect(socket_path(name))
        sock.sendall(json.dumps(command).encode() + b"\n")
        with sock.makefile("rb") as answers:
            line = answers.readline()
            if not line.endswith(b"\n"):
                raise OSError(errno.EPIPE, "no answer")
            sock.settimeout(None)
            while line.endswith(b"\n"):
                yield json.loads(line)
                line = answers.readline()


class Control:
    """Serves ``handle(command, now)``, which returns the answer as a dict, at the socket of ``name``.

    With ``begin`` in the answer, ``begin(client)`` is called behind it: it may ``client.say()`` things from then on.

    Raises OSError when the name is taken by a running service, or the folder cannot be used.
    """

    def __init__(self, loop, name, handle):
        self._loop = loop
        self._handle = handle
        self._clients = {}  # fd -> _Client
        self.path = socket_path(name)
        self.folder = os.path.dirname(self.path)  # for whatever else the service keeps while it runs
        self._sock = _listening(self.path)
        self._inode = os.stat(self.path).st_ino
        loop.watch(self._sock.fileno(), self._on_client)

    def close(self):
        """Close all, and remove the socket if it is still ours; its folder, too, when that is empty and we may."""
        for client in list(self._clients.values()):
            client.finish()
        if self._sock.fileno() >= 0:
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()
            with contextlib.suppress(OSError):
                if os.stat(self.path).st_ino == self._inode:
                    os.unlink(self.path)
                    os.rmdir(self.folder)

    def _on_client(self, events, now):
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return
        if len(self._clients) >= _CLIENTS:
            sock.close()
            return
        sock.setblocking(False)
        self._clients[sock.fileno()] = _Client(self._loop, sock, self._handle, self._clients)


class _Client:
    """One connection."""

    def __init__(self, loop, sock, handle, clients):
        self._loop = loop
        self._sock = sock
        self._handle = handle
        self._clients = clients
        self._in = bytearray()
        self._out = bytearray()
        self._shown = False
        self.on_close = None  # on_close(client)
        loop.watch(sock.fileno(), self._on_ready)

    def close(self):
        self._clients.pop(self._sock.fileno(), None)
        self._loop.unwatch(self._sock.fileno())
        self._sock.close()
        if self.on_close is not None:
            self.on_close(self)

    def finish(self):
        """Close, after what can still be sent at once."""
        with contextlib.suppress(OSError):
            self._send()
        self.close()

    def say(self, thing):
        """One line more behind the answers; False when too much waits already, and it is lost."""
        if len(self._out) > _WAITING:
            return False
        self._out += json.dumps(thing).encode() + b"\n"
        if self._sock.fileno() >= 0:
            self._loop.watch(self._sock.fileno(), self._on_ready, READ | WRITE)
        return True

    def _on_ready(self, events, now):
        try:
            if events & ~WRITE:
                data = self._sock.recv(_LINE)
                if not data:
                    self.close()
                    return
                self._in += data
            self._serve(now)
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def _serve(self, now):
        """Answer the lines that came, one after the other: a client that does not listen costs one answer."""
        self._send()
        while not self._out and not self._shown:
            line, newline, rest = self._in.partition(b"\n")
            if not newline:
                break
            self._in = rest
            answer = self._answer(line, now)
            begin = answer.pop("begin", None)
            self._out += json.dumps(answer).encode() + b"\n"
            if begin is not None:
                self._shown = True
                begin(self)
            self._send()
        if len(self._in) > _LINE and (not self._out or self._shown):
            self.close()
        else:
            self._loop.watch(self._sock.fileno(), self._on_ready, self._interest())

    def _interest(self):
        """What to wait for: who does not take an answer is not read from, who is shown things may leave at any time."""
        if self._shown:
            return READ | WRITE if self._out else READ
        return WRITE if self._out else READ

    def _answer(self, line, now):
        try:
            command = json.loads(line)
        except (ValueError, RecursionError):
            return {"ok": False, "error": "not JSON"}
        if not isinstance(command, dict):
            return {"ok": False, "error": "not a JSON object"}
        return self._handle(command, now)

    def _send(self):
        with contextlib.suppress(BlockingIOError):
            while self._out:
                del self._out[: self._sock.send(self._out)]


def _listener_lives(sock):
    """Whether the process that listens at the other end is alive: a program it has just begun may hold its socket."""
    pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return not pid  # 0: it is in another namespace, where we cannot see it


def _listening(path):
    """A socket listening at ``path``, for its owner only; one that a dead service has left is replaced."""
    folder = os.path.dirname(path)
    os.makedirs(os.path.dirname(folder), mode=0o755, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
        os.chmod(folder, 0o755)  # everybody may know of it; the socket is its owner's
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PATIENCE)
            try:
                probe.connect(path)
            except FileNotFoundError:
                pass
            except ConnectionRefusedError:
                os.unlink(path)
            else:
                if _listener_lives(probe):
                    raise OSError(errno.EADDRINUSE, "is running already")
                os.unlink(path)
        mask = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(mask)
        sock.listen(_CLIENTS)
    except OSError:
        sock.close()
        raise
    return sock
