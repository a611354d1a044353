"""The configuration of a device, with its secrets, in a folder; and back."""

from pathlib import Path

import click

from ..ui import print_json
from .port import port_option, the_port


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@port_option
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON object.")
def backup(folder, port, as_json) -> None:
    """Keep configuration and secrets of a device in FOLDER; nobody else may read the secrets.

    Its service stops for it, and the device restarts.
    """
    from ..device.backup import backup
    from ..device.repl import Repl

    with Repl(the_port(port)) as repl:
        done = backup(repl, folder)
    if as_json:
        print_json(done)
    else:
        click.echo(f"{folder}: configuration and secrets of {done['hostname'] or done['port']}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@port_option
@click.option("--any", "anybody", is_flag=True, help="Put it on another device than it is of.")
@click.option("--check/--no-check", default=True, help="Wait until it answers.  [default: check]")
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON object.")
def restore(folder, port, anybody, check, as_json) -> None:
    """Bring what "laclet backup" has kept in FOLDER back to a device, all or nothing. It restarts."""
    from ..device.backup import device_of, read, restore
    from ..device.flash import wait_for_device
    from ..device.repl import Repl

    port = the_port(port)
    config = read(folder)
    with Repl(port) as repl:
        done = restore(repl, config, None if anybody else device_of(folder))
    if check:
        done["hostname"] = wait_for_device(port)["hostname"]
    if as_json:
        print_json(done)
    else:
        click.echo(f"{port}: is {done['hostname']}, with the configuration in {folder}")
