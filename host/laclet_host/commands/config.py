"""Configuration files, and the configuration of devices."""

import sys
from pathlib import Path

import click

from ..ui import CONFIG_INVALID, print_json, report


@click.group()
def config() -> None:
    """Look at configuration files."""


@config.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print findings and configuration as one JSON object.")
def config_check(file: Path, as_json: bool) -> None:
    """Check FILE and its secrets, and name everything that is wrong. JSON files are for boards."""
    from laclet.node.config import hide

    from ..config import load

    loaded = load(file)
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
