"""laclet capture of a board: real MicroPython calls the test LNS while its console shows every datagram."""

import json
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
from clirun import Service, environment, laclet
from deskboard import laclet_board, needs_micropython, rom

from laclet_host.capture import pcapng

pytestmark = needs_micropython
PASSWORD = "never-shown-either"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextmanager
def board_and_lns(tmp_path, tmp_path_factory, heap="320K"):
    """A board that calls an LNS which is not there yet; gives ``(board, port of the LNS, start())``."""
    port = free_port()
    soon = {"holdoff": 0.2, "redial_timeout": 1, "retry_timeout": 0.1, "max_retries": 1}
    config = {
        "tunnel": {"lns": {"server": f"127.0.0.1:{port}", **soon}},
        "call": {"home": {"tunnel": "lns", "username": "me"}},
    }
    secrets = {"call": {"home": {"password": PASSWORD}}}
    words = ["lns", "--listen", f"127.0.0.1:{port}", "--user", f"me:{PASSWORD}", "--auth", "pap", "--json"]
    with laclet_board(tmp_path, rom(tmp_path_factory), heap, config=config, secrets=secrets) as board:
        started = []

        def start():
            started.append(Service(tmp_path, *words))
            return started[0]

        try:
            yield board, port, start
        finally:
            for each in started:
                each.kill()


def capture_set_up(tmp_path, board, start, *words):
    """What a capture wrote from before the LNS was there, and said."""
    path = tmp_path / "board.pcapng"
    command = [sys.executable, "-m", "laclet_host", "capture", "--port", board.port, "-o", path, *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(tmp_path)) as capture:
        assert "capturing" in capture.stderr.readline()
        start()  # only now is there anybody to be called
        try:
            said = capture.communicate(timeout=60)[1]
        finally:
            capture.kill()
    assert PASSWORD.encode() not in path.read_bytes()
    return path, said


def explained(tmp_path, path):
    told = json.loads(laclet(tmp_path, "explain", path, "--json").stdout)["conversations"][0]
    assert told["fault"] is None
    return [step["name"] for step in told["steps"]]


def test_the_frames_of_a_call(tmp_path, tmp_path_factory):
    with board_and_lns(tmp_path, tmp_path_factory) as (board, _, start):
        path, said = capture_set_up(tmp_path, board, start, "--call", "home", "-c", "12")
    assert said.startswith("12 frames")
    with open(path, "rb") as file:
        packets = list(pcapng.read(file))
    assert {packet.link for packet in packets} == {pcapng.PPP_WITH_DIR}
    assert {packet.sent for packet in packets} == {True, False}
    names = explained(tmp_path, path)
    assert names[:2] == ["LCP ConfReq"] * 2 and "PAP AuthReq" in names


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is missing: apt install tshark")
def test_the_datagrams_of_a_board(tmp_path, tmp_path_factory):
    with board_and_lns(tmp_path, tmp_path_factory) as (board, port, start):
        path, said = capture_set_up(tmp_path, board, start, "-c", "30")
    assert said.startswith("30 frames")

    def tshark(*words):
        command = ["tshark", "-r", path, "-d", f"udp.port=={port},l2tp", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    assert not tshark("-Y", "_ws.malformed || _ws.expert.severity >= error")
    kinds = {*tshark("-Y", "l2tp", "-T", "fields", "-e", "frame.interface_name", "-e", "l2tp.avp.message_type")}
    assert {"l2tp\t1", "l2tp\t2", "l2tp\t3", "l2tp\t10", "l2tp\t11", "l2tp\t12"} <= kinds
    assert tshark("-Y", "pap && !l2tp") and tshark("-Y", "pap && l2tp")
    names = explained(tmp_path, path)
    assert "SCCRQ" in names and "ICCN" in names and "PAP AuthReq" in names
