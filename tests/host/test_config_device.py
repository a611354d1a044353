"""``laclet config`` against real MicroPython: by its console, by its prompt, and in folders."""

import json
import os
import stat
import tomllib

import pytest
import serial
from clirun import laclet
from deskboard import flash_files, laclet_board, needs_micropython, rom

from laclet_host.board.virtual import VirtualBoard
from laclet_host.config import load
from laclet_host.configplace import Console
from laclet_host.configtext import toml
from laclet_host.device.link import Link
from laclet_host.device.ports import Mute
from laclet_host.ui import CONFIG_INVALID, DEVICE_ABSENT, FAILURE, TIMEOUT, Trouble

pytestmark = needs_micropython
MAIN = """\
# Of the meter in the cellar.
hostname = "meter-17"

[tunnel.lns]
server = "127.0.0.1:9"  # nobody is there
max_retries = 30

[line.uart]
device = "1"

[call.uart]
tunnel = "lns"
line = "uart"
"""
SECRETS = '[tunnel.lns]\ntunnel_secret = "geheim"\n'
TREE = {
    "hostname": "meter-17",
    "tunnel": {"lns": {"server": "127.0.0.1:9", "max_retries": 30}},
    "line": {"uart": {"device": "1"}},
    "call": {"uart": {"tunnel": "lns", "line": "uart"}},
}


class Desk:
    """A folder with files, a board, and the command."""

    def __init__(self, folder, board):
        self.folder = folder
        self.board = board
        self.file = folder / "meter.toml"
        self.secrets = folder / "secrets.toml"
        self.write(MAIN, SECRETS)

    def write(self, main, secrets=None):
        self.file.write_text(main)
        if secrets is not None:
            self.secrets.touch(0o600)
            self.secrets.write_text(secrets)

    def config(self, *words, editor=None, **options):
        if editor is not None:
            script = self.folder / "editor"
            script.write_text("#!/bin/sh\n" + editor)
            script.chmod(0o755)
            os.environ["EDITOR"] = str(script)
        try:
            return laclet(self.folder, "config", *words, "--port", self.board.port, **options)
        finally:
            os.environ.pop("EDITOR", None)

    def kept(self):
        """What the board would load after a power cut."""
        files = flash_files(self.folder / "flash.img")
        return [json.loads(files.get(f"/{name}.json", b"null")) for name in ("config", "secrets")]


@pytest.fixture
def desk(tmp_path, tmp_path_factory):
    """A board that works, without a configuration."""
    with laclet_board(tmp_path, rom(tmp_path_factory)) as board:
        yield Desk(tmp_path, board)


@pytest.fixture
def configured(tmp_path, tmp_path_factory):
    """One that works with MAIN and SECRETS."""
    secrets = {"tunnel": {"lns": {"tunnel_secret": "geheim"}}}
    with laclet_board(tmp_path, rom(tmp_path_factory), config=TREE, secrets=secrets) as board:
        yield Desk(tmp_path, board)


def ended(done, code=0):
    """It must have ended so, without a traceback; what it said on stderr."""
    assert done.returncode == code and "Traceback" not in done.stderr, (done.returncode, done.stdout, done.stderr)
    return done.stderr


def test_pushed_it_runs_and_is_kept(desk):
    assert ended(desk.config("push", desk.file)) == f"{desk.board.port}: runs and keeps it\n"
    assert desk.kept() == [TREE, {"tunnel": {"lns": {"tunnel_secret": "geheim"}}}]
    with Link(desk.board.port) as link:
        assert link.get("show status")["tunnels"]["lns"]["state"] == "connecting"
        assert link.get("show status")["console"] == {"uncommitted": 0, "unsaved": False}
    assert ended(desk.config("push", desk.file)) == f"{desk.board.port}: has it already\n"
    done = desk.config("push", desk.file, "--json")
    assert json.loads(done.stdout) == {"file": str(desk.file), "device": desk.board.port, "changed": 0}


def test_values_of_every_kind_there_and_back(tmp_path, tmp_path_factory):
    main = {
        "hostname": "meter-17",
        "tunnel": {"t": {"server": ["127.0.0.1:9", "[::1]:9"], "hello_interval": 20.5, "redial": False, "rws": 8}},
        "call": {"home": {"tunnel": "t", "username": "c p e", "auth": ["pap", "chap"], "mtu": 1400, "proxy": True}},
        "lns": {"listen": "127.0.0.1:17021", "address": "10.9.0.1", "pool": "10.9.0.2-10.9.0.9", "dns": ["10.9.0.1"]},
        "log": {"level": "warning"},
    }
    secrets = {"call": {"home": {"password": 'quo"te \\ {x}'}}, "lns": {"users": {"ann": "Grüße", "bob.b": "y"}}}
    with laclet_board(tmp_path, rom(tmp_path_factory), "512K") as board:
        desk = Desk(tmp_path, board)
        desk.write(toml(main), toml(secrets))
        ended(desk.config("push", desk.file))
        assert desk.kept() == [main, secrets]
        assert ended(desk.config("diff", desk.file)) == ""
        desk.secrets.unlink()
        ended(desk.config("pull", desk.folder / "back.toml", "--secrets"))
        back = [tomllib.loads(path.read_text()) for path in (desk.folder / "back.toml", desk.secrets)]
        assert back == [main, secrets]


