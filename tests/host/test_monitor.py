"""``laclet monitor``: what it computes, its screen by Textual's pilot, and on a real terminal; boards and services."""

import asyncio
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest
from clirun import ROOT, Service, environment, laclet
from deskboard import laclet_board, needs_micropython, rom

pytest.importorskip("textual", reason="textual is missing: pip install 'laclet[monitor]'")

from textual.widgets import DataTable, RichLog, Sparkline, Static

from laclet_host.monitor import Board, History, Point, rtt, sessions
from laclet_host.monitor import Service as ServiceWatch
from laclet_host.monitor_app import Monitor

PATIENCE = 60  # s
CONFIG = {
    "hostname": "meter-17",
    "tunnel": {"lns": {"server": "127.0.0.1:9"}},
    "line": {"uart": {"device": "1", "modem": "answer"}},
    "call": {"uart": {"tunnel": "lns", "line": "uart"}},
}


def counted(rx, tx, number=1, echo=None, ack=None):
    """A status with one call that has carried so much."""
    session = {"rx_bytes": rx, "tx_bytes": tx, "local_session": number}
    return {
        "tunnels": {"t": {"tunnel": {"rtt": ack}}, "u": {"tunnel": None}},
        "calls": {"c": {"session": session, "ppp": {"rtt": echo}}, "d": {"session": None}},
    }


def test_counters_become_rates():
    history = History()
    assert history.add(counted(1000, 0), 10.0) == Point(0, 0, None)
    assert history.add(counted(3000, 500), 12.0) == Point(1000, 250, None)
    assert history.add(counted(10, 10, number=2), 13.0) == Point(0, 0, None), "another session"
    assert history.add(counted(20, 5, number=2, echo=7), 14.0) == Point(10, 5, 7), "one that begins anew"
    history.add(counted((1 << 30) - 100, 0, number=2), 15.0)
    assert history.add(counted(100, 0, number=2), 16.0).received == 200, "a board's counter has come round"
    assert history.add(counted(100, 0, number=2), 16.0) == Point(0, 0, None), "no time has passed"


def test_round_trips_and_sessions_of_every_kind():
    assert rtt(counted(0, 0, ack=20)) == 20 and rtt(counted(0, 0, echo=5, ack=20)) == 5 and rtt(counted(0, 0)) is None
    session = {"local_session": 9}
    caller = {"peer": ["192.0.2.1", 1701], "session": session, "ppp": {"rtt": 30}}
    status = {
        "tunnels": {},
        "calls": {"m": {"legs": [{"session": session}, {"session": None}], "ppp": {"links": 1}}},
        "lns": {"callers": [caller]},
    }
    assert [name for name, _ in sessions(status)] == ["m/9", "['192.0.2.1', 1701]/9"] and rtt(status) == 30


