"""Why a tunnel does not come up."""

import sys
from pathlib import Path

import click

from ..ui import AUTHENTICATION, CONFIG_INVALID, FAILURE, Trouble, print_json, report


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--call", metavar="NAME", help="This call only.  [default: all of them]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the findings for each call.")
def doctor(file: Path, call: str | None, as_json: bool) -> None:
    """Find out why what FILE (TOML) describes does not come up, and what to do.

    Makes each call for a moment, without an interface and without touching any route: name, way, IKE, tunnel, call,
    LCP, log-in, address, MTU. Stop the service first where its source port is fixed.

    Exit codes: 0 all is well, 1 something is not, 3 the configuration is not valid, 7 a log-in or secret was refused.
    """
    from ..config import load

    if sys.platform != "linux":
        raise Trouble("the doctor examines Linux only")
    loaded = load(file)
    if loaded.errors:
        if as_json:
            print_json({"file": str(file), "errors": [each._asdict() for each in loaded.errors]})
        else:
            report(loaded)
        sys.exit(CONFIG_INVALID)
    findings = {}
    for name, tunnel, of_call in _wanted(loaded.config, call):
        if not as_json:
            click.echo(f"{name}, through tunnel {tunnel}")
        findings[name] = _examined(loaded.config, tunnel, of_call, as_json)
    if as_json:
        print_json(
            {"file": str(file), "calls": {name: [each._asdict() for each in findings[name]] for name in findings}}
        )
    bad = [each for found in findings.values() for each in found if each.ok is False]
    refused = any(each.layer in ("auth", "tunnel-auth") for each in bad)
    sys.exit(AUTHENTICATION if refused else FAILURE if bad else 0)


def _wanted(config, call: str | None):
    """``(name, tunnel, call)`` of what is to be examined; a tunnel without a call by itself."""
    calls = config["call"]
    if call is not None and call not in calls:
        raise Trouble(f"no call {call}; there are: {', '.join(sorted(calls)) or 'none'}")
    for name in [call] if call else sorted(calls):
        for tunnel in _tunnels(calls[name]):
            yield (name, tunnel, name)
    if call is None:
        used = {tunnel for each in calls.values() for tunnel in _tunnels(each)}
        for tunnel in sorted(set(config["tunnel"]) - used):
            yield (f"tunnel {tunnel}", tunnel, None)
    if not config["tunnel"]:
        raise Trouble("there is nothing to dial in this file")


def _tunnels(call) -> list[str]:
    return list(call.get("tunnels") or [call["tunnel"]])


def _examined(config, tunnel: str, call: str | None, quiet: bool) -> list:
    from ..doctor.checkup import examine

    found = []
    for finding in examine(config, tunnel, call):
        found.append(finding)
        if not quiet:
            _show(finding)
    return found


def _show(finding) -> None:
    word, colour = {True: ("ok", "green"), None: ("hm", "yellow"), False: ("NO", "red")}[finding.ok]
    click.echo(f"  {click.style(word, fg=colour, bold=True)}  {finding.layer:<12} {finding.text}")
    if finding.hint and finding.ok is not True:
        click.echo(f"      {'':<12} → {finding.hint}")
