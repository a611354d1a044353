"""The test LNS on the desk."""

import sys

import click

from ..ui import CONFIG_INVALID, Trouble, fail, print_json
from .completion import services


@click.command()
@click.option("--listen", default="127.0.0.1:1701", show_default=True, help="Address and port.")
@click.option("--user", "users", multiple=True, metavar="NAME:PASSWORD", help="A caller; may be repeated.")
@click.option("--user-file", type=click.File(), help="File of NAME:PASSWORD lines.")
@click.option("--auth", help='Protocols asked for, "chap,pap"; "none" for no log-in.  [default: chap,pap with users]')
@click.option("--secret-file", type=click.File(), help="File with the tunnel secret.")
@click.option("--radius", metavar="HOST[:PORT]", help="A RADIUS server judges log-ins, instead of users.")
@click.option("--radius-secret-file", type=click.File(), help="File with the secret shared with it.")
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
@click.option("--fault", "faults", multiple=True, metavar="FAULT", help='What goes wrong, as "laclet fault" takes it.')
@click.option("--script", type=click.File(), help="File of faults to come: a line each, SECONDS FAULT.")
@click.option("--seed", type=int, help="Of the dice that faults throw: the same ones again.")
@click.option("--name", default="lns", show_default=True, help="Name of the service.")
@click.option("--log-level", type=click.Choice(["error", "warning", "info", "debug"]), default="info")
@click.option("--json", "as_json", is_flag=True, help="Events on stdout, one JSON object a line.")
def lns(
    listen, users, user_file, auth, secret_file, radius, radius_secret_file, address, pool, dns, interface, faults,
    script, seed, name, log_level, as_json,
) -> None:  # fmt: skip
    """A test LNS in the foreground. Without users, anybody may call. Needs no root.

    What it, and the network below it, does to a device: --fault, --script, and "laclet fault" while it runs.
    """
    from laclet.node.config import check

    table = dict(_user(line) for line in [*users, *_lines(user_file)])
    section = {
        "listen": listen,
        "address": address,
        "pool": pool,
        "dns": list(dns),
        "interface": interface,
        "users": table,
        "auth": _auth(auth, table or radius),
    }
    if radius:
        section["radius"] = radius
    if radius_secret_file is not None:
        section["radius_secret"] = radius_secret_file.read().strip()
    if secret_file is not None:
        section["tunnel_secret"] = secret_file.read().strip()
    checked, problems = check({"lns": section})
    if problems:
        for path, what, mend in problems:
            click.echo(f"laclet: --{path[1].replace('_', '-') if len(path) > 1 else 'user'}: {what}; {mend}", err=True)
        sys.exit(CONFIG_INVALID)
    if sys.platform != "linux":
        fail("services run on Linux only")
    from laclet_linux.log import Log

    from ..desk.faults import BadFault, Faults, parse, read_script
    from ..desk.lns import DeskLns

    log = Log(log_level, as_json, sys.stdout if as_json else sys.stderr)
    try:
        plan = [(0.0, text) for text in faults if parse(text)] + read_script(script or ())
    except BadFault as error:
        raise Trouble(str(error), CONFIG_INVALID) from None
    sys.exit(DeskLns(name, checked, log, Faults(seed), plan).run())


@click.command()
@click.argument("service", shell_complete=services)
@click.argument("faults", metavar="FAULT...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="What holds, as one JSON list.")
def fault(service: str, faults: tuple[str, ...], as_json: bool) -> None:
    """Let something go wrong at the running test LNS called SERVICE; without a FAULT, show what holds.

    \b
    loss 30, duplicate 5, reorder 10, corrupt 2     per cent of the datagrams, each way
    delay 50, jitter 20                             ms
    drop-after 100, silent                          nothing is answered any more
    refuse-tunnel 4, refuse-call 2                  with these results of StopCCN and CDN
    wrong-password                                  every log-in is refused
    renegotiate, hang-up                            every call, once
    calm                                            all is well again
    """
    from .service import asked

    answer = asked(service, {"do": "fault", "faults": _joined(faults)})
    if as_json:
        print_json(answer["faults"])
    elif not faults:
        click.echo("\n".join(answer["faults"]) or "nothing is wrong")


def _joined(words: tuple[str, ...]) -> list[str]:
    """Faults out of words: a number belongs to the word before it."""
    found: list[str] = []
    for word in " ".join(words).split():
        if word.lstrip("-").isdigit() and found:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def _user(line: str) -> tuple[str, str]:
    name, colon, password = line.strip().partition(":")
    if not colon:
        raise click.UsageError("a user is NAME:PASSWORD")  # and not what it is instead: that may be a password
    return name, password


def _lines(file) -> list[str]:
    return [line for line in file if line.strip() and not line.startswith("#")] if file is not None else []


def _auth(given: str | None, users) -> list[str]:
    if given is None:
        return ["chap", "pap"] if users else []
    return [] if given == "none" else [word.strip() for word in given.split(",")]
