"""``laclet config wizard``: every role by its questions, wrong answers asked again, passwords not shown."""

import fcntl
import os
import pty
import select
import stat
import subprocess
import sys
import termios
import time
import tomllib

import pytest
from clirun import environment, laclet
from deskboard import laclet_board, needs_micropython, rom

from laclet_host.config import load
from laclet_host.device.link import Link

WIRE = {"baud": 115200, "flow": "none", "modem": "none"}
ROLES = {
    "client": (
        "\nlns.example.net\n\ncpe-17\nwonder\n",
        {"tunnel": {"lns": {"server": "lns.example.net"}}, "call": {"home": {"tunnel": "lns", "username": "cpe-17"}}},
        {"call": {"home": {"password": "wonder"}}},
    ),
    "lac": (
        "lac\n192.0.2.1\ngeheim\n/dev/ttyS1\n\nrtscts\ndial\n555\n",
        {
            "tunnel": {"lns": {"server": "192.0.2.1"}},
            "line": {
                "port": {"device": "/dev/ttyS1", "baud": 115200, "flow": "rtscts", "modem": "dial", "number": "555"}
            },
            "call": {"home": {"tunnel": "lns", "line": "port"}},
        },
        {"tunnel": {"lns": {"tunnel_secret": "geheim"}}},
    ),
    "a wire": (
        "lac\n192.0.2.1\n\n\n\n\n\n",
        {
            "tunnel": {"lns": {"server": "192.0.2.1"}},
            "line": {"port": {**WIRE, "device": "/dev/ttyUSB0"}},
            "call": {"home": {"tunnel": "lns", "line": "port"}},
        },
        {},
    ),
    "lns": (
        "lns\n\n\n\nann\nx\nbob\ny\n\n",
        {"lns": {"address": "10.64.64.1", "pool": "10.64.64.2-10.64.64.254"}},
        {"lns": {"users": {"ann": "x", "bob": "y"}}},
    ),
    "lns for anybody": (
        "lns\n\n\n\n\n",
        {"lns": {"address": "10.64.64.1", "pool": "10.64.64.2-10.64.64.254", "auth": []}},
        {},
    ),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_by_its_questions(tmp_path, role):
    answers, tree, secrets = ROLES[role]
    file, beside = tmp_path / "new.toml", tmp_path / "secrets.toml"
    done = laclet(tmp_path, "config", "wizard", file, input=answers)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith(f"{file}: written; laclet run {file}\n") and done.stdout == ""
    assert tomllib.loads(file.read_text()) == tree
    assert (tomllib.loads(beside.read_text()) if beside.exists() else {}) == secrets
    assert not beside.exists() or stat.S_IMODE(beside.stat().st_mode) == 0o600
    loaded = load(file)
    assert loaded.errors == [] and loaded.warnings == []


def test_wrong_answers_are_named_and_asked_again(tmp_path):
    file = tmp_path / "new.toml"
    answers = "router\nclient\n\nlns example\n192.0.2.1:99999\n192.0.2.1\n\ncpe\n\npw\n"
    done = laclet(tmp_path, "config", "wizard", file, input=answers)
    assert done.returncode == 0, done.stderr
    assert "Please select one of the available options" in done.stderr
    assert done.stderr.count("is not a host with an optional port") == 2
    assert done.stderr.count("an answer is needed") == 2
    assert tomllib.loads(file.read_text())["tunnel"] == {"lns": {"server": "192.0.2.1"}}


def test_options_are_answers(tmp_path):
    file = tmp_path / "new.toml"
    words = ("config", "wizard", file, "--role", "client", "--server")
    done = laclet(tmp_path, *words, "a b", input="\n")
    assert done.returncode == 2 and done.stderr.startswith(
        'laclet: --server: "a b" is not a host with an optional port;'
    )
    done = laclet(tmp_path, *words, "192.0.2.1", "--username", "me", input="\n")
    assert done.returncode == 2 and done.stderr.endswith("laclet: nobody answered: Password\n") and not file.exists()
    done = laclet(tmp_path, *words, "192.0.2.1", "--username", "me", input="\npw\n")
    assert done.returncode == 0 and tomllib.loads(file.read_text())["call"]["home"]["username"] == "me"


def test_what_is_there_is_changed_only_when_somebody_agrees(tmp_path):
    file = tmp_path / "new.toml"
    file.write_text('hostname = "mine"\n')
    words = ("config", "wizard", file, "--role", "lns")
    done = laclet(tmp_path, *words, input="\n\n\n\nn\n")
    assert done.returncode == 130 and '-hostname = "mine"' in done.stderr
    assert file.read_text() == 'hostname = "mine"\n'
    assert laclet(tmp_path, *words, "--yes", input="\n\n\n\n").returncode == 0
    assert "hostname" not in file.read_text()


def test_a_password_is_not_shown_on_a_terminal(tmp_path):
    """On a tty: what is typed is echoed, but for secrets."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "laclet_host", "config", "wizard", str(tmp_path / "new.toml")]
    command += ["--role", "client"]
    wizard = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(tmp_path),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    seen = b""

    def expect(wanted):
        nonlocal seen
        deadline = time.monotonic() + 20
        while wanted not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([master], [], [], 0.1)[0]:
                seen += os.read(master, 4096)

    def hidden():
        """Wait until nothing is echoed: what is typed before is thrown away."""
        deadline = time.monotonic() + 20
        while termios.tcgetattr(master)[3] & termios.ECHO:
            assert time.monotonic() < deadline

    expect(b"LNS: ")
    os.write(master, b"192.0.2.1\n")
    expect(b"shared with it: ")
    hidden()
    os.write(master, b"geheim\n")
    expect(b"name: ")
    os.write(master, b"cpe\n")
    expect(b"Password: ")
    hidden()
    os.write(master, b"wonder\n")
    expect(b"written")
    assert wizard.wait(20) == 0 and b"cpe" in seen
    assert b"geheim" not in seen and b"wonder" not in seen
    os.close(master)


class TestOnABoard:
    pytestmark = needs_micropython

    def test_it_is_pushed_when_somebody_agrees(self, tmp_path, tmp_path_factory):
        with laclet_board(tmp_path, rom(tmp_path_factory)) as board:
            words = ("config", "wizard", "--port", board.port, "--role", "lac", "--server", "127.0.0.1:9")
            done = laclet(tmp_path, *words, input="\n\n\n\n\nn\n")
            assert done.returncode == 130 and '+device = "1"' in done.stderr
            done = laclet(tmp_path, *words, "--modem", "answer", input="s\n\n\n\ny\n")
            assert done.returncode == 0 and done.stderr.endswith(f"{board.port}: runs and keeps it\n"), done.stderr
            with Link(board.port) as link:
                found = link.get("show config")
            assert found["line"] == {"port": {"device": "1", "baud": 115200, "flow": "none", "modem": "answer"}}
            assert found["tunnel"]["lns"] == {"server": "127.0.0.1:9", "tunnel_secret": "(hidden)"}

    def test_a_ping_needs_a_call(self, tmp_path, tmp_path_factory):
        config = {"tunnel": {"lns": {"server": "127.0.0.1:9"}}, "call": {"home": {"tunnel": "lns"}}}
        with laclet_board(tmp_path, rom(tmp_path_factory), config=config) as board:
            done = laclet(tmp_path, "ping", "10.0.0.1", "--port", board.port, "--wait", "0.1")
            assert done.returncode == 5 and done.stderr.startswith("laclet: no call is up: home is "), done.stderr
        config = {"lns": {"address": "10.0.0.1", "pool": "10.0.0.2-10.0.0.3", "auth": [], "listen": "127.0.0.1:17019"}}
        with laclet_board(tmp_path, rom(tmp_path_factory), config=config) as board:
            done = laclet(tmp_path, "ping", "10.0.0.1", "--port", board.port)
            assert done.returncode == 1 and "this board has no call of its own" in done.stderr, done.stderr
