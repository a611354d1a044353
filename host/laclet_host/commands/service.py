"""Services on this machine: run one, and talk to those that run."""

import sys
from pathlib import Path

import click

from ..ui import CONFIG_INVALID, FAILURE, fail, print_json, report
from .completion import services
from .port import port_option


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the service.  [default: that of the file]")
@click.option("--log-level", type=click.Choice(["error", "warning", "info", "debug"]), help="Instead of log.level.")
@click.option("--log-json", is_flag=True, help="One JSON object a line, as log.json does.")
def run(file: Path, name: str | None, log_level: str | None, log_json: bool) -> None:
    """Bring up what FILE (TOML) describes, and stay in the foreground.

    Exit codes are those of pppd: 0 stopped by "laclet stop", 5 by a signal, 7 nothing could be opened, 8 no connection,
    10 negotiation failed, 16 hung up, 19 authentication failed. 3: the configuration is not valid.
    """
    from ..config import load

    def read():
        loaded = load(file)
        if not loaded.errors:
            log = loaded.config["log"]
            log.update(level=log_level or log["level"], json=log_json or log["json"])
        return loaded

    def reread():
        loaded = read()
        return loaded.config, [str(finding) for finding in loaded.errors]

    loaded = read()
    report(loaded)
    if loaded.errors:
        sys.exit(CONFIG_INVALID)
    serve(name or file.stem, loaded.config, sys.stderr, reread)


def serve(name: str, checked: dict, stream, load=None) -> None:
    """Run a service in the foreground until it ends, and exit with its code."""
    if sys.platform != "linux":
        fail("services run on Linux only")
    from laclet_linux.log import Log
    from laclet_linux.service import Service

    log = checked["log"]
    sys.exit(Service(name, checked, Log(log["level"], log["json"], stream, log["syslog"]), load).run())


@click.command()
@click.argument("name", required=False, shell_complete=services)
@port_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object: name to its status.")
def status(name: str | None, port: str | None, as_json: bool) -> None:
    """Show running services, or the one called NAME, or the board at PORT."""
    found = {port: of_board(port)} if port else of_services(name)
    if as_json:
        print_json(found)
        return
    if not found:
        fail("no service is running; a board is shown with --port")
    from ..screen import show

    click.echo(show(found))


@click.command()
@click.argument("name", required=False, shell_complete=services)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: name to its numbers.")
def stats(name: str | None, as_json: bool) -> None:
    """Show what running services, or the one called NAME, have carried and dropped, and what they cost."""
    found = of_services(name, "stats")
    if as_json:
        print_json(found)
        return
    if not found:
        fail("no service is running")
    from ..screen import numbers

    click.echo(numbers(found))


def of_services(name: str | None, what: str = "status") -> dict:
    """The status, or the stats, of all services that run, or of one: name to what it says."""
    from laclet_linux.control import running

    found = {}
    for each in [name] if name else running():
        try:
            found[each] = _ask(each, {"do": what})[what]
        except OSError as error:
            if name:
                fail(f"{name}: {absent(error)}")
    return found


def of_board(port: str) -> dict:
    """The status of a board, with its memory in ``stats``, and its ``version``."""
    from ..device.link import Link

    with Link(port) as link:
        return {name: link.get(f"show {name}") for name in ("stats", "version")} | link.get("show status")


@click.command()
@click.argument("service", shell_complete=services)
@click.argument("tunnel", required=False)
def up(service: str, tunnel: str | None) -> None:
    """Dial TUNNEL of a running SERVICE again, or all of its tunnels."""
    asked(service, {"do": "up", "name": tunnel})


@click.command()
@click.argument("service", shell_complete=services)
@click.argument("tunnel", required=False)
def down(service: str, tunnel: str | None) -> None:
    """Close TUNNEL of a running SERVICE, or all of its tunnels, until "laclet up"."""
    asked(service, {"do": "down", "name": tunnel})


@click.command()
@click.argument("name", required=False, shell_complete=services)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: name to what has changed.")
def reload(name: str | None, as_json: bool) -> None:
    """Let running services, or the one called NAME, read their files again.

    What has changed is made anew, all else goes on. A file that is wrong changes nothing.
    """
    from laclet_linux.control import running

    names = [name] if name else running()
    if not names:
        fail("no service is running")
    answers = {}
    for each in names:
        try:
            answers[each] = _ask(each, {"do": "reload"})
        except OSError as error:
            answers[each] = {"ok": False, "error": absent(error)}
    if as_json:
        print_json(answers)
    else:
        for each, answer in answers.items():
            for line in answer.get("changes", ()) or (["nothing has changed"] if answer["ok"] else ()):
                click.echo(f"{each}: {line}")
            if not answer["ok"]:
                click.echo(f"laclet: {each}: {answer['error']}", err=True)
    sys.exit(0 if all(answer["ok"] for answer in answers.values()) else FAILURE)


@click.command()
@click.argument("service", shell_complete=services)
def stop(service: str) -> None:
    """Let a running SERVICE close everything in order, and end."""
    asked(service, {"do": "stop"})


def asked(service: str, command: dict) -> dict:
    """The answer of a running service that did what it was told; ends in one line otherwise."""
    try:
        answer = _ask(service, command)
    except OSError as error:
        fail(f"{service}: {absent(error)}")
    if not answer["ok"]:
        fail(f"{service}: {answer['error']}")
    return answer


def _ask(service: str, command: dict) -> dict:
    from laclet_linux.control import ask

    return ask(service, command) or {}


def absent(error: OSError) -> str:
    """Why a service could not be asked."""
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return "no such service is running"
    if isinstance(error, PermissionError):
        return "belongs to somebody else; try as root"
    return error.strerror or str(error)
