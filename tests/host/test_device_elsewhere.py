"""The tools for devices load, and list, where there is no epoll and no Linux: as far as that can be played here."""

import json
import subprocess
import sys

from clirun import environment

PROGRAM = """
import importlib, select, sys
for name in ("pty", "tty", "resource", "grp", "pwd"):
    sys.modules[name] = None
for name in dir(select):
    if "epoll" in name.lower():
        delattr(select, name)
for name in ("backup", "deploy", "devices", "flash", "update"):
    importlib.import_module("laclet_host.commands." + name)
for name in "batch deploy dfu esp files finding firmware flash link ports progress repl uf2 update backup".split():
    importlib.import_module("laclet_host.device." + name)
from laclet_host.cli import main
main(["devices", "-f", "name=nothing", "--json"])
"""


def test_nothing_of_linux_is_needed_to_load(tmp_path):
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_a_windows_port_is_no_path(monkeypatch):
    from laclet_host.board import known
    from laclet_host.device import ports

    monkeypatch.setattr(ports.os, "name", "nt")
    try:
        assert known.known() == {} and ports.address("COM3") == "COM3"
    finally:
        monkeypatch.undo()
