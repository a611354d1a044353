"""Progress on a terminal, in a file, and for programs."""

import os
import pty
import subprocess
import sys

from clirun import environment

PROGRAM = """
import sys
from laclet_host.device.progress import shown
names = ["cpe-1", "[cpe-2]"]
with shown(names, sys.argv[1] == "silent") as teller:
    one, two = map(teller, names)
    for percent in (0.0, 50.0, 100.0):
        one("writing", percent)
        two("comparing", None)
    two("failed: /dev/ttyUSB1: MD5 of file does not match data in flash; try again, with a shorter cable", None)
"""
FAILED = "[cpe-2]: failed: /dev/ttyUSB1: MD5 of file does not match data in flash; try again, with a shorter cable"


def said(tmp_path, how):
    command = [sys.executable, "-c", PROGRAM, how]
    return subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=True)


def test_a_line_for_each_new_thing(tmp_path):
    assert said(tmp_path, "").stderr.splitlines() == ["cpe-1: writing", "[cpe-2]: comparing", FAILED]


def test_programs_see_nothing(tmp_path):
    done = said(tmp_path, "silent")
    assert done.stderr == done.stdout == ""


def test_bars_on_a_terminal(tmp_path):
    master, slave = pty.openpty()
    environ = {**environment(tmp_path), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, ""], env=environ, stderr=slave)
    os.close(slave)
    text = b""
    try:
        while piece := os.read(master, 4096):
            text += piece
    except OSError:  # its end has been closed
        pass
    os.close(master)
    assert process.wait() == 0
    shown = text.decode()
    assert "cpe-1: writing" in shown and "100%" in shown and FAILED in shown and "[cpe-2]: failed " in shown
