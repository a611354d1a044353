"""The documents tell the truth: every test that docs/conformance.md names exists."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from laclet_host import ui
from laclet_host.cli import COMMANDS, main
from laclet_host.manual import CODES, page

ROOT = Path(__file__).resolve().parents[2]


def test_conformance_names_tests_that_exist():
    named = re.findall(r"(\w+/test_\w+\.py)::(test_\w+)", (ROOT / "docs/conformance.md").read_text())
    assert len(named) > 40
    for file, function in named:
        source = (ROOT / "tests" / file).read_text()
        assert f"def {function}(" in source, f"{file}::{function}"


def test_the_manual_page_is_that_of_the_commands():
    assert (ROOT / "docs/laclet.1").read_text("utf-8") == page(), "run tools/reference"


def test_the_manual_page_reads_well():
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    path = str(ROOT / "docs/laclet.1")
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", path], capture_output=True, text=True, check=False)
    assert [line for line in lint.stdout.splitlines() if "missing date" not in line] == []
    shown = subprocess.run(["mandoc", "-Tascii", path], capture_output=True, text=True, check=True).stdout
    shown = re.sub(".\b", "", shown)  # bold, as terminals of old had it
    for name in COMMANDS:
        assert f"   laclet {name} " in shown
    assert "laclet config push [OPTIONS] FILE" in shown and "--help" not in shown


def test_exit_codes_are_the_same_everywhere():
    """In the program, its help, the page and docs/tools.md."""
    codes = {value for name, value in vars(ui).items() if name.isupper() and type(value) is int} | {0, 2}
    assert codes == {code for code, _ in CODES}
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", (ROOT / "docs/tools.md").read_text(), re.M)}
    assert codes == {int(code) for code in re.findall(r"(\d+) [a-zA-Z]", str(main.help).split("Exit codes:")[1])}
