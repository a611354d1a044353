"""The devices of this machine: ports by USB and virtual boards, narrowed by filters, and what answers there."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import click

from ..board import catalogue
from ..board.known import known
from .link import Link, Refused
from .ports import Busy, DeviceError, Mute, WrongDevice
from .repl import Repl

FILTERS = ("vid", "pid", "name", "serial")
_PATIENCE = 2.5  # s for a board that is asked who it is
_ASKED_AT_ONCE = 8


class Port(NamedTuple):
    """One port; ``id`` stays the same wherever it is plugged in next, as far as the device lets it."""

    port: str
    id: str
    name: str  # what USB or its owner calls it
    vid: int | None
    pid: int | None
    serial: str | None


def ports() -> list[Port]:
    """Serial ports of USB, and virtual boards."""
    from serial.tools import list_ports

    found = []
    for each in list_ports.comports():
        if each.vid is None:
            continue
        name = each.product or each.description or ""
        place = each.serial_number or each.location or each.device
        found.append(
            Port(
                each.device, f"usb:{each.vid:04x}:{each.pid:04x}:{place}", name, each.vid, each.pid, each.serial_number
            )
        )
    for name, about in known().items():
        found.append(Port(about["port"], f"virtual:{name}", name, None, None, None))
    return sorted(found)


def parse(texts: Iterable[str]) -> list[tuple[str, str]]:
    """``("vid", "2e8a")`` of ``vid=0x2e8a,name=Pico``; raises ``click.UsageError``."""
    found = []
    for text in texts:
        for part in text.split(","):
            key, equals, value = part.partition("=")
            key = key.strip().lower()
            if key not in FILTERS or not equals:
                raise click.UsageError(
                    f"{part.strip() or text!r}: write a filter as {', '.join(f'{f}=' for f in FILTERS)}"
                )
            if key in ("vid", "pid"):
                try:
                    value = f"{int(value, 16):04x}"
                except ValueError:
                    raise click.UsageError(f"{part.strip()}: {key} is a hexadecimal number") from None
            found.append((key, value.strip()))
    return found


def fits(port: Port, filters: list[tuple[str, str]]) -> bool:
    """True when the port is as every filter says; of several with one key one must fit."""

    def one(key: str, value: str) -> bool:
        if key in ("vid", "pid"):
            number = getattr(port, key)
            return number is not None and f"{number:04x}" == value
        if key == "serial":
            return (port.serial or "") == value
        return value.lower() in port.name.lower() or value.lower() in port.port.lower()

    return all(any(one(key, value) for k, value in filters if k == key) for key, _ in filters)


def ask_all(found: list[Port]) -> list[dict[str, Any]]:
    """What is at each port, all asked at once."""
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        return list(pool.map(ask, found))


def plain(port: Port) -> dict[str, Any]:
    """What is known of a port that was not asked."""
    numbers = {key: None if value is None else f"{value:04x}" for key, value in (("vid", port.vid), ("pid", port.pid))}
    unknown = dict.fromkeys(("hostname", "laclet", "micropython", "machine", "state", "detail"))
    return {**port._asdict(), **numbers, **unknown, "boards": boards_of(port)}


def ask(port: Port) -> dict[str, Any]:
    """What is at a port; nothing that runs there is disturbed.

    ``state`` is working, prompt, busy, silent, other or gone.
    """
    about = plain(port)
    if port.vid is not None and not about["boards"]:  # a modem, a receiver: not to be typed at
        return {**about, "state": "other", "detail": "no board that is known has this VID and PID; not asked"}
    try:
        with Link(port.port, patience=_PATIENCE) as link:
            status = link.get("show status")
            about |= {"hostname": status["hostname"], "state": "working", "detail": summary(status)}
            version = link.get("show version")
            about |= {name: version[name] for name in ("laclet", "micropython", "machine")}
    except Refused:  # an older laclet
        pass
    except Busy as busy:
        about |= {"state": "busy", "detail": _tail(port, busy)}
    except Mute as mute:
        about |= {"state": "silent", "detail": _tail(port, mute)}
    except WrongDevice as wrong:
        about |= {"state": "other", "detail": _tail(port, wrong)}
        if "MicroPython" in str(wrong):
            about |= _at_prompt(port)
    except DeviceError as error:
        about |= {"state": "gone", "detail": _tail(port, error)}
    return about


def boards_of(port: Port) -> list[str]:
    """Names of boards that have this VID and PID."""
    if port.vid is None:
        return []
    usb = [f"{port.vid:04x}", f"{port.pid:04x}"]
    return [name for name, board in catalogue.boards().items() if usb in board["usb"]]


def summary(status: dict[str, Any]) -> str:
    """``tunnel lab up, call home up``."""
    words = [
        f"{kind[:-1]} {name} {each['state']}"
        for kind in ("tunnels", "calls")
        for name, each in sorted(status.get(kind, {}).items())
    ]
    return ", ".join(words) or "nothing is configured"


def _at_prompt(port: Port) -> dict[str, Any]:
    """A board at MicroPython's prompt, where nothing runs that could be disturbed."""
    try:
        with Repl(port.port, restart=False) as repl:
            about = repl.about()
    except Exception as error:
        return {"state": "prompt", "detail": str(error)}
    detail = "laclet does not run there: laclet deploy"
    return {"state": "prompt", "detail": detail, "micropython": about["micropython"], "machine": about["machine"]}


def _tail(port: Port, error: Exception) -> str:
    """The words of an error without the port, which has a column of its own."""
    return str(error).removeprefix(f"{port.port}: ").removeprefix(f"{port.port} ")
