"""The A/B update of a device."""

from pathlib import Path

import click

from ..ui import Trouble, print_json
from .port import port_option, the_port


@click.command()
@port_option
@click.option("--from", "folder", type=click.Path(file_okay=False, path_type=Path), help="Compiled code of a release.")
@click.option("--key-file", type=click.File(), help="File with the device's board.update_key.")
@click.option("--status", "only_status", is_flag=True, help="Tell slots and versions, and change nothing.")
@click.option("--wait/--no-wait", default=True, help="Wait until the new code has proved itself.  [default: wait]")
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON object.")
def update(port, folder, key_file, only_status, wait, as_json) -> None:
    """Update laclet on a device that works; calls go on meanwhile.

    New code goes to the slot that does not run, is compared there, and then tried: if the device does not work with it
    for a minute, it goes back by itself. Interrupted, it goes on where it was. See docs/update.md.
    """
    from ..device.link import Link
    from ..device.progress import shown
    from ..device.update import outcome, status, update

    port = the_port(port)
    key = key_file.read().strip().encode() if key_file is not None else None
    if folder is not None and not folder.is_dir():
        raise Trouble(f"{folder}: is no folder; give one that tools/mpy has made")
    if only_status:
        with Link(port) as link:
            _show(port, status(link), as_json)
        return
    with shown(["update"], as_json) as teller:
        tell = teller("update")
        with Link(port) as link:
            done = update(link, tell, key, folder)
        if wait:
            done |= outcome(port, done["slot"], tell)
    if as_json:
        print_json(done)
        return
    state = "good" if wait else "on trial"
    click.echo(
        f"{port}: version {done['version']} in slot {done['slot']} is {state}; "
        f"{done['files']} files, {done['bytes']} bytes in {done['seconds']} s"
    )


def _show(port: str, about: dict, as_json: bool) -> None:
    if as_json:
        print_json(about)
        return
    running = f"slot {about['running']}, version {about['version']}" if about["running"] else "the factory's code"
    click.echo(f"{port}: runs {running}")
    if about["trial"]:
        click.echo(f"on trial: slot {about['trial']}, {about['left']} more attempts")
    if about["failed"]:
        click.echo(f"went back from slot {about['failed']}")
    click.echo(f"an update goes to slot {about['other']}; {about['free'] // 1024} KiB are free")
