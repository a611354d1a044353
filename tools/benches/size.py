"""Bytes of .mpy that each role loads, and its heap with a call up, on the 64-bit unix port of MicroPython."""

import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time
import tty
from pathlib import Path

from benches.common import AT_MOST, Missing

from laclet.line.serial import SerialLine
from laclet.port import HEADROOM, frame_buffer
from laclet_host.board import launch, mpy

RUNS = 1
TARGETS = (("lac_mpy_bytes", AT_MOST, 96_000), ("lac_heap_bytes", AT_MOST, 64_000))

_ROLES = ("lac", "client", "lns")
_DESK = Path(__file__).resolve().parents[2] / "tests" / "micropython"
_LARGE = "1M"  # heap of a process: what it uses is measured, not what it needs to live
_TIMEOUT = 30  # s
# Loaded by every role to check its configuration, and forgotten again.
_CHECKS = ("laclet.node.config", "laclet.node.schema", "laclet.node.values")
_LCP_ECHO = b"\xc0\x21\x09\x01\x00\x08\0\0\0\0"  # any frame makes a line call


def measure(runs):
    """For each role ``_mpy_bytes``; ``_heap_bytes`` with its code loaded; ``_rom_heap_bytes`` with it run in place."""
    figures = {}
    try:
        launch.command()
    except launch.LaunchError as error:
        raise Missing(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="laclet-size-") as folder:
        board = _Board(folder)
        for role in _ROLES:
            loaded, in_place = _measure(board, role, False), _measure(board, role, True)
            figures[f"{role}_mpy_bytes"] = _mpy_bytes(board.sizes, {*loaded["modules"], *_CHECKS})
            figures[f"{role}_heap_bytes"] = loaded["heap"]
            figures[f"{role}_rom_heap_bytes"] = in_place["heap"]
        figures["all_mpy_bytes"] = sum(board.sizes.values())
    return figures


class _Board:
    """A folder with the packages compiled, and processes of MicroPython that end with it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.sizes = mpy.build(self.folder / "tree")
        (self.folder / "rom.img").write_bytes(mpy.romfs(self.folder / "tree"))
        self._processes = []

    def start(self, name, config, rom):
        """A role with this configuration; its process."""
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({**config, "log": {"level": "error"}}))
        command, environment = launch.command(_LARGE, self.folder / "rom.img" if rom else None, module="size_board")
        code = [] if rom else [str(self.folder / "tree")]
        environment["MICROPYPATH"] = ":".join([str(_DESK), *code, ".frozen"])
        process = subprocess.Popen([*command, str(path)], env=environment, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        os.set_blocking(process.stdout.fileno(), False)
        return process

    def answer(self, process, meanwhile):
        """What the process says of itself; ``meanwhile()`` is called until then."""
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline and process.poll() is None:
            line = process.stdout.readline()
            if line:
                return json.loads(line)
            meanwhile()
            time.sleep(0.1)
        raise Missing(f"{process.args[-1]} did not come up")

    def stop(self):
        """End all processes."""
        for process in self._processes:
            process.kill()
            process.wait()
            process.stdout.close()
        self._processes.clear()


def _free_port():
    """A UDP port that is free on loopback."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _configurations(device):
    """The configuration of each role, made to call one another."""
    port = _free_port()
    tunnel = {"lns": {"server": f"127.0.0.1:{port}"}}
    login = {"tunnel": "lns", "username": "anna", "password": "secret"}
    lns = {"listen": [f"127.0.0.1:{port}"], "auth": ["chap"], "address": "10.6.0.1", "pool": "10.6.0.2-10.6.0.9"}
    return {
        "lac": {
            "tunnel": tunnel,
            "line": {"uart": {"device": device}},
            "call": {"a": {"tunnel": "lns", "line": "uart"}},
        },
        "client": {"tunnel": tunnel, "call": {"a": login}},
        "lns": {"lns": {**lns, "users": {"anna": "secret"}}},
    }


def _measure(board, role, rom):
    """``{"heap", "modules"}`` of a role with a call up."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    line = SerialLine()
    frame = frame_buffer(len(_LCP_ECHO))
    frame[HEADROOM : HEADROOM + len(_LCP_ECHO)] = _LCP_ECHO

    def ring():
        line.carry(frame, HEADROOM, HEADROOM + len(_LCP_ECHO), 0)
        line.sent(os.write(master, line.tx[line.tx_start : line.tx_end]))

    try:
        configs = _configurations(os.ttyname(slave))
        others = ["lns"] if role != "lns" else ["client"]
        processes = {name: board.start(name, configs[name], rom) for name in (*others, role)}
        return board.answer(processes[role], ring if role == "lac" else lambda: None)
    finally:
        board.stop()
        os.close(master)
        os.close(slave)


def _mpy_bytes(sizes, modules):
    """Bytes of the .mpy files of these modules."""
    total = 0
    for module in modules:
        path = module.replace(".", "/")
        total += sizes.get(f"{path}.mpy", 0) + sizes.get(f"{path}/__init__.mpy", 0)
    return total
