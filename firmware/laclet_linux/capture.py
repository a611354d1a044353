"""Captures of a running service: every L2TP datagram, as lines of JSON to those who ask at the control socket.

The taps stand in the way of datagrams only while somebody looks. Behind IPsec they show L2TP as it is inside. What
the kernel, or the thread of the userspace plane, moves by itself does not come by here: that is data of IP.
"""

import time
import weakref

_MAX_SOURCES = 1024  # peers whose way is remembered


class Captures:
    """Who looks, and the taps. ``keys()`` gives the records of all keys of IPsec there are."""

    def __init__(self, keys):
        self._keys = keys
        self._viewers = {}  # client of the control socket -> lines it has lost since the last
        self._wanting_keys = set()
        self._endpoints = weakref.WeakSet()
        self._sources = {}  # addr -> our own address and port towards it

    def add(self, client, with_keys):
        """Show everything to ``client`` from now on; what it does not take in time is lost, and counted."""
        if not self._viewers:
            for endpoint in self._endpoints:
                self._tap(endpoint)
        self._viewers[client] = 0
        client.on_close = self._remove
        if with_keys:
            self._wanting_keys.add(client)
            for record in self._keys():
                client.say({"key": record})

    def watch(self, endpoint):
        """An endpoint that has just been made, with its carrier; told twice is as well."""
        if endpoint not in self._endpoints:
            self._endpoints.add(endpoint)
            if self._viewers:
                self._tap(endpoint)

    def show_key(self, record):
        """A new key."""
        for client in self._wanting_keys:
            client.say({"key": record})

    def _remove(self, client):
        self._viewers.pop(client, None)
        self._wanting_keys.discard(client)
        if not self._viewers:
            for endpoint in self._endpoints:
                for each in (endpoint, endpoint.carrier):
                    for name in ("receive", "send"):
                        vars(each).pop(name, None)

    def _tap(self, endpoint):
        """Let this endpoint's datagrams come by: two methods of these objects, and not of their classes."""
        carrier = endpoint.carrier
        receive = endpoint.receive
        send = carrier.send

        def received(buf, start, end, addr, now):
            self._show(0, carrier, addr, buf, start, end)
            receive(buf, start, end, addr, now)

        def sent(buf, start, end, addr):
            self._show(1, carrier, addr, buf, start, end)
            send(buf, start, end, addr)

        endpoint.receive = received
        carrier.send = sent

    def _show(self, direction, carrier, addr, buf, start, end):
        line = {
            "cap": "l2tp",
            "ms": time.time_ns() / 1_000_000,
            "dir": direction,
            "local": self._source(carrier, addr),
            "peer": addr[:2],
            "len": end - start,
            "hex": bytes(buf[start:end]).hex(),
        }
        for client, lost in list(self._viewers.items()):
            if client.say({**line, "lost": lost} if lost else line):
                self._viewers[client] = 0
            else:
                self._viewers[client] += 1

    def _source(self, carrier, addr):
        """Our end of the way to ``addr``: a socket that listens everywhere does not tell."""
        known = self._sources.get(addr)
        if known is None:
            local = carrier.local[:2]
            source = getattr(carrier, "source", None)
            known = (source(addr) if source is not None else None) or local
            if len(self._sources) < _MAX_SOURCES:
                self._sources[addr] = known
        return known
