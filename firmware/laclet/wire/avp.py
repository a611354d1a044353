"""Attribute-Value Pairs (RFC 2661 §4): one table of types, a writer, a parser that never raises.

AVP:  M H rsvd(4) length(10) | vendor id 2 | attribute type 2 | value
"""

from .l2tp import CONTROL_HEADER, SLI, u16

try:
    from micropython import const
except ImportError:

    def const(x):
        return x


# How a value is read, and what may be done to it; one byte of SPEC per attribute type.
_BYTES = const(0)  # bytes as they are
_U16 = const(1)
_U32 = const(2)
_U64 = const(3)  # eight bytes, kept as bytes
_RESULT = const(4)  # (result code, error code, message): bytes 2, 4 or more (§4.4.2)
_Q931 = const(5)  # (cause code, cause message, advisory)
_ACCM = const(6)  # (send, receive): 2 reserved, 4, 4
_ERRORS = const(7)  # (six counters): 2 reserved, 6 × 4
_NONE = const(8)  # no value
_KIND = const(0x0F)
_M = const(0x10)  # the M bit we must send
_H = const(0x20)  # may be hidden
_UNKNOWN = const(0x40)  # none of ours

MESSAGE_TYPE = const(0)
RESULT_CODE = const(1)
PROTOCOL_VERSION = const(2)
FRAMING_CAPABILITIES = const(3)
BEARER_CAPABILITIES = const(4)
TIE_BREAKER = const(5)
FIRMWARE_REVISION = const(6)
HOST_NAME = const(7)
VENDOR_NAME = const(8)
ASSIGNED_TUNNEL_ID = const(9)
RECEIVE_WINDOW_SIZE = const(10)
CHALLENGE = const(11)
Q931_CAUSE = const(12)
CHALLENGE_RESPONSE = const(13)
ASSIGNED_SESSION_ID = const(14)
CALL_SERIAL_NUMBER = const(15)
MINIMUM_BPS = const(16)
MAXIMUM_BPS = const(17)
BEARER_TYPE = const(18)
FRAMING_TYPE = const(19)
CALLED_NUMBER = const(21)
CALLING_NUMBER = const(22)
SUB_ADDRESS = const(23)
TX_CONNECT_SPEED = const(24)
PHYSICAL_CHANNEL = const(25)
INITIAL_LCP_CONFREQ = const(26)
LAST_SENT_LCP_CONFREQ = const(27)
LAST_RECEIVED_LCP_CONFREQ = const(28)
PROXY_AUTHEN_TYPE = const(29)
PROXY_AUTHEN_NAME = const(30)
PROXY_AUTHEN_CHALLENGE = const(31)
PROXY_AUTHEN_ID = const(32)
PROXY_AUTHEN_RESPONSE = const(33)
CALL_ERRORS = const(34)
ACCM = const(35)
RANDOM_VECTOR = const(36)
PRIVATE_GROUP_ID = const(37)
RX_CONNECT_SPEED = const(38)
SEQUENCING_REQUIRED = const(39)
PPP_DISCONNECT_CAUSE = const(46)  # RFC 3145
CONTROL_DS = const(47)  # RFC 3308
SESSION_DS = const(48)

