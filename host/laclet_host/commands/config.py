"""Configuration files, and the configuration of devices."""

import sys
from pathlib import Path

import click

from ..ui import CONFIG_INVALID, FAILURE, Trouble, print_json, report
from .port import port_option, the_port

_prompt = click.option(
    "--prompt", is_flag=True, help="By MicroPython's prompt, not the console: the service stops for it, then restarts."
)
_discard = click.option("--discard", is_flag=True, help="Forget what somebody has left uncommitted at the console.")
_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.group()
def config() -> None:
    """Check, write and carry configurations.

    PORT may also be a folder with config.json in it: a mounted board, or one still to be made.
    """


@config.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--board", is_flag=True, help="As for a board, whatever the file is called.")
@click.option("--json", "as_json", is_flag=True, help="Print findings and configuration as one JSON object.")
def config_check(file: Path, board: bool, as_json: bool) -> None:
    """Check FILE and its secrets, and name everything that is wrong. JSON files are for boards."""
    from laclet.node.config import hide

    from ..config import load

    loaded = load(file, board or None)
    if as_json:
        findings = {
            "file": str(file),
            "ok": not loaded.errors,
            "errors": [each._asdict() for each in loaded.errors],
            "warnings": [each._asdict() for each in loaded.warnings],
            "config": None if loaded.errors else hide(loaded.config),
        }
        print_json(findings)
    else:
        report(loaded)
        if not loaded.errors:
            click.echo(f"{file}: good")
    sys.exit(CONFIG_INVALID if loaded.errors else 0)


@config.command("pull")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@port_option
@click.option("--secrets", is_flag=True, help="The secrets themselves, too; as --prompt.")
@click.option("-y", "--yes", is_flag=True, help="Change FILE without asking.")
@_discard
@_as_json
def config_pull(file: Path | None, port: str | None, secrets: bool, yes: bool, discard: bool, as_json: bool) -> None:
    """Write a device's configuration to FILE (TOML), and its secrets beside it, for your eyes only.

    Without FILE it is shown. A FILE that is there keeps its comments and order. The console never tells secrets: they
    read (hidden), and push leaves them as they are.
    """
    from laclet.node.config import hide

    from ..configtext import toml

    place = _open(port, secrets, discard)
    try:
        tree = place.read()
    finally:
        place.close()
    if as_json:
        print_json(hide(tree))
    if file is None:
        if not as_json:
            click.echo(toml(hide(tree)), nl=False)
        return
    changed = _save(file, tree, yes)
    if not as_json:
        click.echo(f"{file}: written" if changed else f"{file}: is as the device has it", err=True)


@config.command("push")
@click.argument("file", type=click.Path(path_type=Path))
@port_option
@click.option("--up", type=float, default=0, metavar="SECONDS", help="Keep it only if all comes up in this time.")
@_prompt
@_discard
@_as_json
def config_push(file: Path, port: str | None, up: float, prompt: bool, discard: bool, as_json: bool) -> None:
    """Check FILE and its secrets, then have a device run and keep it.

    What fails leaves the old configuration: a board that cannot be reached any more goes back to it by itself.
    """
    tree = _checked(file)
    place = _open(port, prompt, discard)
    try:
        count = _push(place, tree, up)
    finally:
        place.close()
    if as_json:
        print_json({"file": str(file), "device": place.name, "changed": count})
    else:
        click.echo(f"{place.name}: {'runs and keeps it' if count else 'has it already'}", err=True)


