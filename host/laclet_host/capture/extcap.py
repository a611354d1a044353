"""Live captures in Wireshark: what its extcap interface asks of a program (wireshark.org, doc/extcap_example.py).

Wireshark runs a small script of ours with the arguments that are answered here. Each running service, and each device
that is plugged in, is an interface.
"""

import os
import stat
import sys
from pathlib import Path

from laclet import __version__

from . import pcapng

_DLT_USER = pcapng.PPP_WITH_DIR


def interfaces() -> list[tuple[str, str]]:
    """``(value, what people see)`` of everything that can be captured."""
    found = []
    if sys.platform == "linux":
        from laclet_linux.control import running

        found += [(f"laclet-{name}", f"laclet service {name}") for name in running()]
    from serial.tools.list_ports import comports

    from ..board.known import known

    found += [(f"laclet-board-{name}", f"laclet on virtual board {name}") for name in known()]
    for port in comports():
        if port.vid is not None:
            found.append((f"laclet-port-{port.device.replace('/', ':')}", f"laclet on {port.device}"))
    return found


def place(value: str) -> tuple[str | None, str | None]:
    """``(service, port)`` of an interface's value; one is None."""
    name = value.removeprefix("laclet-")
    if name.startswith("board-"):
        return None, name.removeprefix("board-")
    if name.startswith("port-"):
        return None, name.removeprefix("port-").replace(":", "/")
    return name, None


def answer(arguments: list[str]) -> str | None:
    """The text Wireshark asks for, or None when it wants a capture."""
    if "--extcap-interfaces" in arguments:
        lines = [f"extcap {{version={__version__}}}{{help=https://pypi.org/project/laclet}}"]
        lines += [f"interface {{value={value}}}{{display={shown}}}" for value, shown in interfaces()]
        return "\n".join(lines)
    if "--extcap-dlts" in arguments:
        return f"dlt {{number={_DLT_USER}}}{{name=PPP_WITH_DIR}}{{display=PPP and L2TP}}"
    if "--extcap-config" in arguments:
        return "arg {number=0}{call=--scrub}{display=Take out secrets}{type=boolflag}{default=true}"
    return None


def folders() -> list[Path]:
    """Where Wireshark looks for a user's extcap programs: since 4.2, and before."""
    if os.name == "nt":
        return [Path(os.environ.get("APPDATA", "~")).expanduser() / "Wireshark" / "extcap"]
    return [Path(each).expanduser() for each in ("~/.local/lib/wireshark/extcap", "~/.config/wireshark/extcap")]


def install(target: Path) -> Path:
    """Put the script there; its path."""
    target.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":
        script = target / "laclet.bat"
        script.write_text(f'@"{sys.executable}" -m laclet_host capture --extcap %*\r\n')
        return script
    script = target / "laclet"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m laclet_host capture --extcap "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return script
