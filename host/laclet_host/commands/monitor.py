"""The live screen of a board or service."""

import sys

import click

from ..ui import Trouble
from .completion import services
from .port import port_option, the_port


@click.command()
@click.argument("name", required=False, shell_complete=services)
@port_option
@click.option(
    "--interval", type=click.FloatRange(0.1), default=1, show_default=True, metavar="SECONDS", help="Between looks."
)
def monitor(name: str | None, port: str | None, interval: float) -> None:
    """Watch the service NAME, or a board, live: tunnels, calls, PPP, counters, throughput, round trip, events.

    It asks the console of a board, or the control socket of a service, and goes on when these come back.
    """
    from ..monitor import Board, Service

    try:
        from ..monitor_app import Monitor
    except ImportError as error:
        raise Trouble(f"{error.name} is missing: pip install 'laclet[monitor]'") from None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Trouble("the live screen needs a terminal; for programs: laclet status --json, laclet logs --json")
    if name is not None:
        app = Monitor(name, lambda **calls: Service(name, interval, **calls))
    else:
        where = the_port(port)
        app = Monitor(where, lambda **calls: Board(where, interval, **calls))
    app.run()
