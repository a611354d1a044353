"""The ``laclet`` command. Every import that is not needed for ``--help`` waits until its command runs."""

import sys
from pathlib import Path

import click

from laclet import __version__

# Exit codes of tools; ``laclet run`` has those of its service besides.
FAILURE = 1
CONFIG_INVALID = 3
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="laclet")
def main() -> None:
    """L2TP and PPP at the customer's premises: LAC, LAC client and LNS."""


def fail(text: str, code: int = FAILURE) -> None:
    """End with one line on stderr."""
    click.echo(f"laclet: {text}", err=True)
    sys.exit(code)


def _print_json(value) -> None:
    import json

    click.echo(json.dumps(value))


# -- configuration ------------------------------------------------------------------------------------


@main.group()
def config() -> None:
    """Look at configuration files."""


@config.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print findings and configuration as one JSON object.")
def config_check(file: Path, as_json: bool) -> None:
    """Check FILE and its secrets, and name everything that is wrong. JSON files are for boards."""
    from laclet.node.config import hide

    from .config import load

    loaded = load(file)
    if as_json:
        findings = {
            "file": str(file),
            "ok": not loaded.errors,
            "errors": [each._asdict() for each in loaded.errors],
            "warnings": [each._asdict() for each in loaded.warnings],
            "config": None if loaded.errors else hide(loaded.config),
        }
        _print_json(findings)
    else:
        _report(loaded)
        if not loaded.errors:
            click.echo(f"{file}: good")
    sys.exit(CONFIG_INVALID if loaded.errors else 0)


def _report(loaded) -> None:
    for finding in loaded.warnings:
        click.echo(f"warning: {finding}", err=True)
    for finding in loaded.errors:
        click.echo(str(finding), err=True)


# -- services -----------------------------------------------------------------------------------------


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the service.  [default: that of the file]")
@click.option("--log-level", type=click.Choice(["error", "warning", "info", "debug"]), help="Instead of log.level.")
@click.option("--log-json", is_flag=True, help="One JSON object a line, as log.json does.")
def run(file: Path, name: str | None, log_level: str | None, log_json: bool) -> None:
    """Bring up what FILE (TOML) describes, and stay in the foreground.

    Exit codes are those of pppd: 0 stopped by "laclet stop", 5 by a signal, 7 nothing could be opened, 8 no connection,
    10 negotiation failed, 16 hung up, 19 authentication failed. 3: the configuration is not valid.
    """
    from .config import load

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
    _report(loaded)
    if loaded.errors:
        sys.exit(CONFIG_INVALID)
    _serve(name or file.stem, loaded.config, sys.stderr, reread)


@main.command()
@click.option("--listen", default="127.0.0.1:1701", show_default=True, help="Address and port.")
@click.option("--user", "users", multiple=True, metavar="NAME:PASSWORD", help="A caller; may be repeated.")
@click.option("--user-file", type=click.File(), help="File of NAME:PASSWORD lines.")
@click.option("--auth", help='Protocols asked for, "chap,pap"; "none" for no log-in.  [default: chap,pap with users]')
@click.option("--secret-file", type=click.File(), help="File with the tunnel secret.")
@click.option("--address", default="10.64.64.1", show_default=True, help="Our end of each link.")
@click.option("--pool", default="10.64.64.2-10.64.64.254", show_default=True, help="Addresses for callers.")
@click.option("--dns", multiple=True, help="A name server for callers; may be repeated.")
@click.option(
    "--interface",
    type=click.Choice(["echo", "tun"]),
    default="echo",
    show_default=True,
    help="echo answers pings only; tun makes interfaces, as root.",
)
@click.option("--name", default="lns", show_default=True, help="Name of the service.")
@click.option("--log-level", type=click.Choice(["error", "warning", "info", "debug"]), default="info")
@click.option("--json", "as_json", is_flag=True, help="Events on stdout, one JSON object a line.")
def lns(listen, users, user_file, auth, secret_file, address, pool, dns, interface, name, log_level, as_json) -> None:
    """A test LNS in the foreground. Without users, anybody may call. Needs no root."""
    from laclet.node.config import check

    table = dict(_user(line) for line in [*users, *_lines(user_file)])
    section = {
        "listen": listen,
        "address": address,
        "pool": pool,
        "dns": list(dns),
        "interface": interface,
        "users": table,
        "auth": _auth(auth, table),
    }
    if secret_file is not None:
        section["tunnel_secret"] = secret_file.read().strip()
    checked, problems = check({"lns": section})
    if problems:
        for path, what, mend in problems:
            click.echo(f"laclet: --{path[1].replace('_', '-') if len(path) > 1 else 'user'}: {what}; {mend}", err=True)
        sys.exit(CONFIG_INVALID)
    checked["log"].update(level=log_level, json=as_json)
    _serve(name, checked, sys.stdout if as_json else sys.stderr)


