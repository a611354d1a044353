"""Time and heap of one relayed frame of 1400 octets, each way, on unix MicroPython with a heap of 128K."""

import sys
import tempfile
from pathlib import Path

from benches.common import AT_MOST, Missing

from laclet_host.board import launch

RUNS = 200  # batches; the best of many is the one that nothing else disturbed
TARGETS = (
    ("relay_us_out", AT_MOST, 40),
    ("relay_us_in", AT_MOST, 40),
    ("allocs_per_packet", AT_MOST, 0),
)

_DESK = Path(__file__).resolve().parents[2] / "tests" / "micropython"


def measure(runs):
    """``out``: from the tunnel to the line; ``in``: from the line to the tunnel. Bytes of heap are by frame.

    ``allocs_per_packet`` is of the worse way, out: MicroPython receives a datagram only as a new bytes object.
    """
    sys.path.append(str(_DESK))
    from relaydesk import measure as relay

    try:
        launch.command()
    except launch.LaunchError as error:
        raise Missing(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="laclet-board-") as folder:
        found = relay(folder, batches=runs)
    return {
        "relay_us_out": found["relay_us_out"],
        "relay_us_in": found["relay_us_in"],
        "allocs_per_packet": 1 if found["bytes_out"] else 0,
        "bytes_out": found["bytes_out"],
        "bytes_in": found["bytes_in"],
        "heap_bytes": found["heap"],
    }
