"""Which device a command is for: the option ``--port``, and the only one when it is not given."""

import os

import click

from ..ui import DEVICE_ABSENT, Trouble
from .completion import ports

VARIABLE = "LACLET_PORT"

port_option = click.option(
    "-p",
    "--port",
    metavar="PORT",
    shell_complete=ports,
    help=f"Serial port, id of laclet devices, rfc2217:// or socket:// URL, or a virtual board's name.  "
    f"[default: ${VARIABLE}, or the only device]",
)


def the_port(given: str | None) -> str:
    """The port that was given, or else the only one there is; raises ``Trouble``."""
    given = given or os.environ.get(VARIABLE)
    if given:
        return given
    from serial.tools.list_ports import comports

    from ..board.known import known

    found = [*known(), *sorted(port.device for port in comports() if port.vid is not None)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Trouble("no device is there; plug one in, or name it with --port", DEVICE_ABSENT)
    raise Trouble(f"several devices are there; choose one with --port: {', '.join(found)}", DEVICE_ABSENT)
