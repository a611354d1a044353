"""The tools' end of a board's console, against real MicroPython: asked, listened to, and every way to find nobody."""

import os
import pty
import subprocess
import sys
import threading

import pytest
import serial
from deskboard import delivered, laclet_board, needs_micropython, rom

from laclet_host.board.virtual import VirtualBoard
from laclet_host.device.link import Link, Refused
from laclet_host.device.ports import Absent, Busy, Mute, WrongDevice, address, open_port
from laclet_host.ui import DEVICE_ABSENT, TIMEOUT

CONFIG = {
    "tunnel": {"lns": {"server": "127.0.0.1:9"}},
    "line": {"uart": {"device": "1"}},
    "call": {"uart": {"tunnel": "lns", "line": "uart"}},
}


@pytest.fixture
def board(tmp_path, tmp_path_factory):
    with laclet_board(tmp_path, rom(tmp_path_factory), config=CONFIG) as board:
        yield board


class TestAgainstMicroPython:
    pytestmark = needs_micropython

    def test_questions_and_the_log_between(self, board):
        with Link(board.port) as link:
            assert link.get("show config")["tunnel"]["lns"]["server"] == "127.0.0.1:9"
            assert link.get("set hostname", "cpe-17") == []
            assert '+ hostname = "cpe-17"' in link.get("compare")
            with pytest.raises(Refused, match="no such section: hostnam; did you mean hostname"):
                link.get("set hostnam", "x")
            link.get("discard")
            link.get("disconnect")
            said = []
            for line in link.lines(silence=10):
                said.append(line)
                if "disconnected at the console" in line:
                    break
            assert any("connecting to 127.0.0.1 port 9" in line for line in said), said

    def test_half_a_line_of_somebody_else_is_no_harm(self, board):
        with Link(board.port), pytest.raises(Busy):
            Link(board.port, patience=1)
        with serial.Serial(board.port) as terminal:
            terminal.write(b"\rset hostname half\x1b")
        with Link(board.port) as link:
            assert "hostname" not in link.get("show config")

    def test_unplugged_while_it_talks(self, board):
        with Link(board.port) as link:
            board.stop()
            with pytest.raises(Absent, match="has gone while we talked"):
                link.get("show status")

    def test_without_power_in_the_middle(self, board):
        with Link(board.port) as link:
            board.kill()
            with pytest.raises(Mute, match=r"has not answered for 0\.2 s"):
                link.ask("show status", timeout=0.2)

    def test_a_crash_is_told_with_its_reason(self, tmp_path, tmp_path_factory):
        files = delivered(CONFIG)
        files["/main.py"] = (
            "import laclet_mcu.console as console\n"
            "def status(self): raise ValueError('no status')\n"
            "console.Board.status = status\n"
            "import laclet_mcu.start as start\n"
            "start.start()\n"
        )
        with (
            laclet_board(tmp_path, rom(tmp_path_factory), files=files) as board,
            Link(board.port) as link,
            pytest.raises(Mute, match="laclet has crashed there, ValueError: no status, and restarts"),
        ):
            link.get("show status")

    def test_a_board_without_laclet(self, tmp_path):
        with VirtualBoard(root=tmp_path) as plain:
            with pytest.raises(WrongDevice, match="MicroPython is at its prompt") as caught:
                Link(plain.port)
            with serial.Serial(plain.port, timeout=5) as terminal:  # as a tool leaves it that was killed
                terminal.write(b"\r\x03\x01")
                terminal.read_until(b"raw REPL; CTRL-B to exit\r\n>")
            with pytest.raises(WrongDevice, match="MicroPython is at its prompt"):
                Link(plain.port)
        assert caught.value.code == DEVICE_ABSENT


def test_absent_ports_of_every_kind(monkeypatch, tmp_path):
    monkeypatch.setenv("LACLET_RUN_DIR", str(tmp_path))
    with pytest.raises(Absent, match="/dev/ttyNONE: there is no such port; is it plugged in"):
        Link("/dev/ttyNONE")
    with pytest.raises(Absent, match="no virtual board called shelf is running"):
        Link("shelf")
    with pytest.raises(Absent, match="no USB device has the serial number 4711"):
        address("id:4711")
    with pytest.raises(Absent, match="is the far end running"):
        Link("socket://127.0.0.1:1")
    with pytest.raises(Absent, match="is no address of a port"):
        Link("nonsense://x")
    (tmp_path / "file").touch()
    with pytest.raises(Absent, match="file: is no serial port"):
        Link(str(tmp_path / "file"))


def test_a_mute_port_and_one_that_talks_of_other_things():
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    os.close(slave)
    with pytest.raises(Mute, match="nothing answers") as caught:
        Link(name, patience=0.2)
    assert caught.value.code == TIMEOUT
    ended = threading.Event()

    def modem():
        while not ended.is_set():
            try:
                os.read(master, 100)
                os.write(master, b"ERROR\r\n")
            except OSError:
                continue

    thread = threading.Thread(target=modem)
    thread.start()
    try:
        with pytest.raises(WrongDevice, match="does not speak as laclet does"):
            Link(name, patience=0.3)
    finally:
        ended.set()
        keep = os.open(name, os.O_RDWR | os.O_NOCTTY)
        os.write(keep, b"\n")
        thread.join()
        os.close(keep)
        os.close(master)


def test_a_busy_port_names_the_program():
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    code = (
        f"import os, sys; fd = os.open({name!r}, os.O_RDWR | os.O_NOCTTY); print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        with pytest.raises(Busy, match=rf"{name} is in use by python\S* \(pid {holder.pid}\); close it"):
            open_port(name)
    finally:
        holder.communicate()
    open_port(name).close()
    os.close(slave)
    os.close(master)
