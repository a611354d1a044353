"""``laclet logs`` of services and of real MicroPython, and tracebacks without lines made readable."""

import json
import re
import signal
import socket
import subprocess
import sys

from clirun import PATIENCE, ROOT, Service, environment, laclet
from deskboard import laclet_board, needs_micropython, rom

from laclet_host.logs import Reader, text
from laclet_host.traces import Frame, decode, frame

CONFIG = {
    "tunnel": {"lns": {"server": "127.0.0.1:9"}},
    "line": {"uart": {"device": "1"}},
    "call": {"uart": {"tunnel": "lns", "line": "uart"}},
}
SOURCE = """\
class Shell:
    def run(self):
        while True:
            self.turn(10)

    def turn(self, ms):
        if ms:
            self.serve()
        self.serve()

    def serve(self):
        return Wire(self)


class Wire:
    def __init__(self, shell):
        self.fd = shell.open()


class Other:
    def serve(self):
        pass
"""


def test_frames_of_compiled_code_are_found_in_its_sources(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "shell.py").write_text(SOURCE)
    lines = [
        f'  File "{name}", line 1, in {function}'
        for name, function in (
            ("main.py", "<module>"),
            ("pack/shell.py", "run"),
            ("pack/shell.py", "turn"),
            ("pack/shell.py", "serve"),
            ("pack/shell.py", "__init__"),
        )
    ]
    found = decode([frame(line) for line in lines], tmp_path)
    assert [str(each) for each in found] == [
        "  main.py in <module>",  # not one of ours
        "  pack/shell.py:4 in run: self.turn(10)",  # the only place where it calls the next one
        "  pack/shell.py:6-9 in turn",  # there are two
        "  pack/shell.py:12 in serve: return Wire(self)",  # of two of that name, the one that makes something
        "  pack/shell.py:16-17 in __init__",
    ]
    known = decode([frame('  File "pack/shell.py", line 17, in __init__')], tmp_path)
    assert known == [Frame("pack/shell.py", "__init__", 17, 17, "self.fd = shell.open()")]
    outside = decode([frame('  File "../../etc/passwd", line 1, in x')], tmp_path / "pack")
    assert str(outside[0]) == "  ../../etc/passwd in x"
    assert frame("ValueError: x") is None and frame('  File "x"') is None


def test_lines_of_a_board_become_entries(tmp_path):
    reader = Reader(tmp_path)
    said = [
        "laclet> ",
        "[12:00:01][W][tunnel.lns]: udp: refused",
        "[call.home]: kept",
        "",
        "what main.py prints",
        "Traceback (most recent call last):",
        '  File "main.py", line 7, in <module>',
        "ValueError: crashed",
        "Traceback (most recent call last):",
        '  File "main.py", line 7, in <module>',
        "KeyboardInterrupt: ",
    ]
    entries = [entry for entry in (reader.take(line, 1000.5) for line in said) if entry is not None]
    assert [(each["level"], each["component"], each["text"]) for each in entries] == [
        ("warning", "tunnel.lns", "udp: refused"),
        (None, "call.home", "kept"),
        ("info", "console", "what main.py prints"),
        ("error", "crash", "ValueError: crashed"),
        ("info", "console", "interrupted by Ctrl-C"),
    ]
    assert text(entries[3]).endswith("[E][crash]: ValueError: crashed\n  main.py:7 in <module>")
    assert re.match(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]\[W\]\[tunnel\.lns\]: udp: refused$", text(entries[0], True))


