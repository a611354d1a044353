"""The board's side of tools/size: a role brought up, then its heap and its modules."""

import gc
import json
import sys
import time

import micropython
from laclet_mcu.main import shell as make_shell

_SETTLE = 1500  # ms after a call is there: log-in and addresses


def main(argv):
    """``["", "config.json"]``: print ``{"heap", "modules"}`` when a call is up, then serve until killed.

    Before that, and at the start, MicroPython's own line about the memory that names take.
    """
    micropython.qstr_info()
    shell = make_shell(argv[1])
    shell.start()
    while not [1 for tunnel in shell.node.tunnels() if tunnel.sessions]:
        shell.turn(100)
    since = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), since) < _SETTLE:
        shell.turn(100)
    if not [1 for tunnel in shell.node.tunnels() if tunnel.sessions]:
        raise RuntimeError("the call did not last")
    gc.collect()
    micropython.qstr_info()
    print(json.dumps({"heap": gc.mem_alloc(), "modules": sorted(sys.modules)}))
    while True:
        shell.turn(1000)
