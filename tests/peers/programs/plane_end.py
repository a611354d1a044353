"""One end of a session without control: a TUN interface and the userspace plane. Ends with SIGTERM and its counters.

    plane_end.py TUN LOCAL PEER PORT TUNNEL SESSION PEER-TUNNEL PEER-SESSION [OPTION…]

Options: plain (no numpy), bare (no offloads at the interface), apart (none at the socket), forward (nothing is for this
host), mtu=N. The host's addresses are those of interface ``tN``: 10.1.N.1 and .2, fd00::1 and ::2.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "firmware"))

from laclet_linux.plane import inbound, outbound
from laclet_linux.plane.plain import Plain
from laclet_linux.plane.tun import limit_gso, open_tun
from laclet_linux.plane.user import Circuit, UserPlane


def main(name, local, peer, port, *rest):
    ids, options = [int(number) for number in rest[:4]], rest[4:]
    mtu = next((int(option[4:]) for option in options if option.startswith("mtu=")), 1400)
    if "apart" in options:
        outbound._UDP_SEGMENT = inbound._UDP_GRO = 0xFFFF  # socket options that no kernel has
    tun = open_tun(name, "bare" not in options)
    limit_gso(tun.name, mtu)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((local, int(port)))
    sock.connect((peer, int(port)))
    plane = UserPlane(sock, Plain() if "plain" in options else None)
    print("ready", flush=True)
    addresses = [] if "forward" in options else [bytes((10, 1, int(name[1:]), host)) for host in (1, 2)]
    addresses += [socket.inet_pton(socket.AF_INET6, f"fd00::{host}") for host in (1, 2)] if addresses else []
    circuit = Circuit(tun, *ids, length_bit=True, mss=mtu - 40, local=addresses)
    plane.add(circuit)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    plane.start()
    signal.sigwait([signal.SIGTERM])
    plane.stop()
    print(json.dumps({**circuit.stats(), "plane": plane.drops(), "cpu_s": time.process_time()}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
