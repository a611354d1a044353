"""The ``laclet`` command. Every import that is not needed for ``--help`` waits until its command runs."""

from importlib import import_module

import click

from laclet import __version__

# Command -> its module in ``commands``, in the order of ``--help``.
COMMANDS = {
    "run": "service",
    "status": "service",
    "up": "service",
    "down": "service",
    "reload": "service",
    "stop": "service",
    "config": "config",
    "lns": "lns",
    "virtual": "virtual",
}


class _Commands(click.Group):
    """Loads the module of a command when it is wanted."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, cmd_name):
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module("laclet_host.commands." + COMMANDS[cmd_name]), cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="laclet")
def main() -> None:
    """L2TP and PPP at the customer's premises: LAC, LAC client and LNS."""


if __name__ == "__main__":
    main()
