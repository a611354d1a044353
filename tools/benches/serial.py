"""The serial relay: octets a second and processor for 1, 8 and 32 lines; in a guest beside pppd's own lines."""

import contextlib
import os
import random
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benches import serialpppd
from benches.common import AT_LEAST, Missing, median

RUNS = 3
LINES = (1, 8, 32)
_GUEST_LINES = (1, 8)
_BUSY = 300_000  # octets a second of a line at 3 Mbaud
TARGETS = (
    ("line_rate_1", AT_LEAST, _BUSY),
    ("line_rate_32", AT_LEAST, 32 * 2 * 11_520),  # 115,200 baud on each, both ways
    ("busy_lines", AT_LEAST, 24),
    ("bridge_cpu_ratio_1", AT_LEAST, 1),
    ("bridge_cpu_ratio_8", AT_LEAST, 1),
)

_TREE = Path(__file__).resolve().parents[2]
_SECONDS = 2  # of each transfer
_DATA = 1400  # bytes of a frame's information field
_AHEAD = 2  # frames towards a line that are under way
_TURN = 16  # system calls before another one gets its turn
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(runs):
    """Medians. ``line_rate_N``: bytes of PPP frames a second through the relay with N ptys, both ways together, as many
    as it takes; ``cpu_share_N``: of one processor; ``ns_per_byte_N``: of the relay's processor time.
    ``busy_lines``: how many lines of 3 Mbaud, full both ways, one processor carries, by ``ns_per_byte_32``.

    ``pppd_*_N``: in a guest, TCP through all of N lines at once, between two pppd each, both ends of a pty;
    ``relay_*`` and ``bridge_*`` with our LAC between one of them and an LNS in another guest, in Python and bridged in
    the kernel: Mbit/s, and seconds of the guest's processor for each GB. ``*_ratio_N``: rates over pppd's own,
    processor time the other way round. (A guest does not carry three times 32 pppd.)
    """
    seen = {}
    for _ in range(runs):
        for lines in LINES:
            with tempfile.TemporaryDirectory() as folder, _Relay(folder, lines) as relay:
                moved, cpu, seconds = relay.run(_SECONDS)
            seen.setdefault(f"line_rate_{lines}", []).append(moved / seconds)
            seen.setdefault(f"cpu_share_{lines}", []).append(cpu / seconds)
            seen.setdefault(f"ns_per_byte_{lines}", []).append(cpu / moved * 1e9)
    figures = {key: median(values) for key, values in seen.items()}
    figures["busy_lines"] = 1e9 / figures["ns_per_byte_32"] / (2 * _BUSY)
    return figures | serialpppd.compare(runs, _GUEST_LINES)


class _Sink:
    """The LNS: an endpoint of our core that takes every call; its data packets are counted without it."""

    def __init__(self):
        from laclet.l2tp.endpoint import Endpoint
        from laclet.l2tp.tunnel import TunnelOptions

        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.setblocking(False)
        self.sessions = []  # established
        self.moved = 0  # bytes of PPP frames
        self._endpoint = Endpoint(os.urandom, TunnelOptions("sink"))
        self._endpoint.carrier = self

    def send(self, buf, start, end, addr):
        """For the endpoint."""
        self.sock.sendto(bytes(buf[start:end]), addr)

    def settle(self, addr):
        """For the endpoint."""

    def read(self):
        """What has come."""
        from laclet.port import HEADROOM, frame_buffer

        for _ in range(_TURN * len(LINES)):
            try:
                data, addr = self.sock.recvfrom(2048)
            except BlockingIOError:
                return
            if not data[0] & 0x80:
                self.moved += len(data) - 6
                continue
            buf = frame_buffer(len(data))
            buf[HEADROOM : HEADROOM + len(data)] = data
            self._endpoint.receive(buf, HEADROOM, HEADROOM + len(data), addr, 0)
            while (event := self._endpoint.next_event()) is not None:
                self._on_event(event[0], event[1])

    def _on_event(self, name, source):
        if name == "call-offered":
            source.accept(0)
        elif name == "call-up":
            source.set_line(0, 0, 0)  # ACCMs as pppd agrees on them
            self.sessions.append(source)


class _Line:
    """The far end of a line: sends one frame after the other, and counts the octets that come."""

    def __init__(self, master, blob):
        self.master = master
        self._blob = memoryview(blob)
        self._at = 0
        self.read_octets = 0

    def write(self):
        """As much as the line takes now."""
        for _ in range(_TURN):
            try:
                self._at += os.write(self.master, self._blob[self._at : self._at + 4096])
            except BlockingIOError:
                return
            if self._at == len(self._blob):
                self._at = 0

    def read(self):
        """What there is now."""
        for _ in range(_TURN):
            try:
                self.read_octets += len(os.read(self.master, 65536))
            except BlockingIOError:
                return


