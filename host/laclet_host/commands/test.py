"""The tests of a device before it ships."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

import click

from ..ui import FAILURE, INTERRUPTED, Trouble
from .port import port_option, the_port

_USAGE = 2
_STOPPED, _NOTHING = 2, 5  # what pytest's exit codes mean


@click.command("test")
@port_option
@click.option("--virtual", is_flag=True, help="Test a virtual board.")
@click.option("--line", metavar="TTY", help="Where the far end of the device's serial line is plugged in.")
@click.option("--lns-address", metavar="IP", help="Address of this machine as the device reaches it.")
@click.option("--power", metavar="COMMAND", help="Command that cuts the device's power and restores it.")
@click.option("-k", "only", metavar="WORDS", help="Only tests with these words, as for pytest.")
@click.option("--html", type=click.Path(dir_okay=False), help="A page for people: ladders, logs, throughput.")
@click.option("--junit", type=click.Path(dir_okay=False), help="JUnit XML for a CI.")
@click.option("--json", "as_json", is_flag=True, help="The run as one JSON object.")
def test(port, virtual, line, lns_address, power, only, html, junit, as_json) -> None:
    """Test the device at --port: console, configuration, calls, line, restarts, updates.

    What it is told is not saved: a restart at the end brings its own configuration back. Tests that need what is not
    there are skipped by name. Exit codes: 0 all passed, 1 some failed, 2 no test is meant, 4 no device.
    """
    try:
        import pytest
    except ImportError:
        raise Trouble("pytest is missing: pip install pytest") from None
    if not virtual:
        if not lns_address:
            raise Trouble("--lns-address is missing: at which address of this machine can the device reach the LNS?")
        port = the_port(port)
        from ..device.link import Link

        Link(port).close()  # one line for one that is not there, instead of a page for each test
    suite = Path(__file__).parents[1] / "testing" / "suite"
    words = [str(suite), "--rootdir", str(suite), "-c", os.devnull, "-p", "no:cacheprovider", "-o", "addopts="]
    if "laclet_host.testing.plugin" not in _plugins():
        words += ["-p", "laclet_host.testing.plugin"]
    words += ["--laclet-virtual"] if virtual else ["--laclet-port", port]
    for option, value in (
        ("--laclet-line", line),
        ("--laclet-lns-address", lns_address),
        ("--laclet-power", power),
        ("-k", only),
        ("--laclet-report", html),
        ("--junitxml", junit),
    ):
        words += [option, str(Path(value).absolute()) if value in (html, junit) else value] if value else []
    with tempfile.TemporaryDirectory(prefix="laclet-test-") as folder:
        kept = Path(folder) / "run.json"
        if as_json:
            words += ["--laclet-json", str(kept)]
        with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            code = pytest.main([*words, "--no-header", "--tb=short", "-v", "-rs"])
        if kept.exists():
            click.echo(kept.read_text("utf-8"), nl=False)
    if code == _NOTHING:
        raise Trouble(f"no test has these words: {only}", _USAGE)
    sys.exit({0: 0, _STOPPED: INTERRUPTED}.get(code, FAILURE))


def _plugins() -> list[str]:
    """Modules of the plugins that pytest loads by itself."""
    from importlib.metadata import entry_points

    return [each.value for each in entry_points(group="pytest11")]
