"""laclet is put on a board that has MicroPython."""

from pathlib import Path

import click

from ..ui import print_json
from .completion import boards
from .port import port_option, the_port


@click.command()
@port_option
@click.option(
    "--board", metavar="NAME", shell_complete=boards, help="Give it the pins of this board of docs/boards.md."
)
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Its configuration (TOML or JSON).")
@click.option("-n", "--dry-run", is_flag=True, help="Tell what would be written and removed.")
@click.option("--check/--no-check", default=True, help="Wait until it answers.  [default: check]")
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON object.")
def deploy(port, board, config, dry_run, check, as_json) -> None:
    """Bring laclet on a board up to date, at MicroPython's prompt: only what has changed, by SHA-256.

    Its service stops for it, and the board restarts. If it is cut short, the next deploy goes on. See docs/devices.md.
    """
    from ..device import files
    from ..device.deploy import deploy
    from ..device.flash import wait_for_device
    from ..device.progress import shown
    from ..device.repl import Repl

    port = the_port(port)
    about = files.board_named(board) if board else None
    given = files.read_config(config) if config else None
    with shown(["deploy"], as_json) as teller:
        tell = teller("deploy")
        with Repl(port) as repl:
            done = deploy(repl, tell, about, given, dry_run)
        if check:
            tell("waiting for it to answer", None)
            done["hostname"] = wait_for_device(port)["hostname"]
    if as_json:
        print_json(done)
        return
    if dry_run:
        for word in ("written", "removed"):
            for path in done[word]:
                click.echo(f"would be {word}: {path}")
    removed = f", {len(done['removed'])} stale ones removed" if done["removed"] else ""
    verb = "to write" if dry_run else "written"
    click.echo(
        f"{port}: {len(done['written'])} files ({done['bytes']} bytes) {verb} for {done['arch']}, "
        f"{done['unchanged']} as they were{removed}"
    )