def _user(line: str) -> tuple[str, str]:
    name, colon, password = line.strip().partition(":")
    if not colon:
        raise click.UsageError("a user is NAME:PASSWORD")  # and not what it is instead: that may be a password
    return name, password


def _lines(file) -> list[str]:
    return [line for line in file if line.strip() and not line.startswith("#")] if file is not None else []


def _auth(given: str | None, users: dict) -> list[str]:
    if given is None:
        return ["chap", "pap"] if users else []
    return [] if given == "none" else [word.strip() for word in given.split(",")]


def _serve(name: str, checked: dict, stream, load=None) -> None:
    if sys.platform != "linux":
        fail("services run on Linux only")
    from laclet_linux.log import Log
    from laclet_linux.service import Service

    log = checked["log"]
    sys.exit(Service(name, checked, Log(log["level"], log["json"], stream), load).run())


@main.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: service name to its status.")
def status(name: str | None, as_json: bool) -> None:
    """Show running services, or the one called NAME."""
    from laclet_linux.control import running

    found = {}
    for each in [name] if name else running():
        try:
            found[each] = _ask(each, {"do": "status"})["status"]
        except OSError as error:
            if name:
                fail(f"{name}: {_absent(error)}")
    if as_json:
        _print_json(found)
        return
    if not found:
        fail("no service is running")
    from .screen import show

    click.echo(show(found))


@main.command()
@click.argument("service")
@click.argument("tunnel", required=False)
def up(service: str, tunnel: str | None) -> None:
    """Dial TUNNEL of a running SERVICE again, or all of its tunnels."""
    _command(service, {"do": "up", "name": tunnel})


@main.command()
@click.argument("service")
@click.argument("tunnel", required=False)
def down(service: str, tunnel: str | None) -> None:
    """Close TUNNEL of a running SERVICE, or all of its tunnels, until "laclet up"."""
    _command(service, {"do": "down", "name": tunnel})


@main.command()
@click.argument("name", required=False)
def reload(name: str | None) -> None:
    """Let running services, or the one called NAME, read their files again.

    What has changed is made anew, all else goes on. A file that is wrong changes nothing.
    """
    from laclet_linux.control import running

    names = [name] if name else running()
    if not names:
        fail("no service is running")
    failed = False
    for each in names:
        try:
            answer = _ask(each, {"do": "reload"})
        except OSError as error:
            answer = {"ok": False, "error": _absent(error)}
        for line in answer.get("changes", ()) or (["nothing has changed"] if answer["ok"] else ()):
            click.echo(f"{each}: {line}")
        if not answer["ok"]:
            failed = True
            click.echo(f"laclet: {each}: {answer['error']}", err=True)
    sys.exit(FAILURE if failed else 0)


@main.command()
@click.argument("service")
def stop(service: str) -> None:
    """Let a running SERVICE close everything in order, and end."""
    _command(service, {"do": "stop"})


def _command(service: str, command: dict) -> None:
    try:
        answer = _ask(service, command)
    except OSError as error:
        fail(f"{service}: {_absent(error)}")
        return
    if not answer["ok"]:
        fail(f"{service}: {answer['error']}")


def _ask(service: str, command: dict) -> dict:
    from laclet_linux.control import ask

    return ask(service, command)


def _absent(error: OSError) -> str:
    """Why a service could not be asked."""
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return "no such service is running"
    if isinstance(error, PermissionError):
        return "belongs to somebody else; try as root"
    return error.strerror or str(error)


if __name__ == "__main__":
    main()
