"""Completion of commands, options and names by the shell."""

import click

# Shell -> where a line that loads it belongs.
_HINTS = {
    "bash": 'add to ~/.bashrc:  eval "$(laclet completion bash)"',
    "zsh": 'add to ~/.zshrc, after compinit:  eval "$(laclet completion zsh)"',
    "fish": "laclet completion fish > ~/.config/fish/completions/laclet.fish",
}


@click.command(epilog="\b\n" + "\n".join(f"{shell + ':':6}{hint}" for shell, hint in _HINTS.items()))
@click.argument("shell", type=click.Choice(list(_HINTS)))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete laclet's commands, options and names with Tab."""
    from click.shell_completion import get_completion_class

    from ..cli import main

    kind = get_completion_class(shell)
    assert kind is not None, "click knows all of these"
    click.echo(kind(main, {}, "laclet", "_LACLET_COMPLETE").source())


def services(ctx, param, incomplete: str) -> list[str]:
    """``shell_complete`` of the name of a running service."""
    from laclet_linux.control import running

    return [name for name in running() if name.startswith(incomplete)]


def ports(ctx, param, incomplete: str) -> list[str]:
    """``shell_complete`` of a device: virtual boards by name, serial ports by path."""
    from serial.tools.list_ports import comports

    from ..board.known import known

    return [port for port in [*known(), *sorted(each.device for each in comports())] if port.startswith(incomplete)]


def boards(ctx, param, incomplete: str) -> list[str]:
    """``shell_complete`` of the name of a board."""
    from ..board.catalogue import boards

    return [name for name in boards() if name.startswith(incomplete)]