def test_pulled_it_can_be_pushed_again_and_shows_no_secret(configured):
    pulled = configured.folder / "in" / "new.toml"
    assert "there is no such folder" in ended(configured.config("pull", pulled), FAILURE)
    pulled.parent.mkdir()
    assert ended(configured.config("pull", pulled)) == f"{pulled}: written\n"
    text = pulled.read_text()
    assert 'server = "127.0.0.1:9" # Addresses of the LNS, tried in turn.' in text and "geheim" not in text
    beside = pulled.with_name("secrets.toml")
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600 and 'tunnel_secret = "(hidden)"' in beside.read_text()
    assert load(pulled, True).errors == []
    pulled.write_text(text.replace("meter-17", "meter-18"))
    assert ended(configured.config("push", pulled)) == f"{configured.board.port}: runs and keeps it\n"
    assert configured.kept() == [{**TREE, "hostname": "meter-18"}, {"tunnel": {"lns": {"tunnel_secret": "geheim"}}}]
    shown = configured.config("pull", "--json")
    assert json.loads(shown.stdout)["tunnel"]["lns"]["tunnel_secret"] == "(hidden)"
    assert 'hostname = "meter-18"' in configured.config("pull").stdout


def test_a_file_that_is_there_keeps_its_comments_and_its_secrets(configured):
    others = SECRETS + '[lns.users]\nann = "x"\n'
    configured.write(MAIN.replace("meter-17", "old").replace("max_retries", "rws"), others)
    asked = configured.config("pull", configured.file, input="n\n")
    assert "-hostname" in asked.stderr and "Change " in asked.stderr and asked.returncode == 130
    assert 'hostname = "old"' in configured.file.read_text()
    ended(configured.config("pull", configured.file, "--yes"))
    text = configured.file.read_text()
    assert text.startswith("# Of the meter in the cellar.\n") and "# nobody is there" in text
    assert "max_retries = 30" in text and "rws" not in text
    assert configured.secrets.read_text() == others
    assert ended(configured.config("pull", configured.file)) == f"{configured.file}: is as the device has it\n"


def test_secrets_themselves_by_the_prompt(configured):
    pulled = configured.folder / "all.toml"
    configured.secrets.unlink()
    boots = configured.board.boots
    ended(configured.config("pull", pulled, "--secrets"))
    assert 'tunnel_secret = "geheim"' in configured.secrets.read_text()
    assert configured.board.wait(lambda board: board.boots > boots), "it works again"
    with Link(configured.board.port) as link:
        assert "lns" in link.get("show status")["tunnels"]


