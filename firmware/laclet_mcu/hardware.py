"""What this board is: ``/board.json``, as boards/<NAME>/board.json has it."""

import json

PATH = "/board.json"


def about(path=PATH):
    """A dict; empty when the file is missing or damaged: then the port's own pins hold, and there is no LED."""
    try:
        with open(path) as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def pins_of(uart, path=PATH):
    """``{"tx", "rx", "rts", "cts"}`` of a UART (its number as text) whose pins can be chosen; else empty."""
    found = about(path)
    return dict(found.get("uarts", {}).get(uart, ())) if found.get("port") in ("esp32", "rp2") else {}
