"""``laclet test`` on a virtual board, its reports, and the pytest plugin in somebody else's tests."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from clirun import ROOT, environment, laclet
from deskboard import needs_micropython

pytestmark = needs_micropython
TIMEOUT = 300  # s; a third of it is enough on an idle machine
# The whole suite takes minutes, most of them for restarts and power cuts.
SOME = "authentication or wrong or caller or throughput or hung_up or answers or secrets or saved"
OWN = """\
def test_my_device_calls(laclet_device, laclet_lns):
    laclet_device.run(laclet_lns.client())
    assert laclet_device.up()["calls"]["test"]["address"].startswith("10.64.64.")
"""
NEEDY = """\
import pytest

@pytest.mark.laclet_needs("line")
def test_the_line(laclet_device, laclet_modem):
    raise AssertionError("is skipped")

@pytest.mark.laclet_needs("luck")
def test_no_such_thing(laclet_device):
    raise AssertionError("fails before")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """``(what the command came to, folder of its reports)``."""
    folder = tmp_path_factory.mktemp("suite")
    reports = ("--html", folder / "page.html", "--junit", folder / "junit.xml", "--json")
    return laclet(folder, "test", "--virtual", "-k", SOME, *reports, timeout=TIMEOUT), folder


def test_a_virtual_board_passes(run):
    done, _ = run
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["device"] == "a virtual board" and found["version"]["laclet"]
    tests = found["tests"]
    assert {each["outcome"] for each in tests.values()} == {"passed"}, done.stderr
    for auth in ("pap", "chap", "mschap", "mschap-v2", "eap"):
        assert f"test_device_calls.py::test_it_comes_up_with_each_authentication[{auth}]" in tests
    for name in ("test_throughput", "test_a_call_that_is_hung_up_can_be_made_again"):
        assert f"test_device_line.py::{name}" in tests
    about = tests["test_device_line.py::test_throughput"]["about"]
    assert len(about["throughput"]) > 1 and all(rate > 0 for _, rate in about["throughput"])


def test_the_ladder_and_the_log_of_each_call_are_in_the_reports(run):
    done, folder = run
    tests = json.loads(done.stdout)["tests"]
    pap = tests["test_device_calls.py::test_it_comes_up_with_each_authentication[pap]"]["about"]
    assert "SCCRQ" in pap["ladder"] and "PAP" in pap["ladder"] and "[call.test]: up: address" in pap["log"]
    assert "shutting down" not in pap["log"], "it is taken before the LNS ends"
    eap = tests["test_device_calls.py::test_it_comes_up_with_each_authentication[eap]"]["about"]
    assert "EAP" in eap["ladder"]
    page = (folder / "page.html").read_text("utf-8")
    assert page.count("SCCRQ") >= 6 and "<svg" in page and "kB/s" in page and "http" not in page, (
        "it needs nothing else"
    )
    assert "laclet-test-password" not in page + done.stdout


def test_junit_for_a_ci(run):
    done, folder = run
    suite = ET.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite is not None and suite.get("failures") == suite.get("errors") == "0"
    assert int(suite.get("tests", 0)) == len(json.loads(done.stdout)["tests"])


def test_what_cannot_be_tested_is_one_line(tmp_path):
    for words, code, said in (
        (("--port", "/dev/nobody", "--lns-address", "127.0.0.1"), 4, "/dev/nobody"),
        (("--port", "/dev/nobody"), 1, "--lns-address is missing"),
        (("--virtual", "-k", "nothing_of_the_kind"), 2, "no test has these words: nothing_of_the_kind"),
    ):
        done = laclet(tmp_path, "test", *words)
        assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr, done.stderr


def pytest_in(folder, *words):
    """pytest as somebody has it who has installed laclet, with a test file of his own."""
    loaded = [] if _installed() else ["-p", "laclet_host.testing.plugin"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder, *loaded]
    return subprocess.run(
        [*map(str, command), *map(str, words), str(folder)],
        capture_output=True, text=True, timeout=TIMEOUT, env=environment(folder), cwd=folder, check=False,
    )  # fmt: skip


def _installed():
    from importlib.metadata import entry_points

    return any(each.value == "laclet_host.testing.plugin" for each in entry_points(group="pytest11"))


def test_a_test_of_ones_own_takes_three_lines(tmp_path):
    assert OWN in (ROOT / "docs" / "tools.md").read_text("utf-8")
    (tmp_path / "test_mine.py").write_text(OWN)
    done = pytest_in(tmp_path, "--laclet-virtual", "--laclet-report", tmp_path / "page.html")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
    assert "SCCRQ" in (tmp_path / "page.html").read_text("utf-8")
    done = pytest_in(tmp_path, "-rs")
    assert done.returncode == 0 and "no device: give --laclet-port PORT or --laclet-virtual" in done.stdout


def test_what_a_test_needs_and_the_device_lacks(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "class Bare:\n"
        "    power = None\n"
        "    def updates(self): return False\n"
        "    def log(self): return ['[00:00:00][W][call.c]: auth: refused (check the password)']\n"
        "@pytest.fixture(scope='session')\n"
        "def _laclet_desk():\n"
        "    return Bare(), None\n"
    )
    (tmp_path / "test_mine.py").write_text(NEEDY + "\ndef test_fails(laclet_device):\n    assert not laclet_device\n")
    done = pytest_in(tmp_path, "-rs", "--laclet-report", tmp_path / "page.html", "--laclet-json", tmp_path / "run.json")
    assert done.returncode == 1 and "needs --laclet-line: where the far end" in done.stdout, done.stdout
    assert "laclet_needs: no such thing: luck; there are line, power, update" in done.stdout
    tests = json.loads((tmp_path / "run.json").read_text("utf-8"))["tests"]
    assert [each["outcome"] for each in tests.values()] == ["skipped", "failed", "failed"]
    page = (tmp_path / "page.html").read_text("utf-8")
    assert '<div class="todo"><p>[00:00:00][W][call.c]: auth: refused (check the password)</p>' in page


def test_the_plugin_costs_other_peoples_pytest_nothing():
    code = (
        "import sys, pytest; before = set(sys.modules); import laclet_host.testing.plugin;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment("."), check=True
    )
    assert done.stdout.strip() == "['laclet_host', 'laclet_host.testing', 'laclet_host.testing.plugin']"