def test_diff_tells_which_secrets_change_and_shows_none(configured):
    done = configured.config("diff", configured.file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    configured.write(MAIN.replace("max_retries = 30", "hello_interval = 20"), SECRETS.replace("geheim", "andres"))
    done = configured.config("diff", configured.file)
    assert done.returncode == FAILURE and done.stdout == (
        f"--- {configured.board.port}\n+++ {configured.file}\n"
        '@@ -2,8 +2,8 @@\n \n [tunnel.lns]\n server = "127.0.0.1:9"\n'
        '-tunnel_secret = "(hidden, changed)"\n-max_retries = 30\n'
        '+tunnel_secret = "(hidden)"\n+hello_interval = 20\n'
        ' \n [line.uart]\n device = "1"\n'
    )
    found = json.loads(configured.config("diff", configured.file, "--json").stdout)["changes"]
    assert {each["key"] for each in found} == {
        "tunnel.lns.hello_interval",
        "tunnel.lns.max_retries",
        "tunnel.lns.tunnel_secret",
    }
    ended(configured.config("push", configured.file))
    assert configured.kept()[1] == {"tunnel": {"lns": {"tunnel_secret": "andres"}}}


def test_what_is_wrong_is_named_here_and_changes_nothing_there(configured):
    configured.write(MAIN.replace("[line.uart]", '[metrics]\nlisten = "127.0.0.1:9401"\n[line.uart]'))
    said = ended(configured.config("push", configured.file), CONFIG_INVALID)
    assert said.endswith(":9: metrics.listen: works on Linux only; remove it\n")
    configured.write(MAIN, SECRETS.replace("geheim", "(hidden)") + '[call.uart]\npassword = "x"\n')
    said = ended(configured.config("push", configured.file), CONFIG_INVALID)
    assert "call.uart.password" in said
    long = ", ".join(f'"AT+{n:0100}"' for n in range(10))
    configured.write(MAIN + f'[line.modem]\ndevice = "2"\nmodem = "answer"\ninit = [{long}]\n', SECRETS)
    said = ended(configured.config("push", configured.file), CONFIG_INVALID)
    assert said.endswith("line.modem.init: is too long for the console; use --prompt; nothing is changed\n")
    assert configured.kept()[0] == TREE
    with Link(configured.board.port) as link:
        assert link.get("compare") == []


def test_a_hidden_secret_that_the_device_does_not_have(desk):
    desk.write(MAIN, SECRETS.replace("geheim", "(hidden)"))
    assert "tunnel.lns.tunnel_secret: reads (hidden), and the device has no such secret; write it" in ended(
        desk.config("push", desk.file), CONFIG_INVALID
    )


def test_what_does_not_come_up_in_time_is_taken_back(configured):
    configured.write(MAIN.replace("meter-17", "meter-18"))
    said = ended(configured.config("push", configured.file, "--up", "0.3"), TIMEOUT)
    assert "the board runs its old configuration again\n" in said
    assert "not up within 0.3 s: tunnel lns is " in said
    assert configured.kept()[0] == TREE
    with Link(configured.board.port) as link:
        assert link.get("show config")["hostname"] == "meter-17"


@pytest.mark.parametrize("end", [Mute("unplugged"), KeyboardInterrupt()], ids=["unplugged", "Ctrl-C"])
def test_cut_off_in_the_middle_the_board_has_its_old_configuration(configured, monkeypatch, end):
    place = Console(Link(configured.board.port))
    get = place._link.get

    def cut(do, value=None):
        if do == "confirm":
            raise end
        return get(do, value)

    monkeypatch.setattr(place._link, "get", cut)
    told = []
    with pytest.raises(type(end)):
        place.write({**TREE, "hostname": "new", "tunnel": {"lns": {"server": "127.0.0.1:9"}}}, told.append)
    assert told == ["cut off: unless it was saved, the board goes back to its old configuration in 3 minutes"]
    monkeypatch.undo()
    assert place.read()["hostname"] == "new"
    place.close()
    configured.board.reset()
    with Link(configured.board.port) as link:
        assert link.get("show config")["hostname"] == "meter-17"


def test_somebody_has_left_changes_at_the_console(configured):
    with Link(configured.board.port) as link:
        link.get("set hostname", "half")
    said = ended(configured.config("pull"), FAILURE)
    assert "somebody has left 2 lines of changes there; commit or discard them at its console, or give --disc" in said
    ended(configured.config("pull", "--discard"))


def test_a_board_at_its_prompt(tmp_path, tmp_path_factory):
    """Laclet is there and does not run: no console, but the prompt."""
    with laclet_board(tmp_path, rom(tmp_path_factory), files={"/main.py": "print('nothing')"}) as board:
        desk = Desk(tmp_path, board)
        assert "the board restarts with it\n" in ended(desk.config("push", desk.file))
        assert desk.kept() == [TREE, {"tunnel": {"lns": {"tunnel_secret": "geheim"}}}]
        assert "/store.json" in flash_files(tmp_path / "flash.img"), "laclet's own way to save it"
        assert ended(desk.config("diff", desk.file)) == ""
        assert "geheim" not in desk.config("pull").stdout
        assert (
            "--up needs the console" in ended(desk.config("push", desk.file.with_name("a.toml"), "--up", "1"), 3) or 1
        )


def test_a_board_without_laclet(tmp_path):
    (tmp_path / "root").mkdir()
    with VirtualBoard(root=tmp_path / "root") as board:
        desk = Desk(tmp_path, board)
        ended(desk.config("push", desk.file))
        assert json.loads((tmp_path / "root" / "config.json").read_text()) == TREE
        done = desk.config("pull", "--json")
        assert ended(done) == ""
        found = json.loads(done.stdout)
        assert found["tunnel"]["lns"]["tunnel_secret"] == "(hidden)"


def test_a_folder_is_a_device_too(tmp_path):
    (tmp_path / "disk").mkdir()
    file = tmp_path / "meter.toml"
    file.write_text(MAIN)
    (tmp_path / "secrets.toml").touch(0o600)
    (tmp_path / "secrets.toml").write_text(SECRETS)
    words = ("--port", tmp_path / "disk")
    ended(laclet(tmp_path, "config", "push", file, *words))
    assert json.loads((tmp_path / "disk" / "config.json").read_text()) == TREE
    assert stat.S_IMODE((tmp_path / "disk" / "secrets.json").stat().st_mode) == 0o600
    file.write_text(MAIN.replace("meter-17", "x"))
    done = laclet(tmp_path, "config", "diff", file, *words)
    assert done.returncode == 1 and '-hostname = "meter-17"\n+hostname = "x"\n' in done.stdout
    ended(laclet(tmp_path, "config", "pull", file, "--yes", *words))
    assert file.read_text() == MAIN
    (tmp_path / "disk" / "config.json").write_text("{")
    assert "is not JSON" in ended(laclet(tmp_path, "config", "pull", *words), CONFIG_INVALID)


def test_edited_and_checked_and_edited_again(configured):
    done = configured.config("edit", editor='sed -i s/meter-17/meter-18/ "$1"\n')
    assert ended(done).endswith(": runs and keeps it\n")
    assert configured.kept() == [{**TREE, "hostname": "meter-18"}, {"tunnel": {"lns": {"tunnel_secret": "geheim"}}}]
    assert ended(configured.config("edit", editor="true\n")).endswith(": nothing has changed\n")
    wrong = 'sed -i "s/server =/serverr =/;s/r-18/r-19/" "$1"'
    editor = f'if grep -q serverr "$1"; then sed -i s/serverr/server/ "$1"; else {wrong}; fi\n'
    done = configured.config("edit", editor=editor, input="\n")
    assert ":4: tunnel.lns: server is missing" in done.stderr and "Edit again? [Y/n]" in done.stderr
    assert ended(done).endswith(": runs and keeps it\n") and configured.kept()[0]["hostname"] == "meter-19"


def test_nothing_that_was_typed_is_lost(configured):
    for editor, answer, code in (
        ('sed -i "s/server =/serverr =/" "$1"\n', "n\n", CONFIG_INVALID),
        ('sed -i "s/server =/serverr =/" "$1"\n', "", 130),
        ('sed -i "s/server =/serverr =/" "$1"; exit 1\n', "", 1),
    ):
        done = configured.config("edit", editor=editor, input=answer)
        where = ended(done, code).split("your text is kept in ")[1].split("\n")[0]
        with open(where) as file:
            assert "serverr = " in file.read()
    assert configured.kept()[0] == TREE


def test_a_file_is_edited_and_checked(tmp_path, monkeypatch):
    file = tmp_path / "home.toml"
    file.write_text(MAIN)
    (tmp_path / "editor").write_text('#!/bin/sh\nsed -i "s/9/900000/" "$1"\n')
    (tmp_path / "editor").chmod(0o755)
    monkeypatch.setenv("EDITOR", str(tmp_path / "editor"))
    said = ended(laclet(tmp_path, "config", "edit", file, input="n\n"), CONFIG_INVALID)
    assert "is not a host with an optional port" in said and file.read_text() == MAIN
    (tmp_path / "editor").write_text('#!/bin/sh\nsed -i "s/900000/1702/" "$1"\n')
    said = ended(laclet(tmp_path, "config", "edit", file))
    assert "going on with what was left in" in said and said.endswith(f"{file}: written\n")
    assert file.read_text() == MAIN.replace(":9", ":1702")
    said = ended(laclet(tmp_path, "config", "edit", file))
    assert said == f"{file}: nothing has changed\n" and list(tmp_path.glob(".*")) == []


def test_which_device(tmp_path, monkeypatch):
    from laclet_host.commands import port

    monkeypatch.setenv("LACLET_RUN_DIR", str(tmp_path))
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    with pytest.raises(Trouble, match="no device is there; plug one in") as caught:
        port.the_port(None)
    assert caught.value.code == DEVICE_ABSENT
    about = {"port": "/dev/null", "uarts": {}, "pid": os.getpid()}
    (tmp_path / "one.board").write_text(json.dumps(about))
    assert port.the_port(None) == "one" and port.the_port("x") == "x"
    (tmp_path / "two.board").write_text(json.dumps(about))
    with pytest.raises(Trouble, match="several devices are there; choose one with --port: one, two"):
        port.the_port(None)
    monkeypatch.setenv("LACLET_PORT", "two")
    assert port.the_port(None) == "two"
    done = laclet(tmp_path, "config", "pull", "--port", "none")
    assert ended(done, DEVICE_ABSENT).startswith("laclet: no virtual board called none is running")


def test_a_busy_port_names_who_has_it(configured):
    with serial.Serial(configured.board.port):
        said = ended(configured.config("pull"), DEVICE_ABSENT)
    assert f"{configured.board.port} is in use by " in said and f"(pid {os.getpid()}); close it" in said
