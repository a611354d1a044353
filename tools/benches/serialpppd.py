"""Lines in a guest, pppd at their far ends: pppd at the near ends as well, or our LAC with an LNS in another guest."""

import json
import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benches.common import Missing, median

_TREE = Path(__file__).resolve().parents[2]
_SECONDS = 3  # of each transfer
_PORT = 5201  # of the first line's iperf3
_TICKS = os.sysconf("SC_CLK_TCK")
_WAYS = {"pppd": None, "relay": "stream", "bridge": "kernel"}  # our LAC's data_plane
_PPPD = "115200 nodetach local nocrtscts noauth noccp nodefaultroute noproxyarp"
_PATIENT = "lcp-restart 2 lcp-max-configure 40 ipcp-restart 2 ipcp-max-configure 40"
_CLIENT = f"{_PPPD} {_PATIENT} user user password secret ipcp-accept-local ipcp-accept-remote"


def compare(runs, numbers):
    """Figures of ``runs`` rounds in turn, for each number of lines; see serial.measure."""
    sys.path.insert(0, str(_TREE / "tests"))
    from peers.lab import Lab
    from peers.needs import GUEST, missing
    from peers.xl2tpd import Xl2tpdLns

    lacking = missing("xl2tpd", "pppd", "iperf3", "socat", *GUEST)
    if lacking:
        raise Missing(lacking)
    seen = {}
    with Lab() as lab:
        far, near = lab.guest("far"), lab.guest("near")
        near.write("/etc/ppp/ip-up", "#!/bin/sh\n", 0o755)
        with Xl2tpdLns(far), _together(far, "servers", [f"iperf3 -s -p {_PORT + n}" for n in range(max(numbers))]):
            for _ in range(runs):
                for lines in numbers:
                    for name, plane in _WAYS.items():
                        for key, value in _one(near, far, plane, lines).items():
                            seen.setdefault(f"{name}_{key}_{lines}", []).append(value)
    figures = {key: median(values) for key, values in seen.items()}
    for lines in numbers:
        for name in ("relay", "bridge"):
            for key, ours, theirs in (("cpu", "pppd", name), ("rate", name, "pppd")):
                figure = "cpu_s_per_gb" if key == "cpu" else "mbit"
                pairs = zip(seen[f"{ours}_{figure}_{lines}"], seen[f"{theirs}_{figure}_{lines}"], strict=True)
                figures[f"{name}_{key}_ratio_{lines}"] = median(a / b for a, b in pairs)
    return figures


def _one(near, far, plane, lines):
    """TCP through all lines at once, from their far ends to their near ends, or to the LNS, and back."""
    from peers.lab import wait_for
    from peers.service import Laclet

    with ExitStack() as stack:
        ends = [[f"{near.directory}/line-{n}-{end}" for end in "ab"] for n in range(lines)]
        wires = [f"socat pty,raw,echo=0,link={a} pty,raw,echo=0,link={b}" for a, b in ends]
        wire = stack.enter_context(_together(near, "wires", wires))
        for end in [end for pair in ends for end in pair]:
            near.until("exists", end, pid=wire.pid)
        if plane is None:
            # In a network of their own, for packets to leave the one and enter the other.
            servers = [f"pppd {end} {_PPPD} silent 10.21.0.1:10.21.0.{2 + n}" for n, (_, end) in enumerate(ends)]
            servers += ["ip link set lo up", *[f"iperf3 -s -p {_PORT + n}" for n in range(lines)]]
            stack.enter_context(_together(near, "near-ends", servers, "--net"))
        else:
            config = {
                "tunnel": {"t": {"server": far.address}},
                "line": {f"l{n}": {"device": end, "modem": "none"} for n, (_, end) in enumerate(ends)},
                "call": {f"c{n}": {"tunnel": "t", "line": f"l{n}", "data_plane": plane} for n in range(lines)},
            }
            service = stack.enter_context(Laclet(near, config))
        hosts = [f"pppd {end} {_CLIENT} unit {n}" for n, (end, _) in enumerate(ends)]
        stack.callback(near.no_interface, "ppp[0-9]+")
        stack.enter_context(_together(near, "hosts", hosts))
        wait_for(f"{lines} lines", lambda: len(_addresses(near)) == lines, timeout=90.0)
        if plane == "kernel":
            service.said("bridged to the LNS in the kernel", count=lines)
        return _traffic(near, _addresses(near))


@contextmanager
def _together(place, name, commands, *namespaces):
    """Programs that end together; the Process they end with."""
    words = ["unshare", *namespaces, "--pid", "--fork", "--kill-child", "sh", "-c", " & ".join([*commands, "wait"])]
    process = place.spawn(*words, log=f"{name}.log")
    try:
        yield process
    finally:
        process.stop(9)


def _addresses(place):
    """``[(interface, own address, peer's)]`` of the lines that are up."""
    links = json.loads(place.run("ip", "-j", "-4", "address").out)
    found = [(link["ifname"], link["addr_info"][0]) for link in links if link.get("ifname", "").startswith("ppp")]
    return [(name, info["local"], info["address"]) for name, info in found]


def _traffic(place, up):
    """All lines' Mbit/s together, the mean of both ways, and processor seconds of the guest for each GB."""
    moved, bits, before = 0, 0.0, _cpu(place)
    for way in ("", "-R"):
        words = f"-t {_SECONDS} -C cubic -J {way}"
        commands = [
            f"iperf3 -c {peer} -p {_PORT + n} -B {own}%{name} {words} > out-{n}.json"
            for n, (name, own, peer) in enumerate(up)
        ]
        place.run(" & ".join([*commands, "wait"]), timeout=_SECONDS + 60, cwd=str(place.directory))
        for n in range(len(up)):
            received = json.loads(place.read(f"out-{n}.json"))["end"]["sum_received"]
            moved += received["bytes"]
            bits += received["bits_per_second"] / 2
    return {"mbit": bits / 1e6, "cpu_s_per_gb": (_cpu(place) - before) / (moved / 1e9)}


def _cpu(place):
    """Processor seconds that a guest has worked, by its own count."""
    fields = place.read("/proc/stat").splitlines()[0].split()
    return sum(int(fields[n]) for n in (1, 2, 3, 6, 7)) / _TICKS
