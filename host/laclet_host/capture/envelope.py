"""Datagrams put into IP packets for a file, and taken out of the packets of a file."""

import ipaddress
import struct
from typing import NamedTuple

from laclet.wire.ip import UDP, UDP_HEADER, total

from . import pcapng

Address = tuple[str, int]

_ESP = 50
# Ends of what has no IP below it: circuits of frame relay, ATM, X.25. For documentation only (RFC 5737).
_OURS = "192.0.2.1"
_THEIRS = "192.0.2.2"
_PORT = 1701


class Datagram(NamedTuple):
    """UDP, or ESP with ``protocol`` 50 and ports 0."""

    source: Address
    target: Address
    data: bytes
    protocol: int = UDP


def plain(address: list | None, ours: bool) -> Address:
    """An address of IP; one made up for an end of a circuit, and for a socket that does not know its own."""
    host, port = [*(address or ()), None, None][:2]
    try:
        ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        host, port = (_OURS if ours else _THEIRS), _PORT
    return str(host).partition("%")[0], port if isinstance(port, int) else _PORT


def wrap(source: Address, target: Address, data: bytes, size: int | None = None) -> bytes:
    """The IP packet that carries a UDP datagram, checksums and all; with ``size`` only the head of that much data."""
    ends = [ipaddress.ip_address(source[0]), ipaddress.ip_address(target[0])]
    if ends[0].version != ends[1].version:  # a wildcard address of the other family
        ends = [end if end.version == 6 else ipaddress.ip_address(f"::ffff:{end}") for end in ends]
    addresses = ends[0].packed + ends[1].packed
    whole = size is None or size == len(data)
    length = UDP_HEADER + (len(data) if size is None else size)
    udp = struct.pack(">HHHH", source[1], target[1], length, 0) + data
    pseudo = addresses + struct.pack(">II", length, UDP) + udp
    checksum = (total(pseudo, 0, len(pseudo)) ^ 0xFFFF or 0xFFFF) if whole else 0  # 0: there is none
    udp = udp[:6] + struct.pack(">H", checksum) + data
    if ends[0].version == 6:
        return struct.pack(">IHBB", 6 << 28, length, UDP, 64) + addresses + udp
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, UDP, 0) + addresses
    return head[:10] + struct.pack(">H", total(head, 0, 20) ^ 0xFFFF) + addresses + udp


def unwrap(packet: pcapng.Packet) -> Datagram | None:
    """The datagram in a packet of a file; None when it holds something else, or a fragment."""
    data = packet.data
    if packet.link == pcapng.ETHERNET:
        data = _behind_ethernet(data)
    elif packet.link in (pcapng.SLL, pcapng.SLL2):
        data = data[16 if packet.link == pcapng.SLL else 20 :]
    elif packet.link in (pcapng.NULL, pcapng.LOOP):
        data = data[4:]
    elif packet.link not in (pcapng.RAW_IP, pcapng.RAW_BSD, pcapng.RAW_OPENBSD, pcapng.IPV4, pcapng.IPV6):
        return None
    if len(data) < 20:
        return None
    return _ipv4(data) if data[0] >> 4 == 4 else _ipv6(data) if data[0] >> 4 == 6 else None


def _behind_ethernet(data: bytes) -> bytes:
    at = 12
    while data[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return data[at + 2 :] if data[at : at + 2] in (b"\x08\x00", b"\x86\xdd") else b""


def _ipv4(data: bytes) -> Datagram | None:
    head = (data[0] & 15) * 4
    length, _, fragment = struct.unpack_from(">HHH", data, 2)
    if fragment & 0x3FFF or head < 20:
        return None
    ends = str(ipaddress.IPv4Address(data[12:16])), str(ipaddress.IPv4Address(data[16:20]))
    return _datagram(data[9], ends, data[head : length or None])


def _ipv6(data: bytes) -> Datagram | None:
    if len(data) < 40:
        return None
    ends = str(ipaddress.IPv6Address(data[8:24])), str(ipaddress.IPv6Address(data[24:40]))
    return _datagram(data[6], ends, data[40 : 40 + struct.unpack_from(">H", data, 4)[0]])


def _datagram(protocol: int, ends: tuple[str, str], data: bytes) -> Datagram | None:
    if protocol == _ESP:
        return Datagram((ends[0], 0), (ends[1], 0), data, _ESP)
    if protocol != UDP or len(data) < UDP_HEADER:
        return None
    source, target, length = struct.unpack_from(">HHH", data)
    return Datagram((ends[0], source), (ends[1], target), data[UDP_HEADER : max(length, UDP_HEADER)])
