"""Every coverage-guided target for a bounded time, beginning with its corpus (see guided.py)."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.guided import TARGETS

HERE = Path(__file__).resolve().parent
SECONDS = 3


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_corpus_is_taken_without_raising(target):
    kept = sorted((HERE / "corpus" / target).glob("*"))
    assert kept, f"no corpus for {target}"
    for path in kept:
        TARGETS[target](path.read_bytes())


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_guided(target, tmp_path):
    found = tmp_path / "found"
    found.mkdir()
    command = [sys.executable, str(HERE / "guided.py"), target, f"-max_total_time={SECONDS}", "-max_len=1500"]
    command += ["-timeout=10", "-rss_limit_mb=1024", f"-artifact_prefix={tmp_path}/", str(found)]
    done = subprocess.run([*command, str(HERE / "corpus" / target)], capture_output=True, text=True, timeout=120)
    crashes = [path.read_bytes().hex() for path in tmp_path.glob("crash-*")]
    assert done.returncode == 0, f"{crashes}\n{done.stderr[-3000:]}"
