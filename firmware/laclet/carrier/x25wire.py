"""X.25 packets (ITU-T X.25 §5, modulo 8) and the framing of XOT (RFC 1613): stateless."""

from .snap import OUI_PID

# Packet types (table 5-2), third octet. Data has bit 1 clear; in RR and RNR the high three bits are P(R).
CALL = 0x0B
CALL_ACCEPTED = 0x0F
CLEAR = 0x13
CLEAR_CONFIRMATION = 0x17
INTERRUPT = 0x23
INTERRUPT_CONFIRMATION = 0x27
RESET = 0x1B
RESET_CONFIRMATION = 0x1F
RESTART = 0xFB
RESTART_CONFIRMATION = 0xFF
DIAGNOSTIC = 0xF1
RR = 0x01
RNR = 0x05
DATA = 0x00
MORE = 0x10  # M bit of a data packet
QUALIFIED = 0x80  # Q bit of the first octet
MODULO_8 = 0x10  # the first octet without Q and D
HEADER = 3

# Call User Data: NLPID 80 and SNAP (RFC 1356 §3.2).
USER_DATA = b"\x80" + OUI_PID

# Facilities (§7.2.2.1): packet size and window, for what comes from the called and from the calling side.
PACKET_SIZE = 0x42
WINDOW = 0x43
DEFAULT_SIZE = 7  # 2**7 = 128 octets
DEFAULT_WINDOW = 2


def packet(lcn, kind, data=b""):
    """A packet on a logical channel."""
    return bytes((MODULO_8 | lcn >> 8, lcn & 0xFF, kind)) + data


def call_packet(lcn, kind, called, calling, size, window, user_data=b""):
    """A call request or call accepted packet with its addresses and facilities (§5.2.1, §5.2.2)."""
    digits = called + calling
    if len(digits) & 1:
        digits += "0"
    out = bytearray((len(calling) << 4 | len(called),))
    for i in range(0, len(digits), 2):
        out.append(int(digits[i]) << 4 | int(digits[i + 1]))
    return packet(lcn, kind, bytes(out) + bytes((6, PACKET_SIZE, size, size, WINDOW, window, window)) + user_data)


def parse_call(buf, at, end):
    """``(called, calling, facilities, user data)`` from after the type octet of a call packet; None when cut short.

    ``facilities`` is ``{code: (from the called, from the calling side)}`` of those that we know.
    """
    if at == end:
        return "", "", {}, b""  # §5.2.2: an acceptance need not repeat the addresses
    split = buf[at] & 0x0F
    count = split + (buf[at] >> 4)
    at += 1
    if end - at < (count + 1) // 2:
        return None
    digits = ""
    for i in range(count):
        digits += "%X" % (buf[at + i // 2] >> (0 if i & 1 else 4) & 0x0F)
    at += (count + 1) // 2
    facilities = {}
    if at < end:
        stop = at + 1 + buf[at]
        if stop > end:
            return None
        facilities = _facilities(buf, at + 1, stop)
        at = stop
    return None if facilities is None else (digits[:split], digits[split:], facilities, bytes(buf[at:end]))


def _facilities(buf, at, end):
    """§7.1: the two high bits of a code tell how many octets follow it; of class D the first of them."""
    found = {}
    while at < end:
        code = buf[at]
        size = (code >> 6) + 1
        if size == 4:
            size = 1 + (buf[at + 1] if at + 1 < end else 256)
        if at + 1 + size > end:
            return None
        if code in (PACKET_SIZE, WINDOW):
            found[code] = (buf[at + 1], buf[at + 2])
        at += 1 + size
    return found


# Clearing causes that people know (table 5-7).
_CAUSES = {
    0: "cleared by the far end",
    1: "number busy",
    3: "invalid facility request",
    5: "network congestion",
    9: "out of order",
    11: "access barred",
    13: "not obtainable",
    17: "remote procedure error",
    19: "local procedure error",
    33: "incompatible destination",
}


def cause_text(cause, diagnostic):
    """Why a call was cleared, in the words of table 5-7."""
    return "%s (cause %d, diagnostic %d)" % (_CAUSES.get(cause & 0x7F, "cleared"), cause, diagnostic)
