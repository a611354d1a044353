"""laclet capture of a board: real MicroPython calls the test LNS while its console shows every frame."""

import json
import socket
import subprocess
import sys

from clirun import Service, environment, laclet
from deskboard import laclet_board, needs_micropython, rom

from laclet_host.capture import pcapng

pytestmark = needs_micropython
PASSWORD = "never-shown-either"


def test_a_board_captured_while_it_calls(tmp_path, tmp_path_factory):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    soon = {"holdoff": 0.2, "redial_timeout": 1, "retry_timeout": 0.1, "max_retries": 1}
    config = {
        "tunnel": {"lns": {"server": f"127.0.0.1:{port}", **soon}},
        "call": {"home": {"tunnel": "lns", "username": "me"}},
    }
    secrets = {"call": {"home": {"password": PASSWORD}}}
    path = tmp_path / "board.pcapng"
    words = ["lns", "--listen", f"127.0.0.1:{port}", "--user", f"me:{PASSWORD}", "--auth", "pap", "--json"]
    with laclet_board(tmp_path, rom(tmp_path_factory), "320K", config=config, secrets=secrets) as board:
        command = [sys.executable, "-m", "laclet_host.cli", "capture", "--port", board.port, "-o", path, "-c", "12"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(tmp_path)) as capture:
            assert "capturing" in capture.stderr.readline()
            lns = Service(tmp_path, *words)  # only now is there anybody to be called
            try:
                said = capture.communicate(timeout=40)[1]
            finally:
                lns.kill()
                capture.kill()
    assert said.startswith("12 frames")
    with open(path, "rb") as file:
        packets = list(pcapng.read(file))
    assert {packet.link for packet in packets} == {pcapng.PPP_WITH_DIR}
    assert {packet.sent for packet in packets} == {True, False}
    assert PASSWORD.encode() not in path.read_bytes()
    told = json.loads(laclet(tmp_path, "explain", path, "--json").stdout)["conversations"][0]
    names = [step["name"] for step in told["steps"]]
    assert names[:2] == ["LCP ConfReq"] * 2 and "PAP AuthReq" in names and told["fault"] is None
