"""An ICMP echo from a board through its call."""

import time

import click

from ..ui import FAILURE, TIMEOUT, Trouble, print_json
from .port import port_option, the_port

_PATIENCE = 7  # s; the board gives up after 5
_CALL = 0.25  # s between looks whether a call is up


@click.command()
@click.argument("address")
@port_option
@click.option("-c", "--count", type=click.IntRange(1), default=3, show_default=True, help="Echoes to send.")
@click.option("--wait", type=float, default=10, show_default=True, metavar="SECONDS", help="For a call to be up.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
def ping(address: str, port: str | None, count: int, wait: float, as_json: bool) -> None:
    """Have a board that is a LAC client itself send ICMP echoes to ADDRESS through its tunnel.

    Exit code 0 when all were answered, 1 otherwise, 5 when no call comes up.
    """
    from ..device.link import Link

    times: list[int] = []
    with Link(the_port(port)) as link:
        _wait_up(link, wait)
        for number in range(1, count + 1):
            said = _echo(link, address)
            if said.endswith(" ms"):
                times.append(int(said.split()[-2]))
            if not as_json:
                click.echo(f"{number}: {said}")
    if as_json:
        print_json({"address": address, "sent": count, "answered": len(times), "ms": times})
    else:
        spread = f", round trip {min(times)} to {max(times)} ms" if times else ""
        click.echo(f"{len(times)} of {count} answered{spread}")
    if len(times) < count:
        raise click.exceptions.Exit(FAILURE)


def _wait_up(link, seconds: float) -> None:
    """Until a call of the board itself is up."""
    deadline = time.monotonic() + seconds
    while True:
        calls = link.get("show status")["calls"]
        own = {name: call for name, call in calls.items() if "ppp" in call}
        if any(call["state"] == "up" for call in own.values()):
            return
        if not own:
            raise Trouble("this board has no call of its own; what it tunnels belongs to the host behind its line")
        if time.monotonic() > deadline:
            words = [f"{name} is {call['state']}: {call['fault'] or 'not yet'}" for name, call in sorted(own.items())]
            raise Trouble(f"no call is up: {'; '.join(words)}", TIMEOUT)
        time.sleep(_CALL)


def _echo(link, address: str) -> str:
    """Send one, and wait for what the board says of it."""
    from ..device.link import Refused

    try:
        link.get(f"ping {address}")
    except Refused as refused:
        raise Trouble(str(refused)) from None
    for line in link.lines(_PATIENCE):
        if isinstance(line, str) and "[ping]: " in line:
            return line.split("[ping]: ")[1]
    kept = [line for line in link.get("show log") if line.startswith("[ping]: ")]  # log.level leaves it out
    if not kept:
        raise Trouble("the board has not said what became of it", TIMEOUT)
    return kept[-1].split(": ", 1)[1]
