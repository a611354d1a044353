"""Names to IPv4 addresses (RFC 1035): a question of one name, and what is in the answer."""

from ..fault import DNS, Fault
from ..wire.ip import get16, put16

PORT = 53
MAX_ADDRESSES = 16  # taken of one answer
_MAX_RECORDS = 64  # looked at in one answer
_HEADER = 12
_TYPE_A = 1
_CLASS_IN = 1
_RECURSION_DESIRED = 1
_ANSWER = 0x80
_NO_SUCH_NAME = 3
_POINTER = 0xC0  # RFC 1035 §4.1.4


def question(name, identifier):
    """The packet that asks for the addresses of ``name``; None when it is no name (§2.3.4)."""
    out = bytearray(_HEADER)
    put16(out, 0, identifier)
    out[2] = _RECURSION_DESIRED
    out[5] = 1
    for label in (name[:-1] if name.endswith(".") else name).split("."):
        if not 1 <= len(label) <= 63:
            return None
        out += bytes((len(label),)) + label.encode()
    out += bytes((0, 0, _TYPE_A, 0, _CLASS_IN))
    return bytes(out) if len(out) <= _HEADER + 255 + 4 else None


def parse(buf, start, end, asked):
    """Addresses (4 bytes each) in the answer to the packet ``asked``; a Fault; None when it is not the answer to it."""
    tail = len(asked) - _HEADER
    if end - start < _HEADER + tail or get16(buf, start) != get16(asked, 0) or not buf[start + 2] & _ANSWER:
        return None
    at = start + _HEADER
    if bytes(buf[at : at + tail]).lower() != asked[_HEADER:].lower():
        return None
    code = buf[start + 3] & 15
    if code:
        cause = "no such name" if code == _NO_SUCH_NAME else "the name server refuses, with code %d" % code
        return Fault(DNS, cause, "", "check the name")
    found = []
    at += tail
    for _ in range(min(get16(buf, start + 6), _MAX_RECORDS)):
        at = _skip_name(buf, at, end)
        if at + 10 > end:
            break
        size = get16(buf, at + 8)
        data = at + 10
        at = data + size
        if at > end:
            break
        if get16(buf, data - 10) == _TYPE_A and get16(buf, data - 8) == _CLASS_IN and size == 4:
            found.append(bytes(buf[data:at]))
    return found[:MAX_ADDRESSES] or Fault(DNS, "the name has no address")


def _skip_name(buf, at, end):
    """The index after a name; one that ends nowhere ends beyond ``end``."""
    while at < end:
        size = buf[at]
        if size >= _POINTER:
            return at + 2
        at += 1 + size
        if not size:
            return at
    return end + 1
