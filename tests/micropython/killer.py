"""Kills a board at random moments: ``killer.py FLASH KILLS SEED``, run by CPython as a process of its own.

MicroPython is loaded once, and every boot is a fork: so 1,000 take seconds. LACLET_ROM is the path of the board's
code. Prints a JSON object: ``kills``, ``in_boot`` (before the board had booted), ``saves``, ``updates``, or ``said``,
the last words of a board that did not work.
"""

import json
import os
import random
import re
import select
import signal
import sys
import time

from micropython_run import run_main

from laclet_host.board import launch

_LONGEST = 4  # boots that a life may last
_KEPT = re.compile(r"^kept (\d+) (\d+)\n", re.MULTILINE)


def _live(arguments):
    """Start a board; ``(pid, where it speaks)``."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        os.dup2(write, 2)
        os._exit(run_main(["micropython", "-X", "heapsize=128K", *arguments]))
    os.close(write)
    return pid, read


def _words(read):
    """All that it has said."""
    text = b""
    while data := os.read(read, 4096):
        text += data
    os.close(read)
    return text.decode()


def main(flash, kills, seed):
    """See above."""
    arguments = [os.path.join(launch.MICRO, "run.py"), "kill_board", flash]
    pid, read = _live([*arguments, "new"])
    said = _words(read)
    if os.waitpid(pid, 0)[1]:
        return {"said": said}
    chance = random.Random(seed)
    boot = None  # s
    config = version = in_boot = 0
    for _ in range(kills):
        started = time.monotonic()
        pid, read = _live([*arguments, str(config), str(version)])
        if boot is None:
            select.select([read], [], [])
            boot = time.monotonic() - started
        else:
            time.sleep(chance.random() * boot * _LONGEST)
        os.kill(pid, signal.SIGKILL)
        said = _words(read)
        if os.waitpid(pid, 0)[1] != signal.SIGKILL:
            return {"said": said}
        kept = _KEPT.findall(said)
        if kept:
            config, version = map(int, kept[-1])
        else:
            in_boot += 1
    return {"kills": kills, "in_boot": in_boot, "saves": config, "updates": version}


if __name__ == "__main__":
    image = launch.map_rom(os.environ["LACLET_ROM"])
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
