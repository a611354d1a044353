"""How many boots in a row have ended before the board was seen to work: after too many only the console is started."""

import os

PATH = "/boots"


def begin(path=PATH):
    """Count this boot as failed until ``good``; returns how many before it were."""
    failed = 0
    try:
        with open(path) as file:
            failed = int(file.read())
    except (OSError, ValueError):  # none failed; or the power went while the first was counted
        pass
    try:
        with open(path, "w") as file:  # LittleFS keeps the old content until the new is complete
            file.write(str(failed + 1))
    except OSError:  # a full or read-only file system keeps nobody from working
        pass
    return failed


def good(path=PATH):
    """The board works, or somebody has stopped it on purpose."""
    try:
        os.remove(path)
    except OSError:
        pass
