"""IP, TCP and UDP headers as batches need them: what may be merged, what moves from one packet to the next, checksums.

Sums are the one's-complement sums of RFC 1071, kept as ints modulo 65535. They are indifferent to byte order
(RFC 1071 §2 B): summed in the host's order they come out with their two bytes swapped.
"""

import sys

ORDER = sys.byteorder
# Swaps the bytes of a sum in the host's order, modulo 65535.
SWAP = 256 if ORDER == "little" else 1

TCP = 6
UDP = 17
FIN = 0x01
SYN = 0x02
PSH = 0x08
ACK = 0x10
CWR = 0x80

L2TP_T = 0x80  # bits of the first octet of an L2TP header (RFC 2661 §3.1)
L2TP_L = 0x40
L2TP_S = 0x08
L2TP_O = 0x02
_MSS_OPTION = 2
_MAX_LAYOUTS = 64  # header forms remembered; one peer uses two or three


def checksum(view):
    """The checksum (RFC 1071), an int in network order, of ``view``: an even number of bytes, its own field zero."""
    return -int.from_bytes(view, "big") % 65535


def finish_checksum(buf, start, end, offset):
    """Make the checksum of ``buf[start:end]`` whose field at ``start + offset`` holds the sum of the pseudo-header.

    Zero becomes FFFF: for UDP it would mean none, for TCP they are the same (RFC 768, RFC 1624 §3).
    """
    total = int.from_bytes(buf[start:end], ORDER)
    if ORDER == "big" and (end - start) & 1:
        total <<= 8
    at = start + offset
    buf[at : at + 2] = (-total % 65535 or 0xFFFF).to_bytes(2, ORDER)


def pseudo_sum(buf, ip, l4):
    """The pseudo-header of TCP and UDP, without its length: addresses and protocol (RFC 9293 §3.1, RFC 8200 §8.1)."""
    if l4 == 20:
        return int.from_bytes(buf[ip + 12 : ip + 20], "big") + buf[ip + 9]
    return int.from_bytes(buf[ip + 8 : ip + 40], "big") + buf[ip + 6]


def batch_headers(buf, ip, end):
    """``(bytes of IP header, bytes of all headers)`` if the packet ``buf[ip:end]`` may be in a super-packet, else None.

    That is TCP with ACK and perhaps PSH, or UDP with a checksum, with data, without IPv4 options, IPv6 extension
    headers or fragments, and with lengths that agree. ``buf`` can be read up to 80 bytes from ``ip``.
    """
    size = end - ip
    if buf[ip] == 0x45:
        if buf[ip + 6] & 0xBF or buf[ip + 7] or buf[ip + 2] << 8 | buf[ip + 3] != size:
            return None
        l4 = 20
        protocol = buf[ip + 9]
    elif buf[ip] >> 4 == 6:
        if (buf[ip + 4] << 8 | buf[ip + 5]) + 40 != size:
            return None
        l4 = 40
        protocol = buf[ip + 6]
    else:
        return None
    at = ip + l4
    if protocol == TCP and size > l4 + 20:
        offset = buf[at + 12]
        head = l4 + (offset >> 4) * 4
        if offset >= 0x50 and not offset & 0x0F and buf[at + 13] & ~PSH == ACK and head < size:
            return l4, head
    elif protocol == UDP and size > l4 + 8 and (buf[at + 4] << 8 | buf[at + 5]) == size - l4:
        return (l4, l4 + 8) if buf[at + 6] or buf[at + 7] else None
    return None


