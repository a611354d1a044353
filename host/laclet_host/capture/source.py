"""Where captures come from: a running service (its control socket) or a board (its console); see docs/console.md."""

import time
from collections.abc import Generator
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
    local: list
    peer: list


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
        if line.get("lost"):
            yield Lost(line["lost"])
        yield _frame(line, 0, line["local"], line["peer"])


def from_board(port: str, call: str | None) -> Generator[Item]:
    """The PPP frames of ``call``, or of all calls, of the board at ``port``; ends with what the port could not take."""
    from ..device.link import Link

    with Link(port) as link:
        begun = link.get("capture" + (f" {call}" if call else ""))
        start = (begun["time"] or time.time()) * 1_000_000_000
        yield Begun(begun["calls"])
        try:
            for line in link.lines():
                if isinstance(line, dict) and "cap" in line:
                    yield _frame(line, int(start), [], [])
        finally:
            link.get("capture stop")


def _frame(line: dict, start: int, local: list, peer: list) -> Frame:
    at = start + int(line["ms"] * 1_000_000)
    return Frame(at, line["cap"], bool(line["dir"]), bytes.fromhex(line["hex"]), line["len"], local, peer)


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
