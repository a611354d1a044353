"""Which devices there are."""

import click

from ..ui import DEVICE_ABSENT, fail, print_json

_COLUMNS = ("port", "name", "hostname", "laclet", "MicroPython", "state", "")


@click.command()
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="vid=, pid=, name= or serial=.")
@click.option("--ask/--no-ask", default=True, help="Ask each what it is.  [default: ask]")
@click.option("--ids", is_flag=True, help="Show ids, which stay when a device is plugged in elsewhere.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def devices(filters, ask, ids, as_json) -> None:
    """List devices: USB serial ports and virtual boards, with what answers there. Nothing that runs is disturbed."""
    from ..device import finding

    wanted = finding.parse(filters)
    found = [port for port in finding.ports() if finding.fits(port, wanted)]
    asked = finding.ask_all(found) if ask else [finding.plain(port) for port in found]
    if as_json:
        print_json(asked)
        return
    if not asked:
        fail(
            "no device is there" + (" that fits" if filters else "; plug one in, or try laclet virtual"), DEVICE_ABSENT
        )
    _table(asked, ids)


def _table(asked: list[dict], ids: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from ..device.progress import wide_console

    table = Table(box=None, pad_edge=False)
    for column in ("id", *_COLUMNS) if ids else _COLUMNS:
        table.add_column(column, overflow="fold")
    for each in asked:
        kind = each["machine"] or " or ".join(each["boards"])
        cells = [each[key] for key in ("port", "name", "hostname", "laclet", "micropython", "state")]
        cells = [*([each["id"]] if ids else []), *cells, each["detail"] or kind]
        table.add_row(*[escape(cell or "-") for cell in cells])
    wide_console().print(table)
