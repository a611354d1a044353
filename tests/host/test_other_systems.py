"""The tools start where there is no Linux: what macOS and Windows lack is taken away from this one."""

import json
import subprocess
import sys

import pytest
from clirun import environment

# Other people's modules know the system that they are loaded on.
LOAD = "import click, rich.table, serial, serial.tools.list_ports, serial.tools.miniterm, tomlkit\n"
# What is run first: modules and names that the system does not have.
MACOS = """
import select, sys
for name in [name for name in dir(select) if "epoll" in name.lower()]: delattr(select, name)
sys.platform = "darwin"
"""
WINDOWS = """
import os, select, signal, socket, sys
for name in [name for name in dir(select) if "poll" in name.lower()]: delattr(select, name)
for name in ("geteuid", "getuid", "openpty", "fork", "mkfifo"): delattr(os, name)
for name in ("AF_UNIX", "SOCK_NONBLOCK", "SOCK_CLOEXEC"): delattr(socket, name)
for name in ("pty", "tty", "grp", "pwd", "resource"): sys.modules[name] = None
sys.platform = "win32"
"""
RUN = """
sys.argv[0] = "laclet"
from laclet_host.cli import main
main()
"""


@pytest.mark.parametrize("system", [MACOS, WINDOWS], ids=["macOS", "Windows"])
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 0, "Commands:"),
        (["status"], 1, "no service is running; a board is shown with --port"),
        (["status", "home"], 1, "laclet: home: "),
        (["logs", "home"], 1, "laclet: home: "),
        (["run", "none.toml"], 3, "none.toml:1: No such file or directory"),
        (["devices", "--no-ask", "--json"], 0, "["),
        (["config", "pull", "--port", "socket://127.0.0.1:1"], 4, "is the far end running?"),
        (["console", "--port", "socket://127.0.0.1:1", "help"], 4, "is the far end running?"),
        (["completion", "fish"], 0, "_LACLET_COMPLETE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_ends_as_it_should(tmp_path, system, words, code, said):
    done = subprocess.run(
        [sys.executable, "-c", LOAD + system + RUN, *words],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=tmp_path,
    )
    assert "Traceback" not in done.stderr and said in done.stdout + done.stderr, done.stderr
    # Without any device "devices" ends with 4, and says [] all the same.
    assert done.returncode == code or (words[0] == "devices" and json.loads(done.stdout) == [])
