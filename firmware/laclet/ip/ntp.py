"""The time of day from a server (SNTP, RFC 4330)."""

from ..fault import UDP, Fault
from ..wire.ip import get16

PORT = 123
_SIZE = 48
_CLIENT = 0x23  # version 4, mode 3
_SERVER = 4
_UNSYNCHRONISED = 3  # leap indicator
_ORIGINATE = 24
_TRANSMIT = 40
_1970 = 2208988800  # s from 1900, where NTP begins
_ERA = 1 << 32


def request(nonce):
    """The packet that asks; the server gives ``nonce`` (8 bytes) back."""
    return bytes((_CLIENT,)) + bytes(_TRANSMIT - 1) + nonce


def parse(buf, start, end, asked):
    """``(seconds since 1970 in UTC, ms)`` in the answer to the packet ``asked``; a Fault; None when it is none."""
    if end - start < _SIZE or buf[start] & 7 != _SERVER:
        return None
    at = start + _ORIGINATE
    if bytes(buf[at : at + 8]) != asked[_TRANSMIT:]:
        return None
    if buf[start] >> 6 == _UNSYNCHRONISED or not 1 <= buf[start + 1] <= 15:
        return Fault(UDP, "the time server does not know the time")
    at = start + _TRANSMIT
    seconds = get16(buf, at) << 16 | get16(buf, at + 2)
    if seconds < _1970:  # the next era, from 2036 on
        seconds += _ERA
    return seconds - _1970, get16(buf, at + 4) * 1000 >> 16
