"""Whatever the tunnel brings: nothing raises, and what reaches the interface is a packet whose lengths agree."""

import os
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laclet_linux.plane.circuit import Circuit
from laclet_linux.plane.inbound import Inbound
from laclet_linux.plane.plain import Plain
from laclet_linux.plane.tun import NEEDS_CSUM, VNET, Tun

vector = pytest.importorskip("laclet_linux.plane.vector")
PEER = ("192.0.2.1", 1701)
GOOD = bytes.fromhex("4500002900010000400600000a0000010a00000200070009000003e8000000055010006300000000") + b"!"


class Socket:
    """Gives the plane what a test has prepared: (data, bytes per datagram that UDP_GRO says, or 0)."""

    def __init__(self, batches):
        self.batches = batches

    def setsockopt(self, *arguments):
        pass

    def recvmsg_into(self, buffers, room):
        if not self.batches:
            raise BlockingIOError
        data, size = self.batches.pop(0)
        data = data[: len(buffers[0])]
        buffers[0][: len(data)] = data
        return len(data), [(17, 104, struct.pack("=i", size))] if size else [], 0, PEER


@st.composite
def datagrams(draw):
    """An L2TP message that is right, nearly right, or noise."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=80))
    first = draw(st.sampled_from((0, 0x40, 0x08, 0x48, 0x02, 0x4A)))
    data = bytes((first, 2))
    packet = bytearray(GOOD)
    for _ in range(draw(st.integers(0, 2))):
        packet[draw(st.integers(0, len(packet) - 1))] = draw(st.integers(0, 255))
    body = draw(st.sampled_from((b"\xff\x03\x00\x21", b"\x00\x21", b"\x21", b"\x57", b"\xc0\x21"))) + packet
    after = struct.pack("!HH", *draw(st.sampled_from(((1, 2), (1, 2), (1, 2), (1, 9)))))
    if first & 0x08:
        after += struct.pack("!HH", draw(st.integers(0, 65535)), 0)
    if first & 0x02:
        after += struct.pack("!H", draw(st.sampled_from((0, 0, 3, 65535))))
    if first & 0x40:
        length = len(data) + 2 + len(after) + len(body) + draw(st.sampled_from((0, 0, 0, -3, 4)))
        data += struct.pack("!H", length)
    data += after + body
    return data[: draw(st.sampled_from((len(data), len(data), draw(st.integers(0, len(data))))))]


def batch(rows):
    """Datagrams as one read: cut to the size of the first, as UDP_GRO would not have joined others."""
    size = len(rows[0])
    data = b"".join(row.ljust(size, b"\0")[:size] for row in rows[:-1]) + rows[-1][:size]
    return (data, size if size and len(data) > size else 0)


def packets(data, vnet):
    """The packets that one write to the interface stands for."""
    if not vnet:
        return [data]
    flags, kind, head, size, _, _ = VNET.unpack(data[: VNET.size])
    packet = data[VNET.size :]
    assert kind or not flags & NEEDS_CSUM
    if kind:
        assert head < len(packet)
        assert size
    return [packet]


@settings(max_examples=300)
@given(
    st.lists(st.one_of(st.lists(datagrams(), min_size=1, max_size=5).map(batch), st.tuples(datagrams(), st.just(0)))),
    st.booleans(),
    st.booleans(),
)
def test_nothing_that_arrives_does_harm(batches, vnet, plain):
    ours, app = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, app:
        app.setblocking(False)
        passed = []
        circuit = Circuit(Tun(ours.fileno(), "pair", vnet, vnet, vnet), 1, 2, 3, 4, PEER, mss=500)
        engine = Plain() if plain else vector.Vector()
        expected = sum(-(-len(data) // size) if size else 1 for data, size in batches)
        inbound = Inbound(Socket(list(batches)), engine, {0x10002: circuit}, lambda *event: passed.append(event))
        for _ in range(2 * len(batches) + 2):
            inbound.read()
        arrived = 0
        while True:
            try:
                data = os.read(app.fileno(), 70_000)
            except BlockingIOError:
                break
            for packet in packets(data, vnet):
                arrived += 1
                version = packet[0] >> 4
                assert version in (4, 6)
                total = int.from_bytes(packet[2:4], "big") if version == 4 else 40 + int.from_bytes(packet[4:6], "big")
                assert total == len(packet)
        counted = sum(inbound.drops.values()) + sum(circuit.drops.values()) + len(passed) + circuit.rx_packets
        assert counted == expected
        assert arrived <= circuit.rx_packets
