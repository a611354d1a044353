"""The README's own words: its files are right, its commands exist, and its way to a first ping works."""

import json
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from clirun import ROOT, Service, laclet
from linuxns import in_namespace

from laclet_host.cli import main
from laclet_host.config import load

README = (ROOT / "README.md").read_text(encoding="utf-8")
CLIENT, SECRETS = re.findall(r"```toml\n(.*?)```", README, re.S)
LINUX = README.split("## Use it on Linux")[1].split("\n## ")[0]
COMMANDS = [shlex.split(line) for line in re.findall(r"^    (laclet .*)$", README, re.M)]


def write(folder):
    (folder / "home.toml").write_text(CLIENT)
    (folder / "secrets.toml").touch(0o600)
    (folder / "secrets.toml").write_text(SECRETS)
    return folder / "home.toml"


def test_files_are_right(tmp_path):
    loaded = load(write(tmp_path))
    assert loaded.errors == [] and loaded.warnings == []


def test_links_lead_somewhere():
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert targets and [target for target in targets if not (ROOT / target).exists()] == []
    programs = re.findall(r"^    (?:sh )?((?:tools|\.ci)/\w+)", README, re.M)
    assert programs and [each for each in programs if not Path(ROOT / each).exists()] == []


# Two blanks or more stand before what is said of a command.
MANUALS = "\n".join((ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("tools", "devices"))
TAUGHT = [shlex.split(line.split(" < ")[0]) for line in re.findall(r"^    (laclet \S.*?)(?:  .*)?$", MANUALS, re.M)]


@pytest.mark.parametrize("words", [*COMMANDS, *TAUGHT], ids=" ".join)
def test_commands_exist(words):
    """Each command with its own options; ``--help`` at its end keeps it from doing anything."""
    result = CliRunner().invoke(main, [*words[1:], "--help"])
    assert result.exit_code == 0, result.output


@in_namespace
def test_way_to_the_first_ping(tmp_path):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    write(tmp_path)
    run_dir = tmp_path / "run"
    waiting = [shlex.split(line)[1:] for line in re.findall(r"^    (laclet .*)$", LINUX, re.M)]
    lns = Service(run_dir, *waiting.pop(0), "--json")
    lns.wait_for("listening")
    check = laclet(run_dir, *waiting.pop(0), cwd=tmp_path)
    assert check.returncode == 0, check.stderr
    home = Service(run_dir, *waiting.pop(0), "--log-json", cwd=tmp_path)
    home.wait_for("call.home: up: address 10.64.64.2, peer 10.64.64.1")
    for words in waiting:
        done = laclet(run_dir, *words)
        assert done.returncode == 0, (words, done.stderr)
        if words[0] == "status":
            assert "interface: lab0" in done.stdout
        elif words[0] == "up":
            home.wait_for("call.home: up: address")
    assert waiting[-1][0] == "stop" and home.end() == 0
    assert json.loads(laclet(run_dir, "status", "--json").stdout).keys() == {"lns"}
    assert lns.end(signal.SIGINT) == 5
