"""Captures of what passes a place's port, read by tshark: what a dissector we did not write makes of our packets."""

import signal
import socket
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from peers.lab import LabError, wait_for

INTERESTING = "udp port 1701 or udp port 500 or udp port 4500 or esp"
DISCARD = 9  # UDP port of the mark that ends a capture
MARK = b"laclet: the capture ends here"
EXPERT_ERROR = 0x800000  # tshark's severity from which a packet is wrong
IPCP, CONFIGURE_ACK = 0x8021, 2
SCCRQ = 1


@dataclass(frozen=True)
class Frame:
    """One captured packet, as tshark reads it."""

    number: int
    ms: float  # since the first frame of the capture
    source: str  # outermost IP addresses
    destination: str
    protocols: tuple  # "eth", "ip", "udp", "l2tp" …
    l2tp: int | None  # control message type
    ppp: int | None  # protocol
    code: int | None  # of LCP, IPCP …
    length: int  # bytes on the wire
    error: str  # what tshark finds wrong, empty when nothing
    summary: str


@dataclass(frozen=True)
class Setup:
    """From the first SCCRQ to the later of the two Configure-Acks of IPCP, seen at the client's port."""

    ms: float
    packets: int
    turns: int  # changes of direction
    frames: tuple

    def round_trips(self, rtt):
        """How many round trips of `rtt` ms it took: meaningful when the link's delay outweighs everything else."""
        return self.ms / rtt


class Capture:
    """tcpdump at the bridge port of a place, while in the `with`; then `.path` is the finished pcap file."""

    def __init__(self, place, name=None, only=INTERESTING):
        self.lab = place.lab
        self.port = place.port
        folder = self.lab.directory / "captures"
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{name or place.name}.pcap"
        self.only = only
        self.process = None

    def __enter__(self):
        self.path.unlink(missing_ok=True)
        self.process = self.lab.net.spawn(
            *["tcpdump", "-Z", "root", "-i", self.port, "--immediate-mode", "-B", "16384", "-U", "-w", self.path],
            f"({self.only}) or udp port {DISCARD}",
            log=f"{self.path.stem}-tcpdump.log",
        )
        self.process.said("listening")
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        """End the capture once everything that has passed the port is in the file."""
        before = self.path.stat().st_size
        with self.lab.net.socket() as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.sendto(MARK, ("10.77.0.255", DISCARD))
        wait_for("the mark in the capture", lambda: MARK in self.path.read_bytes()[before:])
        self.process.stop(signal.SIGINT)

    def frames(self, **options):
        return frames(self.path, **options)

    def keep(self, folder):
        """Copy the file to where it outlives the laboratory."""
        target = Path(folder) / self.path.name
        target.write_bytes(self.path.read_bytes())
        return target


FIELDS = (
    *("frame.number", "frame.time_epoch", "ip.src", "ip.dst", "frame.protocols", "l2tp.avp.message_type"),
    *("ppp.protocol", "ppp.code", "chap.code", "pap.code", "frame.len"),
    *("_ws.malformed", "_ws.expert.severity", "_ws.expert.message", "_ws.col.Info"),
)


def frames(path, ports=(1701,), secret="", keep=f"not udp.port == {DISCARD}", options=()):
    """All packets of a pcap file as Frames. `ports` are decoded as L2TP, `secret` checks tunnel authentication."""
    command = ["tshark", "-r", str(path), "-Y", keep, "-o", f"l2tp.shared_secret:{secret}", "-T", "fields"]
    command += ["-E", "separator=/t", "-E", "aggregator=;"]
    # What TCP carries, and how often, is the kernels' affair.
    command += ["-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.analyze_sequence_numbers:FALSE"]
    command += ["-d", "tcp.port==1-65535,data"]
    command += [word for port in ports for word in ("-d", f"udp.port=={port},l2tp")]
    command += [word for field in FIELDS for word in ("-e", field)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise LabError(f"tshark: {done.stderr}")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    begin = float(rows[0][1]) if rows else 0.0
    return [_frame(row, begin) for row in rows]


def _frame(row, begin):
    number, time, source, destination, protocols, message, ppp, code, chap, pap, length = row[:11]
    malformed, severity, said, summary = row[11:15]
    bad = malformed or any(int(value, 0) >= EXPERT_ERROR for value in severity.split(";") if value)
    return Frame(
        number=int(number),
        ms=(float(time) - begin) * 1000,
        source=source.split(";")[0],
        destination=destination.split(";")[0],
        protocols=tuple(protocols.split(":")),
        l2tp=_first(message),
        ppp=_first(ppp),
        code=_first(code or chap or pap),
        length=int(length),
        error=(malformed + " " + said).strip() if bad else "",
        summary=summary,
    )


def _first(text):
    return int(text.split(";")[0], 0) if text else None


def assert_well_formed(path, source=None, expect=("l2tp",), **options):
    """Nothing that `source` (an address; everybody when None) sent is malformed, and all of `expect` was seen in it.

    Returns its Frames. `expect` names tshark's protocols: "l2tp", "ppp", "lcp" …
    """
    sent = [frame for frame in frames(path, **options) if source in (None, frame.source)]
    assert sent, f"{path}: nothing from {source}"
    wrong = [f"{frame.number}: {frame.summary}: {frame.error}" for frame in sent if frame.error]
    assert not wrong, "tshark finds errors:\n" + "\n".join(wrong)
    seen = {protocol for frame in sent for protocol in frame.protocols}
    assert set(expect) <= seen, f"not seen: {set(expect) - seen}, only {seen}"
    return sent


def measure_setup(path, client, **options):
    """The first set-up in a capture at the port of `client` (its address), as a Setup; LabError if it is not whole."""
    everything = frames(path, **options)
    begin = next((i for i, frame in enumerate(everything) if frame.l2tp == SCCRQ and frame.source == client), None)
    if begin is None:
        raise LabError(f"{path}: no SCCRQ from {client}")
    acks = {}  # source -> index of its Configure-Ack
    for index, frame in enumerate(everything):
        if frame.ppp == IPCP and frame.code == CONFIGURE_ACK:
            acks.setdefault(frame.source, index)
    if len(acks) < 2:
        raise LabError(f"{path}: IPCP did not open on both sides")
    part = everything[begin : max(acks.values()) + 1]
    turns = 1 + sum(a.source != b.source for a, b in pairwise(part))
    return Setup(part[-1].ms - part[0].ms, len(part), turns, tuple(part))
