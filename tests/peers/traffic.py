"""Traffic through a tunnel: ICMP echo and a TCP transfer, both ways, compared by hash."""

import threading
import time
from dataclasses import dataclass

PORT = 5555


@dataclass(frozen=True)
class Exchange:
    """What a transfer moved, as many bytes each way, and how fast."""

    bytes: int
    out_mbit: float  # from the client to the server
    in_mbit: float


def ping(place, source, address, count=3, size=56):
    """Echo `count` requests from `source` (an address of `place`); the list of answers' round-trip times in ms."""
    reply = place.request("ping", count + 20, source=source, address=address, count=count, size=size)
    return reply["ms"]


def counted(*ends):
    """[packets sent, packets received] of the interface of each (place, interface), once nothing is on its way."""
    seen = []
    while len(seen) < 2 or seen[-1] != seen[-2]:
        time.sleep(0.2)
        files = [f"/sys/class/net/{interface}/statistics/{{}}_packets" for _, interface in ends]
        ways = [
            [int(end[0].read(file.format(way))) for way in ("tx", "rx")] for end, file in zip(ends, files, strict=True)
        ]
        seen.append(ways)
    return seen[-1]


def echoes(place):
    """[requests sent, answers received] of ICMP by a place so far, once nothing is on its way."""
    seen = []
    while len(seen) < 2 or seen[-1] != seen[-2]:
        time.sleep(0.2)
        names, values = (line.split() for line in place.read("/proc/net/snmp").splitlines() if line.startswith("Icmp:"))
        counters = dict(zip(names, values, strict=True))
        seen.append([int(counters[name]) for name in ("OutEchos", "InEchoReps")])
    return seen[-1]


def answers(place, source, address):
    """True when three echoes in a row are answered in time; a guest may be late by a second now and then."""
    return any(len(ping(place, source, address)) == 3 for _ in range(3))


def exchange(client, source, server, address, count=200_000, port=PORT, timeout=90):
    """Send `count` bytes by TCP to `server` and as many others back; the hashes of both ends must agree."""
    server.request("listen", address=address, port=port)
    served = []
    serving = threading.Thread(
        target=lambda: served.append(server.request("serve", timeout + 20, port=port, seconds=timeout))
    )
    serving.start()
    arguments = {"source": source, "address": address, "port": port, "count": count, "seconds": timeout}
    ours = client.request("exchange", timeout + 20, **arguments)
    serving.join()
    theirs = served[0]
    assert theirs["bytes"] == ours["bytes"] == count
    assert theirs["received"] == ours["sent"], "what went out is not what arrived"
    assert ours["received"] == theirs["sent"], "what came back is not what was sent"
    return Exchange(count, count * 8e-6 / ours["out_s"], count * 8e-6 / ours["in_s"])


def assert_passes(client, source, server, address, count=200_000):
    """Ping both ways and a TCP transfer both ways between the two ends of a tunnel."""
    assert answers(client, source, address), f"{client.name} has no answer from {address}"
    assert answers(server, address, source), f"{server.name} has no answer from {source}"
    return exchange(client, source, server, address, count)
