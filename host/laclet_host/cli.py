"""The ``laclet`` command. Every import that is not needed for ``--help`` waits until its command runs."""

import sys
from contextlib import contextmanager
from importlib import import_module

import click

from laclet import __version__

from .ui import INTERRUPTED, Trouble, fail

# Command -> its module in ``commands``, in the order of ``--help``.
COMMANDS = {
    "run": "service",
    "status": "service",
    "stats": "service",
    "up": "service",
    "down": "service",
    "reload": "service",
    "stop": "service",
    "logs": "logs",
    "monitor": "monitor",
    "console": "console",
    "config": "config",
    "lns": "lns",
    "fault": "lns",
    "capture": "capture",
    "explain": "explain",
    "doctor": "doctor",
    "test": "test",
    "flash": "flash",
    "devices": "devices",
    "deploy": "deploy",
    "update": "update",
    "backup": "backup",
    "restore": "backup",
    "virtual": "virtual",
    "ping": "ping",
    "completion": "completion",
}


class _Commands(click.Group):
    """Loads the module of a command when it is wanted."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, cmd_name):
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module("laclet_host.commands." + COMMANDS[cmd_name]), cmd_name)

    def make_context(self, *args, **kwargs):
        with _mistakes():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx):
        with _mistakes():
            return super().invoke(ctx)


@contextmanager
def _mistakes():
    """A user's mistake ends in one line; only a fault of ours ends in a traceback."""
    try:
        yield
    except Trouble as trouble:
        fail(str(trouble), trouble.code)
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)  # the terminal has shown ^C
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        raise  # of our own output, mostly: click ends quietly
    except OSError as error:
        words = error.strerror or str(error)
        fail(f"{error.filename}: {words}" if error.filename else words)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="laclet")
def main() -> None:
    """L2TP and PPP at the customer's premises: LAC, LAC client and LNS.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration not valid, 4 device absent or busy, 5 not in time,
    6 not what was written, 7 log-in refused, 130 Ctrl-C. Those of "laclet run" and "laclet lns" are pppd's.
    """


if __name__ == "__main__":
    main()
