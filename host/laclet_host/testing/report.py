"""The run of a device's tests: JSON for programs, a page for people with the ladder of each call and the figures."""

import html
import json
import sys
import time
from pathlib import Path

_COLOURS = {"passed": "#2e7d32", "failed": "#c62828", "skipped": "#8d6e00"}
_WIDTH, _HEIGHT = 640, 140


def ladder_of(capture: Path) -> str:
    """The ladders in a capture, for people; empty when it holds nothing."""
    from ..capture.ladder import ladders, text
    from ..capture.pcapng import BadCapture, read
    from ..capture.steps import read_steps

    try:
        with capture.open("rb") as file:
            return "\n\n".join(text(each, 130) for each in ladders(read_steps(read(file))))
    except (OSError, BadCapture):
        return ""


class Reporter:
    """Collects what each test came to. Registered by the plugin when a report is wanted."""

    def __init__(self, config):
        self._page = config.getoption("laclet_report")
        self._json = config.getoption("laclet_json")
        self._began = time.time()
        self._tests: dict[str, dict] = {}

    def pytest_runtest_logreport(self, report):
        """One phase of one test."""
        test = self._tests.setdefault(
            report.nodeid.rpartition("/")[2], {"outcome": "passed", "seconds": 0.0, "why": "", "about": {}}
        )
        test["seconds"] = round(test["seconds"] + report.duration, 2)
        if report.outcome != "passed" and test["outcome"] == "passed":
            test["outcome"] = report.outcome
            test["why"] = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        if report.when == "teardown":
            test["about"] = dict(report.user_properties)

    def pytest_sessionfinish(self, session):
        """Write what is wanted."""
        run = {
            "device": session.config.getoption("laclet_port") or "a virtual board",
            "began": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._began)),
            "seconds": round(time.time() - self._began, 1),
            "tests": self._tests,
        }
        if self._json == "-":
            sys.stdout.write(json.dumps(run) + "\n")
        elif self._json:
            Path(self._json).write_text(json.dumps(run, indent=1) + "\n", "utf-8")
        if self._page:
            Path(self._page).write_text(page(run), "utf-8")


def page(run: dict) -> str:
    """The run as one HTML page that needs nothing else."""
    tests = run["tests"]
    counts = {outcome: sum(each["outcome"] == outcome for each in tests.values()) for outcome in _COLOURS}
    rows = "\n".join(_row(name, test) for name, test in tests.items())
    summary = ", ".join(f'<b style="color:{_COLOURS[key]}">{count} {key}</b>' for key, count in counts.items())
    device = html.escape(str(run["device"]))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>laclet test: {device}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222 }}
details {{ border-bottom: 1px solid #ddd; padding: .4em 0 }} summary {{ cursor: pointer }}
pre {{ background: #f6f6f4; padding: .8em; overflow-x: auto; font-size: 12px; line-height: 1.35 }}
.outcome {{ display: inline-block; width: 5em; font-weight: bold }} .seconds {{ float: right; color: #777 }}
</style></head><body>
<h1>laclet test: {device}</h1>
<p>{summary}; begun {html.escape(run["began"])}, {run["seconds"]} s.</p>
{rows}
</body></html>
"""


def _row(name: str, test: dict) -> str:
    parts = []
    if test["why"]:
        parts.append(f"<pre>{html.escape(str(test['why']))}</pre>")
    for key, value in test["about"].items():
        if key == "throughput":
            parts.append(plot(value))
        elif value:
            parts.append(f"<h4>{html.escape(key)}</h4><pre>{html.escape(str(value))}</pre>")
    opened = " open" if test["outcome"] == "failed" else ""
    title = html.escape(name.rpartition("::")[2].removeprefix("test_").replace("_", " "))
    return (
        f'<details{opened}><summary><span class="outcome" style="color:{_COLOURS[test["outcome"]]}">{test["outcome"]}'
        f'</span> {title} <span class="seconds">{test["seconds"]} s</span></summary>{"".join(parts)}</details>'
    )


def plot(points: list) -> str:
    """``[(seconds, bytes a second)]`` as a drawing in SVG."""
    if len(points) < 2:
        return ""
    end, top = points[-1][0] or 1, max(rate for _, rate in points) or 1
    xy = " ".join(f"{at / end * _WIDTH:.1f},{_HEIGHT - rate / top * (_HEIGHT - 20):.1f}" for at, rate in points)
    return (
        f"<h4>throughput, at most {top / 1000:.1f} kB/s, over {end:.1f} s</h4>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" aria-label="throughput over time">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#f6f6f4"/>'
        f'<polyline points="{xy}" fill="none" stroke="#1565c0" stroke-width="2"/></svg>'
    )
