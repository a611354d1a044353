"""The run of a device's tests: JSON for programs, a page for people with the ladder of each call and the figures."""

import html
import json
import time
from pathlib import Path
from typing import Any

from .plugin import VERSION

_OUTCOMES = ("passed", "failed", "skipped")
_WIDTH, _HEIGHT, _LEFT, _BELOW = 640, 150, 80, 22  # of a plot, in pixels; room for the scales
_BINS = 60  # points of a plot at most; each is the mean of its share
_STYLE = """
:root { color-scheme: light dark; --passed: #2e7d32; --failed: #c62828; --skipped: #8d6e00; --line: #1565c0;
  --soft: #f4f4f1; --rule: #ddd; --dim: #666 }
@media (prefers-color-scheme: dark) { :root { --passed: #81c784; --failed: #ef9a9a; --skipped: #ffd54f; --line: #64b5f6;
  --soft: #262626; --rule: #444; --dim: #aaa } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 64em; padding: 0 1em }
h1 { margin: 0 } h2 { margin: 2em 0 .3em; font-size: 1.1em } h4 { margin: 1em 0 .3em } .dim { color: var(--dim) }
.bar { display: flex; height: .6em; border-radius: .3em; overflow: hidden; margin: 1em 0 .4em }
details { border-bottom: 1px solid var(--rule) } summary { cursor: pointer; padding: .5em 0; display: flex; gap: .8em }
summary::before { content: "▸"; color: var(--dim) } details[open] > summary::before { content: "▾" }
summary .seconds { margin-left: auto; color: var(--dim); white-space: nowrap } .body { padding: 0 0 1em 1.6em }
.passed { color: var(--passed) } .failed { color: var(--failed) } .skipped { color: var(--skipped) }
.outcome { width: 4.5em; font-weight: 600 } .about { margin: 0; color: var(--dim) }
.todo { border-left: 4px solid var(--failed); background: var(--soft); padding: .6em 1em; margin: .6em 0 }
.todo p { margin: .2em 0 }
pre { background: var(--soft); padding: .8em; overflow: auto; max-height: 40em; font-size: 12px; line-height: 1.4;
  margin: 0; border-radius: 4px }
svg text { font: 11px system-ui, sans-serif; fill: var(--dim) } svg polyline { fill: none; stroke: var(--line);
  stroke-width: 2 } svg line { stroke: var(--rule) }
"""
# What to look at when a test of this file fails and nobody said why.
_ADVICE = {
    "console": "See that nothing else talks at the device's port, and that laclet is the newest: laclet deploy.",
    "calls": "See that the device can reach --lns-address, and that no firewall here keeps its UDP away.",
    "line": "See that --line is the far end of the right UART, and that both have the same speed and flow control.",
    "life": "See that --power restores the power by itself, and that the device then has the same port.",
}


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
        self._docs: dict[str, str] = {}
        self._tests: dict[str, dict[str, Any]] = {}

    def pytest_itemcollected(self, item):
        """What the test shows, in its own words."""
        self._docs[item.nodeid] = (getattr(item.obj, "__doc__", None) or "").strip().split("\n\n")[0]

    def pytest_runtest_logreport(self, report):
        """One phase of one test."""
        test = self._tests.setdefault(
            report.nodeid.rpartition("/")[2],
            {"outcome": "passed", "seconds": 0.0, "doc": self._docs.get(report.nodeid, ""), "why": "", "about": {}},
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
            "version": session.config.stash.get(VERSION, {}),
            "began": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._began)),
            "seconds": round(time.time() - self._began, 1),
            "tests": self._tests,
        }
        if self._json:
            Path(self._json).write_text(json.dumps(run) + "\n", "utf-8")
        if self._page:
            Path(self._page).write_text(page(run), "utf-8")