@config.command("diff")
@click.argument("file", type=click.Path(path_type=Path))
@port_option
@_prompt
@_discard
@_as_json
def config_diff(file: Path, port: str | None, prompt: bool, discard: bool, as_json: bool) -> None:
    """What push would change, as a unified diff; exit code 1 when there is something.

    Secrets are hidden, but it is told which of them would change.
    """
    tree = _checked(file)
    place = _open(port, prompt, discard)
    try:
        old, new = place.compare(tree)
    finally:
        place.close()
    lines = _diff(old, new, place.name, str(file))
    if as_json:
        print_json({"file": str(file), "device": place.name, "changes": _changes(old, new)})
    else:
        for line in lines:
            click.secho(line, fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
    sys.exit(FAILURE if lines else 0)


@config.command("edit")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@port_option
@_prompt
@_discard
def config_edit(file: Path | None, port: str | None, prompt: bool, discard: bool) -> None:
    """Change a device's configuration, or that in FILE, with $EDITOR.

    It is checked when the editor ends; what is wrong is named, and the editor opens again. Nothing that was typed is
    ever lost.
    """
    from ..configedit import edit_file, edit_place

    if file is not None:
        sys.exit(0 if edit_file(file) else CONFIG_INVALID)
    place = _open(port, prompt, discard)
    try:
        changed = edit_place(place)
    finally:
        place.close()
    click.echo(f"{place.name}: {'runs and keeps it' if changed else 'nothing has changed'}", err=True)


@config.command("wizard")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@port_option
@click.option("--role", type=click.Choice(["client", "lac", "lns"]), help="What the device is to be.")
@click.option("--server", help="Address or name of the LNS.")
@click.option("--username", help="User name for PPP.")
@click.option("--device", help="Serial device, or number of the UART.")
@click.option("--modem", type=click.Choice(["none", "answer", "dial"]), help="Modem in front of the line.")
@click.option("-y", "--yes", is_flag=True, help="Write or push it without asking.")
@_prompt
@_discard
def config_wizard(file: Path | None, port: str | None, yes: bool, prompt: bool, discard: bool, **given) -> None:
    """Ask what has to be known, and write it to FILE and its secrets beside it, or push it to a device.

    What options say is not asked; passwords and secrets always are.
    """
    from laclet.node.config import check
    from laclet.node.values import dotted

    from ..wizard import Wizard

    place = None if file is not None else _open(port, prompt, discard)
    try:
        role = given.pop("role")
        wizard = Wizard({key: value for key, value in given.items() if value is not None})
        tree = wizard.tree(role, place is not None)
        for path, what, mend in check(tree, place is not None)[1]:
            raise Trouble(f"{dotted(path)}: {what}; {mend}", CONFIG_INVALID)
        if file is not None:
            _save(file, tree, yes)
            click.echo(f"{file}: written; laclet run {file}", err=True)
            return
        old, new = place.compare(tree)
        for line in _diff(old, new, place.name, "answers"):
            click.echo(line, err=True)
        if not yes and not wizard.agrees(f"Push this to {place.name}"):
            raise click.Abort
        _push(place, tree)
        click.echo(f"{place.name}: runs and keeps it", err=True)
    finally:
        if place is not None:
            place.close()


def _open(port: str | None, prompt: bool, discard: bool):
    from ..configplace import open_place

    return open_place(the_port(port), prompt, discard)


def _checked(file: Path) -> dict:
    """What is in a file for a board; ends when something is wrong with it."""
    from ..config import load

    loaded = load(file, True)
    report(loaded)
    if loaded.errors:
        sys.exit(CONFIG_INVALID)
    return loaded.tree


def _push(place, tree: dict, up: float = 0) -> int:
    """Have the device run and keep it; how many keys have changed."""
    count = len(_changes(*place.compare(tree)))
    if count:
        place.write(tree, lambda text: click.echo(text, err=True), up)
    return count


def _changes(old: dict, new: dict) -> list[dict]:
    from laclet.node.values import dotted

    from ..configtext import changes

    return [{"key": dotted(path), "old": was, "new": will} for path, was, will in changes(old, new)]


def _diff(old: dict, new: dict, old_name: str, new_name: str) -> list[str]:
    import difflib

    from ..configtext import toml

    before, after = (toml(tree, head="").strip().splitlines() for tree in (old, new))
    return list(difflib.unified_diff(before, after, old_name, new_name, lineterm=""))


def _save(file: Path, tree: dict, yes: bool) -> bool:
    """Write a tree to a file and its secrets beside it, when somebody agrees to what changes; False if nothing does."""
    from laclet.node.config import hide

    from ..config import secrets_path
    from ..configtext import HEAD, SECRETS_HEAD, merge_secrets, split, toml, write

    beside = secrets_path(file)
    was = [each.read_text("utf-8") if each.exists() else "" for each in (file, beside)]
    main, secrets = split(tree)
    try:
        will = [toml(main, was[0], HEAD), merge_secrets(secrets, main, was[1], SECRETS_HEAD)]
    except ValueError as error:  # tomlkit's
        raise Trouble(f"{file}: is not TOML: {error}; mend it, or choose another file", CONFIG_INVALID) from None
    if will == was:
        return False
    if was[0] and will[0] != was[0] and not yes:
        import tomllib

        for line in _diff(hide(tomllib.loads(was[0])), hide(main), str(file), "device"):
            click.echo(line, err=True)
        click.confirm(f"Change {file}?", abort=True, err=True)
    write(file, will[0])
    if secrets:
        write(beside, will[1], 0o600)
    return True
