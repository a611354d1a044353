"""laclet inside somebody's asyncio program: a tunnel to wait for, its status and events, and UDP through it.

::

    laclet = Laclet()                       # /config.json
    laclet.start()
    await laclet.up("office")               # the call of this name; without one: all of them
    async for name, what in laclet.events():
        print(name, what)                   # "office", "up"
"""

import asyncio
import gc

from laclet.fault import DNS, UDP, Fault
from laclet.wire.address import ipv4_bytes, ipv4_text
from micropython import const

_NAP = const(2)  # ms between looks while there is nothing to do: 23 octets at 115200 bit/s
_LOOK = const(20)  # ms between looks for an answer
# Bytes between collections, as in main: loading and running.
_LOADING = const(2048)
_RUNNING = const(16384)
_EVENTS_MAX = const(32)  # kept for who does not take them
_QUEUE_MAX = const(8)  # datagrams kept for who does not take them


class Failed(Exception):
    """What was asked for cannot be had; the text says why."""


async def run(shell, watch=None):
    """Serve until cancelled; then close calls and tunnels in order. ``watch()`` is called after every turn."""
    node = shell.node
    shell.start()
    try:
        while True:
            # One poll serves all streams, and nothing is allocated: a task for each would allocate for every packet.
            busy = shell.turn(0)
            if watch is not None:
                watch()
            await asyncio.sleep_ms(0 if busy else _NAP)
    except asyncio.CancelledError:
        node.stop(shell.now())
        while not node.stopped(shell.now()):
            shell.turn(0)
            await asyncio.sleep_ms(_NAP)
        raise
    finally:
        shell.close()


class _State:
    """Whether a call is up, as last seen."""

    def __init__(self, name, call):
        self.name = name
        self.call = call
        self.is_line = hasattr(call, "line")
        self.up = False

    def changed(self):
        """True when it has come up or gone down."""
        up = (self.call.line.joined if self.is_line else self.call.settings) is not None
        if up == self.up:
            return False
        self.up = up
        return True


