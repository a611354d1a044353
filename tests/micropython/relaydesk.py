"""Measures a LAC on unix MicroPython between a pty and an LNS made of the core, in batches of full-size frames."""

import json
import os
import select
import socket
import subprocess
import time
import tty
from pathlib import Path

from laclet import ticks
from laclet.l2tp.endpoint import Endpoint
from laclet.l2tp.tunnel import TunnelOptions
from laclet.line.serial import SerialLine
from laclet.port import HEADROOM, Port, frame_buffer, join
from laclet_host.board import launch, mpy

FRAME = 1400  # bytes of a frame, protocol field included
BATCH = 5  # frames; a pty holds about 12,000 bytes without a reader
TIMEOUT = 20  # s for anything to happen


class Sink(Port):
    """A port that keeps what comes."""

    def __init__(self):
        super().__init__()
        self.frames = []

    def carry(self, buf, start, end, now):
        if buf[start] == 0xFF:
            start += 2
        self.frames.append(bytes(buf[start:end]))


class RelayDesk:
    """A board with its code in a ROM image, or (``rom`` False) loaded to the heap; files go to ``folder``."""

    def __init__(self, folder, heap="128K", rom=True):
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self._endpoint = Endpoint(os.urandom, TunnelOptions("desk"))
        self._endpoint.carrier = self
        self._session = None
        self.tunnel_sink = Sink()
        self.line_sink = Sink()
        self._line = SerialLine()
        join(self._line, self.line_sink)
        self._line.set_accm(0, 0)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._process = self._start(Path(folder), heap, rom)

    def _start(self, folder, heap, rom):
        config = {
            "tunnel": {"lns": {"server": f"127.0.0.1:{self._sock.getsockname()[1]}"}},
            "line": {"line": {"device": os.ttyname(self._slave)}},
            "call": {"call": {"tunnel": "lns", "line": "line"}},
            "log": {"level": "error"},
        }
        (folder / "config.json").write_text(json.dumps(config))
        mpy.build(folder / "mpy")
        here = Path(__file__).resolve().parent
        paths = [str(here), ".frozen"]
        if rom:
            (folder / "rom.img").write_bytes(mpy.romfs(folder / "mpy"))
        else:
            paths.insert(0, str(folder / "mpy"))
        command, environment = launch.command(heap, folder / "rom.img" if rom else None, module="relay_board")
        environment["MICROPYPATH"] = ":".join(paths)
        command.append(str(folder / "config.json"))
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)

    def close(self):
        """End the board."""
        self._process.kill()
        self._process.communicate()
        self._sock.close()
        os.close(self._master)
        os.close(self._slave)

    # The carrier of the endpoint.

    def send(self, buf, start, end, addr):
        self._sock.sendto(memoryview(buf)[start:end], addr)

    def settle(self, addr):
        pass

    def _pump(self, until):
        """Serve both sides until ``until()``."""
        deadline = time.monotonic() + TIMEOUT
        while not until():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the board does not relay; it ended with {self._process.poll()}")
            now = time.monotonic_ns() // 1_000_000 & (ticks.PERIOD - 1)
            readable, _, _ = select.select([self._sock, self._master], [], [], 0.01)
            if self._sock in readable:
                data, addr = self._sock.recvfrom(2048)
                buf = frame_buffer(len(data))
                buf[HEADROOM : HEADROOM + len(data)] = data
                self._endpoint.receive(buf, HEADROOM, HEADROOM + len(data), addr, now)
            if self._master in readable:
                data = os.read(self._master, 4096)
                self._line.receive(bytearray(data), 0, len(data), now)
            if ticks.due(self._endpoint.poll_at(), now):
                self._endpoint.on_timer(now)
            for name, source, _ in iter(self._endpoint.next_event, None):
                if name == "call-offered":
                    source.accept(now)
                elif name == "call-up":
                    self._session = source
                    join(source, self.tunnel_sink)

    def _answer(self):
        """A line of the board; nothing else may come meanwhile."""
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the board has ended")
        return json.loads(line)

    def connect(self):
        """Bring the call up with a first frame; returns the board's heap in use, in bytes."""
        self._pump(lambda: self._endpoint.tunnels)  # the line is open by now: opening it discards what came before
        self._to_line(b"\xc0\x21\x09\x01\x00\x08\0\0\0\0")
        self._pump(lambda: self._session is not None and self.tunnel_sink.frames)
        return self._answer()["heap"]

    def _to_line(self, frame):
        buf = frame_buffer(len(frame))
        buf[HEADROOM : HEADROOM + len(frame)] = frame
        self._line.carry(buf, HEADROOM, HEADROOM + len(frame), 0)
        sent = os.write(self._master, self._line.tx[self._line.tx_start : self._line.tx_end])
        self._line.sent(sent)

    def _to_tunnel(self, frame):
        buf = frame_buffer(len(frame))
        buf[HEADROOM : HEADROOM + len(frame)] = frame
        self._session.carry(buf, HEADROOM, HEADROOM + len(frame), 0)

    def batch(self, out, count=BATCH):
        """``count`` frames through the board, from the tunnel (``out``) or the line: what the board says of it.

        Raises AssertionError when they do not arrive as they were.
        """
        frames = [b"\x00\x21" + bytes([n]) + os.urandom(FRAME - 3) for n in range(count)]
        sink = self.line_sink if out else self.tunnel_sink
        sink.frames.clear()
        for frame in frames:
            (self._to_tunnel if out else self._to_line)(frame)
        print("out" if out else "in", count, file=self._process.stdin, flush=True)
        answer = self._answer()
        self._pump(lambda: len(sink.frames) >= count)
        assert sink.frames == frames, f"{len(sink.frames)} of {count} frames, or damaged ones: {answer}"
        return answer


def measure(folder, heap="128K", rom=True, batches=40):
    """``{"heap": bytes in use, "relay_us_out", "relay_us_in": µs a frame, "bytes_out", "bytes_in": heap a frame}``.

    Times are the best batch's: whatever else the machine does makes them longer only.
    """
    desk = RelayDesk(folder, heap, rom)
    try:
        used = desk.connect()
        figures = {"heap": used}
        for name, out in (("out", True), ("in", False)):
            answers = [desk.batch(out) for _ in range(batches)]
            figures["relay_us_" + name] = min(answer["us"] for answer in answers) / BATCH
            figures["bytes_" + name] = sorted(answer["bytes"] for answer in answers)[batches // 2] / BATCH
        return figures
    finally:
        desk.close()
