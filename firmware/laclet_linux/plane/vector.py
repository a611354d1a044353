"""Batches of packets with numpy: what ``plain`` does one by one, for all rows at once.

A batch is a matrix with a datagram in each row. Numbers that grow from row to row are columns: a first value plus
multiples of a step, and so is the IPv4 header checksum, which falls as the identification grows. Cutting fills the
columns in; merging fills them in from the first row, and compares with what came.

numpy's cost is in the number of calls, not in the bytes: views are made once for each shape and kept in plans.
"""

import numpy as np

from .headers import L2TP_S, PSH, SWAP, checksum, ident_step, layout, ns_offset, pseudo_sum
from .plain import MAX_MERGE, OUT, Plain, first_row, segment_flags

_IP = 32  # column of the IP header in a matrix of headers: L2TP and PPP, up to 20 bytes, in front
_WIDTH = 160  # _IP + IPv6 40 + TCP 60 and more, in whole words
_MAX_PACKET = 65_535
# A multiple of 65535 that no sum here reaches: _ZERO - x is minus x, without signs.
_ZERO = 65535 * 65535
_MAX_PLANS = 256  # about 2 kB each; bulk traffic needs a handful

_COUNT = np.arange(MAX_MERGE, dtype=np.uint16)
_FOLD = np.uint32(65535)


class _Columns:
    """Views of the numbers in ``n`` rows of headers: in ``buf``, the first IP header at ``ip``, ``pitch`` bytes apart."""

    def __init__(self, form, buf, ip, pitch, n, mss, size, l4, head, first):
        def words(kind, at, count=1):
            view = np.ndarray((n, count), kind, buf, at, (pitch, np.dtype(kind).itemsize))
            return view if count > 1 else view[:, 0]

        self.heads = np.ndarray((n, form.row), np.uint8, buf, ip - size, (pitch, 1))
        self.sequence = words(">u4", ip + l4 + 4) if form.tcp else None
        self.multiples = np.arange(n, dtype=np.uint32) * np.uint32(mss)
        self.count = _COUNT[:n]
        self.ident = words(">u2", ip + 4) if l4 == 20 else None
        self.check = words(">u2", ip + 10) if l4 == 20 else None
        self.ns = words(">u2", ip - size + ns_offset(first)) if first & L2TP_S else None
        self.field = words(np.uint16, ip - size + form.field)
        self.lengths = [ip - size + offset + (n - 1) * pitch for offset, _, _, shrinks in form.moving if shrinks]
        self.buf = buf
        self.last_ip = ip + (n - 1) * pitch
        self.size = size
        self.l4 = l4

    def fill(self, row, ident, short):
        """Write ``row`` into all rows, its numbers growing; the last is ``short`` bytes shorter. False: numbers wrap."""
        size = self.size
        n = len(self.count)
        self.heads[:] = np.frombuffer(row, np.uint8)
        if self.sequence is not None:
            at = size + self.l4 + 4
            np.add(self.multiples, int.from_bytes(row[at : at + 4], "big"), self.sequence)
        if ident and self.l4 == 20:
            number = row[size + 4] << 8 | row[size + 5]
            check = row[size + 10] << 8 | row[size + 11]
            if check < n or number + n > 0x10000:
                return False
            np.add(self.count, number, self.ident)
            np.subtract(check, self.count, self.check)
        if self.ns is not None:
            at = ns_offset(row[0])
            np.add(self.count, row[at] << 8 | row[at + 1], self.ns)
        if short:
            buf = self.buf
            for at in self.lengths:
                value = (buf[at] << 8 | buf[at + 1]) - short
                buf[at] = value >> 8
                buf[at + 1] = value & 0xFF
            if self.l4 == 20:
                at = self.last_ip
                buf[at + 10] = buf[at + 11] = 0
                buf[at + 10 : at + 12] = checksum(buf[at : at + 20]).to_bytes(2, "big")
        return True


class _CutPlan(_Columns):
    """All views for one shape of cut."""

    def __init__(self, form, out, source, data, n, mss, size, l4, head, first):
        width = form.row + mss
        super().__init__(form, out, OUT + size, width, n, mss, size, l4, head, first)
        self.form = form
        self.source = source
        self.given = np.ndarray((n, mss), np.uint8, source, data)
        self.data = np.ndarray((n, mss), np.uint8, out, OUT + form.row, (width, 1))
        self.summed = np.ndarray((n, (width - form.l4) >> 1), np.uint16, out, OUT + form.l4, (width, 2))
        self.sums = np.empty(n, np.uint32)


class _MergePlan(_Columns):
    """All views for one shape of merge; the expected headers stand in ``made``, those that came in ``came``."""

    def __init__(self, form, out, source, at, pitch, n, mss, size, l4, head, first, made, came):
        super().__init__(form, made, _IP, _WIDTH, n, mss, size, l4, head, first)
        self.form = form
        self.source = source
        column = _IP - size
        words = slice(column >> 2, (column + form.row) >> 2)
        self.arrived = np.ndarray((n, form.row), np.uint8, source, at, (pitch, 1))
        self.came = np.ndarray((n, form.row), np.uint8, came, column, (_WIDTH, 1))
        self.came_words = np.frombuffer(came, np.uint32).reshape(MAX_MERGE, -1)[:n, words]
        self.made_words = np.frombuffer(made, np.uint32).reshape(MAX_MERGE, -1)[:n, words]
        self.mask = np.frombuffer(bytes(column) + form.summed, np.uint32)[words]
        self.differ = np.empty_like(self.mask, shape=(n, self.mask.size))
        self.transport = np.frombuffer(came, np.uint16).reshape(MAX_MERGE, -1)[:n, (_IP + l4) >> 1 : (_IP + head) >> 1]
        self.given = np.ndarray((n - 1, mss), np.uint8, source, at + form.row, (pitch, 1))
        self.data = np.ndarray((n - 1, mss), np.uint8, out, OUT + head)
        self.summed = np.ndarray((n, mss >> 1), np.uint16, out, OUT + head)