def page(run: dict[str, Any]) -> str:
    """The run as one HTML page that needs nothing else."""
    tests = run["tests"]
    counts = {outcome: sum(each["outcome"] == outcome for each in tests.values()) for outcome in _OUTCOMES}
    summary = ", ".join(f'<b class="{key}">{count} {key}</b>' for key, count in counts.items() if count)
    bar = "".join(f'<div style="flex:{count};background:var(--{key})"></div>' for key, count in counts.items())
    device = html.escape(str(run["device"]))
    version = run["version"]
    about = " · ".join(
        f"{key} {version[key]}" for key in ("laclet", "micropython", "machine", "id") if version.get(key)
    )
    groups: dict[str, list[str]] = {}
    for name, test in tests.items():
        groups.setdefault(_group(name), []).append(_row(name, test))
    rows = "\n".join(f"<h2>{html.escape(group)}</h2>\n" + "\n".join(rows) for group, rows in groups.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>laclet test: {device}</title><style>{_STYLE}</style></head><body>
<h1>{device}</h1>
<div class="dim">{html.escape(about)}</div>
<div class="bar">{bar}</div>
<div>{summary} <span class="dim">· begun {html.escape(run["began"])}, {run["seconds"]} s</span></div>
{rows}
</body></html>
"""


def _group(name: str) -> str:
    return name.partition("::")[0].removeprefix("test_").removeprefix("device_").removesuffix(".py")


def _row(name: str, test: dict[str, Any]) -> str:
    outcome, about = test["outcome"], test["about"]
    parts = [f'<p class="about">{html.escape(test["doc"])}</p>'] if test["doc"] else []
    if outcome == "failed":
        parts.append(_what_to_do(_group(name), about))
    if test["why"]:
        parts.append(_block("why" if outcome == "failed" else "", str(test["why"])))
    if about.get("throughput"):
        parts.append(plot(about["throughput"]))
    for key, title in (("ladder", "what was said"), ("log", "the device's log")):
        if about.get(key):
            parts.append(_block(title, str(about[key])))
    title = html.escape(name.rpartition("::")[2].removeprefix("test_").replace("_", " "))
    return (
        f'<details{" open" if outcome == "failed" else ""}><summary><span class="outcome {outcome}">{outcome}</span>'
        f'<span>{title}</span><span class="seconds">{test["seconds"]} s</span></summary>'
        f'<div class="body">{"".join(parts)}</div></details>'
    )


def _block(title: str, text: str) -> str:
    lines = []
    for line in html.escape(text).split("\n"):
        bad = line.startswith(("failed:", "E   ")) or "[W]" in line or "[E]" in line
        good = line.startswith("reached:")
        lines.append(f'<span class="{"failed" if bad else "passed"}">{line}</span>' if bad or good else line)
    return (f"<h4>{title}</h4>" if title else "") + "<pre>" + "\n".join(lines) + "</pre>"


def _what_to_do(group: str, about: dict[str, Any]) -> str:
    """The device's own last words about it, which end with what to do; else where to look."""
    said = [line for line in str(about.get("log", "")).split("\n") if "[W]" in line or "[E]" in line]
    said += [line for line in str(about.get("ladder", "")).split("\n") if line.startswith("failed:")]
    lines = [html.escape(line) for line in dict.fromkeys(said[-3:])]
    if group in _ADVICE:
        lines.append(_ADVICE[group])
    return '<div class="todo">' + "".join(f"<p>{line}</p>" for line in lines) + "</div>" if lines else ""


def plot(points: list) -> str:
    """``[(seconds, bytes a second)]`` as a drawing in SVG."""
    if len(points) < 2:
        return ""
    size = -(-len(points) // _BINS)
    shares = [points[at : at + size] for at in range(0, len(points), size)]
    points = [(share[0][0], sum(rate for _, rate in share) / len(share)) for share in shares]
    end, top = points[-1][0] or 1, max(rate for _, rate in points) or 1
    mean = sum(rate for _, rate in points) / len(points)

    def y(rate):
        return _HEIGHT - rate / top * (_HEIGHT - 15)

    xy = " ".join(f"{_LEFT + at / end * _WIDTH:.1f},{y(rate):.1f}" for at, rate in points)
    scale = "".join(
        f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y(rate):.1f}" y2="{y(rate):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y(rate) + 4:.1f}" text-anchor="end">{rate / 1000:.1f} kB/s</text>'
        for rate in (0, top / 2, top)
    )
    return (
        f"<h4>throughput: {mean / 1000:.1f} kB/s, at most {top / 1000:.1f}</h4>"
        f'<svg viewBox="0 0 {_LEFT + _WIDTH + 10} {_HEIGHT + _BELOW}" style="max-width:100%" width="{_LEFT + _WIDTH}"'
        f' role="img" aria-label="throughput over time">{scale}<polyline points="{xy}"/>'
        f'<text x="{_LEFT}" y="{_HEIGHT + 16}">0</text>'
        f'<text x="{_LEFT + _WIDTH}" y="{_HEIGHT + 16}" text-anchor="end">{end:.1f} s</text></svg>'
    )