class _Relay:
    """`laclet run` as a LAC of so many ptys, the far ends of them, and the LNS."""

    def __init__(self, folder, count):
        from laclet.port import frame_buffer
        from laclet.wire import hdlc

        self._folder = folder
        chance = random.Random(1)
        frame = b"\xff\x03\x00\x21" + bytes(chance.randrange(256) for _ in range(_DATA))
        buf = frame_buffer(len(frame))
        buf[: len(frame)] = frame
        out = bytearray(2 * len(frame) + 16)
        out[0] = 0x7E
        end = hdlc.encode(buf, 0, len(frame), out, 1, 0)
        self._frame = frame
        self._octets = end - 1  # of a frame on the line
        request = b"\xff\x03\xc0\x21\x01\x01\x00\x04"
        self._hello = bytearray(64)
        self._hello[0] = 0x7E
        del self._hello[hdlc.encode(bytearray(request), 0, len(request), self._hello, 1, 0xFFFFFFFF) :]
        self._ptys = [os.openpty() for _ in range(count)]
        self._lines = []
        for master, slave in self._ptys:
            os.set_blocking(master, False)
            self._lines.append(_Line(master, bytes(out[1:end]) * 8))
            from laclet_linux.tty import set_raw

            set_raw(slave, 115200, False)
        self._sink = _Sink()
        self._process = None

    def __enter__(self):
        lines = [f'[tunnel.t]\nserver = "127.0.0.1:{self._sink.sock.getsockname()[1]}"\n']
        for n, (_, slave) in enumerate(self._ptys):
            lines.append(f'[line.l{n}]\ndevice = "{os.ttyname(slave)}"\nmodem = "none"\nbaud = 3000000\n')
            lines.append(f'[call.c{n}]\ntunnel = "t"\nline = "l{n}"\ndata_plane = "stream"\n')
        path = Path(self._folder, "bench.toml")
        path.write_text("\n".join(lines), encoding="utf-8")
        laclet = Path(sys.executable).with_name("laclet")
        if not laclet.exists():
            raise Missing("laclet is not installed beside this Python: tools/setup")
        self._process = subprocess.Popen(
            [laclet, "run", path], env={**os.environ, "LACLET_RUN_DIR": self._folder}, stderr=subprocess.DEVNULL
        )
        self._connect(time.monotonic() + 20)
        return self

    def __exit__(self, *exc):
        self._process.terminate()
        self._process.wait(10)
        for fd in [fd for pair in self._ptys for fd in pair]:
            os.close(fd)
        self._sink.sock.close()

    def _connect(self, deadline):
        """Every host says hello until every line has its call."""
        again = 0.0
        while len(self._sink.sessions) < len(self._lines):
            now = time.monotonic()
            if now > deadline or self._process.poll() is not None:
                raise Missing("the relay did not come up; laclet run says why")
            if now > again:
                again = now + 1
                for line in self._lines:
                    with contextlib.suppress(BlockingIOError):
                        os.write(line.master, self._hello)
            select.select([self._sink.sock], [], [], 0.2)
            self._sink.read()

    def run(self, seconds):
        """All lines busy both ways for so long: (bytes of frames moved, processor seconds of the relay, seconds)."""
        poll = select.epoll()
        poll.register(self._sink.sock, select.EPOLLIN)
        for n, line in enumerate(self._lines):
            line.read()
            line.read_octets = 0
            poll.register(line.master, select.EPOLLIN | select.EPOLLOUT)
            self._lines[n].sent = 0
        by_fd = {line.master: (line, session) for line, session in self._pairs()}
        for line, session in self._pairs():
            self._feed(line, session)
        self._sink.moved = 0
        cpu, begin = self._cpu(), time.monotonic()
        while time.monotonic() < begin + seconds:
            for fd, events in poll.poll(0.1):
                if fd not in by_fd:
                    self._sink.read()
                    continue
                line, session = by_fd[fd]
                if events & select.EPOLLOUT:
                    line.write()
                if events & select.EPOLLIN:
                    line.read()
                    self._feed(line, session)
        took = time.monotonic() - begin
        spent = self._cpu() - cpu
        poll.close()
        down = sum(line.read_octets for line in self._lines) // self._octets * len(self._frame)
        return self._sink.moved + down, spent, took

    def _pairs(self):
        return list(zip(self._lines, self._sink.sessions, strict=True))

    def _feed(self, line, session):
        """Keep so many frames under way to a line."""
        while line.sent * self._octets < line.read_octets + _AHEAD * self._octets:
            line.sent += 1
            ids = session.tunnel.peer_tid.to_bytes(2, "big") + session.peer_sid.to_bytes(2, "big")
            self._sink.sock.sendto(b"\0\2" + ids + self._frame, session.tunnel.addr)

    def _cpu(self):
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
