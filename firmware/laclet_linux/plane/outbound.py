"""From interfaces to the tunnel: packets and super-packets read from a TUN, L2TP datagrams sent through the socket."""

import errno
import os
import select
import struct

from .headers import SYN, TCP, clamp_mss, finish_checksum
from .plain import GROUP, MAX_GROUP, OUT
from .tun import GSO_TCP4, GSO_TCP6, GSO_UDP, MAX_SEGMENTS, MAX_SEND, NEEDS_CSUM, VNET

_UDP_SEGMENT = 103  # linux/udp.h
_SOL_UDP = 17

# Packets read in one turn stand at this distance, their IP headers _HEAD bytes behind the start of their places; a
# super-packet takes as many places as it needs.
_PLACE = 2048
_HEAD = 64
_READS = MAX_SEGMENTS
_SMALL = _PLACE - _HEAD - 2  # bytes a read may give to leave the next place alone
_LARGEST = 65_535
_LAST_PLACE = _READS + MAX_GROUP * (_LARGEST // _PLACE + 1)
# Fewer packets than this are sent one by one: less than the fixed costs of a batch.
_MIN_PACK = 4
# What the kernel says when UDP_SEGMENT meets datagrams larger than the way to the peer allows; older ones, newer ones.
_TOO_LARGE = (errno.EINVAL, errno.EMSGSIZE)
# How long a full socket is waited for before something is dropped (ms).
_FULL_WAIT = 50


class Outbound:
    """Reads TUN interfaces and sends to the tunnel. ``engine``: a Plain or Vector."""

    def __init__(self, sock, engine):
        self._sock = sock
        self._engine = engine
        self._gso = _takes_segments(sock)
        # Behind the last place: room for the largest packet there, and for rows that are looked at beyond its end.
        self._buf = bytearray(_LAST_PLACE * _PLACE + 3 * 65_536)
        view = memoryview(self._buf)
        starts = [i * _PLACE + _HEAD for i in range(_LAST_PLACE + 1)]
        self._places = [(view[at : at + _LARGEST],) for at in starts]
        self._vnet_places = [(view[at - VNET.size : at + _LARGEST],) for at in starts]
        self._view = view
        self._out = memoryview(engine.out)
        self._width = 0  # bytes of a datagram, as the ancillary data for sendmsg() say it
        self._segment = ()
        self._writable = select.poll()
        self._writable.register(sock, select.POLLOUT)

    def read(self, circuit):
        """Move what waits at the circuit's interface, up to a turn's worth. Raises OSError when it is gone."""
        vnet = circuit.tun.vnet
        fd = circuit.tun.fd
        places = self._vnet_places if vnet else self._places
        gso = _HEAD - VNET.size + 1
        buf = self._buf
        sizes = []  # of packets not yet sent, the first one at place `first`
        supers = []  # (start, bytes) of super-packets not yet sent
        first = place = count = 0
        # A read that finds nothing costs more than being called again: no more reads than were worth while lately.
        reads = circuit.reads
        circuit.reads = min(2 * reads, _READS)
        try:
            while count < reads and len(supers) < MAX_GROUP and place <= _LAST_PLACE:
                size = os.readv(fd, places[place])
                count += 1
                if size > _SMALL or (vnet and buf[place * _PLACE + gso]):
                    if sizes:
                        self._several(circuit, first, sizes)
                        sizes = []
                    supers.append((place * _PLACE + _HEAD, size))
                    place += 1 + (_HEAD + size) // _PLACE
                else:
                    if supers:
                        self._supers(circuit, supers)
                        supers = []
                    if not sizes:
                        first = place
                    sizes.append(size)
                    place += 1
        except BlockingIOError:
            circuit.reads = count or 1
        if sizes:
            self._several(circuit, first, sizes)
        elif supers:
            self._supers(circuit, supers)

    # -- packets ----------------------------------------------------------------------------------------

    def _several(self, circuit, place, sizes):
        """Send what stands from ``place`` on; ``sizes`` as read."""
        extra = VNET.size if circuit.tun.vnet else 0
        i = 0
        while i < len(sizes):
            size = sizes[i]
            n = 1
            while i + n < len(sizes) and sizes[i + n] == size:
                n += 1
            ip = (place + i) * _PLACE + _HEAD
            i += n
            size -= extra
            if n >= _MIN_PACK and self._alike(circuit, ip, n, extra):
                self._pack(circuit, ip, n, size, extra)
            else:
                for _ in range(n):
                    self._single(circuit, ip, size, extra)
                    ip += _PLACE

    def _alike(self, circuit, ip, n, vnet):
        """True if ``n`` packets of one size differ in nothing a batch must know, and none needs its MSS clamped."""
        buf = self._buf
        v4 = buf[ip] == 0x45
        if (not v4 and buf[ip] >> 4 != 6) or not circuit.passes(buf[ip] >> 4):
            return False
        protocol = ip + (9 if v4 else 6)
        columns = [ip, protocol]
        if vnet:
            columns += [ip - 10, ip - 4, ip - 3, ip - 2, ip - 1]  # flags, csum_start, csum_offset
        for at in columns:
            if buf[at : at + n * _PLACE : _PLACE] != buf[at : at + 1] * n:
                return False
        if circuit.mss and buf[protocol] == TCP:
            at = ip + (33 if v4 else 53)
            return not any(flags & SYN for flags in buf[at : at + n * _PLACE : _PLACE])
        return True

    def _pack(self, circuit, ip, n, size, vnet):
        start = offset = 0
        if vnet:
            flags, _, _, _, start, offset = VNET.unpack_from(self._buf, ip - VNET.size)
            if not flags & NEEDS_CSUM:
                start = offset = 0
        while n:
            count = min(n, MAX_SEND // (size + 32))
            prefix = circuit.prefix(self._buf[ip] >> 4, size, count)
            self._engine.pack(self._buf, ip, _PLACE, count, size, prefix, start, offset)
            self._send_batch(circuit, OUT, self._engine.size, len(prefix) + size, count)
            circuit.tx_packets += count
            circuit.tx_bytes += count * size
            ip += count * _PLACE
            n -= count

    def _single(self, circuit, ip, size, vnet):
        buf = self._buf
        end = ip + size
        if vnet:
            flags, _, _, _, start, offset = VNET.unpack_from(buf, ip - VNET.size)
            if flags & NEEDS_CSUM:
                finish_checksum(buf, ip + start, end, offset)
        if circuit.mss:
            clamp_mss(buf, ip, end, circuit.mss)
        prefix = circuit.prefix(buf[ip] >> 4, size)
        if prefix is None:
            circuit.drop("not IP")
            return
        start = ip - len(prefix)
        buf[start:ip] = prefix
        circuit.tx_packets += 1
        circuit.tx_bytes += size
        self._send(circuit, self._view[start:end])

    # -- super-packets ------------------------------------------------------------------------------------

    def _supers(self, circuit, supers):
        """Send super-packets, those of one shape together."""
        buf = self._buf
        most = self._engine.groups
        i = 0
        while i < len(supers):
            ip, size = supers[i]
            shape = self._shape(ip, size, circuit.tun.vnet)
            starts = [ip]
            i += 1
            if shape is not None:
                header = buf[ip - VNET.size : ip]
                offset = ip + shape[1] + 12  # of TCP's data
                while i < len(supers) and len(starts) < most:
                    other, same = supers[i]
                    if same != size or buf[other - VNET.size : other] != header:
                        break
                    if buf[other] >> 4 != buf[ip] >> 4 or buf[other - ip + offset] != buf[offset]:
                        break
                    starts.append(other)
                    i += 1
                if self._together(circuit, starts, shape):
                    continue
            for start in starts:
                self._super(circuit, start, size, shape)

    def _shape(self, ip, size, vnet):
        """(kind, bytes of IP header, of all headers, of data, of data in a segment), or None for a mere packet."""
        buf = self._buf
        if not vnet or not buf[ip - VNET.size + 1]:
            return None
        _, kind, _, mss, l4, _ = VNET.unpack_from(buf, ip - VNET.size)
        kind &= 0x7F  # without VIRTIO_NET_HDR_GSO_ECN: CWR is looked at anyway
        head = l4 + (8 if kind == GSO_UDP else (buf[ip + l4 + 12] >> 4) * 4)
        return kind, l4, head, size - VNET.size - head, mss

    def _together(self, circuit, starts, shape):
        """Cut and send super-packets of one shape that fit one send each and have no shorter last segment."""
        _, l4, head, data, mss = shape
        n, rest = divmod(data, mss) if mss else (0, 1)
        if rest or not 0 < n <= _rows(head, mss) or not self._known(starts[0], shape):
            return False
        count = len(starts)
        version = self._buf[starts[0]] >> 4
        if not circuit.passes(version):
            return False
        if circuit.sequencing:
            prefixes = [bytes(circuit.prefix(version, head + mss, n)) for _ in starts]
        else:
            prefixes = [bytes(circuit.prefix(version, head + mss))] * count
        if not self._engine.cut_all(self._buf, starts, l4, head, mss, prefixes, n):
            circuit.take_back(n * count)
            return False
        width = len(prefixes[0]) + head + mss
        for i in range(count):
            self._send_batch(circuit, OUT + i * GROUP, n * width, width, n)
        circuit.tx_packets += n * count
        circuit.tx_bytes += n * (head + mss) * count
        return True

    def _super(self, circuit, ip, size, shape):
        """Cut and send one super-packet, or send a packet that is larger than its place."""
        buf = self._buf
        if shape is None:
            extra = VNET.size if circuit.tun.vnet else 0
            self._single(circuit, ip, size - extra, extra)
            return
        _, l4, head, data, mss = shape
        rows = _rows(head, mss)
        if not self._known(ip, shape) or data < 1 or rows < 1:
            circuit.drop("super-packet of another kind")  # with IPv4 options or IPv6 extension headers, say
            return
        if not circuit.passes(buf[ip] >> 4):
            circuit.drop("not IP")
            return
        segments = -(-data // mss)
        end = ip + head + data
        for first in range(0, segments, rows):
            n = min(rows, segments - first)
            prefix = circuit.prefix(buf[ip] >> 4, head + mss, n)
            self._engine.cut(buf, ip, end, l4, head, mss, prefix, first, n)
            self._send_batch(circuit, OUT, self._engine.size, len(prefix) + head + mss, n)
        circuit.tx_packets += segments
        circuit.tx_bytes += segments * head + data

    def _known(self, ip, shape):
        """True when the super-packet is of a kind that can be cut."""
        kind, l4, _, _, mss = shape
        return mss and kind in (GSO_TCP4, GSO_TCP6, GSO_UDP) and l4 == (20 if self._buf[ip] >> 4 == 4 else 40)

    # -- the socket ---------------------------------------------------------------------------------------

    def _send_batch(self, circuit, start, size, width, count):
        """Send ``count`` datagrams of ``width`` bytes, the last one perhaps shorter, from the engine's results."""
        end = start + size
        if count > 1 and self._gso and width < circuit.gso_below:
            if width != self._width:
                self._width = width
                self._segment = ((_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", width)),)
            if self._send(circuit, self._out[start:end], self._segment, width):
                return
        for at in range(start, end, width):
            self._send(circuit, self._out[at : min(at + width, end)])

    def _send(self, circuit, view, ancillary=(), width=0):
        """Send one datagram, or several by UDP_SEGMENT; False when the kernel will not cut these for us."""
        for _ in range(2):
            try:
                self._sock.sendmsg((view,), ancillary, 0, circuit.addr)
                return True
            except BlockingIOError:
                self._writable.poll(_FULL_WAIT)
            except OSError as error:
                if ancillary and error.errno in _TOO_LARGE:
                    circuit.gso_below = width
                    return False
                if ancillary and error.errno == errno.EIO:  # IPsec, or an interface without checksums
                    self._gso = False
                    return False
                circuit.drop("send: " + errno.errorcode.get(error.errno, "error"))
                return True
        circuit.drop("send: socket full")
        return True


def _rows(head, mss):
    """Segments that fit one send."""
    return min(MAX_SEGMENTS, MAX_SEND // (head + mss + 32))


def _takes_segments(sock):
    """True when the kernel knows UDP_SEGMENT (Linux 4.18)."""
    try:
        sock.setsockopt(_SOL_UDP, _UDP_SEGMENT, 0)
    except OSError:
        return False
    return True
