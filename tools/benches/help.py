"""Processor ms of ``laclet COMMAND --help``: the least of some runs; of the command itself, the median, the worst."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from benches.common import AT_MOST

from laclet_host.cli import COMMANDS

RUNS = 5
TARGETS = (("laclet", AT_MOST, 150), ("worst", AT_MOST, 150))

_HOME = Path(__file__).resolve().parents[2]


def measure(runs):
    """Processor time, which on an idle machine is the time that passes."""
    environment = {**os.environ, "PYTHONPATH": f"{_HOME / 'firmware'}{os.pathsep}{_HOME / 'host'}"}
    spent = {name: min(_once(name.split(), environment) for _ in range(runs)) for name in ("", *COMMANDS)}
    figures = {"laclet": spent.pop(""), "median": statistics.median(spent.values()), "worst": max(spent.values())}
    return {name: round(figure, 1) for name, figure in figures.items()}


def _once(words, environment):
    command = [sys.executable, "-m", "laclet_host", *words, "--help"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, child.returncode, usage = os.wait4(child.pid, 0)
    assert child.returncode == 0
    return (usage.ru_utime + usage.ru_stime) * 1000
