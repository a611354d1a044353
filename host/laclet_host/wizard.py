"""A configuration by questions: for each role what has to be said, everything else has its default.

Every answer is checked by the schema as it is given; a wrong one is named, and asked for again.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from rich.console import Console
from rich.prompt import Prompt

from laclet.node.console import lookup, put
from laclet.node.schema import section
from laclet.node.values import LIST_KINDS, Wrong, check_value

from .ui import Trouble

ROLES = {
    "client": "this device itself gets an interface or an address (LAC client)",
    "lac": "the PPP of a serial line, with or without a modem, goes to the LNS (LAC)",
    "lns": "others call in here (LNS)",
}
TUNNEL, CALL, LINE = "lns", "home", "port"  # what the sections are called


class Question(NamedTuple):
    """``path`` of a key; ``ask(tree)`` tells whether it has to be asked; with ``empty`` it may be left out."""

    path: tuple
    text: str
    default: str = ""
    empty: bool = False
    ask: Callable[[dict], bool] = lambda tree: True


_TO_LNS = (
    Question(("tunnel", TUNNEL, "server"), "Address or name of the LNS"),
    Question(("tunnel", TUNNEL, "tunnel_secret"), "Tunnel secret shared with it", empty=True),
)


def questions(role: str, on_board: bool) -> list[Question]:
    """What to ask, in order."""
    if role == "client":
        return [
            *_TO_LNS,
            Question(("call", CALL, "username"), "User name"),
            Question(("call", CALL, "password"), "Password"),
        ]
    if role == "lac":
        line = ("line", LINE)
        modem = (*line, "modem")
        return [
            *_TO_LNS,
            Question((*line, "device"), "Number of the UART" if on_board else "Serial device", _device(on_board)),
            Question((*line, "baud"), "Its speed, bit/s", "115200"),
            Question((*line, "flow"), "Flow control", "none"),
            Question(modem, "Modem in front: none, one that takes calls, or one that makes them", "none"),
            Question((*line, "number"), "Number to dial", ask=lambda tree: lookup(tree, modem) == "dial"),
        ]
    return [
        Question(("lns", "address"), "Our own address on each link", "10.64.64.1"),
        Question(("lns", "pool"), "Addresses for callers", "10.64.64.2-10.64.64.254"),
        Question(("lns", "tunnel_secret"), "Tunnel secret that callers have to know", empty=True),
    ]


def _device(on_board: bool) -> str:
    return "1" if on_board else "/dev/ttyUSB0"


class Wizard:
    """Asks on the terminal. ``given`` maps the last word of a path to an answer that need not be asked for."""

    def __init__(self, given: dict[str, str]):
        self._given = given
        self._console = Console(stderr=True, highlight=False)

    def tree(self, role: str | None, on_board: bool) -> dict[str, Any]:
        """The whole configuration, secrets in their places."""
        if role is None:
            for name, about in ROLES.items():
                self._console.print(f"  [bold]{name:7}[/]{about}", soft_wrap=True)
            role = self._line("What is it to be", "client", list(ROLES))
        tree: dict[str, Any] = {}
        for question in questions(role, on_board):
            if question.ask(tree):
                value = self._answer(question)
                if value != "":
                    put(tree, question.path, value)
        if role == "lac":
            put(tree, ("call", CALL), {"tunnel": TUNNEL, "line": LINE})
        elif role == "client":
            put(tree, ("call", CALL, "tunnel"), TUNNEL)
        else:
            self._users(tree)
        return tree

    def agrees(self, text: str) -> bool:
        """Yes or no."""
        return self._line(text, "y", ["y", "n"]) == "y"

    def _users(self, tree: dict) -> None:
        users: dict[str, str] = {}
        while name := self._line("Name of a caller, empty at the end", ""):
            users[name] = self._line("Password", "", secret=True)
        if users:
            put(tree, ("lns", "users"), users)
        else:
            put(tree, ("lns", "auth"), [])
            self._console.print("  [yellow]nobody has to log in[/]")

    def _answer(self, question: Question) -> Any:
        """A value that fits the schema, or "" for none."""
        found = section(question.path[0])
        assert found is not None
        row = next(row for row in found[2] if row[0] == question.path[-1])
        kind, limits = row[1], row[2]
        given = self._given.get(question.path[-1])
        while True:
            choices = list(limits) if kind == "choice" else None
            text = given or self._line(question.text, question.default, choices, kind == "secret")
            if text == "":
                if question.empty:
                    return ""
                self._wrong("an answer is needed")
                continue
            try:
                value = int(text) if kind == "int" and text.isdigit() else text
                checked = check_value(kind, value, limits)
                return value if kind in ("hosts", "pool", *LIST_KINDS) else checked
            except Wrong as wrong:
                if given:
                    raise Trouble(f"--{question.path[-1]}: {wrong.what}; {wrong.mend}", 2) from None
                self._wrong(f"{wrong.what}; {wrong.mend}")

    def _wrong(self, text: str) -> None:
        self._console.print("  " + text, style="red", markup=False, soft_wrap=True)

    def _line(self, text: str, default: str, choices: list[str] | None = None, secret: bool = False) -> str:
        """What somebody types; what is secret is not shown on a terminal."""
        try:
            return Prompt.ask(
                text,
                console=self._console,
                choices=choices,
                default=default,
                show_default=bool(default),
                password=secret and sys.stdin.isatty(),
            ).strip()
        except EOFError:
            raise Trouble(f"nobody answered: {text}", 2) from None
