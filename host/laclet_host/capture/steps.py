"""Packets of a capture read as steps: who said what to whom, layer by layer."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from laclet.carrier.ipsec import payload as ike
from laclet.l2tp import describe as l2tp_words
from laclet.ppp import describe as ppp_words
from laclet.wire import avp, ppp
from laclet.wire.l2tp import CONTROL_HEADER, T, check_control, message_name, u16

from . import pcapng
from .envelope import Datagram, unwrap
from .source import payload

_IKE_PORTS = (ike.PORT_IKE, ike.PORT_NATT)
_EXCHANGES = {ike.MAIN: "main mode", ike.AGGRESSIVE: "aggressive mode", ike.QUICK: "quick mode"}
_IKEV2 = 0x20
_DULL = ("Protocol V", "Framing", "Bearer", "Firmware", "Call Serial", "Tx Connect", "Rx Connect", "Random Vector")
_HERE = "this device"
_THERE = "the LNS"


@dataclass
class Step:
    """One message from host to host. ``name`` is ``SCCRQ``, ``LCP ConfReq``, ``IP`` …; ``more`` its contents in words.

    Where both ends are the same host, the ports tell them apart: ``127.0.0.1:1701``.
    """

    time: int  # ns
    source: str
    target: str
    layer: str  # ike, esp, l2tp, ppp, data
    name: str
    more: str = ""
    ids: tuple = ()  # what makes the same message the same: repeated ones are known by it
    avps: list = field(default_factory=list)
    frame: bytes = b""  # of PPP


def read_steps(packets: Iterable[pcapng.Packet]) -> list[Step]:
    """Steps of all packets that mean something. Bare PPP frames count only where there are no datagrams of L2TP."""
    datagrams, frames = [], []
    for packet in packets:
        if packet.link in (pcapng.PPP, pcapng.PPP_WITH_DIR):
            data = packet.data[1:] if packet.link == pcapng.PPP_WITH_DIR else packet.data
            ends = (_HERE, _THERE) if packet.sent else (_THERE, _HERE)
            frames.append(_ppp(packet.time, *ends, data, ()))
        else:
            found = unwrap(packet)
            step = _datagram(packet.time, found) if found else None
            if step is not None:
                datagrams.append(step)
    return sorted(datagrams or frames, key=lambda step: step.time)


def _datagram(time: int, found: Datagram) -> Step | None:
    data = found.data
    ports = (found.source[1], found.target[1])
    ends = (found.source[0], found.target[0])
    if ends[0] == ends[1]:
        ends = (f"{ends[0]}:{ports[0]}", f"{ends[1]}:{ports[1]}")
    if not ports[0]:
        return Step(time, *ends, "esp", "ESP")
    if any(port in _IKE_PORTS for port in ports):
        marked = ike.PORT_NATT in ports
        if marked and data[:4] != bytes(4):
            return Step(time, *ends, "esp", "ESP") if len(data) > 4 else None
        return _ike(time, ends, data[4:] if marked else data)
    if len(data) < 6 or data[1] & 15 != 2:
        return None
    if data[0] & T:
        return _control(time, ends, data)
    ids = payload(data)
    return _ppp(time, *ends, data[ids[2] :], ids[:2]) if ids else None


def _ike(time: int, ends: tuple[str, str], data: bytes) -> Step | None:
    if len(data) < ike.HEADER:
        return None
    kind = data[ike.EXCHANGE]
    name = "IKE " + _EXCHANGES.get(kind, "informational" if kind == ike.INFORMATIONAL else f"exchange {kind}")
    if data[ike.VERSION] >= _IKEV2:
        name = "IKEv2 message"
    encrypted = bool(data[ike.FLAGS] & ike.ENCRYPTED)
    more = "encrypted" if encrypted else ""
    if kind == ike.INFORMATIONAL and not encrypted:
        more = _notification(data)
    ids = (data[:8], kind, encrypted, data[ike.MESSAGE_ID : ike.LENGTH], data[ike.HEADER : ike.HEADER + 32])
    return Step(time, *ends, "ike", name, more, ids)


def _notification(data: bytes) -> str:
    """What an informational message in clear says."""
    parsed = ike.parse(data[ike.NEXT], data, ike.HEADER, len(data)) or []
    for kind, start, end in parsed:
        if kind == ike.NOTIFY and end - start >= 8:
            return ike.error_name(ike.u16(data, start + 6))
    return ""


def _control(time: int, ends: tuple[str, str], data: bytes) -> Step | None:
    end = check_control(data, 0, len(data))
    if end < 0:
        return Step(time, *ends, "l2tp", "bad control message")
    words = l2tp_words.describe(data, 0, len(data))
    more = _interesting_first(words[words.find("<") :]) if "<" in words else ""
    if end == CONTROL_HEADER:
        return Step(time, *ends, "l2tp", "ZLB", f"Nr {u16(data, 10)}")
    mtype, avps, _ = avp.parse(data, CONTROL_HEADER, end)
    ids = (u16(data, 4), u16(data, 6), u16(data, 8))
    return Step(time, *ends, "l2tp", message_name(mtype), more, ids, avps)


def _interesting_first(words: str) -> str:
    """AVPs that every message of a kind has alike go behind those that tell something."""
    avps = words[1:-1].split("> <")
    dull = [each for each in avps if each.startswith(_DULL)]
    return " ".join(f"<{each}>" for each in [each for each in avps if each not in dull] + dull)


def _ppp(time: int, source: str, target: str, frame: bytes, ids: tuple) -> Step:
    head = ppp.head(frame, 0, len(frame))
    protocol = head & 0xFFFF
    if protocol < 0x8000:
        what = {ppp.IP: "IP", ppp.IPV6: "IPv6", ppp.MULTILINK: "multilink"}.get(protocol, f"protocol 0x{protocol:04x}")
        return Step(time, source, target, "data", what, f"{len(frame)} bytes", (), [], frame)
    words = ppp_words.describe(frame, 0, len(frame)).split(" ")
    name, more = " ".join(words[:2]), " ".join(words[2:])
    return Step(time, source, target, "ppp", name, more, (*ids, frame), [], frame)