class Laclet:
    """One node. ``config``: path of its configuration on the board, or the tree itself with the secrets in it.

    Raises Failed when it is not right, with a line for each fault.
    """

    def __init__(self, config="/config.json"):
        before = gc.threshold()
        gc.threshold(_LOADING)
        self.shell = self._made(config)
        gc.collect()
        gc.threshold(before if before > 0 else _RUNNING)
        self.node = self.shell.node
        self._task = None
        self._states = [_State(name, call) for name, call in self.node.calls.items()]
        self._guests = 0
        self._news = asyncio.Event()
        self._events = []

    def _made(self, config):
        from . import forget
        from .store import load

        if isinstance(config, str):
            checked, problems = load(config)
        else:
            from laclet.node.config import check
            from laclet.node.values import dotted

            checked, problems = check(config, True)
            problems = ["%s: %s; %s" % (dotted(path), what, mend) for path, what, mend in problems]
            forget("laclet.node", "config", "schema", "values")
        if problems:
            raise Failed("\n".join(problems))
        from .shell import Shell

        return Shell(checked)

    def start(self):
        """Begin to listen and to dial; returns the task."""
        self._task = asyncio.create_task(self._run())
        return self._task

    async def _run(self):
        try:
            await run(self.shell, self._watch)
        finally:
            self._news.set()  # who waits, waits in vain

    async def stop(self):
        """Close calls and tunnels in order."""
        if self._task is not None:
            self._task.cancel()
            try:
                await self._task
            except asyncio.CancelledError:
                pass
            self._task = None

    def is_up(self, name=None):
        """True while this call is up; without a name: while all are."""
        if name is not None and name not in self.node.calls:
            raise Failed("there is no call " + name)
        return all(state.up for state in self._states if name in (None, state.name))

    async def up(self, name=None):
        """Wait until ``is_up(name)``; asyncio.wait_for() limits it."""
        while not self.is_up(name):
            await self._wait()

    async def down(self, name=None):
        """Wait until it is not."""
        while self.is_up(name):
            await self._wait()

    def status(self):
        """Plain values, no secrets: see ``laclet status --json``."""
        return self.node.status()

    def events(self):
        """For ``async for``: ``(call, "up")``, ``(call, "down: " + why)``; ``("lns", number of callers)``."""
        return _Events(self)

    # -- through the tunnel -----------------------------------------------------------------------------

    def udp(self, port=0, name=None):
        """A Datagrams through a call of this board itself; raises Failed while none is up."""
        return Datagrams(self, self._host(name)[0], port)

    async def ping(self, address, name=None, timeout=5000):
        """Milliseconds until ``address`` (text) has answered; None when it has not."""
        host = self._host(name)[0]
        sequence = host.ping(_bytes(address), self.shell.now())
        while sequence >= 0:
            await asyncio.sleep_ms(_LOOK)
            host.on_timer(self.shell.now())
            event = host.next_event()
            while event is not None:
                if event[0] in ("pong", "lost") and event[2][1] == sequence:
                    return event[2][2] if event[0] == "pong" else None
                event = host.next_event()
        raise Failed("too many pings wait")

    async def resolve(self, text, name=None):
        """Addresses (texts) of a host, asked of the name servers that the LNS has told (use_peer_dns)."""
        from laclet.ip import dns

        if ipv4_bytes(text) is not None:
            return [text]
        host, servers = self._host(name)
        asked = dns.question(text, int.from_bytes(self.shell.random(2), "big"))
        if asked is None or not servers:
            raise Failed("no name server is known: set use_peer_dns" if asked else text + " is no name")
        fault = Fault(DNS, "cannot find " + text, "", "check the name and the name servers")
        found = await self._ask(host, servers, dns.PORT, asked, dns.parse, fault)
        return [ipv4_text(each) for each in found]

    async def time(self, server, name=None):
        """``(seconds since 1970 in UTC, ms)`` from a time server."""
        from laclet.ip import ntp

        servers = [_bytes(each) for each in await self.resolve(server, name)]
        asked = ntp.request(self.shell.random(8))
        fault = Fault(UDP, "no time from " + server)
        return await self._ask(self._host(name)[0], servers, ntp.PORT, asked, ntp.parse, fault)

    async def _ask(self, host, servers, port, asked, parse, fault):
        from laclet.ip.query import Query

        said = []

        def done(answer, why, now):
            said.append((answer, why))

        query = Query(
            host.open_udp, servers, port, asked, lambda buf, start, end: parse(buf, start, end, asked), done, fault
        )
        query.start(self.shell.now())
        try:
            while not said:
                await asyncio.sleep_ms(_LOOK)
                query.on_timer(self.shell.now())
        finally:
            query.close()
        if said[0][1] is not None:
            raise Failed(str(said[0][1]))
        return said[0][0]

    def _host(self, name):
        """``(Host, name servers)`` of a call that is up."""
        for state in self._states:
            if state.up and not state.is_line and name in (None, state.name):
                return state.call.interface, state.call.settings["dns"]
        raise Failed("no call of this board itself is up")

    # -- changes ----------------------------------------------------------------------------------------

    def _watch(self):
        for state in self._states:
            if state.changed():
                self._tell(state.name, "up" if state.up else "down: " + str(state.call.fault or "closed"))
        if self.node.lns is not None and len(self.node.lns.callers) != self._guests:
            self._guests = len(self.node.lns.callers)
            self._tell("lns", self._guests)

    def _tell(self, name, what):
        if len(self._events) >= _EVENTS_MAX:
            self._events.pop(0)
        self._events.append((name, what))
        self._news.set()
        self._news = asyncio.Event()

    async def _wait(self):
        if self._task is None or self._task.done():
            raise Failed("it is not running")
        await self._news.wait()


class _Events:
    def __init__(self, laclet):
        self._laclet = laclet

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._laclet._events:
            await self._laclet._wait()
        return self._laclet._events.pop(0)


class Datagrams:
    """UDP through the tunnel. ``with`` closes it."""

    def __init__(self, laclet, host, port):
        self._laclet = laclet
        self._socket = host.open_udp(self._heard, port)
        self._queue = []
        self._news = asyncio.Event()
        self.port = self._socket.port
        self.lost = 0  # datagrams that nobody took in time

    def sendto(self, data, address):
        """Send up to 1472 bytes to ``(host, port)``."""
        if not self._socket.send(data, _bytes(address[0]), address[1], self._laclet.shell.now()):
            raise Failed("a datagram holds at most 1472 bytes")

    async def recvfrom(self):
        """``(data, (host, port))`` of the next one."""
        while not self._queue:
            self._news.clear()
            await self._news.wait()
        return self._queue.pop(0)

    def close(self):
        """Give the port back."""
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _heard(self, buf, start, end, address, port, now):
        if len(self._queue) >= _QUEUE_MAX:
            self.lost += 1
            return
        self._queue.append((bytes(buf[start:end]), (ipv4_text(address), port)))
        self._news.set()


def _bytes(address):
    found = ipv4_bytes(address)
    if found is None:
        raise Failed(address + " is no IPv4 address")
    return found
