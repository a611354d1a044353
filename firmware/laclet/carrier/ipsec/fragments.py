"""IKEv1 messages in pieces, as Cisco, Microsoft ([MS-IKEE] §3.1.5.12) and strongSwan do it, where both sides say so.

A piece is a message with the cookies of the SA, the exchange of phase 1 and message id 0, and one payload in clear:
next 1 | reserved 1 | length 2 | id of the whole 2 | number, from 1 on 1 | flags 1, on the last 1 | part of the whole
"""

from . import payload as p

_HEAD = 8
_LAST = 1
# Pieces of a whole: strongSwan's smallest are some 200 bytes, and the whole is bounded as every message is.
_MAX_PIECES = 32


def split(message, number, size):
    """The pieces, of ``size`` bytes at most, of a whole ``message``; ``number`` (16 bits) tells wholes apart."""
    room = size - p.HEADER - _HEAD
    exchange = message[p.EXCHANGE] if message[p.EXCHANGE] == p.AGGRESSIVE else p.MAIN
    out = []
    for at in range(0, len(message), room):
        part = message[at : at + room]
        last = _LAST if at + room >= len(message) else 0
        body = p.chain([(p.FRAGMENT, p.p16(number) + bytes((len(out) + 1, last)) + part)])
        out.append(p.header(message[:16], p.FRAGMENT, exchange, 0, bytes(4), len(body)) + body)
    return out


class Fragments:
    """Pieces of one message in the making; those of a newer one push it out."""

    def __init__(self, limit):
        """``limit``: bytes of the longest message."""
        self._limit = limit
        self._id = -1
        self._pieces = {}  # number -> bytes
        self._count = 0  # pieces there are; 0 while the last one is missing

    def add(self, message):
        """The whole when ``message`` was its missing piece; b"" while others are missing; None: it is malformed."""
        found = p.parse(p.FRAGMENT, message, p.HEADER, len(message))
        if not found or found[0][2] - found[0][1] <= 4:
            return None
        start, end = found[0][1:]
        number = message[start + 2]
        if p.u16(message, start) != self._id:
            self._id = p.u16(message, start)
            self._pieces = {}
            self._count = 0
        if not 1 <= number <= _MAX_PIECES or (self._count and number > self._count):
            return None
        self._pieces[number] = message[start + 4 : end]
        if message[start + 3] & _LAST:
            self._count = number
        if sum([len(part) for part in self._pieces.values()]) > self._limit:
            self._pieces = {}
            return None
        if not self._count or any(i + 1 not in self._pieces for i in range(self._count)):
            return b""
        whole = b"".join([self._pieces[i + 1] for i in range(self._count)])
        self._id = -1
        self._pieces = {}
        self._count = 0
        return whole
