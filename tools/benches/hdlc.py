"""ns per octet of framing: 1400 random octets, FCS included, out and in, CPython and MicroPython."""

import json
import os
import random
import subprocess
from pathlib import Path

from benches.common import AT_MOST, Missing, best_ns, find_program

from laclet.wire import hdlc

RUNS = 1000  # short batches: the best of many is the one that nothing else disturbed
TARGETS = (("cpython_out_accm0", AT_MOST, 4.0), ("cpython_in_accm0", AT_MOST, 6.0))

_SIZE = 1400
_TIMES = 50  # frames in a batch
_FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"

# Runs on both sorts of Python; the clock is the only difference.
_BOARD = """
import json, sys, time
from laclet.wire import fast, hdlc
size, times, runs, frame = json.loads(sys.stdin.readline())
frame = bytearray.fromhex(frame) if hasattr(bytearray, "fromhex") else bytearray(bytes.fromhex(frame))
assert hdlc.encode is fast.encode
out = bytearray(2 * size + 10)
decoder = hdlc.Decoder(size)
accm = 0xFFFFFFFF
def send():
    for _ in range(times):
        hdlc.encode(frame, 0, size, out, 0, accm)
end = hdlc.encode(frame, 0, size, out, 0, accm)
def receive():
    for _ in range(times):
        decoder.feed(out, 0, end)
def best(call):
    least = None
    for _ in range(runs):
        start = time.ticks_us()
        call()
        spent = time.ticks_diff(time.ticks_us(), start)
        least = spent if least is None or spent < least else least
    return least * 1000 / times / size
result = [best(send), best(receive)]
assert decoder.end - decoder.start == size and decoder.buf[decoder.start : decoder.end] == frame
print(json.dumps(result))
"""


def measure(runs):
    """Figures in ns for each octet of a frame; what is on the line is longer."""
    frame = bytearray(random.Random(1).randbytes(_SIZE))
    figures = {}
    for name, accm in (("accm0", 0), ("full", hdlc.ACCM_ALL)):
        out, into = _cpython(frame, accm, runs)
        figures[f"cpython_out_{name}"] = out
        figures[f"cpython_in_{name}"] = into
    figures["upy_out_full"], figures["upy_in_full"] = _micropython(frame, runs)
    return figures


def _cpython(frame, accm, runs):
    line = bytearray(2 * _SIZE + 10)
    end = hdlc.encode(frame, 0, _SIZE, line, 0, accm)
    decoder = hdlc.Decoder(_SIZE)
    out = best_ns(lambda: hdlc.encode(frame, 0, _SIZE, line, 0, accm), _TIMES, runs)
    into = best_ns(lambda: decoder.feed(line, 0, end), _TIMES, runs)
    if decoder.buf[decoder.start : decoder.end] != frame:
        raise AssertionError("the frame did not come through")
    return out / _SIZE, into / _SIZE


def _micropython(frame, runs):
    done = subprocess.run(
        [find_program("micropython"), "-c", _BOARD],
        input=json.dumps([_SIZE, _TIMES, runs, frame.hex()]) + "\n",
        env={**os.environ, "MICROPYPATH": f"{_FIRMWARE}:.frozen"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise Missing(f"micropython failed: {done.stderr or done.stdout}")
    return json.loads(done.stdout)
