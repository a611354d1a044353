"""Devices are made: MicroPython, laclet and a configuration on a bare chip."""

import os
import sys
from pathlib import Path

import click

from ..ui import FAILURE, Trouble, fail, print_json
from .completion import boards
from .port import port_option, the_port


@click.command()
@click.argument("board", required=False, shell_complete=boards)
@port_option
@click.option("--volume", metavar="FOLDER", help="Where the volume of its UF2 bootloader is.  [default: found]")
@click.option("--image", type=click.Path(dir_okay=False, path_type=Path), help="MicroPython.  [default: the cache's]")
@click.option("--download", is_flag=True, help="Get the newest official MicroPython for it.")
@click.option("--sha256", metavar="HEX", help="What the image must have.")
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Its configuration (TOML or JSON).")
@click.option("--batch", type=click.Path(dir_okay=False, path_type=Path), help="Many boards: CSV or TOML, see docs.")
@click.option("--only", multiple=True, metavar="NAME", help="This one of the batch; may be repeated.")
@click.option("--jobs", default=8, show_default=True, help="Of a batch, at once.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write what was done there (JSON).")
@click.option("--keep-files", "keep", is_flag=True, help="Renew MicroPython only.")
@click.option("--baud", type=int, help="Speed to begin with.  [default: the board's]")
@click.option("--arch", metavar="ARCH", help="Of .mpy files.  [default: the board's]")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the one image to a file instead."
)
@click.option("--check/--no-check", default=True, help="Wait until it answers.  [default: check]")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before all is erased.")
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON object.")
def flash(image, download, sha256, config, batch, only, jobs, report, output, yes, as_json, **rest) -> None:
    """Make a device: MicroPython, laclet and its configuration in one go. Its files are erased.

    BOARD is a name of docs/boards.md; an ESP32 is found by its chip. What was written is compared, and written again at
    a lower speed if it is wrong. See docs/devices.md.
    """
    from ..device import files
    from ..device.firmware import given as given_image
    from ..device.flash import flash
    from ..device.job import Job
    from ..device.progress import shown

    given = files.read_config(config) if config else None
    source = _source(image, download, sha256, as_json)
    job = Job(source, config=given, **rest)
    if output is None and batch is None and job.volume is None and _needs_port(job.board):
        job = job._replace(port=the_port(job.port))
    if output is not None:
        _to_file(job, output, as_json)
        return
    if image is not None:
        given_image(image, sha256)  # what is wrong with it is said before anything is asked
    rows = []
    if batch is not None:
        from ..device.batch import read, run

        rows = [row for row in read(batch, job) if not only or row.name in only]
    if not (yes or job.keep):
        _warn(job.port or job.volume or ("the board" if batch is None else f"the boards of {batch}"))
    if batch is not None:
        with shown([row.name for row in rows], as_json) as teller:
            done = run(rows, jobs, teller)
        _summary(done, report, as_json)
        return
    with shown(["board"], as_json) as teller:
        done = flash(job, teller("board"))
    if report is not None:
        _write_report(report, [done])
    if as_json:
        print_json(done)
    else:
        where = done.get("port") or done.get("volume")
        name = f", it is {done['hostname']}" if "hostname" in done else ""
        click.echo(f"{where}: {done['board']} with {done['image']}, {done['bytes']} bytes in {done['seconds']} s{name}")


def _needs_port(board: str | None) -> bool:
    from ..device.files import board_named

    return board is None or board_named(board)["deploy_options"]["method"] == "esptool"


def _source(image, download, sha256, as_json):
    """Where ``flash`` gets MicroPython from; asked once for each kind of board."""
    from functools import cache
    from threading import Lock

    from ..device import firmware
    from ..device.progress import shown

    def asks(text: str) -> bool:
        return _somebody_is_there() and click.confirm(text + "; go on?", err=True)

    one_at_a_time = Lock()

    def source(board: str, suffix: str):
        with one_at_a_time:
            return found(board, suffix)

    @cache
    def found(board: str, suffix: str):
        if image is not None:
            return firmware.given(image, sha256)
        kept = None if download else firmware.cached(board, suffix)
        if kept is not None:
            return kept
        if not download and not asks(f"MicroPython for {board} is not in {firmware.cache()} and would be downloaded"):
            raise Trouble(f"no MicroPython for {board} in {firmware.cache()}; give --image FILE, or --download")
        with shown([board], as_json) as teller:
            return firmware.download(board, suffix, sha256, asks, teller(board))

    return source


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def _warn(what) -> None:
    if not _somebody_is_there():
        raise Trouble(f"all files on {what} would be erased; add --yes if that is right", 2)
    click.confirm(f"All files on {what} are erased, its configuration too (see laclet backup). Go on?", abort=True)


def _to_file(job, output: Path, as_json: bool) -> None:
    from ..device.flash import image_for
    from ..device.progress import shown

    if job.board is None:
        raise Trouble("which board? name it before --output", 2)
    with shown([job.board], as_json) as teller:
        name, data = image_for(job, teller(job.board))
    # It holds the secrets of its configuration.
    with open(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600), "wb") as file:
        file.write(data)
    if as_json:
        print_json({"file": str(output), "board": job.board, "image": name, "bytes": len(data)})
    else:
        click.echo(f"{output}: {job.board} with {name}, {len(data)} bytes")


def _summary(done: list[dict], report: Path | None, as_json: bool) -> None:
    """What became of a batch."""
    if report is not None:
        _write_report(report, done)
    if as_json:
        print_json({"devices": done})
    else:
        from ..device.batch import table

        table(done)
    failed = sum(not each["ok"] for each in done)
    if failed:
        fail(
            f"{failed} of {len(done)} boards failed; see above; mend them, then run it again with --only NAME", FAILURE
        )


def _write_report(path: Path, done: list[dict]) -> None:
    import json

    path.write_text(json.dumps({"devices": done}, indent=2) + "\n")
