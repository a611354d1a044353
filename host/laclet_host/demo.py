"""The main job on this machine, without root and without hardware: a PPP host calls through a board to an LNS.

``python -m laclet_host.demo [--json]``; ``sh tools/demo`` makes the environment for it first.
"""

import argparse
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from laclet.wire.address import ipv4_bytes, ipv4_text

from .board import mpy
from .board.virtual import VirtualBoard
from .desk.caller import Caller, open_raw

SECRET = "demo-tunnel"
USER, PASSWORD = "meter-17", "demo-password"
LNS_ADDRESS = "10.99.0.1"
PINGS = 5
STEP_TIME = 15  # s that one step may take
ALL_TIME = 55  # s for everything

REAL = (
    "MicroPython itself: unix port, 128 KiB of heap, our .mpy files in a ROM image, LittleFS on a flash file",
    "laclet's LAC on it: HDLC, L2TP with tunnel authentication, UDP over loopback",
    "laclet's LNS: a process of its own that demands CHAP and gives the address",
)
TEST_PARTS = (
    "the board's case: a pty for the console, a pty for the UART",
    "the AT modem and the PPP host behind the UART: laclet's own, on CPython (no kernel PPP without root)",
    "the LNS's network: it answers pings itself, nothing is routed",
)


class Failed(Exception):
    """A step that did not happen in time; the text says which, and what was seen."""


class Show:
    """Tells each step as it happens, for people or as JSON lines."""

    def __init__(self, as_json):
        self.as_json = as_json
        self.started = time.monotonic()
        self.steps = []

    def note(self, text=""):
        """A line for people."""
        if not self.as_json:
            print(text, flush=True)

    def log(self, who, line):
        """A line of somebody's log."""
        self.note(f"           {who:5} | {line}")

    def step(self, name, text, **facts):
        """Something has been reached."""
        ms = round((time.monotonic() - self.started) * 1000)
        self.steps.append({"step": name, "ms": ms, **facts})
        if self.as_json:
            print(json.dumps(self.steps[-1]), flush=True)
        else:
            print(f"{ms / 1000:8.2f} s ✓ {text}", flush=True)


