"""The kernel plane beside xl2tpd + pppd with kernel L2TP, in one guest: TCP, memory, processor, start-up."""

import json
import os
import re
import time
from contextlib import ExitStack

from benches.common import median

_SECONDS = 1  # of each transfer
_TURNS = 4  # transfers of each kind in a run
_WAYS = {"up": (), "down": ("-R",)}
_IDLE = 5  # seconds of doing nothing
_TICKS = os.sysconf("SC_CLK_TCK")
_PATTERNS = {"kernel": "laclet run", "xl2tpd": "xl2tpd|pppd"}  # processes of each


def compare(lab, runs):
    """Figures of ``runs`` pairs in turn, in the laboratory ``lab``; see dataplane.measure."""
    from peers.l2tpns import L2tpns
    from peers.xl2tpd import Xl2tpdLns

    far, near = lab.guest("far"), lab.guest("near")
    with Xl2tpdLns(far):
        seen = _pairs(near, far, far.address, runs)
    figures = {key: median(values) for key, values in seen.items()}
    for way in ("tcp", "tcp_up", "tcp_down"):
        figures[f"kernel_{way}_ratio"] = _ratio(seen, way)
    with L2tpns(lab.namespace("l2tpns")) as server:
        seen = _pairs(near, server.place, server.place.address, runs)
    for name in _PATTERNS:
        figures[f"l2tpns_{name}_tcp_mbit"] = median(seen[f"{name}_tcp_mbit"])
    figures["l2tpns_kernel_tcp_ratio"] = _ratio(seen, "tcp")
    return figures


def _ratio(seen, way):
    pairs = zip(seen[f"kernel_{way}_mbit"], seen[f"xl2tpd_{way}_mbit"], strict=True)
    return median(ours / theirs for ours, theirs in pairs)


def _pairs(near, far, address, runs):
    """``{key: values}`` of our service and of xl2tpd in ``near``, both up at the same time."""
    seen = {}
    with far.spawn("iperf3", "-s", "--forceflush", log="iperf3.log") as listening:
        listening.said("Server listening")
        for run in range(runs):
            order = list(_PATTERNS)
            if run % 2:
                order.reverse()
            with ExitStack() as stack:
                up = {}
                for name in order:
                    took, up[name] = _start(stack, near, address, name)
                    seen.setdefault(name + "_start_ms", []).append(took)
                for key, values in (_in_turn(near, up) | _idle(near)).items():
                    seen.setdefault(key, []).extend(values)
    return seen


def _start(stack, near, address, name):
    """Have one of them up: (ms from the start of its programs to an interface with addresses, that)."""
    from peers.service import Laclet
    from peers.xl2tpd import Xl2tpdClient

    if name == "kernel":
        call = {"tunnel": "nas", "username": "user", "data_plane": "kernel", "ifname": "ours", "mtu": 1400, "mru": 1400}
        config = {"tunnel": {"nas": {"server": address}}, "call": {"vpn": call}}
        begin = time.monotonic()
        end = stack.enter_context(Laclet(near, config, {"call": {"vpn": {"password": "secret"}}}))
        up = end.up("ours")
    else:
        begin = time.monotonic()
        end = stack.enter_context(Xl2tpdClient(near, address))
        end.dial()
        up = end.up()
    return (time.monotonic() - begin) * 1000, up


def traffic(place, own, peer, seconds=3):
    """TCP both ways, one after the other."""
    mbit = {f"tcp_{way}_mbit": _transfer(place, own, peer, seconds, *words) for way, words in _WAYS.items()}
    return {**mbit, "tcp_mbit": sum(mbit.values()) / len(mbit)}


def _in_turn(place, up):
    """``{key: values}`` of TCP both ways through each of ``up``: name -> (interface, own address, peer's)."""
    seen = {}
    for turn in range(_TURNS):
        for way, words in _WAYS.items():
            for name in list(up)[:: -1 if turn % 2 else 1]:
                interface, own, peer = up[name]
                mbit = _transfer(place, f"{own}%{interface}", peer, _SECONDS, *words)
                seen.setdefault(f"{name}_tcp_{way}_mbit", []).append(mbit)
                seen.setdefault(f"{name}_tcp_mbit", []).append(mbit)
    return seen


def _transfer(place, own, peer, seconds, *words):
    """Mbit/s at the receiver."""
    words = ["iperf3", "-c", peer, "-B", own, "-t", seconds, "-C", "cubic", "-J", *words]
    end = json.loads(place.run(*words, timeout=seconds + 30).out)["end"]
    return end["sum_received"]["bits_per_second"] / 1e6


def _idle(place):
    """Resident memory, and processor seconds an hour, of all processes of each at the near end with nothing to do."""
    pids = {
        name: [int(pid) for pid in place.run("pgrep", "-f", pattern).out.split()] for name, pattern in _PATTERNS.items()
    }
    before = {name: _cpu(place, all_of) for name, all_of in pids.items()}
    begin = time.monotonic()
    place.run("sleep", _IDLE)
    hours = (time.monotonic() - begin) / 3600
    figures = {}
    for name, all_of in pids.items():
        figures[name + "_idle_cpu_s_per_h"] = [(_cpu(place, all_of) - before[name]) / hours]
        figures[name + "_idle_rss_mb"] = [sum(_resident(place, pid) for pid in all_of) / 1024]
    return figures


def _resident(place, pid):
    found = re.search(r"VmRSS:\s+(\d+)", place.read(f"/proc/{pid}/status"))
    return int(found[1]) if found else 0


def _cpu(place, pids):
    """Processor seconds that processes have used."""
    spent = 0
    for pid in pids:
        fields = place.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        spent += int(fields[11]) + int(fields[12]) if fields else 0
    return spent / _TICKS
