"""rtnetlink(7), as much as a tunnel needs: messages to the kernel's tables of links, addresses, routes and rules.

pyroute2 can all of this and much more; docs/architecture.md has what it would cost.
"""

import errno
import os
import socket
import struct

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")
_ROOM = 1 << 18  # no message of a dump is longer

_ERROR = 2  # types of messages
_DONE = 3

REQUEST = 1  # flags
ACK = 4
DUMP = 0x300
REPLACE = 0x100
EXCLUSIVE = 0x200
CREATE = 0x400


class Netlink:
    """``call`` sends one message and waits for the kernel's answer, which is there at once."""

    def __init__(self):
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sock.bind((0, 0))
        self._sequence = 0

    def close(self):
        """Close the socket."""
        self._sock.close()

    def call(self, kind, flags, fixed, attributes=()):
        """Messages of the answer, as ``(fixed part and all behind it)``, bytes; raises OSError when it is refused.

        ``fixed``: the structure that such a message begins with; ``attributes``: pairs of type and bytes.
        """
        self._sequence = self._sequence + 1 & 0xFFFFFFFF
        body = fixed + b"".join(attribute(number, value) for number, value in attributes)
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags | REQUEST | ACK, self._sequence, 0)
        self._sock.send(header + body)
        answer = []
        while True:
            data = self._sock.recv(_ROOM)
            at = 0
            while at + _HEADER.size <= len(data):
                size, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
                if sequence == self._sequence:
                    if kind in (_ERROR, _DONE):
                        code = -_CODE.unpack_from(data, at + _HEADER.size)[0]
                        if code:
                            raise OSError(code, os.strerror(code))
                        return answer
                    answer.append(data[at + _HEADER.size : at + size])
                at += max(_HEADER.size, size + 3 & ~3)


def attribute(number, value):
    """One attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), number) + value + bytes(-len(value) % 4)


def attributes_of(message, fixed):
    """Attributes behind the ``fixed`` first bytes of a message: type -> bytes."""
    found = {}
    at = fixed
    while at + _ATTRIBUTE.size <= len(message):
        size, number = _ATTRIBUTE.unpack_from(message, at)
        if size < _ATTRIBUTE.size:
            break
        found[number & 0x3FFF] = message[at + _ATTRIBUTE.size : at + size]
        at += size + 3 & ~3
    return found


def gone(error):
    """True when what was to be taken back is not there any more."""
    return error.errno in (errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL)
