"""A virtual board from nothing: configured at its console, tunnel to xl2tpd, pppd on its UART, frames captured live."""

import json
import os
import struct
import subprocess
import time

import pytest
import serial
from littlefs import LittleFS

from laclet.wire.address import ipv4_bytes, ipv4_text
from laclet_host.board import mpy
from laclet_host.board.virtual import VirtualBoard
from laclet_host.desk.caller import Caller, open_raw
from peers.needs import need
from peers.pppd import PppdSerial
from peers.service import rom
from peers.services import Chrony
from peers.traffic import assert_passes
from peers.xl2tpd import SECRET, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest, pytest.mark.micropython]
PPP_WITH_DIRECTION = 204  # link type
TIMEOUT = 20


class Console:
    """pyserial at the console of a board, in JSON."""

    def __init__(self, port):
        self._port = serial.Serial(port, timeout=TIMEOUT)
        self._id = 0
        self.frames = []
        self.log = []

    def do(self, command, **more):
        """The ``data`` or ``out`` of its answer; frames and lines of the log that come between are kept."""
        self._id += 1
        self._port.write(json.dumps({"id": self._id, "do": command, **more}).encode() + b"\n")
        while True:
            answer = self.line()
            if answer is not None and answer.get("id") == self._id:
                assert answer["ok"], answer
                return answer.get("data", answer.get("out"))

    def line(self):
        """The next line if it is JSON."""
        line = self._port.readline().decode().strip()
        assert line, f"silence; {self.log[-5:]}"
        if not line.startswith("{"):
            self.log.append(line)
            return None
        found = json.loads(line)
        if "cap" in found:
            self.frames.append(found)
        return found

    def boot(self, board):
        """Reset the board, now that somebody listens, and wait until it serves its console."""
        board.reset()
        while "Enter for the console" not in "".join(self.log):
            self.line()

    def close(self):
        self._port.close()


