"""ISAKMP messages and payloads (RFC 2408 §3, RFC 2407 §4.6): parsed with every length checked, built from bytes."""

try:
    from micropython import const
except ImportError:

    def const(x):
        return x


# Header (RFC 2408 §3.1): two cookies of 8 | next payload 1 | version 1 | exchange 1 | flags 1 | message id 4 | length 4
HEADER = const(28)
NEXT = const(16)
VERSION = const(17)
EXCHANGE = const(18)
FLAGS = const(19)
MESSAGE_ID = const(20)
LENGTH = const(24)
ENCRYPTED = const(1)  # flag E; the commit bit (2) is never set by us and carries no meaning for us

# Exchange types (RFC 2408 §3.1, RFC 2409 Appendix A).
MAIN = const(2)  # "Identity Protection"
AGGRESSIVE = const(4)
INFORMATIONAL = const(5)
QUICK = const(32)

# Payload types (RFC 2408 §3.1, RFC 3947 §3.2 and §5.2, and the fragments of Cisco and strongSwan).
SA = const(1)
PROPOSAL = const(2)
TRANSFORM = const(3)
KE = const(4)
ID = const(5)
HASH = const(8)
NONCE = const(10)
NOTIFY = const(11)
DELETE = const(12)
VENDOR = const(13)
NAT_D = const(20)
NAT_OA = const(21)
FRAGMENT = const(132)

# Protocols (RFC 2407 §4.4.1) and the numbers of what an identity names (§4.6.2.1).
PORT_IKE = const(500)
PORT_NATT = const(4500)
PROTO_ISAKMP = const(1)
PROTO_ESP = const(3)
ID_IPV4_ADDR = const(1)
ID_FQDN = const(2)
ID_USER_FQDN = const(3)
ID_IPV6_ADDR = const(5)
ID_KEY_ID = const(11)
UDP = const(17)

# Notifications that we send or read on purpose (RFC 2408 §3.14.1, RFC 2407 §4.6.3, RFC 3706 §5).
NO_PROPOSAL_CHOSEN = const(14)
PAYLOAD_MALFORMED = const(16)
INVALID_ID_INFORMATION = const(18)
AUTHENTICATION_FAILED = const(24)
RESPONDER_LIFETIME = const(24576)
INITIAL_CONTACT = const(24578)
R_U_THERE = const(36136)
R_U_THERE_ACK = const(36137)

_ERRORS = (
    "INVALID-PAYLOAD-TYPE DOI-NOT-SUPPORTED SITUATION-NOT-SUPPORTED INVALID-COOKIE INVALID-MAJOR-VERSION "
    "INVALID-MINOR-VERSION INVALID-EXCHANGE-TYPE INVALID-FLAGS INVALID-MESSAGE-ID INVALID-PROTOCOL-ID INVALID-SPI "
    "INVALID-TRANSFORM-ID ATTRIBUTES-NOT-SUPPORTED NO-PROPOSAL-CHOSEN BAD-PROPOSAL-SYNTAX PAYLOAD-MALFORMED "
    "INVALID-KEY-INFORMATION INVALID-ID-INFORMATION INVALID-CERT-ENCODING INVALID-CERTIFICATE CERT-TYPE-UNSUPPORTED "
    "INVALID-CERT-AUTHORITY INVALID-HASH-INFORMATION AUTHENTICATION-FAILED INVALID-SIGNATURE ADDRESS-NOTIFICATION "
    "NOTIFY-SA-LIFETIME CERTIFICATE-UNAVAILABLE UNSUPPORTED-EXCHANGE-TYPE UNEQUAL-PAYLOAD-LENGTHS"
)

# Vendor identities we understand: RFC 3947 §3.1, RFC 3706 §4.
VENDOR_NATT = b"\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f"
VENDOR_FRAGMENTATION = b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3"  # 4 bytes may follow
VENDOR_DPD = b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00"

# The situation of every SA payload: DOI IPsec, SIT_IDENTITY_ONLY (RFC 2407 §4.6.1).
DOI_SITUATION = b"\x00\x00\x00\x01\x00\x00\x00\x01"

# A main mode message 1 of the widest client seen has 20 payloads; more than this is no negotiation.
MAX_PAYLOADS = const(32)