class Layout:
    """Where what is in the headers of a run of datagrams: L2TP and PPP (``size`` bytes), IP (``l4``), all (``head``).

    ``moving``: fields that differ from one to the next, as (offset, bytes, step, shrinks): a number grows by ``step``
    (None: by the data bytes); one that ``shrinks`` is a length. ``field``: offset of the TCP or UDP checksum;
    ``flags``: of the TCP flags, or 0. ``summed`` masks, as bytes, all but the checksum and PSH; ``fixed``, as int, what
    never moves.
    """

    def __init__(self, first, size, l4, head, tcp, ident):
        self.tcp = tcp
        self.row = size + head
        self.l4 = size + l4
        self.field = self.l4 + (16 if tcp else 6)
        self.flags = self.l4 + 13 if tcp else 0
        moving = []
        if first & L2TP_L:
            moving.append((2, 2, 0, True))
        if first & L2TP_S:
            moving.append((ns_offset(first), 2, 1, False))
        if l4 == 20:
            moving += [(size + 2, 2, 0, True), (size + 4, 2, ident, False)]
        else:
            moving.append((size + 4, 2, 0, True))
        moving.append((self.l4 + 4, 4, None, False) if tcp else (self.l4 + 4, 2, 0, True))
        self.moving = tuple(moving)
        mask = bytearray(b"\xff" * self.row)
        mask[self.field] = mask[self.field + 1] = 0
        if tcp:
            mask[self.flags] = 0xFF & ~PSH
        self.summed = bytes(mask)
        for offset, width, _, _ in moving:
            mask[offset : offset + width] = bytes(width)
        if l4 == 20:
            mask[size + 10] = mask[size + 11] = 0
        self.fixed = int.from_bytes(mask, "big")


_layouts = {}


def layout(first, size, l4, head, tcp, ident=1):
    """The Layout for L2TP headers whose first octet is ``first``; ``ident``: the step of the IPv4 identification."""
    key = (first, size, l4, head, tcp, ident)
    found = _layouts.get(key)
    if found is None:
        if len(_layouts) >= _MAX_LAYOUTS:
            _layouts.clear()
        found = _layouts[key] = Layout(*key)
    return found


def ns_offset(first):
    """Where Ns is in a data header that starts with the octet ``first``; only when it has S."""
    return 8 if first & L2TP_L else 6


def ident_step(buf, ip, other, l4):
    """By how much the IPv4 identification grows from the packet at ``ip`` to the one at ``other``, or None: no run.

    0 only where it has no meaning, in packets that may not be fragmented (RFC 6864 §4.1).
    """
    if l4 != 20:
        return 1
    step = (buf[other + 4] << 8 | buf[other + 5]) - (buf[ip + 4] << 8 | buf[ip + 5]) & 0xFFFF
    return step if step == 1 or (not step and buf[ip + 6] & 0x40) else None


def clamp_mss(buf, ip, end, mss):
    """Lower the MSS option of a TCP SYN in ``buf[ip:end]`` to ``mss`` and mend the checksum; True when it was changed.

    ``mss`` is for IPv4; IPv6 gets 20 less. Fragments and packets with IPv6 extension headers are left alone.
    ``buf`` can be read up to 80 bytes from ``ip``.
    """
    if buf[ip] >> 4 == 4:
        at = ip + (buf[ip] & 0x0F) * 4
        if not buf[at + 13] & SYN or buf[ip + 9] != TCP or buf[ip + 6] & 0x1F or buf[ip + 7]:
            return False
    else:
        at = ip + 40
        mss -= 20
        if not buf[at + 13] & SYN or buf[ip + 6] != TCP:
            return False
    stop = at + (buf[at + 12] >> 4) * 4
    option = at + 20
    if stop > end:
        return False
    while option < stop and buf[option]:
        if buf[option] == 1:
            option += 1
            continue
        if option + 1 >= stop or buf[option + 1] < 2:
            return False
        if buf[option] == _MSS_OPTION and buf[option + 1] == 4 and option + 4 <= stop:
            return _lower_mss(buf, at, option + 2, mss)
        option += buf[option + 1]
    return False


def _lower_mss(buf, at, option, mss):
    """Lower the value at ``option`` of the TCP header at ``at``."""
    old = buf[option] << 8 | buf[option + 1]
    if old <= mss:
        return False
    # RFC 1624 §3: the checksum grows by what the data lose; at an odd offset with the bytes swapped.
    change = (old - mss) * (256 if option - at & 1 else 1)
    total = ((buf[at + 16] << 8 | buf[at + 17]) + change) % 65535
    buf[option] = mss >> 8
    buf[option + 1] = mss & 0xFF
    buf[at + 16] = total >> 8
    buf[at + 17] = total & 0xFF
    return True
