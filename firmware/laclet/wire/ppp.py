"""PPP frames and control packets: reading and building (RFC 1661 §2, §5, §6; protocol numbers of IANA)."""

# Protocol numbers. The first digit tells the kind (RFC 1661 §2): 0-3 network data, 8-b their control, c-f link layer.
IP = 0x0021
VJ_COMPRESSED = 0x002D
VJ_UNCOMPRESSED = 0x002F
MULTILINK = 0x003D
IPV6 = 0x0057
COMPRESSED = 0x00FD
IPCP = 0x8021
IPV6CP = 0x8057
CCP = 0x80FD
LCP = 0xC021
PAP = 0xC023
LQR = 0xC025
CHAP = 0xC223
EAP = 0xC227

# Codes of LCP and of every NCP (RFC 1661 §5; 12 and 13: RFC 1570).
CONFIGURE_REQUEST = 1
CONFIGURE_ACK = 2
CONFIGURE_NAK = 3
CONFIGURE_REJECT = 4
TERMINATE_REQUEST = 5
TERMINATE_ACK = 6
CODE_REJECT = 7
PROTOCOL_REJECT = 8
ECHO_REQUEST = 9
ECHO_REPLY = 10
DISCARD_REQUEST = 11
IDENTIFICATION = 12
TIME_REMAINING = 13

CONTROL_HEADER = 4  # Code, Identifier, Length
MAX_OPTIONS = 32  # in one packet; LCP has 30 registered, so more is an attack on a small heap


def head(buf, start, end):
    """Read the head of a bare frame: ``(bytes before the information << 16) | protocol``, or 0 when there is none.

    Address and control may be missing (ACFC), the protocol may be one byte (PFC). One small int: nothing is allocated.
    """
    at = start
    if end - at >= 2 and buf[at] == 0xFF and buf[at + 1] == 0x03:
        at += 2
    if at >= end:
        return 0
    protocol = buf[at]
    at += 1
    if not protocol & 1:  # the low byte of a protocol number is odd, the high byte even (RFC 1661 §2)
        if at >= end or not buf[at] & 1:
            return 0
        protocol = protocol << 8 | buf[at]
        at += 1
    return (at - start) << 16 | protocol


def packet_end(buf, at, end):
    """Where the control packet at ``at`` ends by its own Length (the rest is padding), or -1 when it is cut short."""
    if end - at < CONTROL_HEADER:
        return -1
    length = buf[at + 2] << 8 | buf[at + 3]
    return at + length if CONTROL_HEADER <= length <= end - at else -1


def options(buf, at, end):
    """The configuration options of a packet: a list of ``(type, value bytes)``, or what is wrong with them as a str."""
    found = []
    while at < end:
        if end - at < 2:
            return "option cut short"
        length = buf[at + 1]
        if length < 2:
            return "option length below 2"
        if length > end - at:
            return "option beyond the packet"
        if len(found) == MAX_OPTIONS:
            return "too many options"
        found.append((buf[at], bytes(buf[at + 2 : at + length])))
        at += length
    return found


def option(type, value):
    """One configuration option; ``value`` up to 253 bytes."""
    return bytes((type, len(value) + 2)) + value


def write(buf, at, protocol, code, identifier, data):
    """Write a frame (without address and control) with a control packet; the end of it. The caller checked the room."""
    length = CONTROL_HEADER + len(data)
    buf[at] = protocol >> 8
    buf[at + 1] = protocol & 0xFF
    buf[at + 2] = code
    buf[at + 3] = identifier
    buf[at + 4] = length >> 8
    buf[at + 5] = length & 0xFF
    end = at + 2 + length
    buf[at + 6 : end] = data
    return end