_SPEC = bytes(
    (
        _M | _U16,  # 0 Message Type
        _M | _RESULT,  # 1 Result Code
        _M | _U16,  # 2 Protocol Version
        _M | _U32 | _H,  # 3 Framing Capabilities
        _M | _U32 | _H,  # 4 Bearer Capabilities
        _U64,  # 5 Tie Breaker
        _U16 | _H,  # 6 Firmware Revision
        _M | _BYTES,  # 7 Host Name
        _BYTES | _H,  # 8 Vendor Name
        _M | _U16 | _H,  # 9 Assigned Tunnel ID
        _M | _U16,  # 10 Receive Window Size
        _M | _BYTES | _H,  # 11 Challenge
        _M | _Q931,  # 12 Q.931 Cause Code
        _M | _BYTES | _H,  # 13 Challenge Response
        _M | _U16 | _H,  # 14 Assigned Session ID
        _M | _U32 | _H,  # 15 Call Serial Number
        _M | _U32 | _H,  # 16 Minimum BPS
        _M | _U32 | _H,  # 17 Maximum BPS
        _M | _U32 | _H,  # 18 Bearer Type
        _M | _U32 | _H,  # 19 Framing Type
        _UNKNOWN,  # 20
        _M | _BYTES | _H,  # 21 Called Number
        _M | _BYTES | _H,  # 22 Calling Number
        _M | _BYTES | _H,  # 23 Sub-Address
        _M | _U32 | _H,  # 24 (Tx) Connect Speed
        _U32 | _H,  # 25 Physical Channel ID
        _BYTES | _H,  # 26 Initial Received LCP CONFREQ
        _BYTES | _H,  # 27 Last Sent LCP CONFREQ
        _BYTES | _H,  # 28 Last Received LCP CONFREQ
        _U16 | _H,  # 29 Proxy Authen Type
        _BYTES | _H,  # 30 Proxy Authen Name
        _BYTES | _H,  # 31 Proxy Authen Challenge
        _U16 | _H,  # 32 Proxy Authen ID
        _BYTES | _H,  # 33 Proxy Authen Response
        _M | _ERRORS | _H,  # 34 Call Errors
        _M | _ACCM | _H,  # 35 ACCM
        _M | _BYTES,  # 36 Random Vector
        _BYTES | _H,  # 37 Private Group ID
        _U32 | _H,  # 38 Rx Connect Speed
        _M | _NONE,  # 39 Sequencing Required
        _UNKNOWN,  # 40
        _UNKNOWN,  # 41
        _UNKNOWN,  # 42
        _UNKNOWN,  # 43
        _UNKNOWN,  # 44
        _UNKNOWN,  # 45
        _BYTES | _H,  # 46 PPP Disconnect Cause Code
        _U16 | _H,  # 47 Control Connection DS
        _U16 | _H,  # 48 Session DS
    )
)


def _spec(atype):
    return _SPEC[atype] if atype < len(_SPEC) else _UNKNOWN


# A message with more AVPs than this is not one of the RFC's; it bounds the list that parse() builds.
MAX_AVPS = const(64)
# Longest value kept: an AVP's own length field holds 1023.
_MAX_VALUE = const(1017)

# General error codes (§4.4.2), as result code 2 carries them.
ERROR_LENGTH = const(2)
ERROR_VALUE = const(3)
ERROR_RESOURCES = const(4)
ERROR_UNKNOWN_AVP = const(8)


class Writer:
    """Builds one control message in ``buf``: a bytearray with room for the header, then the AVPs in order.

    With ``secret`` and ``random`` given, a Random Vector follows the Message Type and every AVP that may be hidden is
    hidden (§4.3) with 0 to 15 bytes of random padding.
    """

    def __init__(self, mtype, secret=None, random=None):
        self.buf = bytearray(CONTROL_HEADER)
        self._secret = None
        self._vector = b""
        self._random = random
        self.u16(MESSAGE_TYPE, mtype)
        if secret and random:
            vector = random(16)
            self.put(RANDOM_VECTOR, vector)
            self._secret = secret
            self._vector = vector

    def put(self, atype, value):
        """Append the AVP ``atype`` with ``value`` bytes; longer than 1017 is cut, since no AVP holds more."""
        spec = _spec(atype)
        value = value[:_MAX_VALUE]
        flags = 0x80 if spec & _M else 0
        if self._secret and spec & _H:
            value = bytes((len(value) >> 8, len(value) & 0xFF)) + value + self._random(self._random(1)[0] & 15)
            value = _cipher(value[:_MAX_VALUE], atype, self._secret, self._vector, True)
            flags |= 0x40
        size = 6 + len(value)
        self.buf += bytes((flags | size >> 8, size & 0xFF, 0, 0, atype >> 8, atype & 0xFF))
        self.buf += value

    def u16(self, atype, value):
        """Append a 16-bit AVP."""
        self.put(atype, bytes((value >> 8 & 0xFF, value & 0xFF)))

    def u32(self, atype, value):
        """Append a 32-bit AVP."""
        self.put(atype, value.to_bytes(4, "big"))

    def result(self, result, error=0, message=""):
        """Append the Result Code AVP (§4.4.2); the error code only where there is one, or a message."""
        value = bytes((result >> 8, result & 0xFF))
        if error or message:
            value += bytes((error >> 8, error & 0xFF)) + message.encode()
        self.put(RESULT_CODE, value)


def _cipher(data, atype, secret, vector, hiding):
    """§4.3: XOR with a chain of MD5 digests; the chain always runs over the ciphertext."""
    out = bytearray(data)
    from ..crypto.hashes import md5  # with a secret only

    pad = md5(bytes((atype >> 8, atype & 0xFF)) + secret + vector)
    for at in range(0, len(out), 16):
        n = min(16, len(out) - at)
        for i in range(n):
            out[at + i] ^= pad[i]
        block = out[at : at + n] if hiding else data[at : at + n]
        pad = md5(secret + bytes(block))
    return bytes(out)


