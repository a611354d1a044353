"""One line in a guest, pppd at its far end: pppd at the near end as well, or our LAC with an LNS in another guest."""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from benches.common import Missing, median

_TREE = Path(__file__).resolve().parents[2]
_SECONDS = 3  # of each transfer
_TICKS = os.sysconf("SC_CLK_TCK")
_WAYS = {"pppd": None, "relay": "stream", "bridge": "kernel"}  # our LAC's data_plane


def compare(runs):
    """Figures of ``runs`` rounds in turn; see serial.measure."""
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
        with Xl2tpdLns(far), far.spawn("iperf3", "-s", "--forceflush", log="iperf3.log") as listening:
            listening.said("Server listening")
            for _ in range(runs):
                for name, plane in _WAYS.items():
                    for key, value in _one(near, far, plane).items():
                        seen.setdefault(f"{name}_{key}", []).append(value)
    figures = {key: median(values) for key, values in seen.items()}
    for name in ("relay", "bridge"):
        pairs = zip(seen["pppd_cpu_s_per_gb"], seen[f"{name}_cpu_s_per_gb"], strict=True)
        figures["cpu_ratio" if name == "bridge" else "relay_cpu_ratio"] = median(a / b for a, b in pairs)
        pairs = zip(seen[f"{name}_mbit"], seen["pppd_mbit"], strict=True)
        figures[f"{name}_rate_ratio"] = median(a / b for a, b in pairs)
    return figures


def _one(near, far, plane):
    """TCP from the far end of the line to its near end, or to the LNS, and back."""
    from peers.pppd import PppdSerial
    from peers.service import Laclet

    with ExitStack() as stack:
        ends = [f"{near.directory}/line-{end}" for end in "ab"]
        wire = near.spawn("socat", *[f"pty,raw,echo=0,link={end}" for end in ends], log="socat.log")
        stack.callback(wire.stop)
        for end in ends:
            near.until("exists", end, pid=wire.pid)
        if plane is None:
            stack.enter_context(_server(near, ends[1]))
        else:
            config = {
                "tunnel": {"t": {"server": far.address}},
                "line": {"l": {"device": ends[1], "modem": "none"}},
                "call": {"c": {"tunnel": "t", "line": "l", "data_plane": plane}},
            }
            service = stack.enter_context(Laclet(near, config))
        host = stack.enter_context(PppdSerial(near, ".." + ends[0]))
        _, own, peer = host.up()
        if plane == "kernel":
            service.said("bridged to the LNS in the kernel")
        return _traffic(near, own, peer)


def _server(place, tty):
    """pppd and an iperf3 behind it, in a network of their own, for packets to leave the one and enter the other."""
    words = "nodetach local nocrtscts noauth noccp silent 10.21.0.1:10.21.0.2 nodefaultroute noproxyarp"
    shell = f"ip link set lo up; iperf3 -s -D; exec pppd {tty} 115200 {words}"
    return place.spawn("unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", shell, log="server.log")


def _traffic(place, own, peer):
    moved, bits, before = 0, 0.0, _cpu(place)
    for way in ((), ("-R",)):
        words = ["iperf3", "-c", peer, "-B", own, "-t", _SECONDS, "-C", "cubic", "-J", *way]
        received = json.loads(place.run(*words, timeout=_SECONDS + 30).out)["end"]["sum_received"]
        moved += received["bytes"]
        bits += received["bits_per_second"] / 2
    return {"mbit": bits / 1e6, "cpu_s_per_gb": (_cpu(place) - before) / (moved / 1e9)}


def _cpu(place):
    """Processor seconds that a guest has worked, by its own count."""
    fields = place.read("/proc/stat").splitlines()[0].split()
    return sum(int(fields[n]) for n in (1, 2, 3, 6, 7)) / _TICKS
