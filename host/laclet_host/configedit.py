"""A configuration in somebody's editor: checked when it ends, opened again on what is wrong, and never lost."""

import os
import tempfile
from pathlib import Path

import click

from laclet.node.config import hide

from .config import Loaded, load
from .configtext import HEAD, toml, write
from .ui import CONFIG_INVALID, Trouble


def edit_place(place) -> bool:
    """Edit the configuration of a device, and have it run and keep the new one; False when nothing has changed."""
    old = hide(place.read())
    folder = tempfile.mkdtemp(prefix="laclet-edit-")
    path = Path(folder) / "config.toml"
    write(path, toml(old), 0o600)

    def take(loaded: Loaded) -> bool:
        changed = hide(loaded.tree) != old or loaded.tree != hide(loaded.tree)
        if changed:
            place.write(loaded.tree, lambda text: click.echo(text, err=True))
        return changed

    changed = _edit(path, True, take)
    path.unlink()
    os.rmdir(folder)
    return changed


def edit_file(file: Path) -> bool:
    """Edit a configuration file, and replace it when it is right; False when the editor left it as it was."""
    copy = file.with_name(f".{file.stem}.edit{file.suffix}")  # beside it: its secrets are there
    text = file.read_text("utf-8") if file.exists() else f"# {HEAD}\n" if file.suffix != ".json" else "{}\n"
    if copy.exists():
        click.echo(f"going on with what was left in {copy}", err=True)
    else:
        write(copy, text, file.stat().st_mode & 0o777 if file.exists() else 0o600)

    def take(loaded: Loaded) -> bool:
        if copy.read_text("utf-8") == text:
            copy.unlink()
            return False
        os.replace(copy, file)
        return True

    changed = _edit(copy, file.suffix == ".json", take)
    click.echo(f"{file}: {'written' if changed else 'nothing has changed'}", err=True)
    return True


def _edit(path: Path, on_board: bool, take) -> bool:
    """Open the editor until the text is right and ``take(loaded)`` takes it; what that returns.

    Whatever ends it early leaves the text where it is, and says where.
    """
    try:
        while True:
            click.edit(filename=str(path))
            loaded = load(path, on_board)
            wrong = [str(finding) for finding in loaded.errors]
            if not wrong:
                try:
                    return take(loaded)
                except Trouble as trouble:
                    if trouble.code != CONFIG_INVALID:
                        raise
                    wrong = [str(trouble)]
            for line in wrong:
                click.echo(line, err=True)
            if not click.confirm("Edit again?", default=True, err=True):
                raise Trouble("nothing is changed", CONFIG_INVALID)
    except BaseException:
        click.echo(f"your text is kept in {path}", err=True)
        raise
