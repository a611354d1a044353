"""The logs of boards and services."""

import json
from pathlib import Path

import click

from ..ui import Trouble
from .completion import services
from .port import port_option, the_port
from .service import absent

_COLOURS = {"error": "red", "warning": "yellow", "debug": "bright_black"}
_LEVELS = ("error", "warning", "info", "debug")


@click.command()
@click.argument("name", required=False, shell_complete=services)
@port_option
@click.option("-f", "--follow", is_flag=True, help="Go on, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0), metavar="N", help="Of what is kept only the last N.")
@click.option("--level", type=click.Choice(_LEVELS), default="debug", help="Leave out what matters less.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Append to this file as well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def logs(name, port, follow, lines, level, output, as_json) -> None:
    """Show what the service NAME, or a board, has said; with --follow also what it says from now on.

    A board has kept its last lines without their times; what comes live has the time of this machine. Where its
    program has crashed, file, line and source are looked up for the traceback.
    """
    wanted = _LEVELS[: _LEVELS.index(level) + 1]
    file = open(output, "a", encoding="utf-8") if output else None  # noqa: SIM115
    try:
        for entry in _entries(name, port, follow, lines):
            if (entry["level"] or "info") in wanted:
                _show(entry, as_json, file)
    except OSError as error:
        if name is None:
            raise
        raise Trouble(f"{name}: {absent(error)}") from None
    finally:
        if file is not None:
            file.close()


def _entries(name, port, follow, lines):
    from .. import logs

    if name is not None:
        return logs.of_service(name, follow, lines)
    return logs.of_board(the_port(port), follow, lines, lambda text: click.echo(f"laclet: {text}", err=True))


def _show(entry: dict, as_json: bool, file) -> None:
    from .. import logs

    if as_json:
        click.echo(json.dumps(entry))
    else:
        click.secho(logs.text(entry), fg=_COLOURS.get(entry["level"]))
    if file is not None:
        file.write((json.dumps(entry) if as_json else logs.text(entry, date=True)) + "\n")
        file.flush()
