"""The demo shows every step, in order, and ends well."""

import json
import subprocess
import sys

import pytest

from laclet_host.board.mpy import find_program

STEPS = ["lns", "board", "tunnel", "modem", "call", "lcp", "auth", "address", "traffic", "hang-up", "tear-down", "end"]


@pytest.mark.micropython
@pytest.mark.skipif(find_program("mpy-cross") is None, reason="mpy-cross is not installed")
def test_the_demo_shows_every_step():
    done = subprocess.run(
        [sys.executable, "-m", "laclet_host.demo", "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["step"] for step in steps] == STEPS
    facts = {step["step"]: step for step in steps}
    assert facts["address"]["remote"] == "10.99.0.1"
    assert len(facts["traffic"]["rtt_ms"]) == 5
