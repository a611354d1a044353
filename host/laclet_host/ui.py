"""What all commands share: exit codes, and how they talk to people and to programs."""

import json
import sys
from typing import NoReturn

import click

# Exit codes of tools; ``laclet run`` has those of its service besides.
FAILURE = 1
CONFIG_INVALID = 3
DEVICE_ABSENT = 4
TIMEOUT = 5
VERIFY_MISMATCH = 6
AUTHENTICATION = 7
INTERRUPTED = 130


class Trouble(Exception):
    """What a user can mend: one line that says what is wrong and what to do; the command ends with ``code``."""

    code = FAILURE

    def __init__(self, text: str, code: int | None = None):
        super().__init__(text)
        if code is not None:
            self.code = code


def fail(text: str, code: int = FAILURE) -> NoReturn:
    """End with one line on stderr."""
    click.echo(f"laclet: {text}", err=True)
    sys.exit(code)


def print_json(value) -> None:
    """One line on stdout, for a program."""
    click.echo(json.dumps(value))


def report(loaded) -> None:
    """What was found in a configuration, on stderr."""
    for finding in loaded.warnings:
        click.echo(f"warning: {finding}", err=True)
    for finding in loaded.errors:
        click.echo(str(finding), err=True)
