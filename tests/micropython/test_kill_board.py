"""A board killed 1,000 times, at random moments of its boots, saves and updates: it always works again."""

import json
import os
import subprocess
import sys
from pathlib import Path

from test_core import FOLDERS, RUNNER, pytestmark, rom  # noqa: F401 (the fixture, and what it needs)

from laclet_host.board import launch

KILLS = 1000
FLASH = 1 << 20  # bytes
TIMEOUT = 400  # s; a tenth of it is enough on an idle machine
HOME = Path(__file__).resolve().parents[2]


def test_a_board_is_killed_a_thousand_times_and_works(rom, tmp_path):  # noqa: F811
    flash = tmp_path / "flash.img"
    flash.write_bytes(b"\xff" * FLASH)
    paths = [str(RUNNER), "/rom", *(f"/rom/{Path(name).name}" for name in FOLDERS), launch.MICRO, ".frozen"]
    environment = {
        **os.environ,
        "LACLET_ROM": str(rom),
        "MICROPYPATH": ":".join(paths),
        "PYTHONPATH": f"{HOME / 'host'}:{HOME / 'firmware'}",
    }
    command = [sys.executable, str(RUNNER / "killer.py"), str(flash), str(KILLS), "4"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told.get("kills") == KILLS, told.get("said")
    assert told["saves"] > 100 and told["updates"] > 20 and told["in_boot"] > 20, told
