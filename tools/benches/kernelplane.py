"""The kernel plane beside xl2tpd + pppd with kernel L2TP, in one guest: TCP, memory, processor, start-up."""

import json
import os
import re
import time

from benches.common import median

_SECONDS = 3  # of each transfer
_IDLE = 5  # seconds of doing nothing
_TICKS = os.sysconf("SC_CLK_TCK")


def compare(lab, runs):
    """Figures of ``runs`` pairs in turn, in the laboratory ``lab``; see dataplane.measure."""
    from peers.l2tpns import L2tpns
    from peers.xl2tpd import Xl2tpdLns

    far, near = lab.guest("far"), lab.guest("near")
    with Xl2tpdLns(far):
        seen = _pairs(near, far, far.address, runs)
    figures = {key: median(values) for key, values in seen.items()}
    for way, ours, theirs in (
        ("tcp", "kernel_tcp_mbit", "xl2tpd_tcp_mbit"),
        ("tcp_up", "kernel_tcp_up_mbit", "xl2tpd_tcp_up_mbit"),
        ("tcp_down", "kernel_tcp_down_mbit", "xl2tpd_tcp_down_mbit"),
    ):
        figures[f"kernel_{way}_ratio"] = median(a / b for a, b in zip(seen[ours], seen[theirs], strict=True))
    with L2tpns(lab.namespace("l2tpns")) as server:
        seen = _pairs(near, server.place, server.place.address, runs)
    ratios = [a / b for a, b in zip(seen["kernel_tcp_mbit"], seen["xl2tpd_tcp_mbit"], strict=True)]
    for name in ("kernel", "xl2tpd"):
        figures[f"l2tpns_{name}_tcp_mbit"] = median(seen[f"{name}_tcp_mbit"])
    figures["l2tpns_kernel_tcp_ratio"] = median(ratios)
    return figures


def _pairs(near, far, address, runs):
    """``{key: values of each run}`` of our service and of xl2tpd in ``near``, one after the other."""
    from peers.service import Laclet
    from peers.xl2tpd import Xl2tpdClient

    config = {
        "tunnel": {"nas": {"server": address}},
        "call": {"vpn": {"tunnel": "nas", "username": "user", "data_plane": "kernel", "mru": 1400, "mtu": 1400}},
    }
    secrets = {"call": {"vpn": {"password": "secret"}}}
    seen = {}
    with far.spawn("iperf3", "-s", "--forceflush", log="iperf3.log") as listening:
        listening.said("Server listening")
        for _ in range(runs):
            for name in ("kernel", "xl2tpd"):
                ours = name == "kernel"
                end = Laclet(near, config, secrets) if ours else Xl2tpdClient(near, address)
                begin = time.monotonic()
                with end:
                    if not ours:
                        end.dial()
                    _, own, peer = end.up("ppp[0-9]+") if ours else end.up()
                    seen.setdefault(name + "_start_ms", []).append((time.monotonic() - begin) * 1000)
                    for key, value in (traffic(near, own, peer) | _idle(near, ours)).items():
                        seen.setdefault(f"{name}_{key}", []).append(value)
    return seen


def traffic(place, own, peer):
    """TCP both ways, at the receiver, one way after the other."""
    mbit = {}
    for key, words in (("tcp_up_mbit", ()), ("tcp_down_mbit", ("-R",))):
        words = ["iperf3", "-c", peer, "-B", own, "-t", _SECONDS, "-C", "cubic", "-J", *words]
        end = json.loads(place.run(*words, timeout=_SECONDS + 30).out)["end"]
        mbit[key] = end["sum_received"]["bits_per_second"] / 1e6
    return {**mbit, "tcp_mbit": (mbit["tcp_up_mbit"] + mbit["tcp_down_mbit"]) / 2}


def _idle(place, ours):
    """Resident memory, and processor seconds an hour, of all processes at the near end while nothing happens."""
    pattern = "laclet run" if ours else "xl2tpd|pppd"
    pids = [int(pid) for pid in place.run("pgrep", "-f", pattern).out.split()]
    before = [_cpu(place, pid) for pid in pids]
    begin = time.monotonic()
    place.run("sleep", _IDLE)
    spent = sum(_cpu(place, pid) - was for pid, was in zip(pids, before, strict=True))
    resident = [re.search(r"VmRSS:\s+(\d+)", place.read(f"/proc/{pid}/status")) for pid in pids]
    return {
        "idle_rss_mb": sum(int(found[1]) for found in resident if found) / 1024,
        "idle_cpu_s_per_h": spent / (time.monotonic() - begin) * 3600,
    }


def _cpu(place, pid):
    fields = place.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0
