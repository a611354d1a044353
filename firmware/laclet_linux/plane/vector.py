"""Batches of packets with numpy: what ``plain`` does one by one, for all rows of several super-packets at once.

A batch is a matrix with a datagram in each row. Numbers that grow from row to row are columns: a first value plus
multiples of a step, and so is the IPv4 header checksum, which falls as the identification grows. Cutting fills the
columns in; merging fills them in from the first row, and compares with what came.

numpy's cost is in the number of calls, not in the bytes: views are made once for each shape and kept in plans, and
super-packets of one shape go through together. All arrays have the super-packets as their first axis, rows as second.
"""

import numpy as np

from .headers import L2TP_S, PSH, SWAP, checksum, ident_step, layout, ns_offset, pseudo_sum
from .plain import GROUP, MAX_GROUP, MAX_MERGE, OUT, Plain, first_row, segment_flags

_IP = 32  # column of the IP header in a matrix of headers: L2TP and PPP, up to 20 bytes, in front
_WIDTH = 160  # _IP + IPv6 40 + TCP 60 and more, in whole words
_ROWS = MAX_MERGE * _WIDTH  # bytes of one such matrix
_MAX_PACKET = 65_535
# A multiple of 65535 that no sum here reaches: _ZERO - x is minus x, without signs.
_ZERO = 65535 * 65535
_MAX_PLANS = 256  # about 3 kB each; bulk traffic needs a handful

_COUNT = np.arange(MAX_MERGE, dtype=np.uint16)
_FOLD = np.uint32(65535)


class _Rows:
    """Views of the headers of ``n`` rows in each of ``groups`` super-packets.

    They are in ``buf``, the first IP header at ``ip``, ``pitch`` bytes from row to row, ``stride`` from one
    super-packet to the next.
    """

    def __init__(self, form, buf, ip, groups, stride, n, pitch, mss, size, l4, first):
        def numbers(kind, at):
            return np.ndarray((groups, n), kind, buf, at, (stride, pitch))

        self.form = form
        self.buf = buf
        self.ip = ip
        self.size = size
        self.l4 = l4
        self.last = ip - size + (n - 1) * pitch
        self.heads = np.ndarray((groups, n, form.row), np.uint8, buf, ip - size, (stride, pitch, 1))
        self.sequence = numbers(">u4", ip + l4 + 4) if form.tcp else None
        self.multiples = np.arange(n, dtype=np.uint32) * np.uint32(mss)
        self.count = _COUNT[:n]
        self.ident = numbers(">u2", ip + 4)
        self.check = numbers(">u2", ip + 10)
        self.ns = numbers(">u2", ip - size + ns_offset(first)) if first & L2TP_S else None
        self.field = numbers(np.uint16, ip - size + form.field)
        self.lengths = [offset for offset, _, _, shrinks in form.moving if shrinks]

    def fill(self, templates, ident):
        """Write one of the ``templates`` into all rows of each super-packet, its numbers growing. False: one wraps."""
        size = self.size
        n = len(self.count)
        rows = np.frombuffer(b"".join(templates), np.uint8).reshape(len(templates), 1, -1)
        self.heads[:] = rows
        if self.sequence is not None:
            at = size + self.l4 + 4
            np.add(self.multiples, rows[:, 0, at : at + 4].view(">u4"), self.sequence)
        if ident and self.l4 == 20:
            for row in templates:
                if (row[size + 4] << 8 | row[size + 5]) + n > 0x10000 or (row[size + 10] << 8 | row[size + 11]) < n:
                    return False
            np.add(self.count, rows[:, 0, size + 4 : size + 6].view(">u2"), self.ident)
            np.subtract(rows[:, 0, size + 10 : size + 12].view(">u2"), self.count, self.check)
        if self.ns is not None:
            at = ns_offset(templates[0][0])
            np.add(self.count, rows[:, 0, at : at + 2].view(">u2"), self.ns)
        return True

    def shorten(self, short):
        """Make the last row, of the one super-packet there is, ``short`` bytes shorter."""
        buf = self.buf
        for at in self.lengths:
            at += self.last
            value = (buf[at] << 8 | buf[at + 1]) - short
            buf[at] = value >> 8
            buf[at + 1] = value & 0xFF
        if self.l4 == 20:
            at = self.last + self.size
            buf[at + 10] = buf[at + 11] = 0
            buf[at + 10 : at + 12] = checksum(buf[at : at + 20]).to_bytes(2, "big")


