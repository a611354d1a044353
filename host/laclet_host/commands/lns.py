"""The test LNS on the desk."""

import sys

import click

from ..ui import CONFIG_INVALID
from .service import serve


@click.command()
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
    serve(name, checked, sys.stdout if as_json else sys.stderr)


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
