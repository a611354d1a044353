"""What is to be flashed, and with what."""

from collections.abc import Callable
from typing import NamedTuple

from . import files
from .firmware import Image


class Job(NamedTuple):
    """One board to be flashed."""

    image: Callable[[str, str], Image]  # (name of the board, suffix) -> MicroPython's image; raises Trouble
    port: str | None = None
    volume: str | None = None  # of a UF2 bootloader
    board: str | None = None  # a name of boards/; None: found by the chip
    config: files.Config | None = None
    keep: bool = False  # write MicroPython only, and leave the files there as they are
    baud: int | None = None
    arch: str | None = None  # of the .mpy files, instead of the board's own
    check: bool = True  # wait until it answers
