"""The data planes beside what others have: the kernel plane and xl2tpd, the userspace plane and a forwarder in C."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benches import kernelplane
from benches.common import AT_LEAST, Missing, find_program, median

RUNS = 5
TARGETS = (
    ("kernel_tcp_ratio", AT_LEAST, 0.98),
    ("user_tcp_ratio", AT_LEAST, 3),
    ("user_small_ratio", AT_LEAST, 0.6),
    ("cpu_ratio", AT_LEAST, 1),
)

_HERE = Path(__file__).resolve().parent
_TREE = _HERE.parents[1]
_SECONDS = 3  # of each transfer
_SMALL = 64  # bytes of a small packet's data
_MTU = 1400
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(runs):
    """Medians of ``runs`` rounds in turn; ``*_mbit`` at the receiver, ``*_cpu_s_per_gb`` of the programs at both ends.

    ``kernel`` is our service with the kernel plane, ``xl2tpd`` is xl2tpd with pppd and the kernel's L2TP, in the same
    guest, called one after the other, with another xl2tpd as the far end; ``l2tpns_*``: with l2tpns as the far end.
    ``tcp`` is the mean of both ways; ``start_ms`` goes from the start of the programs to an interface that is up.

    ``c`` is the forwarder with one packet per wake-up, ``burst`` the same with up to 64, ``user`` the userspace plane;
    each end has a processor of its own, where there are two. Ratios are ours over that of ``c``, for CPU the other way
    round; the same with ``burst``. ``*_small_pps``: packets a second that arrive when as many as possible are sent.
    """
    sys.path.insert(0, str(_TREE / "tests"))
    from peers.lab import Lab
    from peers.needs import GUEST, missing

    lacking = missing("iperf3", "xl2tpd", "pppd", "l2tpns", "freeradius", *GUEST)
    if lacking:
        raise Missing(lacking)
    with Lab() as lab:
        figures = kernelplane.compare(lab, runs)
    seen = {}
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        programs = {name: [_compiled(folder, burst)] for name, burst in (("c", 1), ("burst", 64))}
        programs["user"] = [sys.executable, str(_TREE / "tests/peers/programs/plane_end.py")]
        ends = _veth(lab)
        for _ in range(runs):
            for name, program in programs.items():
                for key, value in _one(ends, program).items():
                    seen.setdefault(f"{name}_{key}", []).append(value)
    figures |= {key: median(values) for key, values in seen.items()}
    for other, suffix in (("c", ""), ("burst", "_burst")):
        for key, a, b in (
            ("user_tcp_ratio", "user_tcp_mbit", f"{other}_tcp_mbit"),
            ("user_small_ratio", "user_small_pps", f"{other}_small_pps"),
            ("cpu_ratio", f"{other}_tcp_cpu_s_per_gb", "user_tcp_cpu_s_per_gb"),
            ("small_cpu_ratio", f"{other}_small_cpu_s_per_gb", "user_small_cpu_s_per_gb"),
        ):
            figures[key + suffix] = median(x / y for x, y in zip(seen[a], seen[b], strict=True))
    return figures


def _compiled(folder, burst):
    """The forwarder."""
    program = str(Path(folder) / f"forwarder-{burst}")
    words = [find_program("gcc"), "-O2", f"-DBURST={burst}", "-o", program, str(_HERE / "forwarder.c")]
    subprocess.run(words, check=True)
    return program


def _veth(lab):
    """Two namespaces, a cable from the one to the other, a processor for each: [(place, address, prefix), …]."""
    a, b = lab.namespace("left"), lab.namespace("right")
    words = ["ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", str(b.pid)]
    subprocess.run(["nsenter", "-t", str(a.pid), "-n", *words], check=True)
    processors = sorted(os.sched_getaffinity(0))[:2]
    ends = []
    for place, address, processor in ((a, "192.0.2.1", processors[0]), (b, "192.0.2.2", processors[-1])):
        place.run("ip", "addr", "add", f"{address}/24", "dev", "wire")
        place.run("ip", "link", "set", "wire", "up")
        ends.append((place, address, ["taskset", "-c", str(processor)]))
    return ends


def _one(ends, program):
    """One transfer of each kind through ``program`` on both ends."""
    (a, left, on_a), (b, right, on_b) = ends
    running = []
    for (place, mine, there), other, ids, host in ((ends[0], right, "1 2 3 4", 1), (ends[1], left, "3 4 1 2", 2)):
        words = ["t0", mine, other, "1701", *ids.split()]
        process = place.spawn(*there, *program, *words, log=f"end-{host}.log")
        process.said("ready")
        running.append(process)
        place.run("ip", "addr", "add", f"10.1.0.{host}", "peer", f"10.1.0.{3 - host}", "dev", "t0")
        place.run("ip", "link", "set", "t0", "mtu", _MTU, "up")
    server = b.spawn(*on_b, "iperf3", "-s", "--forceflush", log="iperf3.log")
    server.said("Server listening")
    figures = {}
    # Cubic everywhere, which measures the path; what guesses at a rate would measure the noise of the machine.
    for key, words in (("tcp", ["-C", "cubic"]), ("small", ["-u", "-b", "0", "-l", _SMALL])):
        before = [_cpu(process) for process in running]
        words = [*on_a, "iperf3", "-c", "10.1.0.2", "-t", _SECONDS, "-J", *words]
        end = json.loads(a.run(*words, timeout=_SECONDS + 30).out)["end"]
        spent = sum(_cpu(process) - was for process, was in zip(running, before, strict=True))
        if key == "tcp":
            moved = end["sum_received"]["bytes"]
            figures["tcp_mbit"] = end["sum_received"]["bits_per_second"] / 1e6
        else:
            arrived = end["sum"]["packets"] - end["sum"]["lost_packets"]
            moved = arrived * _SMALL
            figures["small_pps"] = arrived / end["sum"]["seconds"]
        figures[key + "_cpu_s_per_gb"] = spent / (moved / 1e9)
    for process in (server, *running):
        process.stop()
    return figures


def _cpu(process):
    """CPU seconds that a program has used."""
    fields = process.place.read(f"/proc/{process.pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
