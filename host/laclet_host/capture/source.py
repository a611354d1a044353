"""Where captures come from: a running service (its control socket) or a board (its console); see docs/console.md."""

import time
from collections.abc import Generator, Iterator
from typing import NamedTuple

from laclet.wire.l2tp import DATA_HEADER_MIN, VERSION, L, O, S, T, u16

from ..ui import Trouble


class Frame(NamedTuple):
    """``call`` "l2tp": a datagram between ``local`` and ``peer``; otherwise a PPP frame of that call."""

    time: int  # ns since 1970
    call: str
    sent: bool
    data: bytes
    length: int  # of the whole; ``data`` may be cut
    local: list | None = None
    peer: list | None = None


class Begun(NamedTuple):
    """It is there, and shows these calls; the first item of each source."""

    calls: list[str]


class Key(NamedTuple):
    """A key of IPsec as a preference of Wireshark."""

    record: str


class Lost(NamedTuple):
    """Frames that did not fit through."""

    count: int


Item = Begun | Frame | Key | Lost


def from_service(name: str, with_keys: bool) -> Generator[Item]:
    """Everything that the service ``name`` sends and receives, until it stops."""
    from laclet_linux.control import stream

    lines = stream(name, {"do": "capture", "keys": with_keys})
    answer = next(lines)
    if not answer["ok"]:
        raise Trouble(f"{name}: {answer['error']}")
    yield Begun(["l2tp", "ppp"])
    for line in lines:
        if "key" in line:
            yield Key(line["key"])
            continue
        yield from _items(line, 0)


def from_board(port: str, call: str | None, only_ppp: bool) -> Generator[Item]:
    """The datagrams of the board at ``port``; the PPP frames of ``call``, or with ``only_ppp`` those of all calls."""
    from ..device.link import Link

    with Link(port) as link:
        what = call or ("" if only_ppp else "datagrams")
        begun = link.get(f"capture {what}".rstrip())
        start = (begun["time"] or time.time()) * 1_000_000_000
        yield Begun(begun["calls"])
        try:
            for line in link.lines():
                if isinstance(line, dict) and "cap" in line:
                    yield from _items(line, int(start))
        finally:
            link.get("capture stop")


def _items(line: dict, start: int) -> Iterator[Item]:
    if line.get("lost"):
        yield Lost(line["lost"])
    at = start + int(line["ms"] * 1_000_000)
    data = bytes.fromhex(line["hex"])
    yield Frame(at, line["cap"], bool(line["dir"]), data, line["len"], line.get("local"), line.get("peer"))


def payload(data: bytes) -> tuple[int, int, int] | None:
    """``(tunnel id, session id, offset of the PPP frame)`` of an L2TP data packet; None when it is none."""
    if len(data) < DATA_HEADER_MIN or data[0] & T or data[1] & 15 != VERSION:
        return None
    at = 4 if data[0] & L else 2
    ids = at
    at += 8 if data[0] & S else 4
    if data[0] & O:
        at += 2
        if at > len(data):
            return None
        at += u16(data, at - 2)
    if at >= len(data) or ids + 4 > len(data):
        return None
    return u16(data, ids), u16(data, ids + 2), at
