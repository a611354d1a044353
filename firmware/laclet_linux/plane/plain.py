"""Batches of packets, in plain Python: super-packets cut into L2TP datagrams, datagrams merged into super-packets.

A super-packet is what the kernel makes of many TCP segments or UDP datagrams of one flow: one header, all their data.
``vector.Vector`` does the same with numpy, several times faster; the results are equal byte for byte.
"""

import struct

from .headers import CWR, FIN, PSH, checksum, finish_checksum, ident_step, layout, ns_offset, pseudo_sum
from .tun import GSO_TCP4, GSO_TCP6, GSO_UDP, NEEDS_CSUM, VNET

OUT = 64  # where results start in ``out``: a virtio header goes in front, and it is even
# Results for several super-packets stand at this distance: the largest packet, and a virtio header in front of it.
GROUP = 66_560
MAX_GROUP = 8
# Datagrams merged at once: UDP_MAX_SEGMENTS of newer kernels, hence what one UDP_GRO read can hold.
MAX_MERGE = 128
_MAX_PACKET = 65_535
_SHORT = struct.Struct("!H")
_LONG = struct.Struct("!I")
_LENGTH_IDENT = struct.Struct("!HH")


class Plain:
    """Cuts and merges with the interpreter's own means. A result is in ``out[OUT : OUT + size]`` until the next call.

    ``groups``: super-packets that cut_all() and merge_all() take at once.
    """

    groups = 1

    def __init__(self):
        self.out = bytearray(OUT + MAX_GROUP * GROUP + 65_536)  # at its end: rows may be handled beyond their end
        self.size = 0

    # -- from the interface to the tunnel -------------------------------------------------------------

    def cut(self, buf, ip, end, l4, head, mss, prefix, first, n):
        """Make ``n`` datagrams of the super-packet ``buf[ip:end]``, from its segment number ``first`` on.

        ``l4`` and ``head``: bytes of IP header, of all headers; ``mss``: data bytes of every segment but the last.
        ``prefix``: L2TP and PPP header of the first of them, with its length and Ns. Each datagram has
        ``len(prefix) + head + mss`` bytes, but the super-packet's last may have fewer. What is behind ``end`` is lost.
        """
        form = layout(prefix[0], len(prefix), l4, head, head > l4 + 8)
        row = first_row(buf, ip, l4, head, mss, prefix, first)
        pseudo = pseudo_sum(buf, ip, l4)
        starts = [int.from_bytes(row[offset : offset + width], "big") for offset, width, _, _ in form.moving]
        out = self.out
        size = len(prefix)
        at = OUT
        data = ip + head + first * mss
        with memoryview(buf) as source:
            for i in range(n):
                short = max(0, data + mss - end)
                for (offset, width, step, shrinks), value in zip(form.moving, starts, strict=True):
                    value += i * (mss if step is None else step) - (short if shrinks else 0)
                    row[offset : offset + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "big")
                if form.flags:
                    row[form.flags] = segment_flags(buf[ip + l4 + 13], first + i == 0, data + mss >= end)
                total = form.row + mss - short
                row[form.field : form.field + 2] = ((pseudo + total - form.l4) % 65535).to_bytes(2, "big")
                if l4 == 20:
                    row[size + 10 : size + 12] = b"\0\0"
                    row[size + 10 : size + 12] = checksum(row[size : size + 20]).to_bytes(2, "big")
                out[at : at + form.row] = row
                out[at + form.row : at + total] = source[data : data + mss - short]
                finish_checksum(out, at + form.l4, at + total, form.field - form.l4)
                at += total
                data += mss
        self.size = at - OUT

    def cut_all(self, buf, ips, l4, head, mss, prefixes, n):
        """Cut super-packets of ``n`` full segments each, at the same distance in ``buf``; False: one by one, please.

        The datagrams of the first are at ``OUT``, of the next at ``OUT + GROUP`` …
        """
        return False

    def pack(self, buf, ip, pitch, n, size, prefix, start, offset):
        """Make datagrams of the ``n`` packets of ``size`` bytes at ``ip``, ``ip + pitch`` …

        Where ``offset`` is not 0 their checksum is still to be made: over all bytes from ``start`` on, into the field
        at ``start + offset``, which holds the sum of the pseudo-header. ``prefix`` as for cut().
        """
        out = self.out
        ns = ns_offset(prefix[0]) if prefix[0] & 0x08 else 0
        at = OUT
        with memoryview(buf) as source:
            for i in range(n):
                if offset:
                    finish_checksum(buf, ip + start, ip + size, offset)
                out[at : at + len(prefix)] = prefix
                if ns:
                    number = (prefix[ns] << 8 | prefix[ns + 1]) + i
                    out[at + ns : at + ns + 2] = (number & 0xFFFF).to_bytes(2, "big")
                at += len(prefix)
                out[at : at + size] = source[ip : ip + size]
                at += size
                ip += pitch
        self.size = at - OUT

    # -- from the tunnel to the interface ---------------------------------------------------------------

    def merge(self, buf, at, pitch, n, length, last, size, l4, head, local):
        """Make a super-packet of the datagrams at ``at``, ``at + pitch`` …, as many as go together; how many did.

        ``n`` datagrams of ``length`` bytes, the last of ``last``. ``size``: bytes of L2TP and PPP header; ``l4`` and
        ``head`` as batch_headers() gave them for the first. 1: the first must go alone; 0: its checksum is wrong.
        The super-packet has its virtio header in front of it.

        With ``local`` the packets are for this host, and nobody looks at TCP data here: the sum of each segment's data
        follows from its own header and checksum, the sum of those makes the checksum of the whole, and the kernel finds
        it wrong if one of them was. A kernel that forwards does not look, and makes new checksums when it cuts: then
        each segment is verified here, and the whole is marked NEEDS_CSUM. So are UDP super-packets, always.
        """
        ip = at + size
        ident = ident_step(buf, ip, ip + pitch, l4)
        if ident is None:
            return 1
        form = layout(buf[at], size, l4, head, head > l4 + 8, ident)
        local = local and form.tcp
        mss = length - form.row
        pseudo = pseudo_sum(buf, ip, l4)
        payload = taken = push = 0
        end = OUT + head
        with memoryview(buf) as source:
            first = int.from_bytes(source[at : at + form.row], "big")
            for i in range(min(n, (_MAX_PACKET - head) // mss)):
                short = length - last if i == n - 1 else 0
                row = int.from_bytes(source[at : at + form.row], "big")
                if short >= mss or not _follows(form, first, row, i, mss, short):
                    break
                if l4 == 20 and (row >> 8 * (head - 20) & (1 << 160) - 1) % 65535:
                    break
                rest = source[at + form.row : at + length - short]
                known = (row & (1 << 8 * (head - l4)) - 1) + pseudo + head - l4 + len(rest)
                summed = -known if local else int.from_bytes(rest, "big") << (8 if len(rest) & 1 else 0)
                if (known + summed) % 65535:
                    break
                payload += summed << (8 if i & mss & 1 else 0)
                self.out[end : end + len(rest)] = rest
                end += len(rest)
                at += pitch
                taken += 1
                if form.tcp and buf[at - pitch + form.flags] & PSH:
                    push = PSH
                    break
            rest = None
        if taken > 1:
            self._finish(buf, ip, form, l4, head, mss, OUT, end, push, payload if local else None)
        return taken

    def merge_all(self, buf, ats, pitch, n, length, size, l4, head, local):
        """Make super-packets of ``n`` datagrams each, all ``length`` bytes long, at the same distance in ``buf``.

        True when all of them went together: the first is at ``OUT``, the next at ``OUT + GROUP`` … False: one by one.
        """
        return False

    def _finish(self, buf, ip, form, l4, head, mss, start, end, push, payload):
        """The headers of the super-packet ``out[start:end]``; ``payload``: the sum of its data, None: NEEDS_CSUM."""
        out = self.out
        self.size = total = end - start
        out[start : start + head] = buf[ip : ip + head]
        if l4 == 20:
            _SHORT.pack_into(out, start + 2, total)
            out[start + 10] = out[start + 11] = 0
            _SHORT.pack_into(out, start + 10, checksum(out[start : start + 20]))
        else:
            _SHORT.pack_into(out, start + 4, total - 40)
        at = start + l4
        offset = form.field - form.l4
        out[at + offset] = out[at + offset + 1] = 0
        if form.tcp:
            out[at + 13] |= push
            gso = GSO_TCP4 if l4 == 20 else GSO_TCP6
        else:
            _SHORT.pack_into(out, at + 4, total - l4)
            gso = GSO_UDP
        value = pseudo_sum(out, start, l4) + total - l4
        if payload is None:
            VNET.pack_into(out, start - VNET.size, NEEDS_CSUM, gso, head, mss, l4, offset)
        else:
            value = -(value + int.from_bytes(out[at : start + head], "big") + payload)
            VNET.pack_into(out, start - VNET.size, 0, gso, head, mss, 0, 0)
        _SHORT.pack_into(out, at + offset, value % 65535)


def first_row(buf, ip, l4, head, mss, prefix, first):
    """The headers of segment ``first`` of the super-packet at ``ip``, behind ``prefix``.

    As if it were full and neither the first nor the last one; both checksums are zero.
    """
    size = len(prefix)
    row = bytearray(prefix) + buf[ip : ip + head]
    at = size + l4
    if l4 == 20:
        _LENGTH_IDENT.pack_into(row, size + 2, head + mss, (buf[ip + 4] << 8 | buf[ip + 5]) + first & 0xFFFF)
        row[size + 10] = row[size + 11] = 0
    else:
        _SHORT.pack_into(row, size + 4, head - 40 + mss)
    if head > l4 + 8:
        sequence = int.from_bytes(row[at + 4 : at + 8], "big") + first * mss
        _LONG.pack_into(row, at + 4, sequence & 0xFFFFFFFF)
        row[at + 13] &= ~(FIN | PSH | CWR)
        row[at + 16] = row[at + 17] = 0
    else:
        _SHORT.pack_into(row, at + 4, head - l4 + mss)
        row[at + 6] = row[at + 7] = 0
    return row


def segment_flags(flags, first, last):
    """TCP flags of a segment: CWR belongs to the first only (RFC 3168 §6.1.2), FIN and PSH to the last."""
    return flags & ~(FIN | PSH | CWR) | (flags & CWR if first else 0) | (flags & (FIN | PSH) if last else 0)


def _follows(form, first, row, i, mss, short):
    """True when ``row``, the headers as one int, are those that come ``i`` datagrams after ``first``."""
    if (row ^ first) & form.fixed:
        return False
    for offset, width, step, shrinks in form.moving:
        shift = 8 * (form.row - offset - width)
        value = (first >> shift) + i * (mss if step is None else step) - (short if shrinks else 0)
        if (row >> shift ^ value) & (1 << 8 * width) - 1:
            return False
    return True
