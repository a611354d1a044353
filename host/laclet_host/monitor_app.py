"""The live screen of ``laclet monitor``, drawn by Textual."""

import time
from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import DataTable, Footer, Header, RichLog, Sparkline, Static

from . import logs
from .monitor import History, Watch
from .screen import address, authenticated, duration, size

_COLOURS = {"error": "red", "warning": "yellow", "debug": "bright_black"}
_STATES = {"up": "green", "established": "green", "waiting": "cyan", "failed": "red", "holdoff": "red"}
_PLOTS = ("received", "sent", "round trip")


class Monitor(App):
    """``make(on_status=…, on_entry=…, on_trouble=…)`` gives the Watch that asks."""

    TITLE = "laclet monitor"
    CSS_PATH = "monitor.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [("q", "quit", "Quit"), ("p", "pause", "Pause"), ("c", "clear", "Clear events")]

    class Status(Message):
        """A status, and when it was asked for."""

        def __init__(self, status: dict):
            super().__init__()
            self.status = status
            self.at = time.monotonic()

    class Entry(Message):
        """An entry of the log."""

        def __init__(self, entry: dict):
            super().__init__()
            self.entry = entry

    class Trouble(Message):
        """Why nothing comes; None when all is well again."""

        def __init__(self, text: str | None):
            super().__init__()
            self.text = text

    def __init__(self, name: str, make: Callable[..., Watch]):
        super().__init__()
        self.sub_title = name
        self.history = History()
        self._paused = False
        self._watch = make(  # post_message is the one thing that other threads may call
            on_status=lambda status: self.post_message(self.Status(status)),
            on_entry=lambda entry: self.post_message(self.Entry(entry)),
            on_trouble=lambda text: self.post_message(self.Trouble(text)),
        )

    def compose(self) -> ComposeResult:
        """What is where."""
        yield Header()
        yield Static("asking …", id="summary")
        with Horizontal(id="top"):
            with Vertical(id="tables"):
                for name in ("tunnels", "calls", "counters"):
                    table: DataTable = DataTable(id=name, cursor_type="none", zebra_stripes=False)
                    table.border_title = name
                    yield table
            with Vertical(id="plots"):
                for name in _PLOTS:
                    with Vertical(classes="plot", id=name.replace(" ", "-")) as box:
                        box.border_title = name
                        yield Static("-", classes="value")
                        yield Sparkline([], summary_function=max)
        log = RichLog(id="events", max_lines=1000, wrap=True)
        log.border_title = "events"
        yield log
        yield Footer()

    def on_mount(self) -> None:
        """The columns; then begin to ask."""
        self._table("tunnels").add_columns("name", "state", "server", "peer", "round trip", "repeated", "redials")
        self._table("calls").add_columns("name", "state", "through", "at", "ppp", "received", "sent", "lost")
        self._table("counters").add_columns("what", "count")
        self._watch.start()

    def on_unmount(self) -> None:
        """Ask no more."""
        self._watch.stop()

    def action_pause(self) -> None:
        """Show nothing new, or go on."""
        self._paused = not self._paused
        self.query_one("#summary", Static).set_class(self._paused, "paused")

    def action_clear(self) -> None:
        """Forget the events."""
        self.query_one("#events", RichLog).clear()

    # -- what the watch brings ------------------------------------------------------------------------

    def on_monitor_status(self, message: Status) -> None:
        """Everything but the events."""
        point = self.history.add(message.status, message.at)
        if self._paused:
            return
        status = message.status
        self.query_one("#summary", Static).update(_summary(status))
        _fill(self._table("tunnels"), [_tunnel(name, each) for name, each in sorted(status["tunnels"].items())])
        _fill(self._table("calls"), _calls(status))
        _fill(self._table("counters"), _counters(status))
        plots = zip(_PLOTS, point, (_rate, _rate, _ms), strict=True)
        for i, (name, value, words) in enumerate(plots):
            box = self.query_one("#" + name.replace(" ", "-"), Vertical)
            values = [each[i] or 0.0 for each in self.history.points]
            peak = f"  [dim]at most {words(max(values))}[/]" if value is not None else ""
            box.query_one(Static).update(words(value) + peak)
            box.query_one(Sparkline).data = values

    def on_monitor_entry(self, message: Entry) -> None:
        """One line more, or several of a traceback."""
        if not self._paused:
            entry = message.entry
            self.query_one("#events", RichLog).write(Text(logs.text(entry), _COLOURS.get(entry["level"] or "", "")))

    def on_monitor_trouble(self, message: Trouble) -> None:
        """Nothing is to be had; what was seen last stays."""
        if message.text is not None:
            self.query_one("#summary", Static).update(Text(message.text, "bold red"))

    def _table(self, name: str) -> DataTable:
        return self.query_one("#" + name, DataTable)


