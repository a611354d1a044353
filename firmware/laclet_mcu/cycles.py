"""Power cycles in a row: somebody who switches a board on and off often enough wants it as it was delivered."""

import os

from micropython import const

PATH = "/cycles"
CYCLES = const(6)  # times in a row that it was on for less than five seconds


def cycled(path=PATH):
    """The power has just come: count it; True when somebody has switched it often enough."""
    try:
        with open(path) as file:
            count = int(file.read()) + 1
    except (OSError, ValueError):
        count = 1
    if count >= CYCLES:
        calm(path)
        return True
    try:
        with open(path, "w") as file:
            file.write(str(count))
    except OSError:
        pass
    return False


def calm(path=PATH):
    """It has been on for long enough."""
    try:
        os.remove(path)
    except OSError:
        pass