async def until(pilot, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, screen(pilot.app)
        await pilot.pause(0.05)


def screen(app):
    """All words on it, table by table."""
    words = {table.id: [list(map(str, table.get_row(key))) for key in table.rows] for table in app.query(DataTable)}
    words["summary"] = str(app.query_one("#summary", Static).render())
    words["events"] = [line.text for line in app.query_one("#events", RichLog).lines]
    return words


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TestBoard:
    pytestmark = needs_micropython

    def test_the_screen_of_a_board(self, tmp_path, tmp_path_factory):
        async def look(board):
            app = Monitor("desk", lambda **calls: Board(board.port, 0.1, **calls))
            async with app.run_test(size=(132, 40)) as pilot:
                await until(pilot, lambda: screen(app)["tunnels"])
                found = screen(app)
                assert found["tunnels"][0][:3:2] == ["lns", "127.0.0.1 port 9"]
                assert found["calls"][0][0] == "uart" and found["calls"][0][3] == "1"
                assert "meter-17  ·  0 of 1 calls up  ·  " in found["summary"] and "of memory free" in found["summary"]
                assert ["uart, frames of the host", "0"] in found["counters"]
                await until(pilot, lambda: any("connecting to 127.0.0.1" in each for each in screen(app)["events"]))
                await pilot.press("p")
                shown = len(app.history.points)
                await until(pilot, lambda: len(app.history.points) > shown + 2)
                await pilot.press("p", "c")
                assert screen(app)["events"] == []
                board.stop()
                await until(pilot, lambda: "has gone while we talked" in screen(app)["summary"])
                assert screen(app)["tunnels"], "what was seen last stays"
                await pilot.press("q")
            assert app.return_code == 0

        with laclet_board(tmp_path, rom(tmp_path_factory), config=CONFIG) as board:
            asyncio.run(look(board))

    def test_an_lns_shows_who_calls_and_what_passes(self, tmp_path, tmp_path_factory, monkeypatch):
        monkeypatch.setenv("LACLET_RUN_DIR", str(tmp_path))
        port = free_port()
        users = ("--user", "cpe-17:wonder", "--address", "10.64.64.1")
        lns = Service(tmp_path, "lns", "--listen", f"127.0.0.1:{port}", "--name", "desk", "--json", *users)
        config = {
            "tunnel": {"lns": {"server": f"127.0.0.1:{port}"}},
            "call": {"home": {"tunnel": "lns", "username": "cpe-17", "lcp_echo_interval": 1}},
        }
        secrets = {"call": {"home": {"password": "wonder"}}}

        async def look(board):
            app = Monitor("desk", lambda **calls: ServiceWatch("desk", 0.1, **calls))
            async with app.run_test(size=(132, 40)) as pilot:
                await until(pilot, lambda: [row[:2] for row in screen(app)["calls"]] == [["cpe-17", "up"]])
                assert screen(app)["calls"][0][3] == "10.64.64.2"
                assert "they by CHAP-MD5" in screen(app)["calls"][0][4] and "1 caller  ·" in screen(app)["summary"]
                done = await asyncio.to_thread(laclet, tmp_path, "ping", "10.64.64.1", "--port", board.port, "-c", "5")
                assert done.returncode == 0, done.stderr
                await until(pilot, lambda: any(min(point[:2]) > 0 for point in app.history.points))

        async def look_at_the_other_end(board):
            app = Monitor("board", lambda **calls: Board(board.port, 0.1, **calls))
            async with app.run_test(size=(132, 40)) as pilot:
                await until(pilot, lambda: "1 of 1 calls up" in screen(app)["summary"])
                await until(pilot, lambda: " ms" in str(app.query_one("#round-trip Static", Static).render()))

        try:
            lns.wait_for("listening")
            with laclet_board(tmp_path, rom(tmp_path_factory), "256K", config=config, secrets=secrets) as board:
                asyncio.run(look(board))
                asyncio.run(look_at_the_other_end(board))
                shown = laclet(tmp_path, "status", "--port", board.port).stdout
                assert re.search(r"  last heard: \d+ seconds? ago\n", shown), shown
                assert re.search(r"  up for: \d+ seconds?\n  ppp: network, authenticated: we by CHAP-MD5\n", shown), (
                    shown
                )
        finally:
            lns.kill()

    def test_its_picture_is_drawn_from_a_working_tunnel(self, tmp_path):
        target = tmp_path / "monitor.svg"
        subprocess.run([sys.executable, ROOT / "tools" / "picture", target], check=True, timeout=110)
        new, kept = (re.sub(r"&#160;", " ", path.read_text()) for path in (target, ROOT / "docs" / "monitor.svg"))
        for text in (new, kept):
            ElementTree.fromstring(text)
            words = "".join(re.findall(r">([^<]+)</text>", text))
            for word in ("tunnels", "calls", "counters", "received", "sent", "round trip", "events", "KiB/s"):
                assert word in words, word
            assert "call connected, PPP passes between line and LNS" in words

    def test_on_a_real_terminal(self, tmp_path, tmp_path_factory):
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed")
        tmux = ["tmux", "-L", f"laclet-{tmp_path.name}", "-f", "/dev/null"]
        env = environment(tmp_path)

        def do(*words):
            return subprocess.run([*tmux, *words], env=env, capture_output=True, text=True, timeout=20, check=False)

        with laclet_board(tmp_path, rom(tmp_path_factory), config=CONFIG) as board:
            command = f"'{sys.executable}' -m laclet_host monitor --port {board.port}; echo code $?; read line"
            try:
                do("new-session", "-d", "-x", "120", "-y", "40", command)
                deadline = time.monotonic() + PATIENCE
                while "0 of 1 calls up" not in (seen := do("capture-pane", "-p").stdout):
                    assert time.monotonic() < deadline, seen
                    time.sleep(0.1)
                assert "╭─ tunnels ─" in seen and "q Quit" in seen and "meter-17" in seen
                do("send-keys", "q")
                while "code 0" not in (seen := do("capture-pane", "-p").stdout):
                    assert time.monotonic() < deadline, seen
                    time.sleep(0.1)
                assert "tunnels" not in seen, "the terminal shows what was there before"
            finally:
                do("kill-server")


def test_the_screen_of_a_service(tmp_path, monkeypatch):
    monkeypatch.setenv("LACLET_RUN_DIR", str(tmp_path))
    port = free_port()
    words = ("lns", "--listen", f"127.0.0.1:{port}", "--name", "desk", "--json")

    async def look():
        app = Monitor("desk", lambda **calls: ServiceWatch("desk", 0.1, **calls))
        async with app.run_test(size=(132, 40)) as pilot:
            await until(pilot, lambda: "desk: no such service is running" in screen(app)["summary"])
            lns = Service(tmp_path, *words)
            try:
                await until(pilot, lambda: "0 callers" in screen(app)["summary"])
                await until(pilot, lambda: any("listening at" in each for each in screen(app)["events"]))
                await until(pilot, lambda: len(app.query(Sparkline).first().data) > 2)
                assert screen(app)["counters"] == [["nothing dropped", ""]]
                assert await asyncio.to_thread(lns.end, signal.SIGTERM) == 5
                await until(pilot, lambda: "no such service is running" in screen(app)["summary"])
                await pilot.press("q")
            finally:
                lns.kill()

    asyncio.run(look())


def test_without_textual_it_says_what_to_install(tmp_path):
    (tmp_path / "textual").mkdir()
    (tmp_path / "textual" / "__init__.py").write_text("raise ModuleNotFoundError('no', name='textual')\n")
    env = environment(tmp_path)
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    command = [sys.executable, "-m", "laclet_host", "monitor", "desk"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (1, "laclet: textual is missing: pip install 'laclet[monitor]'\n")


def test_where_there_is_no_terminal(tmp_path):
    done = laclet(tmp_path, "monitor", "desk", stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and done.stderr.startswith("laclet: the live screen needs a terminal; for programs")


def test_no_device_at_all(tmp_path):
    done = laclet(tmp_path, "monitor", "--port", "none", "--interval", "0")
    assert done.returncode == 2 and "0.1" in done.stderr