def _fill(table: DataTable, rows: list[tuple]) -> None:
    table.display = bool(rows)
    table.clear()
    for row in rows:
        table.add_row(*row)


def _state(word: str) -> Text:
    return Text(word, _STATES.get(word, "yellow"))


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{size(round(value))}/s"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:g} ms"


def _summary(status: dict) -> str:
    calls = [call["state"] for call in status["calls"].values()]
    words = [f"[b]{status['hostname']}[/]"] + ([f"{calls.count('up')} of {len(calls)} calls up"] if calls else [])
    if "lns" in status:
        count = len(status["lns"]["callers"])
        words.append(f"{count} caller" + ("" if count == 1 else "s"))
    if "pid" in status:
        words.append(f"laclet {status['version']}, for {duration(status['uptime'])}")
    if status.get("stats"):
        words.append(f"{size(status['stats']['heap_free'])} of memory free")
    faults = [each["fault"] for kind in ("tunnels", "calls") for each in status[kind].values() if each.get("fault")]
    return "  ·  ".join(words) + (f"\n[yellow]last failure: {_plain(faults[0])}[/]" if faults else "")


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _tunnel(name: str, each: dict) -> tuple:
    tunnel = each["tunnel"] or {}
    cells = (
        tunnel.get("peer_name") or "-",
        _ms(tunnel.get("rtt")),
        tunnel.get("retransmissions", "-"),
        each["redials"],
    )
    return (name, _state(each["state"]), address(each["server"]) or "-", *map(str, cells))


def _calls(status: dict) -> list[tuple]:
    """Our calls, the legs of those that have several, and callers."""
    rows = []
    for name, call in sorted(status["calls"].items()):
        where = call.get("interface") or call.get("device") or "-"
        if "address" in call:
            where = f"{call['address']} {call.get('interface', '')}".strip()
        rows.append(_call(name, call, call["tunnel"], where))
        for leg in call.get("legs", ()):
            rows.append(_call("  " + leg["tunnel"], leg, leg["tunnel"], "-"))
    for caller in status.get("lns", {}).get("callers", ()):
        row = {**caller, "state": "up" if caller["address"] else "calling"}
        rows.append(_call(caller["name"] or "(no name)", row, address(caller["peer"]), caller["address"] or "-"))
    return rows


def _call(name: str, call: dict, through: str, where: str) -> tuple:
    session: dict[str, Any] = call["session"] or {}
    ppp = call.get("ppp")
    said = "-"
    if ppp is not None and "phase" in ppp:
        said = " ".join(filter(None, (ppp["phase"], authenticated(ppp))))
    elif call.get("modem"):
        said = f"modem {call['modem']['state']}"
    counts = (size(session[key]) if session else "-" for key in ("rx_bytes", "tx_bytes"))
    return (name, _state(call["state"]), through, where, said, *counts, str(session.get("lost", "-")))


def _counters(status: dict) -> list[tuple]:
    """What was dropped and why, errors of lines, failures."""
    rows = [(f"dropped: {reason}", count) for reason, count in sorted(status["drops"].items())]
    for name, call in sorted(status["calls"].items()):
        for part in ("session", "line", "modem", "ppp"):
            drops = (call.get(part) or {}).get("drops", {})
            rows += [(f"{name}, {part}: {reason}", count) for reason, count in sorted(drops.items())]
        line = call.get("line")
        if line:
            rows.append((f"{name}, frames of the host", line["rx_frames"]))
            rows.append((f"{name}, frames to the host", line["tx_frames"]))
    for each in status.get("sockets", ()):
        rows += [(f"socket: {reason}", count) for reason, count in sorted(each["drops"].items())]
    if status.get("stats"):
        rows.append(("failures", status["stats"]["faults"]))
    return [(what, str(count)) for what, count in rows] or [("nothing dropped", "")]
