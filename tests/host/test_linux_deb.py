"""The Debian package: what is in it, and that what is in it runs."""

import os
import shutil
import subprocess
import sys

import pytest
from clirun import ROOT

import laclet


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_what_is_in_the_package_runs(tmp_path):
    def run(*words, **options):
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, **options).stdout

    package = run(sys.executable, ROOT / "tools/deb", tmp_path).strip()
    assert package == f"{tmp_path}/laclet_{laclet.__version__}_all.deb"
    fields = dict(line.split(": ", 1) for line in run("dpkg-deb", "--field", package).splitlines() if line[0] != " ")
    assert fields["Package"] == "laclet" and "python3-click" in fields["Depends"]
    top = tmp_path / "top"
    run("dpkg-deb", "--extract", package, top)
    assert (top / "etc/laclet/ip-up.d").is_dir() and (top / "lib/systemd/system/laclet@.service").is_file()
    assert not list(top.rglob("__pycache__")) and not list(top.rglob("files"))
    modules = {"PYTHONPATH": str(top / "usr/lib/python3/dist-packages"), "PATH": os.environ["PATH"]}
    command = top / "usr/bin/laclet"
    assert os.access(command, os.X_OK)
    shown = run(sys.executable, command, "--version", env=modules, cwd=tmp_path)
    assert laclet.__version__ in shown
    config = tmp_path / "home.toml"
    config.write_text(
        '[tunnel.office]\nserver = "192.0.2.1"\n[line.p]\ndevice = "/dev/ttyS0"\n'
        '[call.c]\ntunnel = "office"\nline = "p"\n'
    )
    run(sys.executable, command, "config", "check", config, env=modules, cwd=tmp_path)
    boards = top / "usr/lib/python3/dist-packages/laclet_host/boards"
    assert sorted(os.listdir(boards)) == sorted(name for name in os.listdir(ROOT / "boards") if name != "__pycache__")
