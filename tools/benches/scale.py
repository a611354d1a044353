"""Calls in one process: how many set-ups a second, how much memory each, and how both grow from 100 to 5,000."""

import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from benches.common import AT_LEAST, AT_MOST, median

RUNS = 3
TARGETS = (
    ("sessions", AT_LEAST, 5000),
    ("setups_per_second", AT_LEAST, 1000),
    ("bytes_per_session", AT_MOST, 20_000),
    ("cost_growth", AT_MOST, 1.25),
)

_FEW, _MANY = 100, 5000
_WARM = 5  # calls before those that are measured, so that every module is loaded
_PER_TUNNEL = 50
_LNS = ("lns", 1701)


def measure(runs):
    """One set-up is ICRQ to IP up with CHAP, LNS and client side together, in seconds of processor time.

    ``cost_growth``: a set-up, on the average of all 5,000, over one of the first 100 in the same process;
    ``bytes_per_session``: resident memory of both sides of a call, halved.
    """
    results = [_run(_MANY) for _ in range(runs)]
    return {
        "sessions": min(result["up"] for result in results),
        "setups_per_second": median(_MANY / result["seconds"] for result in results),
        "setups_per_second_few": median(_FEW / result["seconds_few"] for result in results),
        "bytes_per_session": median(result["bytes"] / _MANY / 2 for result in results),
        "bytes_per_session_few": median(result["bytes_few"] / _FEW / 2 for result in results),
        "cost_growth": median(result["seconds"] / _MANY / (result["seconds_few"] / _FEW) for result in results),
    }


def _run(count):
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(root / p) for p in ("firmware", "tools"))}
    command = [sys.executable, "-m", "benches.scale", str(count)]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


class _Carrier:
    """Datagrams by a queue in this process."""

    def __init__(self, queue, addr):
        self.queue = queue
        self.addr = addr

    def send(self, buf, start, end, addr):
        self.queue.append((addr, self.addr, bytes(buf[start:end])))

    def settle(self, addr):
        pass

    def close(self):
        pass


class _Nowhere:
    """The IP side of a link, without an IP side."""

    def up(self, settings, peer, now):
        pass

    def down(self):
        pass

    def close(self):
        pass

    def receive_ip(self, buf, start, end, now):
        pass


class _Shell:
    """What the LNS's node needs."""

    random = staticmethod(os.urandom)

    def __init__(self, queue, hosts):
        self.queue = queue
        self.hosts = hosts

    def hostname(self):
        return "lns"

    def log(self, level, component, text):
        pass

    def address_text(self, addr):
        return str(addr)

    def open_udp(self, endpoint, address, port, peer):
        self.hosts[_LNS] = endpoint
        return _Carrier(self.queue, _LNS)

    def open_interface(self, options, link):
        return _Nowhere()


def _calls(count):
    """Set up ``count`` calls in tunnels of 50; what was measured, as ``measure`` wants it."""
    from laclet.l2tp.endpoint import Endpoint
    from laclet.l2tp.tunnel import TunnelOptions
    from laclet.node.config import check
    from laclet.node.node import Node
    from laclet.port import HEADROOM, TAILROOM, join
    from laclet.ppp.link import PppLink

    queue, hosts, up = deque(), {}, [0]
    tree = {"address": "10.0.0.1", "pool": "10.1.0.0-10.1.255.255", "users": {"u": "p"}, "auth": ["chap"]}
    node = Node(check({"lns": tree})[0], _Shell(queue, hosts))
    node.start(0)
    lns = hosts[_LNS]

    def take(endpoint):
        for name, source, _ in endpoint.events:
            if name == "call-up":
                link = PppLink(os.urandom, username=b"u", password=b"p")
                link.events = endpoint.events
                join(link, source)
                link.open(0)
                link.lower_up(0)
            elif name == "up":
                up[0] += 1
        endpoint.events.clear()

    def pump():
        while queue:
            target, source, data = queue.popleft()
            buf = bytearray(HEADROOM + len(data) + TAILROOM)
            buf[HEADROOM : HEADROOM + len(data)] = data
            endpoint = hosts[target]
            endpoint.receive(buf, HEADROOM, HEADROOM + len(data), source, 0)
            if endpoint is lns:
                node.settle(0)
            else:
                take(endpoint)

    gc.collect()
    memory = _resident()
    started = time.process_time()
    few, bytes_few = 0.0, 0
    for i in range(count):
        if i == _FEW:
            few, bytes_few = time.process_time() - started, _resident() - memory
        if i % _PER_TUNNEL == 0:
            endpoint = Endpoint(os.urandom)
            addr = ("client", i)
            endpoint.carrier = _Carrier(queue, addr)
            hosts[addr] = endpoint
            tunnel = endpoint.open(_LNS, TunnelOptions("client"), 0)
            pump()
        tunnel.incoming_call(0)
        pump()
    seconds = time.process_time() - started
    return {"seconds": seconds, "seconds_few": few, "up": up[0], "bytes": _resident() - memory, "bytes_few": bytes_few}


def _resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    _calls(_WARM)
    print(json.dumps(_calls(int(sys.argv[1]))))
