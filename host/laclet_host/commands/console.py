"""The console of a board: on the terminal, or a command from a script."""

import sys
from collections.abc import Iterable

import click

from ..ui import FAILURE, Trouble, print_json
from .port import port_option, the_port


@click.command()
@click.argument("command", nargs=-1)
@port_option
@click.option("--json", "as_json", is_flag=True, help="Answers as the board gives them, one JSON object a line.")
def console(command: tuple[str, ...], port: str | None, as_json: bool) -> None:
    """Work at the console of a board; Ctrl-] leaves it, and the board goes on.

    The board itself has Tab, ? and history. Ctrl-C stops laclet there and gives MicroPython's prompt, Ctrl-D at that
    prompt starts it again.

    With a COMMAND, or commands in lines on stdin, these are given and their answers printed: laclet console show status
    """
    port = the_port(port)
    if command:
        _give([" ".join(command)], port, as_json)
    elif sys.stdin.isatty() and not as_json:
        _work(port)
    else:
        _give((line.strip() for line in sys.stdin), port, as_json)


def _work(port: str) -> None:
    from ..device.ports import open_port
    from ..terminal import serve

    with open_port(port) as line:
        click.echo(f"connected to {port}; Ctrl-] leaves, ? helps", err=True)
        serve(line, port)


def _give(commands: Iterable[str], port: str, as_json: bool) -> None:
    """Give commands one after the other; the first that is refused ends it."""
    from ..device.link import Link

    with Link(port) as link:
        for command in commands:
            if not command or command.startswith("#"):
                continue
            answer = link.ask(command)
            answer.pop("id", None)
            if as_json:
                print_json(answer)
            elif answer["ok"]:
                for text in _texts(answer):
                    click.echo(text)
            if not answer["ok"]:
                where = f"column {answer['column']}: " if answer.get("column") else ""
                if as_json:
                    sys.exit(FAILURE)
                raise Trouble(f"{command}: {where}{answer['error']}")


def _texts(answer: dict) -> list[str]:
    """An answer for people: lines, or the lines of a tree."""
    if "data" not in answer:
        return answer.get("out") or []
    import json

    from laclet.node.console import flat
    from laclet.node.values import dotted

    return [f"{dotted(path)} = {json.dumps(value)}" for path, value in flat(answer["data"])]