def pcap(frames, path):
    """A capture file of them."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, PPP_WITH_DIRECTION))
        for frame in frames:
            data = bytes([frame["dir"]]) + bytes.fromhex(frame["hex"])
            seconds, ms = divmod(frame["ms"], 1000)
            file.write(struct.pack("<IIII", seconds, ms * 1000, len(data), frame["len"] + 1) + data)


def test_a_board_relays_pppd_to_xl2tpd_and_shows_the_frames(lab, lns, cpe, here, cable, tmp_path):
    need("xl2tpd", "pppd", "chronyd", "socat")
    prefix = ["nsenter", "-t", str(here.pid), "-n"]
    with (
        Xl2tpdLns(lns, "chap", SECRET) as server,
        Chrony(lns),
        VirtualBoard(flash=tmp_path / "flash.img", heap="320K", prefix=prefix) as board,
        subprocess.Popen(["socat", f"FILE:{board.uarts[1]},raw,echo=0", f"FILE:{cable.near},raw,echo=0"]) as socat,
    ):
        install(board, lab)
        console = Console(board.port)
        try:
            console.boot(board)
            for path, value in configuration(lns):
                console.do("set " + path, value=value)
            boots = board.boots
            for command in ("commit", "save", "reboot"):
                console.do(command)
            assert board.wait(lambda board: board.boots > boots)
            assert console.do("capture port")["calls"] == ["port"]
            with PppdSerial(cpe) as host:
                until(console, lambda: any(frame["hex"].startswith("ff038021") for frame in console.frames))
                _, own, peer = host.up()
                assert (own, peer) == ("10.9.0.10", server.local)
                assert_passes(cpe, own, lns, peer, 50_000)
                until(console, lambda: console.do("show status")["calls"]["port"]["state"] == "up")
            counts = console.do("capture stop")
            assert counts["frames"] >= len(console.frames) and counts["lost"] >= 0
            assert any("[clock]: the time is set" in line for line in console.log)
        finally:
            console.close()
            socat.terminate()
    pcap(console.frames, tmp_path / "frames.pcap")
    assert_dissects(tmp_path / "frames.pcap")


def test_two_uarts_one_with_flow_control_and_one_behind_a_modem(lab, lns, cpe, here, cable, tmp_path):
    need("xl2tpd", "pppd", "socat")
    deliver(tmp_path / "flash.img")
    prefix = ["nsenter", "-t", str(here.pid), "-n"]
    with (
        Xl2tpdLns(lns, "chap", SECRET),
        VirtualBoard(flash=tmp_path / "flash.img", rom=rom(lab), heap="256K", uarts=(1, 2), prefix=prefix) as board,
        subprocess.Popen(["socat", f"FILE:{board.uarts[1]},raw,echo=0", f"FILE:{cable.near},raw,echo=0"]) as socat,
    ):
        console = Console(board.port)
        fd = open_raw(board.uarts[2])
        try:
            console.boot(board)
            more = (
                ("line.uart.flow", "rtscts"),
                ("line.second.device", "2"),
                ("line.second.modem", "answer"),
                ("call.other.tunnel", "lns"),
                ("call.other.line", "second"),
            )
            for path, value in (*configuration(lns), *more):
                console.do("set " + path, value=value)
            caller = Caller(fd, "user", "secret")
            console.do("commit")
            assert caller.run(2 * TIMEOUT, lambda: modem_is(console, "idle")), console.log
            with PppdSerial(cpe) as host:
                _, own, _ = host.up()
                caller.call()
                assert caller.run(TIMEOUT, lambda: caller.settings), console.do("show status")
                addresses = {own, ipv4_text(caller.settings["local"])}
                assert len(addresses) == 2 and all(each.startswith("10.9.0.") for each in addresses)
                assert answers(caller), "no ping comes back"
                assert_passes(cpe, own, lns, "10.9.0.1", 50_000)
                calls = console.do("show status")["calls"]
                assert [calls[name]["state"] for name in ("other", "port")] == ["up", "up"]
        finally:
            os.close(fd)
            console.close()
            socat.terminate()


def answers(caller):
    """The LNS answers the host behind the modem; its interface may come up a moment after its IPCP."""
    for _ in range(TIMEOUT // 4):
        caller.ping(ipv4_bytes("10.9.0.1"))
        if caller.run(4, lambda: caller.pongs):
            return True
    return False


def modem_is(console, state):
    """What the board says of the modem of its second line."""
    return console.do("show status")["calls"]["other"]["modem"]["state"] == state


def install(board, lab):
    """On a board with MicroPython and nothing else, by plain mpremote."""
    rom(lab)  # compiles
    mpremote = [mpy.find_program("mpremote"), "connect", board.port]
    files = [mpy.source_root() / "laclet_mcu" / "files" / name for name in ("boot.py", "main.py")]
    steps = [
        "mkdir",
        ":/lib",
        "+",
        "cp",
        "-r",
        f"{lab.directory}/mpy/laclet",
        f"{lab.directory}/mpy/laclet_mcu",
        ":/lib/",
    ]
    subprocess.run([*mpremote, *steps, "+", "cp", *files, ":/"], check=True, capture_output=True, timeout=6 * TIMEOUT)


def deliver(path):
    """A file system as the virtual board makes it, with the files that ship."""
    image = LittleFS(block_size=4096, block_count=512, prog_size=256)
    for name in ("boot.py", "main.py"):
        with image.open("/" + name, "w") as file:
            file.write((mpy.source_root() / "laclet_mcu" / "files" / name).read_text())
    path.write_bytes(bytes(image.context.buffer))


def configuration(lns):
    return (
        ("tunnel.lns.server", lns.address),
        ("tunnel.lns.tunnel_secret", SECRET),
        ("line.uart.device", "1"),
        ("call.port.tunnel", "lns"),
        ("call.port.line", "uart"),
        ("board.ntp", [lns.address]),
    )


def until(console, true):
    """Read on until it is so."""
    deadline = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < deadline, console.frames
        console.line()


def assert_dissects(path):
    """tshark knows every frame, in both directions."""
    fields = ["-T", "fields", "-e", "_ws.col.Protocol", "-e", "ppp.direction"]
    done = subprocess.run(["tshark", "-r", path, *fields], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    protocols = {row[0] for row in rows}
    assert {"PPP LCP", "PPP CHAP", "PPP IPCP", "ICMP"} <= protocols, protocols
    assert "Malformed" not in done.stdout