class Vector(Plain):
    """Cuts and merges with numpy. Data of odd length and numbers that wrap, which are rare, go the plain way."""

    def __init__(self):
        super().__init__()
        self._made = bytearray(MAX_MERGE * _WIDTH)
        self._came = bytearray(MAX_MERGE * _WIDTH)
        self._cuts = {}
        self._merges = {}

    def cut(self, buf, ip, end, l4, head, mss, prefix, first, n):
        """As Plain.cut()."""
        if mss & 1:
            return super().cut(buf, ip, end, l4, head, mss, prefix, first, n)
        data = ip + head + first * mss
        size = len(prefix)
        key = (prefix[0], size, l4, head, mss, n, data)
        plan = self._cuts.get(key)
        if plan is None or plan.source is not buf:
            form = layout(prefix[0], size, l4, head, head > l4 + 8)
            plan = _CutPlan(form, self.out, buf, data, n, mss, size, l4, head, prefix[0])
            _keep(self._cuts, key, plan)
        form = plan.form
        row = first_row(buf, ip, l4, head, mss, prefix, first)
        if l4 == 20:
            row[size + 10 : size + 12] = checksum(row[size : size + 20]).to_bytes(2, "big")
        short = max(0, data + n * mss - end)
        if not plan.fill(row, 1, short):
            return super().cut(buf, ip, end, l4, head, mss, prefix, first, n)
        if short:
            buf[end : end + short] = bytes(short)  # so that the last row sums like the others
        plan.data[:] = plan.given
        if form.tcp:
            flags = buf[ip + l4 + 13]
            at = OUT + form.flags
            if not first:
                self.out[at] = segment_flags(flags, True, False)
            if data + n * mss >= end:
                self.out[at + (n - 1) * (form.row + mss)] = segment_flags(flags, n == 1 and not first, True)
        # Summed in the host's order and stored in the host's order: nothing is swapped but the constants.
        sums = plan.sums
        np.add.reduce(plan.summed, 1, np.uint32, sums)
        if short:
            sums[n - 1] += -short * SWAP % 65535
        np.subtract(_ZERO - (pseudo_sum(buf, ip, l4) + head - l4 + mss) * SWAP % 65535, sums, sums)
        np.remainder(sums, _FOLD, sums)
        if not form.tcp:
            sums[sums == 0] = 0xFFFF
        plan.field[:] = sums
        self.size = n * (form.row + mss) - short
        return None

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
        key = (buf[at], size, l4, head, pitch, n, mss, at, ident)
        plan = self._merges.get(key)
        if plan is None or plan.source is not buf:
            form = layout(buf[at], size, l4, head, head > l4 + 8, ident)
            plan = _MergePlan(form, self.out, buf, at, pitch, n, mss, size, l4, head, buf[at], self._made, self._came)
            _keep(self._merges, key, plan)
        form = plan.form
        row = buf[at : at + form.row]
        if l4 == 20 and int.from_bytes(row[size : size + 20], "big") % 65535:
            return 0
        plan.came[:] = plan.arrived
        if form.tcp:
            column = _IP - size + form.flags
            push = row[form.flags] | PSH
            pushed = self._came[column : n * _WIDTH : _WIDTH].find(push) + 1
            if 0 < pushed < n:
                return self.merge(buf, at, pitch, pushed, length, length, size, l4, head, local) if pushed > 1 else 1
        if not plan.fill(row, ident, short):
            return super().merge(buf, at, pitch, n, length, length - short, size, l4, head, local)
        differ = plan.differ
        np.bitwise_xor(plan.made_words, plan.came_words, differ)
        np.bitwise_and(differ, plan.mask, differ)
        if np.count_nonzero(differ):
            n = int(differ.any(axis=1).argmax())
            return self.merge(buf, at, pitch, n, length, length, size, l4, head, local) if n > 1 else n
        return self._gather(plan, buf, at, pitch, n, mss, short, l4, head, local)

    def _gather(self, plan, buf, at, pitch, n, mss, short, l4, head, local):
        """Make the super-packet: the headers agree. How many datagrams went into it, as merge() says it."""
        out = self.out
        form = plan.form
        ip = at + form.l4 - l4
        end = OUT + head + n * mss - short
        plan.data[:] = plan.given
        final = at + (n - 1) * pitch + form.row
        out[end - mss + short : end] = buf[final : final + mss - short]
        total = pseudo_sum(buf, ip, l4) + head - l4 + mss
        if local and form.tcp:
            headers = int(np.add.reduce(plan.transport, None, np.uint32)) * SWAP
            payload = -(headers + n * total - short)
        else:
            payload = None
            out[end : end + short] = bytes(short)  # so that the last row sums like the others
            sums = np.add.reduce(plan.summed, 1, np.uint32)
            sums += np.add.reduce(plan.transport, 1, np.uint32)
            sums += total * SWAP % 65535
            if short:
                sums[n - 1] += -short * SWAP % 65535
            np.remainder(sums, _FOLD, sums)
            if np.count_nonzero(sums):
                good = int((sums != 0).argmax())
                if good < 2:
                    return good
                n = good
                end = OUT + head + n * mss
        push = buf[at + (n - 1) * pitch + form.flags] & PSH if form.tcp else 0
        self._finish(buf, ip, form, l4, head, mss, end, push, payload)
        return n


def _keep(plans, key, plan):
    if len(plans) >= _MAX_PLANS:
        plans.clear()
    plans[key] = plan
