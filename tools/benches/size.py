"""Bytes of .mpy that each role loads, and its heap with a call up, on the 64-bit unix port of MicroPython.

Heap is told for three forms. ``_heap_bytes``: code loaded from .mpy files. ``_rom_heap_bytes``: in a ROMFS image, run
in place. ``_frozen_heap_bytes``: at most what it is with the code frozen into the firmware: the second, less the table
of the names (qstrs) that the code has brought, which a firmware holds in flash. What else frozen code saves, constants
above all, cannot be measured without a firmware of one's own, and is not taken off.
"""

import contextlib
import json
import os
import re
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
TARGETS = (
    ("lac_mpy_bytes", AT_MOST, 96_000),
    ("lac_heap_bytes", AT_MOST, 64_000),
    ("lac_rom_heap_bytes", AT_MOST, 64_000),
    ("lac_frozen_heap_bytes", AT_MOST, 64_000),
)

_ROLES = {"lac": "lns", "client": "lns", "lns": "client", "multilink": "lns", "ipsec": "ipsec_lns"}  # role: its peer
_DESK = Path(__file__).resolve().parents[2] / "tests" / "micropython"
_LARGE = "1M"  # heap of a process: what it uses is measured, not what it needs to live
_TIMEOUT = 30  # s
# Loaded by every role when its configuration is new, and forgotten again.
_CHECKS = ("laclet.node.config", "laclet.node.schema", "laclet.node.values", "laclet_mcu.checks", "laclet_mcu.store")
_NAMES = re.compile(r"n_str_data_bytes=(\d+), n_total_bytes=(\d+)")
_LCP_ECHO = b"\xc0\x21\x09\x01\x00\x08\0\0\0\0"  # any frame makes a line call


def measure(runs):
    """For each role ``_mpy_bytes``, ``_heap_bytes``, ``_rom_heap_bytes`` and ``_frozen_heap_bytes``."""
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
            figures[f"{role}_frozen_heap_bytes"] = in_place["heap"] - in_place["names"]
        figures["all_mpy_bytes"] = sum(board.sizes.values())
    return figures


class _Board:
    """A folder with the packages compiled, and processes of MicroPython that end with it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.sizes = mpy.build(self.folder / "tree")
        mpy.compile_file(_DESK / "size_board.py", self.folder / "tree" / "size_board.mpy", "size_board")
        (self.folder / "rom.img").write_bytes(mpy.romfs(self.folder / "tree"))
        self._processes = []

    def start(self, name, config, rom):
        """A role with this configuration; its process."""
        path = self.folder / name / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**config, "log": {"level": "error"}}))
        command, environment = launch.command(_LARGE, self.folder / "rom.img" if rom else None, module="size_board")
        code = [] if rom else [str(self.folder / "tree")]
        environment["MICROPYPATH"] = ":".join([*code, ".frozen"])
        process = subprocess.Popen([*command, str(path)], env=environment, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        os.set_blocking(process.stdout.fileno(), False)
        return process

    def checked(self, name):
        """Wait until the role has kept what the checks of its configuration came to."""
        deadline = time.monotonic() + _TIMEOUT
        while not (self.folder / name / "checked.json").exists():
            if time.monotonic() > deadline:
                raise Missing(f"{name} did not start")
            time.sleep(0.01)

    def answer(self, process, meanwhile):
        """What the process says of itself; ``meanwhile()`` is called until then. ``names``: bytes of their table."""
        names = []
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline and process.poll() is None:
            line = process.stdout.readline()
            if line.startswith("{"):
                return {**json.loads(line), "names": names[-1] - names[0]}
            names += [int(total) - int(texts) for texts, total in _NAMES.findall(line)]  # texts are in the image
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
    """The configuration of each role and of its peers, made to call one another."""
    port = _free_port()
    tunnel = {"lns": {"server": f"127.0.0.1:{port}"}}
    login = {"tunnel": "lns", "username": "anna", "password": "secret"}
    bundle = {"username": "anna", "password": "secret", "multilink": True}
    psk = {"ipsec_psk": "a key of sorts"}
    far = {"source_address": "127.0.0.3", **psk}  # IKE has its fixed ports: each end needs an address of its own
    lns = {"listen": [f"127.0.0.1:{port}"], "auth": ["chap"], "address": "10.6.0.1", "pool": "10.6.0.2-10.6.0.9"}
    return {
        "lac": {
            "tunnel": tunnel,
            "line": {"uart": {"device": device}},
            "call": {"a": {"tunnel": "lns", "line": "uart"}},
        },
        "client": {"tunnel": tunnel, "call": {"a": login}},
        "multilink": {"tunnel": {**tunnel, "two": tunnel["lns"]}, "call": {"a": {**bundle, "tunnels": ["lns", "two"]}}},
        "ipsec": {"tunnel": {"lns": {"server": f"127.0.0.2:{port}", **far}}, "call": {"a": login}},
        "lns": {"lns": {**lns, "multilink": True, "users": {"anna": "secret"}}},
        "ipsec_lns": {"lns": {**lns, "listen": [f"127.0.0.2:{port}"], **psk, "users": {"anna": "secret"}}},
    }


def _measure(board, role, rom):
    """``{"heap", "names", "modules"}`` of a role with a call up, booted for the second time with its configuration."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    line = SerialLine()
    frame = frame_buffer(len(_LCP_ECHO))
    frame[HEADROOM : HEADROOM + len(_LCP_ECHO)] = _LCP_ECHO

    def ring():
        line.carry(frame, HEADROOM, HEADROOM + len(_LCP_ECHO), 0)
        line.sent(os.write(master, line.tx[line.tx_start : line.tx_end]))

    configs = _configurations(os.ttyname(slave))
    try:
        board.start(role, configs[role], rom)
        board.checked(role)
        board.stop()
        _, process = (board.start(name, configs[name], rom) for name in (_ROLES[role], role))
        return board.answer(process, ring if role == "lac" else lambda: None)
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
