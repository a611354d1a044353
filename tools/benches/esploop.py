"""Seals and opens ESP packets in this Python, or MicroPython: esploop.py ESP COUNT; prints ns a packet as JSON."""

import json
import sys
import time

from laclet.carrier.ipsec import proposals
from laclet.carrier.ipsec.esp import Pair
from laclet.port import HEADROOM, frame_buffer

_SIZE = 1408  # of the UDP datagram: 1400 bytes of L2TP


def pair(name):
    """A Pair that talks to itself."""
    proposal = proposals.parse("ipsec_esp", name)[0][0]
    keys = bytes([i * 7 & 0xFF for i in range(proposal.keymat)])
    made = Pair(proposal, b"\x01\x02\x03\x04", keys, b"\x01\x02\x03\x04", keys, 3600, True)
    made.activate(lambda n: bytes(n))
    return made


def now():
    """Nanoseconds."""
    return time.ticks_us() * 1000 if hasattr(time, "ticks_us") else time.perf_counter_ns()


def measure(name, count):
    """``(sealing, opening)`` one packet, in ns: the median of ``count``, so that other work counts little."""
    esp = pair(name)
    buf = frame_buffer(_SIZE)
    start, end = HEADROOM, HEADROOM + _SIZE
    first = start - esp.outbound.overhead
    sealing, opening = [], []
    for _ in range(count):
        a = now()
        stop = esp.outbound.seal(buf, start, end)
        b = now()
        if esp.inbound.open(buf, first, stop) != end:
            raise ValueError(esp.inbound.why)
        opening.append(now() - b)
        sealing.append(b - a)
    return [sorted(each)[count // 2] for each in (sealing, opening)]


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
