"""Numbers of a running service: what its process costs, what its calls have carried, what was dropped."""

import os
import resource
import threading

COUNTERS = ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "lost")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def process():
    """Of this process: seconds of CPU, bytes of memory, open descriptors, threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm", encoding="ascii") as file:
        memory = int(file.read().split()[1]) * _PAGE
    return {
        "cpu": round(used.ru_utime + used.ru_stime, 3),
        "memory": memory,
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,  # one of them is the folder's
        "threads": threading.active_count(),
    }


def drops(status):
    """Place -> reason -> count, from a service's status; places where nothing was dropped are left out."""
    found = {"l2tp": status["drops"]}
    for n, each in enumerate(status["sockets"]):
        found[f"socket.{n}"] = each["drops"]
    for name, call in status["calls"].items():
        found["call." + name] = call.get("drops", {})
        if call["session"] is not None:
            found["session." + name] = call["session"]["drops"]
    return {place: dict(counts) for place, counts in found.items() if counts}


def stats(status):
    """What the command ``stats`` answers, from a service's status."""
    calls = {}
    for name, call in status["calls"].items():
        session = call["session"] or dict.fromkeys(COUNTERS, 0)
        calls[name] = {key: session[key] for key in COUNTERS}
    return {"process": process(), "calls": calls, "drops": drops(status)}