def _reveal(value, atype, secret, vector):
    """The original value of a hidden AVP, or None when its length field does not fit (wrong secret, or malformed)."""
    if len(value) < 2:
        return None
    clear = _cipher(value, atype, secret, vector, False)
    size = u16(clear, 0)
    return None if size > len(clear) - 2 else clear[2 : 2 + size]


def _read(kind, value):
    """The value as ``kind`` asks, or None when its length does not fit."""
    n = len(value)
    if kind == _BYTES:
        return value
    if kind == _U16:
        return u16(value, 0) if n == 2 else None
    if kind == _U32:
        return int.from_bytes(value, "big") if n == 4 else None
    if kind == _U64:
        return value if n == 8 else None
    if kind == _RESULT:
        if n < 2:
            return None
        result = u16(value, 0)
        if result > 255 and not result & 0xFF:  # Apple sends the codes little-endian
            result >>= 8
        error = u16(value, 2) if n >= 4 else 0
        if error > 255 and not error & 0xFF:
            error >>= 8
        return (result, error, value[4:])
    if kind == _Q931:
        return (u16(value, 0), value[2], value[3:]) if n >= 3 else None
    if kind == _ACCM:
        return (int.from_bytes(value[2:6], "big"), int.from_bytes(value[6:10], "big")) if n == 10 else None
    if kind == _ERRORS:
        return tuple([int.from_bytes(value[i : i + 4], "big") for i in range(2, 26, 4)]) if n == 26 else None
    return value  # _NONE: whatever stands there is of no meaning


def parse(buf, start, end, secret=None):
    """Read the AVPs of a control message from ``start`` (after the header) to ``end``.

    Returns ``(message type, avps, problem)``: ``avps`` is a list of ``(type, value)`` of vendor 0 in order of arrival,
    ``problem`` is None or ``(general error code, text)`` when a mandatory AVP cannot be understood (§4.1). The message
    type is -1 when the message does not begin with one: drop it. Optional AVPs that cannot be read are skipped.
    """
    avps = []
    mtype = -1
    problem = None
    vector = None
    at = start
    while at < end:
        if end - at < 6:
            return mtype, avps, (ERROR_LENGTH, "AVP header cut short")
        flags = buf[at]
        size = (flags & 0x03) << 8 | buf[at + 1]
        if size < 6 or size > end - at:
            return mtype, avps, (ERROR_LENGTH, "AVP length " + str(size))
        vendor = u16(buf, at + 2)
        atype = u16(buf, at + 4)
        value = bytes(buf[at + 6 : at + size])
        at += size
        if mtype < 0:
            if atype != MESSAGE_TYPE or vendor or size != 8 or flags & 0x7C:
                return -1, avps, (ERROR_VALUE, "no Message Type in front")
            mtype = u16(value, 0)
            if flags & 0x80 and not _known(mtype):
                problem = (ERROR_UNKNOWN_AVP, "unknown message type " + str(mtype))
            continue
        if len(avps) >= MAX_AVPS:
            return mtype, avps, (ERROR_RESOURCES, "more than 64 AVPs")
        if vendor or _spec(atype) == _UNKNOWN or flags & 0x3C:
            # Reserved bits make an AVP one that is not recognised (§4.1).
            if flags & 0x80 and problem is None:
                problem = (ERROR_UNKNOWN_AVP, "unknown mandatory AVP " + str(vendor) + "/" + str(atype))
            continue
        if atype == RANDOM_VECTOR:
            vector = value
            continue
        if flags & 0x40:
            value = _reveal(value, atype, secret, vector) if secret and vector is not None else None
        if value is not None:
            value = _read(_SPEC[atype] & _KIND, value)
        if value is not None:
            avps.append((atype, value))
        elif flags & 0x80 and problem is None:
            problem = (ERROR_LENGTH, "AVP " + str(atype) + " cannot be read" + (" (hidden)" if flags & 0x40 else ""))
    return mtype, avps, problem


def _known(mtype):
    return 0 < mtype <= SLI and mtype not in (5, 13)  # the RFC's two gaps


def get(avps, atype, default=None):
    """The value of the first AVP of that type, or ``default``."""
    for t, value in avps:
        if t == atype:
            return value
    return default
