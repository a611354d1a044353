"""The program that holds a busy port is named, as people know it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from laclet_host.holders import _of_lsof, busy, holders


@pytest.fixture
def port():
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


HOLD = "import sys; f = open(sys.argv[1], 'rb', 0); print('open', flush=True); sys.stdin.read()"


def hold(*command):
    """A program that says it has the port open."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "open\n"
    return process


def test_a_script_has_its_own_name(port, tmp_path):
    script = tmp_path / "terminal.py"
    script.write_text(HOLD)
    assert holders(port) == [], "we ourselves do not count"
    assert busy(port) == f"{port} is in use by another program; close it, then try again"
    with hold(sys.executable, script, port) as process:
        assert holders(port) == [(process.pid, "terminal.py")]
        assert busy(port) == f"{port} is in use by terminal.py (pid {process.pid}); close it, then try again"
        process.stdin.close()
    assert holders(port) == []


def test_any_other_program_too(port, tmp_path):
    link = tmp_path / "by-id"
    link.symlink_to(port)
    command = f"exec 3<{port}; echo open; read line"
    with hold("/bin/sh", "-c", command) as first, hold(sys.executable, "-c", HOLD, port) as second:
        found = dict(holders(str(link)))
        assert found[first.pid] in ("sh", Path(os.path.realpath("/bin/sh")).name)
        assert found[second.pid].startswith("python") and len(found) == 2
        first.stdin.close()
        second.stdin.close()


def test_where_there_is_no_proc_lsof_is_asked(port, tmp_path, monkeypatch):
    lsof = tmp_path / "lsof"
    lsof.write_text(f'#!/bin/sh\n[ "$2" = {port} ] && printf "p12\\ncminicom\\nf4\\np13\\ncscreen\\n"\n')
    lsof.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _of_lsof(port) == {(12, "minicom"), (13, "screen")}
    lsof.unlink()
    assert _of_lsof(port) == set()


def test_a_port_that_only_has_the_name_of_one_that_is_gone():
    code = "import sys; f = open(sys.argv[1], 'rb+', 0); print('open', flush=True); sys.stdin.read()"
    master, slave = os.openpty()
    name = os.ttyname(slave)
    holder = subprocess.Popen([sys.executable, "-c", code, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        assert [pid for pid, _ in holders(name)] == [holder.pid]
        os.close(slave)
        os.close(master)
        for _ in range(20):  # the number is given again at once, unless others take it meanwhile
            master, slave = os.openpty()
            if os.ttyname(slave) == name:
                assert holders(name) == []
                break
            os.close(slave)
            os.close(master)
    finally:
        holder.communicate()


def test_many_are_not_all_named(monkeypatch):
    monkeypatch.setattr("laclet_host.holders.holders", lambda port: [(pid, "cat") for pid in range(1, 7)])
    text = "in use by cat (pid 1) and cat (pid 2) and cat (pid 3) and 3 more; close it, then try again"
    assert busy("/dev/tty9").endswith(text)
