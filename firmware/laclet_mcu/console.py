"""The console on a board: what ``laclet.node.console`` asks of its host. Loaded when it is first used."""

import gc
import sys
from binascii import hexlify

from laclet import __version__, ticks
from laclet.fault import TUNNEL, Fault
from laclet.node.config import check, merge
from laclet.node.console import ACTS, Console, Refused
from laclet.node.dialer import CONNECTING, RESOLVING, UP
from laclet.wire.address import ipv4_bytes, ipv4_text
from micropython import const

from .journal import forget as journal_forget
from .store import Store

_LOOK = const(50)  # ms between looks whether a ping was answered


class Board:
    """The host of one console, for a Door; ``state`` of one that was unloaded, or None; ``known``: no new person."""

    def __init__(self, shell, path, door, state, known):
        self._shell = shell
        self._door = door
        self._store = Store(path)
        self._pinging = None  # the interface that waits for an answer
        self._due = None
        self.console = Console(self, state, known)

    # -- for the console ------------------------------------------------------------------------------

    def write(self, text):
        """To the terminal."""
        self._door.terminal.write(text)

    def password(self):
        """Of [board], or None."""
        board = self._shell.node.config["board"]
        return board["console_password"] if board else None

    def running(self):
        """What was loaded at the start: what is saved, or the pair before when that is wrong."""
        saved = self._store.read()
        before = self._store.read(True)
        if before is not None and _wrong(saved) and not _wrong(before):
            return before
        return saved

    def previous(self):
        """The pair before the last save."""
        return self._store.read(True)

    def save(self, tree, secrets):
        """Keep both."""
        self._store.save(tree, secrets)

    def apply(self, config, now):
        """Run it, as soon as the shell has finished its turn."""
        self._door.soon(config or check({}, True)[0])

    def status(self):
        """Of the node and of the console; ``heard`` and ``up_for`` in seconds."""
        node = self._shell.node
        status = node.status()
        now = self._shell.now()
        for name in node.dialers:
            if node.dialers[name].state == UP:
                status["tunnels"][name]["heard"] = ticks.diff(now, node.dialers[name].tunnel.heard) // 1000
        for call in status["calls"].values():
            since = call.pop("since", None)  # a tick says nothing outside, and after six days nothing at all
            if since is not None and ticks.diff(now, since) >= 0:
                call["up_for"] = ticks.diff(now, since) // 1000
        status["console"] = self.console.status()
        if self._shell.uplinks is not None:
            status["uplinks"] = self._shell.uplinks.status()
        return status

    def stats(self):
        """Memory, and what was dropped."""
        gc.collect()
        node = self._shell.node
        return {
            "heap_free": gc.mem_free(),
            "heap_used": gc.mem_alloc(),
            "faults": node.faults,
            "drops": node.status()["drops"],
        }

    def version(self):
        """Of laclet and of MicroPython, and the board."""
        about = sys.implementation
        try:
            from machine import unique_id

            serial = hexlify(unique_id()).decode()
        except ImportError:
            serial = None
        return {
            "laclet": __version__,
            "micropython": ".".join([str(part) for part in about[1][:3]]),
            "machine": getattr(about, "_machine", sys.platform),
            "id": serial,
        }

    def log(self):
        """The last lines, of before the last restart, too."""
        return self._door.desk.journal.show()

    def act(self, word, arguments, now):
        """One of ACTS."""
        if word == "exit":
            self._door.leaving = True
            return None
        if word in ("connect", "disconnect"):
            return self._dial(word, arguments, now)
        if word == "update":
            data = self.update(arguments, None)
            return [name + " = " + str(data[name]) for name in sorted(data)]
        if word == "capture":
            data = self.capture(arguments, False)
            return ["%d frames, %d lost" % (data["frames"], data["lost"])] if "lost" in data else ["write capture stop"]
        if word == "ping":
            return self._ping(arguments, now)
        if word == "factory-reset":
            if arguments != ["yes"]:
                raise Refused("it forgets everything", "write " + ACTS[word][0])
            self._store.forget()
            journal_forget()
        self._door.soon(None)
        return ["restarting"]

    def capture(self, words, tools):
        """The words of capture: see docs/console.md."""
        desk = self._door.desk
        if words == ["stop"] and desk.capture is None:
            raise Refused("no capture runs", "write " + ACTS["capture"][0])
        allowed = ["datagrams"] + sorted(self._shell.node.calls) + (["lns"] if self._shell.node.lns else [])
        for name in words:
            if name not in allowed and words != ["stop"]:
                raise Refused("no such call runs: " + name, "allowed: " + ", ".join(allowed), len("capture") + 2)
        told = desk.stop_capture()
        if words == ["stop"]:
            return told
        try:
            from .capture import Capture

            desk.capture = Capture(self._shell, words, self._door.terminal.write, tools)
            return desk.capture.about()
        except MemoryError:
            desk.stop_capture()
            raise Refused("no memory for a capture beside the calls", "capture at the LNS") from None

    def update(self, words, value):
        """The words of update: see docs/update.md."""
        from .update import Refused as Reason
        from .updates import Updates

        try:
            if self._door.desk.updates is None:
                self._door.desk.updates = Updates(self._shell, self._restart)
            return self._door.desk.updates.ask(words, value)
        except Reason as error:
            raise Refused(*str(error).split("; ", 1)) from None

    def _restart(self):
        self._door.soon(None)

    # -- commands -------------------------------------------------------------------------------------

    def _dial(self, word, names, now):
        dialers = self._shell.node.dialers
        for name in names:
            if name not in dialers:
                raise Refused("no such tunnel runs: " + name, "allowed: " + ", ".join(sorted(dialers)), len(word) + 2)
        out = []
        for name in names or sorted(dialers):
            dialer = dialers[name]
            if word == "disconnect":
                dialer.stop(Fault(TUNNEL, "disconnected at the console"), now)
                out.append(name + ": disconnecting")
            elif dialer.usable() or dialer.state in (RESOLVING, CONNECTING):
                out.append(name + ": is " + dialer.state)
            elif dialer.tunnel is not None:
                raise Refused(name + " is still being closed", "try again in a moment")
            else:
                dialer.stop(None, now)  # no hold-off any more
                dialer.start(now)
                out.append(name + ": dialling")
        return out or ["there is no tunnel"]

    def _ping(self, arguments, now):
        address = ipv4_bytes(arguments[0]) if arguments else None
        if address is None:
            raise Refused("needs an IPv4 address", 'write it like "192.0.2.1"', 6)
        calls = self._shell.node.calls
        for name in sorted(calls):
            if getattr(calls[name], "settings", None):
                interface = calls[name].interface
                if interface.ping(address, now) < 0:
                    raise Refused("too many pings wait", "try again in a moment")
                self._pinging = interface
                self._due = ticks.add(now, _LOOK)
                return []
        raise Refused("no call of this board itself is up", "a call with a line belongs to the host behind it")

    # -- time -----------------------------------------------------------------------------------------

    def poll_at(self):
        """When there is something to do."""
        return ticks.soonest(self._due, self.console.poll_at())

    def on_timer(self, now):
        """Look for answers; a commit may not have been confirmed."""
        if ticks.due(self._due, now):
            self._due = None
            self._look(now)
        self.console.on_timer(now)

    def _look(self, now):
        interface = self._pinging
        interface.on_timer(now)
        event = interface.next_event()
        while event is not None:
            name, _, detail = event
            if name == "pong":
                self._shell.log("info", "ping", "%s answered after %d ms" % (ipv4_text(detail[0]), detail[2]))
            elif name == "lost":
                self._shell.log("info", "ping", "no answer from " + ipv4_text(detail[0]))
            event = interface.next_event()
        if interface.poll_at() is None:
            self._pinging = None
        else:
            self._due = ticks.add(now, _LOOK)


def _wrong(pair):
    tree, problems = merge(*pair)
    return problems or check(tree, True)[1]
