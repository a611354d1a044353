"""pcapng written; pcapng and pcap read (draft-ietf-opsawg-pcapng). Times are nanoseconds since 1970, as ints."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

# Link types.
ETHERNET = 1
PPP = 9
RAW_IP = 101
LOOP = 108
SLL = 113
PPP_WITH_DIR = 204  # the first octet: 0 received, 1 sent
IPV4 = 228
IPV6 = 229
SLL2 = 276
NULL = 0
RAW_OPENBSD = 14
RAW_BSD = 12

_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_SIMPLE = 3
_ENHANCED = 6
_MAGIC = 0x1A2B3C4D
_PCAP = {b"\xa1\xb2\xc3\xd4": (">", 1000), b"\xd4\xc3\xb2\xa1": ("<", 1000)}
_PCAP |= {b"\xa1\xb2\x3c\x4d": (">", 1), b"\x4d\x3c\xb2\xa1": ("<", 1)}

_IF_NAME = 2
_IF_TSRESOL = 9
_EPB_FLAGS = 2
_APPLICATION = 4  # shb_userappl
_NANO = 9

_LARGEST = 1 << 24  # bytes of a block: beyond that a file is broken


class BadCapture(ValueError):
    """What is wrong with a file, in words."""


class Packet(NamedTuple):
    """``time`` ns since 1970, ``link`` type, ``data``; ``sent`` None where the file does not tell."""

    time: int
    link: int
    data: bytes
    sent: bool | None = None


def _options(*pairs: tuple[int, bytes]) -> bytes:
    out = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in pairs)
    return out + struct.pack("<HH", 0, 0)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class Writer:
    """A section with an interface for each link type, made when it is first needed."""

    def __init__(self, file: BinaryIO, application: str):
        self._file = file
        self._interfaces: dict[tuple[int, str], int] = {}
        body = struct.pack("<IHHq", _MAGIC, 1, 0, -1)
        self._block(_SECTION, body + _options((_APPLICATION, application.encode())))
        file.flush()

    def interface(self, link: int, name: str) -> int:
        """The number of the interface with this link type and name."""
        key = (link, name)
        if key not in self._interfaces:
            self._interfaces[key] = len(self._interfaces)
            options = _options((_IF_NAME, name.encode()), (_IF_TSRESOL, bytes((_NANO,))))
            self._block(_INTERFACE, struct.pack("<HHI", link, 0, 0) + options)
        return self._interfaces[key]

    def write(self, interface: int, time: int, data: bytes, sent: bool, length: int | None = None) -> None:
        """A packet of ``length`` bytes on the wire, of which ``data`` is the beginning; flushed, for live captures."""
        size = len(data)
        head = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, size, length or size)
        options = _options((_EPB_FLAGS, struct.pack("<I", 2 if sent else 1)))
        self._block(_ENHANCED, head + _padded(data) + options)
        self._file.flush()

    def _block(self, kind: int, body: bytes) -> None:
        size = struct.pack("<I", len(body) + 12)
        self._file.write(struct.pack("<I", kind) + size + body + size)


def read(file: BinaryIO) -> Iterator[Packet]:
    """The packets of a pcapng or pcap file; a file cut short ends where it ends. Raises ``BadCapture``."""
    magic = file.read(4)
    if magic in _PCAP:
        yield from _read_pcap(file, *_PCAP[magic])
    elif magic == struct.pack("<I", _SECTION):
        yield from _read_pcapng(file)
    else:
        raise BadCapture("is neither pcapng nor pcap")


def _read_pcap(file: BinaryIO, order: str, scale: int) -> Iterator[Packet]:
    head = file.read(20)
    if len(head) < 20:
        raise BadCapture("is cut short in its header")
    link = struct.unpack(order + "I", head[16:])[0] & 0xFFFF
    while len(head := file.read(16)) == 16:
        seconds, fraction, size, _ = struct.unpack(order + "IIII", head)
        if size > _LARGEST:
            raise BadCapture(f"has a packet of {size} bytes: it is damaged")
        data = file.read(size)
        if len(data) < size:
            return
        yield Packet(seconds * 1_000_000_000 + fraction * scale, link, data, _direction(link, data))


def _read_pcapng(file: BinaryIO) -> Iterator[Packet]:
    order = "<"
    interfaces: list[tuple[int, int]] = []  # link type, units in a second
    file.seek(0)
    while len(head := file.read(8)) == 8:
        if head[:4] == struct.pack("<I", _SECTION):
            peek = file.read(4)
            order = "<" if peek == struct.pack("<I", _MAGIC) else ">"
            interfaces = []
        else:
            peek = b""
        kind, size = struct.unpack(order + "II", head)
        if not 12 <= size <= _LARGEST or size % 4:
            raise BadCapture(f"has a block of {size} bytes: it is damaged")
        body = peek + file.read(size - 8 - len(peek))
        if len(body) < size - 8:
            return
        if kind == _INTERFACE and len(body) >= 12:
            interfaces.append((struct.unpack_from(order + "H", body)[0], _resolution(order, body[8:-4])))
        elif kind == _ENHANCED and len(body) >= 24:
            packet = _enhanced(order, body[:-4], interfaces)
            if packet is not None:
                yield packet
        elif kind == _SIMPLE and interfaces:
            link = interfaces[0][0]
            yield Packet(0, link, body[4:-4], _direction(link, body[4:]))


def _enhanced(order: str, body: bytes, interfaces: list[tuple[int, int]]) -> Packet | None:
    number, high, low, size, _ = struct.unpack_from(order + "IIIII", body)
    if number >= len(interfaces) or size > len(body) - 20:
        return None
    link, units = interfaces[number]
    data = body[20 : 20 + size]
    sent = _direction(link, data)
    for code, value in _read_options(order, body[20 + len(_padded(data)) :]):
        if sent is None and code == _EPB_FLAGS and len(value) == 4:
            sent = {1: False, 2: True}.get(struct.unpack(order + "I", value)[0] & 3)
    return Packet((high << 32 | low) * 1_000_000_000 // units, link, data, sent)


def _direction(link: int, data: bytes) -> bool | None:
    return bool(data[0]) if link == PPP_WITH_DIR and data else None


def _read_options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(order + "HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4


def _resolution(order: str, options: bytes) -> int:
    """Units of time in a second."""
    for code, value in _read_options(order, options):
        if code == _IF_TSRESOL and value:
            return 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** min(value[0], 12)
    return 1_000_000
