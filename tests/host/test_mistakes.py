"""Mistakes of users, one after the other: each ends in one line that says what to do, and never in a traceback."""

import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from clirun import environment

from laclet_host.cli import main

CONFIG = '[tunnel.lab]\nserver = "127.0.0.1:9"\n[call.home]\ntunnel = "lab"\nusername = "me"\n'
FLASH = ("flash", "ESP32_GENERIC", "--yes", "--config", "good.toml")
NO_DEVICE = "there is no such port; is it plugged in"
NO_SERVICE = "no such service is running"
NO_TEXT = "is not UTF-8 text"

# Words -> (exit code, what is said).
MISTAKES = {
    ("nonsense",): (2, "No such command 'nonsense'"),
    ("--nope",): (2, "No such option '--nope'"),
    ("config", "check"): (2, "Missing argument 'FILE'"),
    ("config", "check", "no.toml"): (3, "no.toml:1: No such file or directory; check the name"),
    ("config", "check", "folder"): (3, "folder:1: Is a directory"),
    ("config", "check", "junk"): (3, NO_TEXT),
    ("config", "check", "bad.toml"): (3, "mend the TOML syntax there"),
    ("config", "check", "bad.json"): (3, "mend the JSON syntax there"),
    ("config", "check", "deep.toml"): (3, "is nested too deep"),
    ("config", "check", "deep.json"): (3, "is nested too deep"),
    ("config", "check", "empty"): (3, "nothing to do; add a [call.NAME]"),
    ("config", "push", "junk", "-p", "/dev/none"): (3, NO_TEXT),
    ("config", "push", "good.toml", "-p", "/dev/none"): (4, NO_DEVICE),
    ("config", "pull", "x.toml", "-p", "good.toml"): (4, "is no serial port"),
    ("config", "pull", "x.toml", "-p", "/dev/null"): (4, "/dev/null: is no serial port"),
    ("config", "diff", "good.toml", "-p", "shelf"): (4, "no virtual board called shelf is running"),
    ("config", "diff", "good.toml", "-p", "socket://127.0.0.1:1"): (4, "Connection refused; is the far end running"),
    ("config", "diff", "good.toml", "-p", "socket://"): (4, "write socket://HOST:PORT"),
    ("config", "diff", "good.toml", "-p", "rfc2217://gateway"): (4, "write rfc2217://HOST:PORT"),
    ("config", "diff", "good.toml", "-p", "socket://gateway:port"): (4, "write socket://HOST:PORT"),
    ("config", "diff", "good.toml", "-p", "nonsense://x"): (4, "is no address of a port"),
    ("config", "edit", "-p", "id:4711"): (4, "no USB device has the serial number 4711"),
    ("run", "no.toml"): (3, "No such file or directory"),
    ("run", "junk"): (3, NO_TEXT),
    ("status", "nope"): (1, NO_SERVICE),
    ("status", "-p", "nope"): (4, "no virtual board called nope"),
    ("up", "nope"): (1, NO_SERVICE),
    ("stop", "nope"): (1, NO_SERVICE),
    ("reload", "nope"): (1, NO_SERVICE),
    ("fault", "nope"): (1, NO_SERVICE),
    ("logs", "nope"): (1, NO_SERVICE),
    ("logs", "-n", "-5"): (2, "-5 is not in the range"),
    ("logs", "--level", "loud"): (2, "'loud' is not one of"),
    ("console", "-p", "/dev/none"): (4, NO_DEVICE),
    ("devices", "-f", "nonsense"): (2, "write a filter as vid=, pid=, name=, serial="),
    ("devices", "-f", "vid=zz"): (2, "vid is a hexadecimal number"),
    ("flash", "NOBOARD"): (2, "no board is called NOBOARD; known are ESP32_GENERIC"),
    ("flash", "UNIX", "--yes"): (2, "it runs Linux; see laclet run"),
    ("flash", "ESP32_GENERIC", "-p", "/dev/none", "--image", "junk"): (2, "would be erased; add --yes"),
    (*FLASH, "-p", "/dev/none", "--image", "no.bin"): (1, "no.bin: No such file"),
    (*FLASH, "-p", "/dev/none", "--image", "junk"): (4, NO_DEVICE),
    (*FLASH, "--output", "x.bin", "--image", "junk"): (1, "is no image for an ESP32; take the .bin file"),
    ("flash", "RPI_PICO_W", "--yes", "--image", "junk", "--volume", "folder"): (4, "there is no INFO_UF2.TXT"),
    (*FLASH, "--batch", "no.csv"): (1, "no.csv: No such file or directory"),
    (*FLASH, "--batch", "junk"): (3, NO_TEXT),
    (*FLASH, "--batch", "twice.csv"): (3, "port /dev/none is there twice"),
    ("flash", "ESP32_GENERIC", "--image", "junk", "--batch", "empty"): (3, "names no board"),
    ("flash", "ESP32_GENERIC", "--image", "junk", "--batch", "one.csv"): (
        2,
        "the boards of one.csv would be erased",
    ),
    ("deploy", "-p", "/dev/none"): (4, NO_DEVICE),
    ("update", "--from", "nodir", "-p", "/dev/none"): (1, "is no folder; give one that tools/mpy has made"),
    ("restore", "folder", "-p", "/dev/none"): (1, "holds no config.json"),
    ("backup",): (2, "Missing argument 'FOLDER'"),
    ("capture", "nope"): (1, NO_SERVICE),
    ("capture", "-p", "/dev/none"): (4, NO_DEVICE),
    ("capture", "-c", "0"): (2, "0 is not in the range"),
    ("explain", "no.pcapng"): (1, "no.pcapng: No such file or directory"),
    ("explain", "junk"): (1, "is neither pcapng nor pcap"),
    ("explain", "folder"): (1, "folder: Is a directory"),
    ("doctor", "junk"): (3, NO_TEXT),
    ("doctor", "good.toml", "--call", "nope"): (1, "no call nope; there are: home"),
    ("lns", "--listen", "300.1.1.1"): (3, "write it like"),
    ("lns", "--user", "nocolon"): (2, "a user is NAME:PASSWORD"),
    ("lns", "--auth", "foo"): (3, 'choose "chap", "pap"'),
    ("monitor", "nope"): (1, "needs a terminal"),
    ("ping", "-p", "/dev/none", "10.0.0.1"): (4, NO_DEVICE),
    ("virtual", "--flash", "junk"): (1, "is no flash of a board, and would be formatted"),
    ("virtual", "--flash", "nodir/x"): (1, "nodir/x: No such file or directory"),
    ("virtual", "--heap", "much"): (2, "write it like 192K, or 1M"),
    ("completion", "csh"): (2, "'csh' is not one of 'bash', 'zsh', 'fish'"),
}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """The files that the mistakes are made with."""
    monkeypatch.chdir(tmp_path)
    for name in ("LACLET_RUN_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "run"))
    (tmp_path / "folder").mkdir()
    files = {
        "good.toml": CONFIG,
        "bad.toml": "x = [",
        "bad.json": '{"a":',
        "deep.toml": "a = " + "[" * 5000,
        "deep.json": "[" * 100000,
        "empty": "",
        "one.csv": "name,port\na,/dev/none\n",
        "twice.csv": "name,port\na,/dev/none\nb,/dev/none\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "junk").write_bytes(bytes(range(128, 256)) * 64)
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('[call.home]\npassword = "geheim"\n')
    secrets.chmod(0o600)
    return tmp_path


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_each_mistake_has_its_line(desk, words):
    code, said = MISTAKES[words]
    before = (desk / "junk").read_bytes()
    done = CliRunner().invoke(main, [*words])
    assert isinstance(done.exception, SystemExit), done.exc_info
    assert done.exit_code == code and said in " ".join(done.stderr.split()), done.output
    assert "geheim" not in done.output and (desk / "junk").read_bytes() == before


@pytest.mark.parametrize("words", [("--help",), ("completion", "bash"), ("config", "check", "good.toml", "--json")])
def test_a_full_disk_behind_stdout(desk, words):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "laclet_host", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(desk))
    assert (done.returncode, done.stderr) == (1, "laclet: No space left on device\n")


def test_ctrl_c_before_anything_has_begun(desk):
    """At any moment of its start, from the first line of ours on."""
    wait = "import os, signal, sys; sys.argv = ['laclet', 'devices']; from laclet_host.__main__ import main\n"
    hook = (
        "class Hook:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == os.environ['AT']: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Hook())\nmain()\n"
    )
    for name in ("click", "laclet_host.cli", "laclet_host.commands.devices"):
        command = [sys.executable, "-c", wait + hook]
        done = subprocess.run(command, capture_output=True, text=True, env={**environment(desk), "AT": name})
        assert done.returncode in (-signal.SIGINT, 130) and "Traceback" not in done.stderr, (name, done.stderr)


def test_where_ctrl_c_is_ignored_it_stays_so(desk):
    """A shell does that for what it starts in the background."""
    code = "import signal; from laclet_host.__main__ import main\nfrom unittest import mock\n"
    code += "with mock.patch('laclet_host.cli.main'): main()\nprint(signal.getsignal(signal.SIGINT).name)"
    command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(desk))
    assert done.stdout == "SIG_IGN\n", done.stderr


def test_a_picture_is_not_taken_for_a_flash(desk):
    """A file of the right size that holds something else is not formatted."""
    picture = desk / "picture.img"
    picture.write_bytes(os.urandom(1 << 21))
    before = picture.read_bytes()
    done = CliRunner().invoke(main, ["virtual", "--flash", str(picture)])
    assert done.exit_code == 1 and "would be formatted" in done.stderr and picture.read_bytes() == before
