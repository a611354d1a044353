"""Captures of services and devices, into a file or live into Wireshark."""

import sys
from pathlib import Path

import click

from ..ui import Trouble
from .port import port_option, the_port


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("service", required=False)
@port_option
@click.option("-o", "--output", metavar="FILE", help="pcapng file; - for stdout.  [default: SERVICE.pcapng]")
@click.option("--call", metavar="NAME", help="Of a device: the PPP frames of this call only.")
@click.option("--scrub", is_flag=True, help="Take out passwords, and answers from which one could be guessed.")
@click.option(
    "--keys", metavar="FILE", help="Of a service: write the keys of IPsec there, as preferences of Wireshark."
)
@click.option("--ppp", "only_ppp", is_flag=True, help="PPP frames only (link type 204), without the datagrams.")
@click.option("-c", "--count", type=click.IntRange(1), help="End after so many frames.")
@click.option("--extcap-install", is_flag=True, help="Make services and devices interfaces of Wireshark, and end.")
@click.option("--extcap", is_flag=True, hidden=True)
@click.pass_context
def capture(ctx, service, port, output, call, scrub, keys, only_ppp, count, extcap_install, extcap) -> None:
    """Capture what a running SERVICE, or the device at --port, sends and receives, until Ctrl-C.

    The file has each L2TP datagram, and each PPP frame. Packets that a service has the kernel or the userspace plane
    move are not in it: data_plane = "stream" shows them too. "laclet explain FILE" tells what happened.
    """
    from ..capture import extcap as wireshark

    if extcap_install:
        for folder in wireshark.folders():
            click.echo(f"installed {wireshark.install(folder)}")
        return
    if extcap:
        service, port, output = _for_wireshark(wireshark, ctx.args, service)
    elif ctx.args:
        raise click.UsageError(f"no such option: {ctx.args[0]}")
    if service and port:
        raise click.UsageError("either a SERVICE or --port")
    if not service and not port:
        service = _the_service()
    name = service or the_port(port)
    output = output or Path(name).name + ".pcapng"
    written, lost = _capture(service, name, output, call, scrub, keys, only_ppp, count, extcap)
    if not extcap:  # Wireshark takes every word on stderr for an error
        where = "" if output == "-" else f" in {output}"
        click.echo(f"{written} frames{where}" + (f", {lost} lost on the way" if lost else ""), err=True)


def _for_wireshark(wireshark, arguments, first):
    """``(service, port, fifo)`` of a capture that Wireshark wants; ends when it only asks something."""
    words = [first, *arguments] if first else arguments
    answer = wireshark.answer(words)
    if answer is not None:
        click.echo(answer)
        sys.exit(0)
    wanted = {each: words[i + 1] for i, each in enumerate(words[:-1]) if each.startswith("--")}
    if "--extcap-interface" not in wanted or "--fifo" not in wanted:
        raise click.UsageError("Wireshark gives --extcap-interface and --fifo with --capture")
    return (*wireshark.place(wanted["--extcap-interface"]), wanted["--fifo"])


def _the_service() -> str | None:
    """The only running service; None when there is none: then it is a device."""
    if sys.platform != "linux":
        return None
    from laclet_linux.control import running

    found = running()
    if len(found) > 1:
        raise Trouble(f"several services run; choose one: {', '.join(found)}")
    return found[0] if found else None


def _capture(service, name, output, call, scrub, keys, only_ppp, count, quiet) -> tuple[int, int]:
    """Frames written and lost."""
    from ..capture.record import Recorder, private, record
    from ..capture.source import from_board, from_service

    items = from_service(service, keys is not None) if service else from_board(name, call, only_ppp)
    try:
        begun = next(items)
    except (FileNotFoundError, ConnectionRefusedError):
        raise Trouble(f"{name}: no such service is running") from None
    key_file = private(keys, "w") if keys else None
    file = sys.stdout.buffer if output == "-" else private(output, "wb")
    recorder = Recorder(file, scrub, key_file, only_ppp, count)
    recorder.write(begun)
    if not quiet:
        click.echo(f"capturing {name}; Ctrl-C ends it", err=True)
    try:
        record(items, recorder)
    except KeyboardInterrupt:
        pass
    finally:
        items.close()
    return recorder.written, recorder.lost
