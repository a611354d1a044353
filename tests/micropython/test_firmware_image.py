"""Real firmware in an emulator: MicroPython for the Pico W in rp2040py, with our code on its flash.

LACLET_UF2 is the path of an image, RPI_PICO_W-….uf2. Nobody ships one by a package index, so without it these tests are
skipped by name; where nothing may be skipped (LACLET_REQUIRE_ALL=1) they are deselected: see conftest.py.
"""

import os
import subprocess
from pathlib import Path

import pytest

from laclet_host.board import mpy

UF2 = os.environ.get("LACLET_UF2")
TIMEOUT = 900  # s; the emulator is some hundred times slower than the chip
FLASH = {"block_size": 4096, "block_count": 212, "prog_size": 256}  # of a Pico W: 848 KiB
pytestmark = [
    pytest.mark.firmware,
    pytest.mark.skipif(not UF2, reason="LACLET_UF2 names no image of MicroPython for the Pico W"),
]


@pytest.fixture(scope="module")
def flash(tmp_path_factory):
    """A file system with what ships, compiled for the chip."""
    littlefs = pytest.importorskip("littlefs", reason="littlefs is missing: pip install littlefs-python")
    folder = tmp_path_factory.mktemp("pico")
    mpy.build(folder / "lib", "armv6m")
    image = littlefs.LittleFS(**FLASH, disk_version=0x00020000)
    for path in sorted((folder / "lib").rglob("*")):
        name = "/lib/" + path.relative_to(folder / "lib").as_posix()
        if path.is_dir():
            image.makedirs(name, exist_ok=True)
        else:
            image.makedirs(str(Path(name).parent), exist_ok=True)
            with image.open(name, "wb") as file:
                file.write(path.read_bytes())
    for name in ("boot.py", "main.py"):
        with image.open("/" + name, "w") as file:
            file.write((mpy.source_root() / "laclet_mcu" / "files" / name).read_text())
    (folder / "flash.img").write_bytes(bytes(image.context.buffer))
    return folder / "flash.img"


def emulate(flash, *expected):
    """Boot until all of this was said."""
    command = [
        mpy.find_program("rp2040py"),
        "micropython",
        "--board",
        "pico_w",
        "--image",
        UF2,
        "--littlefs",
        str(flash),
    ]
    for text in expected:
        command += ["--expect-text", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_a_pico_boots_to_its_console(flash):
    emulate(flash, "Enter for the console", "/config.json: is missing")
