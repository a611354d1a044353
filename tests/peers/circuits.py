"""What tshark makes of frame relay, AAL5 and X.25 in a capture, and of the L2TP inside.

No dissector finds frame relay or cells behind our EtherTypes by itself, and none goes on to L2TP behind a SNAP header:
so what it finds is written down again as the link it was on, and the L2TP as the payload of UDP.
"""

import struct
import subprocess

from peers.capture import assert_well_formed

FRAME_RELAY, ERF, RAW_IP = 107, 197, 101  # link types of pcap
ERF_AAL5 = 4
ETHERNET = 14
CELL = 53


def records(path):
    """The frames of a capture, from tcpdump on an Ethernet."""
    data = path.read_bytes()
    at = 24
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at + 8)
        yield data[at + 16 : at + 16 + size]
        at += 16 + size


def write(path, link, packets):
    """A pcap file of a link type; its path."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link))
        for packet in packets:
            file.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    return path


def dissect(path, *fields, keep="frame", options=()):
    """The fields of each packet; nothing may be malformed. ``options``: preferences of tshark."""
    command = ["tshark", "-r", str(path), "-Y", keep, "-T", "fields", "-E", "separator=/t", "-E", "aggregator=;"]
    command += [word for option in options for word in ("-o", option)]
    for field in ("_ws.malformed", *fields):
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows and not any(row[0] for row in rows), done.stdout
    return [row[1:] for row in rows]


def behind(path, ethertype):
    """What frames of an EtherType carry."""
    mark = struct.pack(">H", ethertype)
    return [frame[ETHERNET:] for frame in records(path) if frame[ETHERNET - 2 : ETHERNET] == mark]


def pdus(trains):
    """ERF records of AAL5 PDUs, put together from the trains of cells of one circuit and direction after the other."""
    parts = {}
    for source, train in trains:
        for at in range(0, len(train), CELL):
            cell = train[at : at + CELL]
            parts.setdefault(source, []).append(cell[5:])
            if cell[3] & 2:
                body = cell[:4] + b"".join(parts.pop(source))
                yield (
                    struct.pack("<Q", 1 << 32) + struct.pack(">BBHHH", ERF_AAL5, 4, 16 + len(body), 0, len(body)) + body
                )


def assert_l2tp(path, payloads, expect=("l2tp", "lcp", "chap", "ipcp", "icmp", "tcp")):
    """tshark finds nothing wrong with these L2TP messages, and all of ``expect`` in them."""
    packets = []
    for payload in payloads:
        size = len(payload) + 8
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size + 20, 0, 0, 64, 17, 0, b"\xc0\0\2\1", b"\xc0\0\2\2")
        packets.append(head + struct.pack(">HHHH", 1701, 1701, size, 0) + payload)
    assert_well_formed(write(path, RAW_IP, packets), expect=expect)