class _CutPlan(_Rows):
    """All views for one shape of cut; ``data`` is where the first segment's data are in ``source``."""

    def __init__(self, form, out, source, data, groups, stride, n, mss, size, l4, first):
        width = form.row + mss
        super().__init__(form, out, OUT + size, groups, GROUP, n, width, mss, size, l4, first)
        self.source = source
        self.given = np.ndarray((groups, n, mss), np.uint8, source, data, (stride, mss, 1))
        self.data = np.ndarray((groups, n, mss), np.uint8, out, OUT + form.row, (GROUP, width, 1))
        words = (width - form.l4) >> 1
        self.summed = np.ndarray((groups, n, words), np.uint16, out, OUT + form.l4, (GROUP, width, 2))
        self.sums = np.empty((groups, n), np.uint32)


class _MergePlan(_Rows):
    """All views for one shape of merge; the expected headers stand in ``made``, those that came in ``came``."""

    def __init__(self, form, out, source, at, groups, stride, pitch, n, mss, size, l4, head, first, made, came):
        super().__init__(form, made, _IP, groups, _ROWS, n, _WIDTH, mss, size, l4, first)
        self.source = source
        column = _IP - size
        words = slice(column >> 2, (column + form.row) >> 2)
        self.arrived = np.ndarray((groups, n, form.row), np.uint8, source, at, (stride, pitch, 1))
        self.came = np.ndarray((groups, n, form.row), np.uint8, came, column, (_ROWS, _WIDTH, 1))

        def matrix(buf, kind):
            return np.frombuffer(buf, kind).reshape(MAX_GROUP, MAX_MERGE, -1)[:groups, :n]

        self.came_words = matrix(came, np.uint32)[:, :, words]
        self.made_words = matrix(made, np.uint32)[:, :, words]
        self.transport = matrix(came, np.uint16)[:, :, (_IP + l4) >> 1 : (_IP + head) >> 1]
        self.mask = np.frombuffer(bytes(column) + form.summed, np.uint32)[words]
        self.differ = np.empty((groups, n, self.mask.size), np.uint32)
        # The last row may be shorter, and is copied by itself.
        self.given = np.ndarray((groups, n - 1, mss), np.uint8, source, at + form.row, (stride, pitch, 1))
        self.data = np.ndarray((groups, n - 1, mss), np.uint8, out, OUT + head, (GROUP, mss, 1))
        self.summed = np.ndarray((groups, n, mss >> 1), np.uint16, out, OUT + head, (GROUP, mss, 2))


