"""A virtual board in the foreground."""

import re
import signal
import tempfile
from pathlib import Path

import click

from ..ui import DEVICE_ABSENT, fail, print_json


def _size(ctx, option, value: str) -> str:
    if not re.fullmatch(r"[1-9]\d*[KM]?", value):
        raise click.BadParameter(f"{value!r} is no size; write it like 192K, or 1M")
    return value


@click.command()
@click.argument("name", default="virtual")
@click.option("--flash", type=click.Path(dir_okay=False, path_type=Path), help="Keep its flash in this file.")
@click.option("--heap", default="256K", show_default=True, callback=_size, help="Size of its heap.")
@click.option("--json", "as_json", is_flag=True, help="Its name and ports as one JSON object.")
def virtual(name: str, flash: Path | None, heap: str, as_json: bool) -> None:
    """A board without hardware: real MicroPython with laclet, flash, console and one UART, until Ctrl-C.

    Tools call it by its NAME: laclet console --port virtual. Without --flash it forgets all at its end.
    """
    from ..board.known import announced
    from ..board.mpy import CompileError
    from ..board.virtual import BoardError, VirtualBoard

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="laclet-virtual-") as folder:
        try:
            rom = rom_image(Path(folder))
            flash = flash or Path(folder) / "flash.img"
            if not flash.exists():
                flash.write_bytes(as_delivered())
            elif not _is_flash(flash):
                fail(f"{flash}: is no flash of a board, and would be formatted; name a file that is not there yet")
            board = VirtualBoard(flash=flash, rom=rom, heap=heap)
        except (BoardError, CompileError) as error:
            fail(str(error))
        except ImportError as error:
            fail(f"{error.name} is missing: pip install 'laclet[demo]'")
        try:
            with announced(name, board), board:
                _tell(name, board, as_json)
                board.wait(lambda board: not board.powered, None)
                fail("its MicroPython has ended", DEVICE_ABSENT)
        except KeyboardInterrupt:
            pass  # that is how it is switched off
        except (BoardError, FileExistsError) as error:
            fail(str(error))
        finally:
            board.stop()


def _is_flash(path: Path) -> bool:
    """True for a LittleFS, one of whose first two blocks says so, and for a flash that is blank."""
    from ..board.virtual import BLOCK

    with path.open("rb") as file:
        first = file.read(2 * BLOCK)
    magic = {first[at + 8 : at + 16] for at in (0, BLOCK)}
    return path.stat().st_size % BLOCK == 0 and (b"littlefs" in magic or (bool(first) and not first.strip(b"\xff")))


def rom_image(folder: Path) -> Path:
    """A ROM image with laclet in it."""
    from ..board import mpy

    mpy.build(folder / "tree" / "lib")
    rom = folder / "rom.img"
    rom.write_bytes(mpy.romfs(folder / "tree"))
    return rom


def as_delivered() -> bytes:
    """A flash with the files that start laclet, and no configuration."""
    import littlefs

    from ..board.mpy import source_root
    from ..board.virtual import BLOCK, BLOCKS

    image = littlefs.LittleFS(block_size=BLOCK, block_count=BLOCKS, prog_size=256)
    for name in ("boot.py", "main.py"):
        with image.open("/" + name, "w") as file:
            file.write((source_root() / "laclet_mcu" / "files" / name).read_text("utf-8"))
    return bytes(image.context.buffer)


def _tell(name: str, board, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "port": board.port, "uarts": board.uarts})
        return
    click.echo(f"virtual board {name}: console {board.port}, UART 1 {board.uarts[1]}; Ctrl-C switches it off")
    click.echo(f"configure it: laclet config wizard --port {name}")
