"""IPv4, ICMP and UDP headers (RFC 791, 792, 768): offsets, checks, checksums; nothing is allocated."""

HEADER = 20  # bytes of an IPv4 header without options
UDP_HEADER = 8
ECHO_HEADER = 8  # ICMP type, code, checksum, identifier, sequence number

ICMP = 1
UDP = 17
ECHO_REPLY = 0
ECHO_REQUEST = 8

# Offsets in the IPv4 header.
TOS = 1
LENGTH = 2
IDENTIFICATION = 4
FRAGMENT = 6
TTL = 8
PROTOCOL = 9
CHECKSUM = 10
SOURCE = 12
DESTINATION = 16

DEFAULT_TTL = 64


def total(buf, start, end, seed=0):
    """The sum of the 16-bit words from ``start`` to ``end``, folded into 16 bits; an odd last byte counts as high."""
    i = start
    last = end - 1
    while i < last:
        seed += buf[i] << 8 | buf[i + 1]
        i += 2
    if i == last:
        seed += buf[i] << 8
    while seed > 0xFFFF:
        seed = (seed & 0xFFFF) + (seed >> 16)
    return seed


def checksum(buf, start, end, seed=0):
    """The Internet checksum (RFC 1071); 0 over data that contains its own right checksum."""
    return total(buf, start, end, seed) ^ 0xFFFF


def put16(buf, at, value):
    """Write 16 bits."""
    buf[at] = value >> 8 & 0xFF
    buf[at + 1] = value & 0xFF


def get16(buf, at):
    """Read 16 bits."""
    return buf[at] << 8 | buf[at + 1]


def adjust(buf, at, old, new):
    """Mend the checksum at ``at`` after one 16-bit word it covers changed from ``old`` to ``new`` (RFC 1624)."""
    value = (get16(buf, at) ^ 0xFFFF) + (old ^ 0xFFFF) + new
    value = (value & 0xFFFF) + (value >> 16)
    value = (value & 0xFFFF) + (value >> 16)
    put16(buf, at, value ^ 0xFFFF)


def check(buf, start, end):
    """ "" for a whole, unfragmented IPv4 packet with a good header; otherwise why it is to be dropped."""
    if end - start < HEADER:
        return "IP packet cut short"
    if buf[start] >> 4 != 4:
        return "not IPv4"
    header = (buf[start] & 15) << 2
    length = get16(buf, start + LENGTH)
    if header < HEADER or length < header or length > end - start:
        return "IP header with a wrong length"
    if checksum(buf, start, start + header):
        return "IP header with a wrong checksum"
    if get16(buf, start + FRAGMENT) & 0x3FFF:  # more fragments, or not the first
        return "IP fragment"
    return ""


def write_header(buf, start, length, protocol, source, destination, identification):
    """An IPv4 header without options for a packet of ``length`` bytes in all; addresses 4 bytes each."""
    buf[start] = 0x45
    buf[start + TOS] = 0
    put16(buf, start + LENGTH, length)
    put16(buf, start + IDENTIFICATION, identification)
    put16(buf, start + FRAGMENT, 0)
    buf[start + TTL] = DEFAULT_TTL
    buf[start + PROTOCOL] = protocol
    put16(buf, start + CHECKSUM, 0)
    for i in range(4):
        buf[start + SOURCE + i] = source[i]
        buf[start + DESTINATION + i] = destination[i]
    put16(buf, start + CHECKSUM, checksum(buf, start, start + HEADER))


def udp_checksum(buf, start, end):
    """Checksum of the UDP datagram behind a header without options at ``start``, with its pseudo header (RFC 768)."""
    at = start + HEADER
    seed = total(buf, start + SOURCE, at, UDP + end - at)
    return checksum(buf, at, end, seed) or 0xFFFF
