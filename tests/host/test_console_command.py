"""``laclet console`` on a terminal, against real MicroPython: directly, and through ser2net and socat."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from clirun import laclet
from deskboard import laclet_board, needs_micropython, rom
from typist import PATIENCE, Typist

pytestmark = needs_micropython
UP = b"\x1b[A"
EXIT = b"\x1d"


@pytest.fixture
def board(tmp_path, tmp_path_factory):
    with laclet_board(tmp_path, rom(tmp_path_factory)) as board:
        yield board


def test_tab_history_and_help_are_the_boards(board, tmp_path):
    with Typist(tmp_path, "console", "--port", board.port) as desk:
        desk.expect(b"Ctrl-] leaves, ? helps")
        desk.expect(b"laclet> ")
        desk.type(b"sho\t").expect(b"show ")
        desk.type(b"stat\t").expect(b"stat")
        desk.type(b"u\t\r").expect(b"laclet> ")
        desk.type(b"set hostname meter-17\r").expect(b"laclet> ")
        desk.type(b"compare\r").expect(b'+ hostname = "meter-17"')
        desk.type(UP + UP).expect(b"set hostname meter-17")
        desk.type(b"\x15rollb?").expect(b"make the configuration before this one the candidate")
        desk.type(EXIT)
        code, rest = desk.end()
    assert code == 0 and b"Traceback" not in rest
    with Typist(tmp_path, "console", "--port", board.port) as desk:
        desk.expect(b"laclet> ")
        desk.type(b"\x15show config\r").expect(b'hostname = "meter-17"')
        desk.type(EXIT)
        assert desk.end()[0] == 0


def test_ctrl_c_gives_the_prompt_and_ctrl_d_the_service_again(board, tmp_path):
    with Typist(tmp_path, "console", "--port", board.port) as desk:
        desk.expect(b"laclet> ")
        desk.type(b"\x03").expect(b">>> ")
        desk.type(b"6 * 7\r").expect(b"42")
        desk.type(b"\x04").expect(b"Enter for the console")
        desk.type(b"\r").expect(b"laclet> ")
        desk.type(EXIT)
        assert desk.end()[0] == 0


def test_unplugged_it_ends_in_one_line(board, tmp_path):
    with Typist(tmp_path, "console", "--port", board.port) as desk:
        desk.expect(b"laclet> ")
        board.stop()
        code, rest = desk.end()
    assert code == 4 and rest.endswith(f"laclet: {board.port}: has gone; plug it in again\r\n".encode()), rest


def test_commands_from_a_script(board, tmp_path):
    console = ("console", "--port", board.port)
    done = laclet(tmp_path, *console, "set", "hostname", "meter-17")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert laclet(tmp_path, *console, "compare").stdout == '+ hostname = "meter-17"\n'
    assert 'hostname = "meter-17"\n' in laclet(tmp_path, *console, "show config").stdout
    answer = json.loads(laclet(tmp_path, *console, "--json", "show", "status").stdout)
    assert answer["ok"] and answer["data"]["console"]["uncommitted"] == 1
    done = laclet(tmp_path, *console, input="# a script\n\nset log.level debug\ncompare\nset hostnam x\ncompare\n")
    assert done.returncode == 1 and done.stdout == '+ hostname = "meter-17"\n+ log.level = "debug"\n'
    assert done.stderr == "laclet: set hostnam x: column 5: no such section: hostnam; did you mean hostname?\n"
    done = laclet(tmp_path, *console, "--json", "shwo")
    assert done.returncode == 1 and json.loads(done.stdout)["error"] == "no such command: shwo; did you mean show?"


class Far:
    """A program that offers the board's port on the network."""

    def __init__(self, *command):
        self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port):
    """Wait until somebody listens there, without a connection: the port takes one at a time."""
    deadline = time.monotonic() + PATIENCE
    while f":{port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def at(url, tmp_path):
    with Typist(tmp_path, "console", "--port", url) as desk:
        desk.expect(b"laclet> ")
        desk.type(b"\x15sho\t").expect(b"show ")
        desk.type(b"config\r").expect(b"nothing is configured")
        desk.type(EXIT)
        assert desk.end()[0] == 0


def test_over_rfc2217(board, tmp_path):
    if shutil.which("ser2net") is None:
        pytest.skip("ser2net is not installed")
    port = free_port()
    conf = tmp_path / "ser2net.yaml"
    conf.write_text(
        "connection: &board\n"
        f"  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}\n"
        f"  connector: serialdev(nouucplock=true),{board.port},115200n81,local\n"
        "  options:\n    kickolduser: true\n"
    )
    with Far("ser2net", "-n", "-c", conf, "-P", tmp_path / "pid"):
        listening(port)
        at(f"rfc2217://127.0.0.1:{port}?ign_set_control", tmp_path)  # a pty has no DTR
    done = laclet(tmp_path, "console", "--port", f"rfc2217://127.0.0.1:{port}", "show status")
    assert done.returncode == 4 and "is the far end running?" in done.stderr and "Traceback" not in done.stderr


def test_over_a_plain_socket(board, tmp_path):
    if shutil.which("socat") is None:
        pytest.skip("socat is not installed")
    port = free_port()
    with Far("socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork", f"FILE:{board.port},raw,echo=0"):
        listening(port)
        at(f"socket://127.0.0.1:{port}", tmp_path)
        done = laclet(tmp_path, "console", "--port", f"socket://127.0.0.1:{port}", "show config")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
