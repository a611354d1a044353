"""The board's side of relaydesk: a LAC that stops between batches of frames, and says what each has cost.

``main(["", "config.json"])``; on standard input ``out N`` or ``in N``: N frames are ready at the tunnel or at the line.
"""

import gc
import json
import sys
import time

from laclet_mcu.main import shell as make_shell


def relay(shell, line, session, out, count):
    """Relay ``count`` frames that wait in the system's buffers; returns (µs, bytes of heap allocated)."""
    until = (line.tx_frames if out else session.tx_packets) + count
    gc.collect()
    gc.disable()
    heap = gc.mem_alloc()
    started = time.ticks_us()
    while (line.tx_frames if out else session.tx_packets) != until or line.tx_end:
        shell.turn(0)
    spent = time.ticks_diff(time.ticks_us(), started)
    heap = gc.mem_alloc() - heap
    gc.enable()
    return spent, heap


def main(argv):
    """Bring the call up, then serve standard input until it ends."""
    shell = make_shell(argv[1])
    shell.start()
    line = shell.node.calls["call"].line
    while line.joined is None:
        shell.turn(100)
    gc.collect()
    print(json.dumps({"heap": gc.mem_alloc()}))
    while True:
        words = sys.stdin.readline().split()
        if not words:
            break
        spent, heap = relay(shell, line, line.joined, words[0] == "out", int(words[1]))
        print(json.dumps({"us": spent, "bytes": heap, "drops": dict(line.drops)}))
    shell.node.close()
