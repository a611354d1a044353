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
_SECONDS = 2  # of each transfer
_TRIES = 3  # of iperf3
_SMALL = 64  # bytes of a small packet's data
_MTU = 1400
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(runs):
    """Medians of ``runs`` rounds of short transfers, of ratios those of each transfer and the one in its turn.

    ``*_mbit`` at the receiver, ``*_cpu_s_per_gb`` of the programs at both ends.

    ``kernel`` is our service with the kernel plane, ``xl2tpd`` is xl2tpd with pppd and the kernel's L2TP, in the same
    guest, both up at once, with another xl2tpd as the far end; ``l2tpns_*``: with l2tpns as the far end.
    ``tcp`` is both ways; ``start_ms`` goes from the start of the programs to an interface that is up.

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
    return figures | _userspace(runs)


def _userspace(runs):
    """The userspace plane beside the forwarder."""
    from peers.lab import Lab

    seen = {}
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        programs = {name: [_compiled(folder, burst)] for name, burst in (("c", 1), ("burst", 64))}
        programs["user"] = [sys.executable, str(_TREE / "tests/peers/programs/plane_end.py")]
        ends = _veth(lab)
        pairs = {name: _pair(ends, n, program) for n, (name, program) in enumerate(programs.items())}
        for run in range(runs):
            for key, values in _in_turn(ends, pairs, -1 if run % 2 else 1).items():
                seen.setdefault(key, []).extend(values)
    figures = {key: median(values) for key, values in seen.items()}
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


def _pair(ends, n, program):
    """The two ends of the ``n``-th tunnel between ``ends``: running, with addresses 10.1.n.1 and 10.1.n.2."""
    running = []
    for (place, mine, there), other, ids, host in zip(
        ends, (ends[1][1], ends[0][1]), ("1 2 3 4", "3 4 1 2"), (1, 2), strict=True
    ):
        words = [f"t{n}", mine, other, 1701 + n, *ids.split()]
        process = place.spawn(*there, *program, *words, log=f"end-{n}-{host}.log")
        process.said("ready")
        running.append(process)
        place.run("ip", "addr", "add", f"10.1.{n}.{host}", "peer", f"10.1.{n}.{3 - host}", "dev", f"t{n}")
        place.run("ip", "link", "set", f"t{n}", "mtu", _MTU, "up")
    return running


def _in_turn(ends, pairs, direction):
    """``{key: values}`` of transfers through each of ``pairs``, one after the other and back again."""
    (a, _, on_a), (b, _, on_b) = ends
    order = list(enumerate(pairs))[::direction]
    seen = {}
    with b.spawn(*on_b, "iperf3", "-s", "--forceflush", log="iperf3.log") as server:
        server.said("Server listening")
        # Cubic everywhere, which measures the path; what guesses at a rate would measure the noise of the machine.
        for kind, words in (("tcp", ["-C", "cubic"]), ("small", ["-u", "-b", "0", "-l", _SMALL])):
            for n, name in order + order[::-1]:
                before = sum(map(_cpu, pairs[name]))
                command = [*on_a, "iperf3", "-c", f"10.1.{n}.2", "-t", _SECONDS, "-J", *words]
                end = _end(a, command)
                spent = sum(map(_cpu, pairs[name])) - before
                if kind == "tcp":
                    moved = end["sum_received"]["bytes"]
                    seen.setdefault(name + "_tcp_mbit", []).append(end["sum_received"]["bits_per_second"] / 1e6)
                else:
                    arrived = end["sum"]["packets"] - end["sum"]["lost_packets"]
                    moved = arrived * _SMALL
                    seen.setdefault(name + "_small_pps", []).append(arrived / end["sum"]["seconds"])
                seen.setdefault(f"{name}_{kind}_cpu_s_per_gb", []).append(spent / (moved / 1e9))
    return seen


def _end(place, command):
    """What iperf3 says at the end. Its server may be told of the end of one test after the beginning of the next."""
    for _ in range(_TRIES):
        end = json.loads(place.run(*command, timeout=_SECONDS + 30, check=False).out)["end"]
        if end:
            return end
    raise Missing(f"iperf3 measures nothing: {' '.join(map(str, command))}")


def _cpu(process):
    """CPU seconds that a program has used."""
    fields = process.place.read(f"/proc/{process.pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
