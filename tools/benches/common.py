"""What the benches share: how to time, what machine this is, and how results are reported."""

import os
import platform
import shutil
import statistics
import sys
import time
from pathlib import Path

AT_MOST = "at most"
AT_LEAST = "at least"


class Missing(Exception):
    """A program or a right that the bench cannot do without; the text says which, and how to get it."""


def find_program(name):
    """Path of a program beside this Python, or in PATH. Raises Missing."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def best_ns(call, times, runs):
    """Nanoseconds of one ``call()``: the best of ``runs`` batches of ``times``, the least disturbed by other work."""
    best = None
    for _ in range(runs):
        start = time.perf_counter_ns()
        for _ in range(times):
            call()
        spent = time.perf_counter_ns() - start
        best = spent if best is None or spent < best else best
    return best / times


def median(numbers):
    """The middle one."""
    return statistics.median(numbers)


def machine():
    """One line: processor, how many, system, Python."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{model} x{os.cpu_count()}, {platform.system()} {platform.release()}, {python}"


def report(name, runs, figures, targets):
    """The one object that a bench prints; figures with four significant digits."""
    figures = {key: float(f"{value:.4g}") for key, value in figures.items()}
    judged = []
    for key, sense, want in targets:
        got = figures.get(key)
        met = got is not None and (got <= want if sense == AT_MOST else got >= want)
        judged.append({"key": key, "want": want, "got": got, "met": met})
    return {"bench": name, "machine": machine(), "runs": runs, "figures": figures, "targets": judged}


def table(result, targets):
    """The same for people."""
    wants = {key: f"{sense} {want:g}" for key, sense, want in targets}
    met = {target["key"]: "met" if target["met"] else "MISSED" for target in result["targets"]}
    width = max(len(key) for key in result["figures"])
    lines = [f"{result['bench']}: {result['machine']}, {result['runs']} runs"]
    for key, value in result["figures"].items():
        verdict = f"  {wants[key]:>16}  {met[key]}" if key in wants else ""
        lines.append(f"  {key:{width}}  {value:12g}{verdict}")
    return "\n".join(lines)