class Vector(Plain):
    """Cuts and merges with numpy. Data of odd length and numbers that wrap, which are rare, go the plain way."""

    groups = MAX_GROUP

    def __init__(self):
        super().__init__()
        self._made = bytearray(MAX_GROUP * _ROWS)
        self._came = bytearray(MAX_GROUP * _ROWS)
        self._cuts = {}
        self._merges = {}

    # -- from the interface to the tunnel -------------------------------------------------------------

    def cut(self, buf, ip, end, l4, head, mss, prefix, first, n):
        """As Plain.cut()."""
        short = max(0, ip + head + (first + n) * mss - end)
        if mss & 1 or not self._cut(buf, (ip,), l4, head, mss, (prefix,), first, n, short, end):
            super().cut(buf, ip, end, l4, head, mss, prefix, first, n)

    def cut_all(self, buf, ips, l4, head, mss, prefixes, n):
        """As Plain.cut_all()."""
        return not mss & 1 and self._cut(buf, ips, l4, head, mss, prefixes, 0, n, 0, ips[0] + head + n * mss)

    def _cut(self, buf, ips, l4, head, mss, prefixes, first, n, short, end):
        data = ips[0] + head + first * mss
        size = len(prefixes[0])
        groups = len(ips)
        stride = ips[1] - ips[0] if groups > 1 else 0
        key = (prefixes[0][0], size, l4, head, mss, n, data, groups, stride)
        plan = self._cuts.get(key)
        if plan is None or plan.source is not buf:
            form = layout(prefixes[0][0], size, l4, head, head > l4 + 8)
            plan = _CutPlan(form, self.out, buf, data, groups, stride, n, mss, size, l4, prefixes[0][0])
            _keep(self._cuts, key, plan)
        form = plan.form
        templates = [first_row(buf, ip, l4, head, mss, prefix, first) for ip, prefix in zip(ips, prefixes, strict=True)]
        if l4 == 20:
            for row in templates:
                row[size + 10 : size + 12] = checksum(row[size : size + 20]).to_bytes(2, "big")
        if not plan.fill(templates, 1):
            return False
        out = self.out
        width = form.row + mss
        plan.data[:] = plan.given
        if short:
            plan.shorten(short)
            at = OUT + n * width
            out[at - short : at] = bytes(short)  # so that the last row sums like the others
        if form.flags:
            at = OUT + form.flags
            for ip in ips:
                flags = buf[ip + l4 + 13]
                if not first:
                    out[at] = segment_flags(flags, True, False)
                if data + n * mss >= end:
                    out[at + (n - 1) * width] = segment_flags(flags, n == 1 and not first, True)
                at += GROUP
        # Summed in the host's order and stored in the host's order: nothing is swapped but the constants.
        sums = plan.sums
        np.add.reduce(plan.summed, 2, np.uint32, sums)
        if short:
            sums[0, n - 1] += -short * SWAP % 65535
        extra = head - l4 + mss
        if groups == 1:
            total = _ZERO - (pseudo_sum(buf, ips[0], l4) + extra) * SWAP % 65535
        else:
            totals = [_ZERO - (pseudo_sum(buf, ip, l4) + extra) * SWAP % 65535 for ip in ips]
            total = np.array(totals, np.uint32).reshape(groups, 1)
        np.subtract(total, sums, sums)
        np.remainder(sums, _FOLD, sums)
        if not form.tcp:
            sums[sums == 0] = 0xFFFF
        plan.field[:] = sums
        self.size = n * width - short
        return True

    def pack(self, buf, ip, pitch, n, size, prefix, start, offset):
        """As Plain.pack(); ``pitch`` and ``ip`` are even, and the byte behind each packet may be overwritten."""
        rows = np.ndarray((n, pitch), np.uint8, buf, ip)
        if offset:
            if size & 1:
                rows[:, size] = 0
            words = rows.view(np.uint16)
            sums = np.add.reduce(words[:, start >> 1 : (size + 1) >> 1], 1, np.uint32)
            np.subtract(_ZERO, sums, sums)
            np.remainder(sums, _FOLD, sums)
            sums[sums == 0] = 0xFFFF
            words[:, (start + offset) >> 1] = sums
        length = len(prefix)
        width = length + size
        out = np.ndarray((n, width), np.uint8, self.out, OUT)
        out[:, :length] = np.frombuffer(prefix, np.uint8)
        if prefix[0] & L2TP_S:
            at = ns_offset(prefix[0])
            ns = np.ndarray((n,), ">u2", self.out, OUT + at, (width,))
            np.add(_COUNT[:n], prefix[at] << 8 | prefix[at + 1], ns)
        out[:, length:] = rows[:, :size]
        self.size = n * width

    # -- from the tunnel to the interface ---------------------------------------------------------------

    def merge(self, buf, at, pitch, n, length, last, size, l4, head, local):
        """As Plain.merge()."""
        ip = at + size
        mss = length - size - head
        short = length - last
        if short >= mss:
            n -= 1
            short = 0
        most = (_MAX_PACKET - head) // mss
        if most < n:
            n = most
            short = 0
        ident = ident_step(buf, ip, ip + pitch, l4)
        if n < 2 or ident is None:
            return 1
        if mss & 1 or size > _IP:
            return super().merge(buf, at, pitch, n, length, length - short, size, l4, head, local)
        agree = self._agree(buf, (at,), pitch, n, mss, short, size, l4, head, ident)
        if agree is None:
            return super().merge(buf, at, pitch, n, length, length - short, size, l4, head, local)
        if agree < n:
            return self.merge(buf, at, pitch, agree, length, length, size, l4, head, local) if agree > 1 else agree
        return self._gather(buf, (at,), pitch, n, mss, short, size, l4, head, ident, local)

    def merge_all(self, buf, ats, pitch, n, length, size, l4, head, local):
        """As Plain.merge_all()."""
        ip = ats[0] + size
        mss = length - size - head
        ident = ident_step(buf, ip, ip + pitch, l4)
        if mss & 1 or size > _IP or ident is None or n * mss + head > _MAX_PACKET or not 1 < n <= MAX_MERGE:
            return False
        if self._agree(buf, ats, pitch, n, mss, 0, size, l4, head, ident) != n:
            return False
        return self._gather(buf, ats, pitch, n, mss, 0, size, l4, head, ident, local) == n

    def _plan(self, buf, ats, pitch, n, mss, size, l4, head, ident):
        stride = ats[1] - ats[0] if len(ats) > 1 else 0
        key = (buf[ats[0]], size, l4, head, pitch, n, mss, ats[0], ident, len(ats), stride)
        plan = self._merges.get(key)
        if plan is None or plan.source is not buf:
            form = layout(buf[ats[0]], size, l4, head, head > l4 + 8, ident)
            plan = _MergePlan(
                *(form, self.out, buf, ats[0], len(ats), stride, pitch, n, mss, size, l4, head, buf[ats[0]]),
                *(self._made, self._came),
            )
            _keep(self._merges, key, plan)
        return plan

    def _agree(self, buf, ats, pitch, n, mss, short, size, l4, head, ident):
        """How many rows of all super-packets have the headers they should have; None: a number wraps."""
        plan = self._plan(buf, ats, pitch, n, mss, size, l4, head, ident)
        form = plan.form
        templates = [buf[at : at + form.row] for at in ats]
        plan.came[:] = plan.arrived
        column = _IP - size + form.flags
        for row in templates:
            if l4 == 20 and int.from_bytes(row[size : size + 20], "big") % 65535:
                return 0
            if form.tcp:  # PSH ends a super-packet
                pushed = self._came[column : column + n * _WIDTH : _WIDTH].find(row[form.flags] | PSH) + 1
                if 0 < pushed < n:
                    return pushed
                column += _ROWS
        if not plan.fill(templates, ident):
            return None
        if short:
            plan.shorten(short)
        differ = plan.differ
        np.bitwise_xor(plan.made_words, plan.came_words, differ)
        np.bitwise_and(differ, plan.mask, differ)
        return int(differ.any(axis=2).any(axis=0).argmax()) if np.count_nonzero(differ) else n

    def _gather(self, buf, ats, pitch, n, mss, short, size, l4, head, ident, local):
        """Make the super-packets, whose headers agree: ``n``, or how many datagrams come before the first wrong one."""
        plan = self._plan(buf, ats, pitch, n, mss, size, l4, head, ident)
        out = self.out
        form = plan.form
        plan.data[:] = plan.given
        final = (n - 1) * pitch + form.row
        end = OUT + head + n * mss - short
        for at in ats:
            out[end - mss + short : end] = buf[at + final : at + final + mss - short]
            end += GROUP
        totals = [pseudo_sum(buf, at + size, l4) + head - l4 + mss for at in ats]
        if local and form.tcp:
            sums = np.add.reduce(plan.transport, (1, 2), np.uint32).tolist()
            payloads = [-(known * SWAP + n * total - short) for known, total in zip(sums, totals, strict=True)]
        else:
            payloads = [None] * len(ats)
            good = self._verified(plan, n, mss, short, OUT + head + n * mss - short, totals)
            if good < n:
                if good < 2 or len(ats) > 1:
                    return good
                n = good
                short = 0
        end = OUT + head + n * mss - short
        for i, at in enumerate(ats):
            push = buf[at + (n - 1) * pitch + form.flags] & PSH if form.tcp else 0
            self._finish(buf, at + size, form, l4, head, mss, OUT + i * GROUP, end + i * GROUP, push, payloads[i])
        return n

    def _verified(self, plan, n, mss, short, end, totals):
        """How many of the gathered datagrams, in all super-packets, have the right checksum from the first on."""
        self.out[end : end + short] = bytes(short)  # so that the last row sums like the others
        sums = np.add.reduce(plan.summed, 2, np.uint32)
        sums += np.add.reduce(plan.transport, 2, np.uint32)
        sums += np.array([total * SWAP % 65535 for total in totals], np.uint32).reshape(-1, 1)
        if short:
            sums[0, n - 1] += -short * SWAP % 65535
        np.remainder(sums, _FOLD, sums)
        return int(sums.any(axis=0).argmax()) if np.count_nonzero(sums) else n


def _keep(plans, key, plan):
    if len(plans) >= _MAX_PLANS:
        plans.clear()
    plans[key] = plan
