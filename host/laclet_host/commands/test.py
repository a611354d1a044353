"""The tests of a device before it ships."""

import sys
from pathlib import Path

import click

from ..ui import Trouble
from .port import port_option, the_port


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
    there are skipped by name. Exit codes: 0 all passed, 1 some failed, 4 no device.
    """
    try:
        import pytest
    except ImportError:
        raise Trouble("pytest is missing: pip install 'laclet[test]'") from None
    if not virtual and not lns_address:
        raise Trouble("--lns-address is missing: at which address of this machine can the device reach the test LNS?")
    words = [str(Path(__file__).parents[1] / "testing" / "suite"), "-p", "no:cacheprovider", "-o", "addopts="]
    words += ["-c", "/dev/null" if sys.platform != "win32" else "nul", "--rootdir", words[0]]
    if "laclet_host.testing.plugin" not in _plugins():
        words += ["-p", "laclet_host.testing.plugin"]
    words += ["--laclet-virtual"] if virtual else ["--laclet-port", the_port(port)]
    for option, value in (
        ("--laclet-line", line),
        ("--laclet-lns-address", lns_address),
        ("--laclet-power", power),
        ("-k", only),
        ("--laclet-report", html),
        ("--junitxml", junit),
    ):
        words += [option, value] if value else []
    words += ["--laclet-json", "-", "-q", "--no-header", "--no-summary"] if as_json else ["-v", "-rs", "--no-header"]
    sys.exit(min(1, pytest.main(words)))


def _plugins() -> list[str]:
    """Modules of the plugins that pytest loads by itself."""
    from importlib.metadata import entry_points

    return [each.value for each in entry_points(group="pytest11")]