def error_name(number):
    """``NO-PROPOSAL-CHOSEN`` for 14 …: what a peer says, in the words of RFC 2408 §3.14.1, or as a number."""
    names = _ERRORS.split(" ")
    return names[number - 1] if 1 <= number <= len(names) else "notification " + str(number)


def u16(data, at):
    """The 16-bit number at ``at``; the caller has checked the bounds."""
    return data[at] << 8 | data[at + 1]


def u32(data, at):
    """The 32-bit number at ``at``; the caller has checked the bounds."""
    return data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]


def p16(value):
    """Two bytes, big-endian."""
    return bytes((value >> 8 & 0xFF, value & 0xFF))


def p32(value):
    """Four bytes, big-endian."""
    return value.to_bytes(4, "big")


def header(cookies, first, exchange, flags, message_id, size):
    """The 28 bytes before ``size`` bytes of payloads; ``cookies`` are both, ``message_id`` is 4 bytes."""
    return cookies + bytes((first, 0x10, exchange, flags)) + message_id + p32(HEADER + size)


def chain(payloads):
    """``[(type, body), …]`` as one run of generic payloads (RFC 2408 §3.2); the last one's next payload is 0."""
    out = b""
    following = 0
    for kind, body in reversed(payloads):
        out = bytes((following, 0)) + p16(4 + len(body)) + body + out
        following = kind
    return out


def parse(kind, data, start, end):
    """The payloads of ``data[start:end]``, the first of type ``kind``: ``[(type, body start, body end), …]``, or None.

    What follows the last payload is padding and is not looked at.
    """
    found = []
    while kind:
        if end - start < 4 or len(found) == MAX_PAYLOADS:
            return None
        size = u16(data, start + 2)
        if size < 4 or size > end - start:
            return None
        found.append((kind, start + 4, start + size))
        kind = data[start]
        start += size
    return found


def notification(protocol, spi, number, data=b""):
    """The body of a notification (RFC 2408 §3.14)."""
    return DOI_SITUATION[:4] + bytes((protocol, len(spi))) + p16(number) + spi + data


def deletion(protocol, spi):
    """The body of a delete payload for one SA (RFC 2408 §3.15)."""
    return DOI_SITUATION[:4] + bytes((protocol, len(spi))) + b"\x00\x01" + spi


def first(found, kind, data):
    """The body of the first payload of a type as bytes, or None."""
    for item in found:
        if item[0] == kind:
            return data[item[1] : item[2]]
    return None


def attribute(kind, value):
    """A basic attribute when ``value`` fits 16 bits, else a variable one of 4 bytes (RFC 2408 §3.3)."""
    if value < 0x10000:
        return p16(0x8000 | kind) + p16(value)
    return p16(kind) + p16(4) + p32(value)


def attributes(data, start, end, life):
    """``{type: value}`` of the attributes in ``data[start:end]``, or None when they are malformed.

    ``life`` is the number of the life type attribute, whose unit the duration after it has. Only a duration in seconds
    is kept: one in kilobytes is for the peer to count.
    """
    values = {}
    while start < end:
        if end - start < 4:
            return None
        kind = u16(data, start)
        value = u16(data, start + 2)
        start += 4
        if kind & 0x8000:
            kind &= 0x7FFF
        elif value > end - start or value > 8:  # nothing that we offer or read has a longer value
            return None
        else:
            size = value
            value = int.from_bytes(data[start : start + size], "big")
            start += size
        if kind != life + 1 or values.get(life) == 1:
            values[kind] = value
    return values


def packed(host):
    """The 4 or 16 bytes of an address in text, or None when it is neither IPv4 nor IPv6."""
    try:
        if ":" not in host:
            parts = [int(part) for part in host.split(".")]
            return bytes(parts) if len(parts) == 4 and max(parts) < 256 and min(parts) >= 0 else None
        head, gap, tail = host.split("%")[0].partition("::")
        left = [p16(int(part, 16)) for part in head.split(":") if part]
        right = [p16(int(part, 16)) for part in tail.split(":") if part]
        missing = 8 - len(left) - len(right)
        if missing < 0 or (missing and not gap):
            return None
        return b"".join(left) + bytes(2 * missing) + b"".join(right)
    except ValueError:
        return None


def address_id(host):
    """``(ID type, address bytes)`` of a host; 0.0.0.0 where it is unknown."""
    value = packed(host) if host else bytes(4)
    return (ID_IPV4_ADDR if len(value) == 4 else ID_IPV6_ADDR, value)