class Following:
    """``laclet logs --follow --json`` as a process."""

    def __init__(self, run_dir, *words):
        command = [sys.executable, "-m", "laclet_host", "logs", *map(str, words), "--follow", "--json"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment(run_dir), **pipes)

    def until(self, part):
        """All entries to the first whose text has ``part`` in it."""
        entries = []
        for line in self.process.stdout:
            entries.append(json.loads(line))
            if part in entries[-1]["text"]:
                return entries
        raise AssertionError(f"no {part!r} in {entries}: {self.process.stderr.read()}")

    def told(self):
        """The next line for people."""
        return self.process.stderr.readline()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def test_a_service_tells_what_it_has_said_and_goes_on(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lns = Service(tmp_path, "lns", "--listen", f"127.0.0.1:{port}", "--name", "desk", "--json")
    try:
        lns.wait_for("listening")
        done = laclet(tmp_path, "logs", "desk", "--json")
        entries = [json.loads(line) for line in done.stdout.splitlines()]
        assert [each["component"] for each in entries] == ["service", "lns"]
        assert entries[1].keys() == {"time", "level", "component", "text"}
        done = laclet(tmp_path, "logs", "desk", "-n", "1", "--output", tmp_path / "desk.log")
        assert re.fullmatch(rf"\[\d\d:\d\d:\d\d\]\[I\]\[lns\]: listening at 127\.0\.0\.1 port {port}\n", done.stdout)
        assert re.match(r"\[\d{4}-\d\d-\d\d ", (tmp_path / "desk.log").read_text())
        assert laclet(tmp_path, "logs", "desk", "--level", "error").stdout == ""
        assert laclet(tmp_path, "logs", "desk", "-n", "0").stdout == ""
        both = [Following(tmp_path, "desk"), Following(tmp_path, "desk")]
        for each in both:
            each.until("listening")
        lns.end(signal.SIGTERM)
        for each in both:
            each.until("stopping")
            assert each.process.wait(PATIENCE) == 0
            each.end()
    finally:
        lns.kill()
    done = laclet(tmp_path, "logs", "desk")
    assert (done.returncode, done.stderr) == (1, "laclet: desk: no such service is running\n")


class TestOfABoard:
    pytestmark = needs_micropython

    def test_what_it_has_kept_and_what_it_says(self, tmp_path, tmp_path_factory):
        with laclet_board(tmp_path, rom(tmp_path_factory), config=CONFIG) as board:
            done = laclet(tmp_path, "logs", "--port", board.port)
            assert done.returncode == 0 and "[tunnel.lns]: connecting to 127.0.0.1 port 9\n" in done.stdout
            following = Following(tmp_path, "--port", board.port, "-n", "0")
            entries = following.until("dialling again in")
            assert all(each["time"] for each in entries) and entries[-1]["level"] == "info"
            assert following.end() == 130

    def test_a_crash_is_one_entry_with_the_sources(self, tmp_path, tmp_path_factory):
        main = (
            "import laclet_mcu.start, laclet_mcu.shell\n"
            "def _tick(self, now): raise ValueError('crashed')\n"
            "laclet_mcu.shell.Shell._tick = _tick\n"
            "laclet_mcu.start.start()\n"
        )
        with laclet_board(tmp_path, rom(tmp_path_factory), files={"/main.py": main}) as board:
            following = Following(tmp_path, "--port", board.port)
            crash = following.until("ValueError: crashed")[-1]
            assert "listening all the same" in following.told()
            assert following.end() == 130
        assert (crash["level"], crash["component"]) == ("error", "crash")
        frames = {each["function"]: each for each in crash["trace"]}
        for function, called in (("start", "served.run()"), ("run", "self.turn(_LONGEST)"), ("turn", "self._tick(")):
            each = frames[function]
            lines = (ROOT / "firmware" / each["file"]).read_text().splitlines()
            numbers = range(each["first"], each["last"] + 1)
            assert any(called in lines[number - 1] for number in numbers), (each, called)
        assert frames["_tick"]["file"] == "main.py" and frames["_tick"]["first"] == 2

    def test_one_that_is_unplugged_is_waited_for(self, tmp_path, tmp_path_factory):
        plug = tmp_path / "plug"
        with laclet_board(tmp_path, rom(tmp_path_factory), config=CONFIG) as board:
            plug.symlink_to(board.port)
            following = Following(tmp_path, "--port", plug)
            following.until("connecting to")
        assert following.told() == f"laclet: {plug} has gone; waiting for it\n"
        plug.unlink()
        with laclet_board(tmp_path, rom(tmp_path_factory), config=CONFIG) as board:
            plug.symlink_to(board.port)
            assert following.told() == f"laclet: {plug} is back\n"
            following.until("dialling again in")
        following.end()
        done = laclet(tmp_path, "logs", "--port", plug)
        assert done.returncode == 4 and "is it plugged in?" in done.stderr
