"""Counters and states for Prometheus: its text format (version 0.0.4), over a server that knows one page."""

import contextlib
import socket
import time

from .loop import READ, WRITE
from .stats import drops, process

_CLIENTS = 16
_REQUEST = 4096  # bytes of the longest request
_PATIENCE = 10_000  # ms a client has from its first byte to our last

_HELP = {
    "laclet_info": ("gauge", "The version that runs."),
    "laclet_start_time_seconds": ("gauge", "When the service was started, in seconds since 1970."),
    "laclet_tunnel_up": ("gauge", "1 while the tunnel is established."),
    "laclet_tunnel_redials": ("gauge", "Failures in a row."),
    "laclet_tunnel_retransmissions_total": ("counter", "Control messages sent again, of the tunnel as it is."),
    "laclet_tunnel_last_heard_seconds": ("gauge", "When the peer was last heard, in seconds since 1970."),
    "laclet_call_up": ("gauge", "1 while packets pass."),
    "laclet_call_redials": ("gauge", "Failures in a row."),
    "laclet_call_last_up_seconds": ("gauge", "When the call came up, in seconds since 1970."),
    "laclet_call_received_bytes_total": ("counter", "PPP frames from the tunnel, of the call as it is."),
    "laclet_call_sent_bytes_total": ("counter", "PPP frames into the tunnel, of the call as it is."),
    "laclet_call_received_packets_total": ("counter", "PPP frames from the tunnel, of the call as it is."),
    "laclet_call_sent_packets_total": ("counter", "PPP frames into the tunnel, of the call as it is."),
    "laclet_lns_callers": ("gauge", "Calls that are up or on their way."),
    "laclet_drops_total": ("counter", "What was dropped, by place and reason."),
    "process_cpu_seconds_total": ("counter", "User and system CPU time, in seconds."),
    "process_resident_memory_bytes": ("gauge", "Resident memory."),
    "process_open_fds": ("gauge", "Open file descriptors."),
}
_OF_PROCESS = (
    ("process_cpu_seconds_total", "cpu"),
    ("process_resident_memory_bytes", "memory"),
    ("process_open_fds", "descriptors"),
)
_OF_SESSION = (
    ("laclet_call_received_bytes_total", "rx_bytes"),
    ("laclet_call_sent_bytes_total", "tx_bytes"),
    ("laclet_call_received_packets_total", "rx_packets"),
    ("laclet_call_sent_packets_total", "tx_packets"),
)


def render(status, ours, now):
    """The page for a service's ``status``; ``ours``: what its process costs; ``now`` in seconds since 1970."""
    samples = {name: [] for name in _HELP}

    def put(name, value, **labels):
        samples[name].append(_sample(name, value, labels))

    put("laclet_info", 1, version=status["version"], service=status["name"])
    put("laclet_start_time_seconds", round(now - status["uptime"], 1))
    for where, counts in drops(status).items():
        for reason in sorted(counts):
            put("laclet_drops_total", counts[reason], where=where, reason=reason)
    for name, key in _OF_PROCESS:
        put(name, ours[key])
    for name, tunnel in status["tunnels"].items():
        put("laclet_tunnel_up", int(tunnel["state"] == "up"), tunnel=name)
        put("laclet_tunnel_redials", tunnel["redials"], tunnel=name)
        if tunnel["tunnel"] is not None:
            put("laclet_tunnel_retransmissions_total", tunnel["tunnel"]["retransmissions"], tunnel=name)
        if tunnel.get("heard") is not None:
            put("laclet_tunnel_last_heard_seconds", round(now - tunnel["heard"], 1), tunnel=name)
    for name, call in status["calls"].items():
        put("laclet_call_up", int(call["state"] == "up"), call=name, tunnel=call["tunnel"])
        if "redials" in call:
            put("laclet_call_redials", call["redials"], call=name)
        if call.get("up_for") is not None:
            put("laclet_call_last_up_seconds", round(now - call["up_for"], 1), call=name)
        if call["session"] is not None:
            for metric, key in _OF_SESSION:
                put(metric, call["session"][key], call=name)
    if "lns" in status:
        put("laclet_lns_callers", len(status["lns"]["callers"]))
    lines = []
    for name, (kind, text) in _HELP.items():
        if samples[name]:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples[name]]
    return "\n".join(lines) + "\n"


def _sample(name, value, labels):
    words = ",".join(f'{label}="{_escape(labels[label])}"' for label in labels)
    return f"{name}{{{words}}} {value}" if words else f"{name} {value}"


def _escape(text):
    return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Metrics:
    """Serves ``page()``, a text, at /metrics of every ``(host, port)`` in ``listen``. Raises OSError in plain words."""

    def __init__(self, loop, listen, page):
        self._loop = loop
        self._page = page
        self._clients = set()
        self._socks = []
        for host, port in listen:
            try:
                self._listen(host, port)
            except OSError as error:
                self.close()
                raise OSError(f"cannot serve metrics at {host} port {port}: {error.strerror}") from None

    def addresses(self):
        """Where it listens."""
        return [sock.getsockname()[:2] for sock in self._socks]

    def close(self):
        """Close all."""
        for client in list(self._clients):
            client.close()
        for sock in self._socks:
            self._loop.unwatch(sock.fileno())
            sock.close()
        self._socks = []

    def _listen(self, host, port):
        family, kind, _, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)[0]
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socks.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._loop.watch(sock.fileno(), lambda events, now: self._on_client(sock))
        sock.bind(address)
        sock.listen(_CLIENTS)

    def _on_client(self, listening):
        with contextlib.suppress(OSError):
            sock, _ = listening.accept()
            if len(self._clients) >= _CLIENTS:
                sock.close()
            else:
                sock.setblocking(False)
                self._clients.add(_Client(self._loop, sock, self._page, self._clients))


class _Client:
    """One connection: one request, one answer."""

    def __init__(self, loop, sock, page, clients):
        self._loop = loop
        self._sock = sock
        self._page = page
        self._clients = clients
        self._in = bytearray()
        self._out = None
        self._timer = loop.after(_PATIENCE, lambda now: self.close())
        loop.watch(sock.fileno(), self._on_ready, READ)

    def close(self):
        self._clients.discard(self)
        self._loop.cancel(self._timer)
        if self._sock.fileno() >= 0:
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()

    def _on_ready(self, events, now):
        try:
            self._receive() if self._out is None else self._send()
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def _receive(self):
        data = self._sock.recv(_REQUEST)
        self._in += data
        if b"\r\n\r\n" in self._in or b"\n\n" in self._in:
            self._out = memoryview(self._answer())
            self._loop.watch(self._sock.fileno(), self._on_ready, WRITE)
            self._send()
        elif not data or len(self._in) > _REQUEST:
            self.close()

    def _send(self):
        while self._out:
            self._out = self._out[self._sock.send(self._out) :]
        self.close()

    def _answer(self):
        words = bytes(self._in).split(b"\n", 1)[0].split()
        found = len(words) > 1 and words[0] == b"GET" and words[1].split(b"?")[0] == b"/metrics"
        body = (self._page() if found else "Only GET /metrics is here.\n").encode()
        head = (
            f"HTTP/1.1 {'200 OK' if found else '404 Not Found'}\r\n"
            f"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode() + body


def page(status):
    """A function for ``Metrics`` that renders what ``status()`` gives at that time."""
    return lambda: render(status(), process(), time.time())
