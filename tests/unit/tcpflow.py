"""TCP packets as a connection makes them, for what compresses their headers."""

from laclet.wire.ip import checksum, put16

URG, ACK, PSH, RST, SYN, FIN = 0x20, 0x10, 0x08, 0x04, 0x02, 0x01


class Flow:
    """One direction of a connection; every field may be changed between packets."""

    def __init__(self, port=1000, seq=0xFFFFFF00, ack=5000):
        self.port = port
        self.seq = seq
        self.ack = ack
        self.window = 8192
        self.id = 0xFFFE
        self.urgent = 0
        self.ttl = 64
        self.options = b""
        self.ip_options = b""

    def packet(self, size=0, flags=ACK, advance=True):
        """The next packet with ``size`` bytes of data."""
        header = 20 + len(self.ip_options)
        tcp = 20 + len(self.options)
        length = header + tcp + size
        p = bytearray(length)
        p[0] = 0x40 | header >> 2
        put16(p, 2, length)
        put16(p, 4, self.id)
        p[6] = 0x40
        p[8] = self.ttl
        p[9] = 6
        p[12:20] = b"\x0a\0\0\1\x0a\0\0\2"
        p[20:header] = self.ip_options
        put16(p, header, self.port)
        put16(p, header + 2, 80)
        for at, value in ((4, self.seq), (8, self.ack)):
            put16(p, header + at, value >> 16)
            put16(p, header + at + 2, value)
        p[header + 12] = tcp >> 2 << 4
        p[header + 13] = flags
        put16(p, header + 14, self.window)
        put16(p, header + 16, (self.id * 7 + self.seq) & 0xFFFF)  # any checksum: it is carried, not checked
        put16(p, header + 18, self.urgent)
        p[header + 20 : header + tcp] = self.options
        for i in range(size):
            p[header + tcp + i] = i & 0xFF
        put16(p, 10, checksum(p, 0, header))
        self.id = (self.id + 1) & 0xFFFF
        if advance:
            self.seq = (self.seq + size) & 0xFFFFFFFF
        return bytes(p)
