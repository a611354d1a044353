"""Which programs have a serial port open: what to close when it is busy."""

import os
import shutil
import subprocess
from pathlib import Path

_NAMED = 3  # programs


def holders(port: str) -> list[tuple[int, str]]:
    """``(pid, name)`` of every other process that has ``port`` open, as far as we may know; sorted."""
    target = os.path.realpath(port)
    found = _of_proc(target) if os.path.isdir("/proc/self/fd") else _of_lsof(target)
    return sorted((pid, name) for pid, name in found if pid != os.getpid())


def busy(port: str) -> str:
    """One line for people: ``PORT is in use by minicom (pid 4711); close it``."""
    found = holders(port)
    names = [f"{name} (pid {pid})" for pid, name in found[:_NAMED]]
    if len(found) > _NAMED:
        names.append(f"{len(found) - _NAMED} more")
    who = f"in use by {' and '.join(names)}" if names else "in use by another program"
    return f"{port} is {who}; close it, then try again"


def _of_proc(target: str) -> set[tuple[int, str]]:
    found = set()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(os.readlink(fd) == target and _node(fd) == _node(target) for fd in os.scandir(process / "fd")):
                found.add((int(process.name), _name(process)))
        except OSError:  # it has ended, or belongs to somebody else
            continue
    return found


def _node(path) -> tuple:
    """What tells a device from one that had its name before, and from one in another container."""
    about = os.stat(path)
    return about.st_dev, about.st_ino, about.st_ctime_ns


def _name(process: Path) -> str:
    """What people call a program: of a script its own name, not that of its interpreter."""
    words = [word for word in (process / "cmdline").read_bytes().decode(errors="replace").split("\0") if word]
    if len(words) > 1 and Path(words[0]).name.startswith("python"):
        if words[1] == "-m" and len(words) > 2:
            return words[2]
        if not words[1].startswith("-"):
            return Path(words[1]).name
    return (process / "comm").read_text().strip()


def _of_lsof(target: str) -> set[tuple[int, str]]:
    """On macOS and the BSDs; an empty set without lsof."""
    if shutil.which("lsof") is None:
        return set()
    said = subprocess.run(["lsof", "-Fpc", target], capture_output=True, text=True, check=False).stdout
    found, pid = set(), 0
    for line in said.splitlines():
        if line.startswith("p"):
            pid = int(line[1:])
        elif line.startswith("c"):
            found.add((pid, line[1:]))
    return found
