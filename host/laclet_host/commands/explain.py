"""What happened in a capture."""

import sys
from pathlib import Path

import click

from ..ui import FAILURE, Trouble, print_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--width", type=int, help="Columns of a line.  [default: the terminal's]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: conversations, their steps, and the failure.")
def explain(file: Path, width: int | None, as_json: bool) -> None:
    """Tell what happened in FILE (pcapng or pcap): each step with its time, and why it failed, if it did.

    Exit code 1 when a conversation failed.
    """
    import shutil

    from ..capture.ladder import as_dict, ladders, text
    from ..capture.pcapng import BadCapture, read
    from ..capture.steps import read_steps

    try:
        with file.open("rb") as opened:
            found = ladders(read_steps(read(opened)))
    except BadCapture as error:
        raise Trouble(f"{file}: {error}") from None
    if not found and not as_json:
        raise Trouble(f"{file}: no L2TP, PPP or IKE in it; was the right interface captured?")
    if as_json:
        print_json({"file": str(file), "conversations": [as_dict(each) for each in found]})
    else:
        columns = width or shutil.get_terminal_size((120, 24)).columns
        click.echo("\n\n".join(text(each, columns) for each in found))
    sys.exit(FAILURE if any(each.fault for each in found) else 0)
