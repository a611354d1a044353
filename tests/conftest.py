"""With LACLET_REQUIRE_ALL=1 (continuous integration) every skip is a failure, and hypothesis repeats its examples."""

import os

import pytest
from hypothesis import HealthCheck, settings

REQUIRE_ALL = os.environ.get("LACLET_REQUIRE_ALL") == "1"

# No example is timed: the machine may be busy. New examples are looked for where somebody is there to look at them.
settings.register_profile(
    "laclet", deadline=None, derandomize=REQUIRE_ALL, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("laclet")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: nothing may be skipped here: {report.longrepr[2]}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if REQUIRE_ALL and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: nothing may be skipped here: {report.longrepr[2]}"
    return report


def pytest_terminal_summary(terminalreporter):
    """Every test that was skipped, by name, under the reason."""
    skipped = {}
    for report in terminalreporter.stats.get("skipped", []):
        skipped.setdefault(report.longrepr[2].removeprefix("Skipped: "), []).append(report.nodeid)
    if skipped:
        terminalreporter.section("not run here")
    for reason, names in sorted(skipped.items()):
        terminalreporter.line(f"{reason}:")
        for name in sorted(set(names)):
            terminalreporter.line(f"  {name}")
