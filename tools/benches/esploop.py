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
    """Microseconds."""
    return time.ticks_us() if hasattr(time, "ticks_us") else time.perf_counter_ns() // 1000


def measure(name, count):
    """``(sealing, opening)`` one packet, in ns: the best of 5 rounds."""
    esp = pair(name)
    buf = frame_buffer(_SIZE)
    start, end = HEADROOM, HEADROOM + _SIZE
    first = start - esp.outbound.overhead
    stop = esp.outbound.seal(buf, start, end)
    esp.inbound.open(buf, first, stop)
    best = [1 << 30, 1 << 30]
    for _ in range(5):
        spent = [0, 0]
        for _ in range(count):
            a = now()
            stop = esp.outbound.seal(buf, start, end)
            b = now()
            if esp.inbound.open(buf, first, stop) != end:
                raise ValueError(esp.inbound.why)
            spent[0] += b - a
            spent[1] += now() - b
        best = [min(best[i], spent[i]) for i in (0, 1)]
    return [each * 1000 // count for each in best]


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
