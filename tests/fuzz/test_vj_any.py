"""Header compression: random connections come through unchanged, random bytes never raise."""

from hypothesis import given, settings
from hypothesis import strategies as st

from laclet.ppp.vj import Compressor, Decompressor
from laclet.wire import ppp
from unit.tcpflow import Flow

# One step of a connection: which one, how its fields move, bytes of data, flags.
STEP = st.tuples(
    st.integers(0, 3),
    st.sampled_from((0, 0, 0, 1, 255, 256, 0xFFFF, 0x10000, 0xFFFFFFFF)),  # acknowledgment
    st.sampled_from((0, 0, 0, 1, 255, 256, 0xFFFF)),  # window
    st.sampled_from((0, 0, 0, 1, 7, 0xFFFF)),  # identification
    st.sampled_from((0, 0, 0, 1, 512, 0xFFFFFFF0)),  # sequence number
    st.sampled_from((0, 0, 1, 4)),  # urgent pointer
    st.sampled_from((b"", b"", b"\1\1\1\1", b"\1" * 24, b"\1" * 40)),  # TCP options
    st.sampled_from((0, 0, 1, 100)),  # bytes of data
    st.sampled_from((0x10, 0x10, 0x10, 0x18, 0x30, 0x11, 0x02, 0x50)),
)


@settings(max_examples=300)
@given(st.lists(STEP, max_size=30), st.integers(1, 4), st.integers(0, 1))
def test_connections_come_through(steps, slots, omit_slot):
    compressor, decompressor = Compressor(slots, omit_slot), Decompressor(slots)
    flows = [Flow(1000 + i) for i in range(4)]
    for which, ack, window, identification, sequence, urgent, options, size, flags in steps:
        flow = flows[which]
        flow.ack = (flow.ack + ack) & 0xFFFFFFFF
        flow.window = (flow.window + window) & 0xFFFF
        flow.id = (flow.id + identification) & 0xFFFF
        flow.seq = (flow.seq + sequence) & 0xFFFFFFFF
        flow.urgent = urgent
        flow.options = options
        packet = flow.packet(size, flags)
        buf = bytearray(100) + packet
        start = compressor.compress(buf, 100, len(buf))
        if compressor.protocol == ppp.VJ_COMPRESSED:
            rebuilt = decompressor.compressed(buf, start, len(buf))
            if len(options) == 40:  # too long to be rebuilt in place
                assert rebuilt == -1
                continue
            start = rebuilt
        elif compressor.protocol == ppp.VJ_UNCOMPRESSED:
            start = decompressor.uncompressed(buf, start, len(buf))
        assert start >= 0 and bytes(buf[start:]) == packet


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=90)), max_size=20))
def test_any_bytes(frames):
    decompressor = Decompressor(4)
    first = bytearray(Flow().packet(5))
    first[9] = 0
    decompressor.uncompressed(first, 0, len(first))
    for compressed, data in frames:
        buf = bytearray(100) + data
        undo = decompressor.compressed if compressed else decompressor.uncompressed
        start = undo(buf, 100, len(buf))
        assert start == -1 or 24 <= start <= 100
        assert len(buf) == 100 + len(data)


@given(st.binary(max_size=90))
def test_any_packet_is_compressed_or_left(data):
    buf = bytearray(100) + data
    compressor = Compressor(4, 1)
    start = compressor.compress(buf, 100, len(buf))
    if compressor.protocol == ppp.IP:
        assert start == 100 and buf[100:] == data