class Log:
    """The lines that a process or a board prints, as they come; ``wait`` looks for one."""

    def __init__(self, show, who, read):
        self.show = show
        self.who = who
        self.lines = []
        self._queue = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(read,), daemon=True).start()

    def _read(self, read):
        rest = b""
        while data := read():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._queue.put(line.decode("utf-8", "replace").rstrip())
        self._queue.put(None)

    def take(self, seconds=0.0):
        """Show what has come, waiting up to ``seconds`` for the first line; False at the end of the log."""
        try:
            while True:
                line = self._queue.get(timeout=seconds) if seconds else self._queue.get_nowait()
                if line is None:
                    return False
                if line:
                    self.lines.append(line)
                    self.show.log(self.who, line)
                seconds = 0
        except queue.Empty:
            return True

    def wait(self, part, seconds=STEP_TIME):
        """The first line with ``part`` in it, waiting for it; raises Failed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.lines:
                if part in line:
                    return line
            if not self.take(0.1):
                break
        raise Failed(f"{self.who}: no line with '{part}'; the last was: {self.lines[-1] if self.lines else '(none)'}")


def start_lns(show, folder):
    """The test LNS as a process; returns (process, log, port)."""
    secret = folder / "tunnel-secret"
    secret.write_text(SECRET + "\n")
    users = folder / "users"
    users.write_text(f"{USER}:{PASSWORD}\n")
    for path in (secret, users):
        path.chmod(0o600)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "laclet_host", "lns", "--listen", f"127.0.0.1:{port}"]
    command += ["--name", f"demo-{port}", "--address", LNS_ADDRESS]
    command += ["--pool", "10.99.0.10-10.99.0.99", "--secret-file", str(secret), "--user-file", str(users)]
    command += ["--auth", "chap"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    log = Log(show, "LNS", lambda: os.read(process.stderr.fileno(), 4096))
    log.wait("listening at")
    return process, log, port


def make_images(folder, port):
    """A ROM image with laclet as .mpy, a flash image with the configuration of a LAC; (rom, flash, bytes of .mpy)."""
    import littlefs

    built = mpy.build(folder / "mpy" / "lib", arch="x64")
    rom = folder / "rom.img"
    rom.write_bytes(mpy.romfs(folder / "mpy"))
    image = littlefs.LittleFS(block_size=4096, block_count=512, prog_size=256)
    config = {
        "hostname": "demo-board",
        "tunnel": {"lns": {"server": f"127.0.0.1:{port}"}},
        "line": {"uart": {"device": "1", "baud": 115200, "modem": "answer"}},
        "call": {"uart": {"tunnel": "lns", "line": "uart"}},
    }
    secrets = {"tunnel": {"lns": {"tunnel_secret": SECRET}}}
    files = {"/config.json": json.dumps(config), "/secrets.json": json.dumps(secrets)}
    files["/main.py"] = "from laclet_mcu.main import run\nrun()\n"
    for name, text in files.items():
        with image.open(name, "w") as file:
            file.write(text)
    path = folder / "flash.img"
    path.write_bytes(bytes(image.context.buffer))
    return rom, path, sum(built.values())


def run(show, folder):
    """All steps, in order; raises Failed."""
    show.note("laclet demo: a PPP host calls in over a serial line; a board tunnels it to an LNS (RFC 2661).")
    show.note("Real:")
    for text in REAL:
        show.note("  - " + text)
    show.note("Test parts:")
    for text in TEST_PARTS:
        show.note("  - " + text)
    show.note()
    lns, lns_log, port = start_lns(show, folder)
    board = None
    try:
        show.step("lns", f"test LNS listens on loopback, UDP port {port}", port=port)
        rom, flash, size = make_images(folder, port)
        board = VirtualBoard(flash=flash, rom=rom, heap="128K", uarts=(1,))
        console = open_raw(board.port)
        board_log = Log(show, "board", lambda: _read(console))
        board.start()
        show.step("board", f"board booted: {size} bytes of .mpy in its ROM", mpy_bytes=size)
        board_log.wait("tunnel.lns]: up")
        show.step("tunnel", "L2TP tunnel is up, both sides know the secret")
        wire = open_raw(board.uarts[1])
        caller = Caller(wire, USER, PASSWORD)
        logs = (board_log, lns_log)
        _call(show, caller, logs)
        _ping(show, caller)
        _hang_up(show, caller, logs)
        _stop(show, console, lns, logs)
    finally:
        if board is not None:
            board.stop()
        lns.kill()
        lns.wait()


def _call(show, caller, logs):
    caller.call()

    def serve(until, what, seconds=STEP_TIME):
        def done():
            for log in logs:
                log.take()
            return until() or caller.fault is not None

        if not caller.run(seconds, done) or caller.fault is not None:
            raise Failed(f"{what}: {caller.fault or f'not within {seconds} s'}")

    serve(lambda: caller.modem.state == "data", "the board answers the modem")
    show.step("modem", f"board asked the LNS, then answered the modem: {caller.modem.connect}")
    serve(lambda: logs[0].lines and any("PPP passes" in line for line in logs[0].lines), "the call through the tunnel")
    show.step("call", "L2TP call connected: frames pass between UART and LNS")
    serve(lambda: caller.link.phase() in ("Authenticate", "Network"), "LCP")
    show.step("lcp", "LCP agreed between PPP host and LNS, through the board")
    serve(lambda: caller.link.phase() == "Network", "authentication")
    show.step("auth", f"LNS believes {USER} (CHAP)")
    serve(lambda: caller.settings is not None, "addresses")
    local, remote = ipv4_text(caller.settings["local"]), ipv4_text(caller.settings["remote"])
    show.step("address", f"PPP host has {local} from the LNS at {remote}", local=local, remote=remote)


def _ping(show, caller):
    address = ipv4_bytes(LNS_ADDRESS)
    for _ in range(PINGS):
        count = len(caller.pongs)
        caller.ping(address)
        if not caller.run(5, lambda count=count: len(caller.pongs) > count):
            raise Failed("an ICMP echo through the tunnel was not answered")
    times = [ms for _, ms in caller.pongs]
    text = ", ".join(f"{ms}" for ms in times)
    show.step("traffic", f"{len(times)} of {PINGS} pings answered by the LNS, round trips {text} ms", rtt_ms=times)


def _hang_up(show, caller, logs):
    caller.hang_up()
    if not caller.run(STEP_TIME, caller.idle):
        raise Failed("the PPP host could not hang up")
    for log in logs:
        log.take(0.5)
    logs[1].wait("call ended")
    show.step("hang-up", "PPP host hung up; the board cleared the call at the LNS")


def _stop(show, console, lns, logs):
    os.write(console, b"\x03")  # Ctrl-C at the board's console
    logs[1].wait("tunnel")
    logs[0].wait("shutting down")
    logs[1].wait("ended: ")
    show.step("tear-down", "board closed the tunnel in order (StopCCN)")
    lns.send_signal(signal.SIGTERM)
    lns.wait(timeout=STEP_TIME)
    show.step("end", "everything is down")


def _read(fd):
    """What a board prints next; b"" when its console is gone."""
    try:
        select.select([fd], [], [])
        return os.read(fd, 4096)
    except OSError:
        return b""


def main(argv=None):
    """Exit code 0 when all steps were shown, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="tools/demo", description="laclet's main job, without root or hardware")
    parser.add_argument("--json", action="store_true", help="one JSON object a step on standard output")
    show = Show(parser.parse_args(argv).json)
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(ALL_TIME)
    try:
        with tempfile.TemporaryDirectory(prefix="laclet-demo-") as folder:
            run(show, Path(folder))
    except Failed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    show.note(f"\nDone in {show.steps[-1]['ms'] / 1000:.1f} s.")
    return 0


def _too_long(_signal, _frame):
    raise Failed(f"not done within {ALL_TIME} s")


if __name__ == "__main__":
    sys.exit(main())
