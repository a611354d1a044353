"""From interfaces to the tunnel: packets and super-packets read from a TUN, L2TP datagrams sent through the socket."""

import errno
import os
import select
import struct

from .headers import SYN, TCP, clamp_mss, finish_checksum
from .plain import OUT
from .tun import GSO_TCP4, GSO_TCP6, GSO_UDP, MAX_SEGMENTS, MAX_SEND, NEEDS_CSUM, VNET

_UDP_SEGMENT = 103  # linux/udp.h
_SOL_UDP = 17

# Packets read in one turn stand at this distance, their IP headers _HEAD bytes behind the start of their places.
_PLACE = 2048
_READS = MAX_SEGMENTS
_HEAD = 64
_SMALL = _PLACE - _HEAD - 2  # bytes a read may give to leave the next place alone
_LARGEST = 65_535
# Fewer packets than this are sent one by one: less than the fixed costs of a batch.
_MIN_PACK = 4
# How long a full socket is waited for before something is dropped (ms).
_FULL_WAIT = 50


class Outbound:
    """Reads TUN interfaces and sends to the tunnel. ``engine``: a Plain or Vector."""

    def __init__(self, sock, engine):
        self._sock = sock
        self._engine = engine
        self._gso = _takes_segments(sock)
        # Behind the last place: room for the largest packet there, and for the zeros cut() puts behind it.
        self._buf = bytearray(_READS * _PLACE + 2 * 65_536)
        view = memoryview(self._buf)
        starts = [i * _PLACE + _HEAD for i in range(_READS)]
        self._places = [(view[at : at + _LARGEST],) for at in starts]
        self._vnet_places = [(view[at - VNET.size : at + _LARGEST],) for at in starts]
        self._view = view
        self._out = memoryview(engine.out)
        self._writable = select.poll()
        self._writable.register(sock, select.POLLOUT)

    def read(self, circuit):
        """Move what waits at the circuit's interface, up to a turn's worth. Raises OSError when it is gone."""
        vnet = circuit.tun.vnet
        fd = circuit.tun.fd
        places = self._vnet_places if vnet else self._places
        gso = _HEAD - VNET.size + 1
        buf = self._buf
        sizes = []
        # A read that finds nothing costs more than being called again: no more reads than were worth while lately.
        reads = circuit.reads
        circuit.reads = min(2 * reads, _READS)
        try:
            for place in range(reads):
                size = os.readv(fd, places[place])
                if size > _SMALL or (vnet and buf[place * _PLACE + gso]):
                    if sizes:
                        self._several(circuit, sizes)
                    circuit.reads = 1
                    self._large(circuit, place * _PLACE + _HEAD, size)
                    return
                sizes.append(size)
        except BlockingIOError:
            circuit.reads = len(sizes) or 1
        if sizes:
            self._several(circuit, sizes)

    # -- packets ----------------------------------------------------------------------------------------

    def _several(self, circuit, sizes):
        """Send what stands in the first places; ``sizes`` as read."""
        extra = VNET.size if circuit.tun.vnet else 0
        i = 0
        while i < len(sizes):
            size = sizes[i]
            n = 1
            while i + n < len(sizes) and sizes[i + n] == size:
                n += 1
            ip = i * _PLACE + _HEAD
            i += n
            size -= extra
            if n >= _MIN_PACK and self._alike(circuit, ip, n, extra):
                self._pack(circuit, ip, n, size, extra)
            else:
                for _ in range(n):
                    self._single(circuit, ip, size, extra)
                    ip += _PLACE

    def _alike(self, circuit, ip, n, vnet):
        """True when ``n`` packets of one size differ in nothing that a batch must know, and none needs its MSS clamped."""
        buf = self._buf
        v4 = buf[ip] == 0x45
        if not v4 and buf[ip] >> 4 != 6:
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
            self._send_batch(circuit, len(prefix) + size, count)
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

    def _large(self, circuit, ip, size):
        """A super-packet, or a packet too large for its place."""
        buf = self._buf
        extra = VNET.size if circuit.tun.vnet else 0
        end = ip - extra + size
        if not extra or not buf[ip - 9]:
            self._single(circuit, ip, end - ip, extra)
            return
        _, kind, _, mss, l4, _ = VNET.unpack_from(buf, ip - VNET.size)
        kind &= 0x7F  # without VIRTIO_NET_HDR_GSO_ECN: CWR is looked at anyway
        if kind not in (GSO_TCP4, GSO_TCP6, GSO_UDP) or l4 != (20 if buf[ip] >> 4 == 4 else 40) or not mss:
            circuit.drop("super-packet of another kind")  # with IPv4 options or IPv6 extension headers, say
            return
        head = l4 + (8 if kind == GSO_UDP else (buf[ip + l4 + 12] >> 4) * 4)
        segments = -(-(end - ip - head) // mss)
        rows = min(MAX_SEGMENTS, MAX_SEND // (head + mss + 32))
        if rows < 1 or segments < 1:
            circuit.drop("super-packet of another kind")
            return
        for first in range(0, segments, rows):
            count = min(rows, segments - first)
            prefix = circuit.prefix(buf[ip] >> 4, head + mss, count)
            self._engine.cut(buf, ip, end, l4, head, mss, prefix, first, count)
            self._send_batch(circuit, len(prefix) + head + mss, count)
        circuit.tx_packets += segments
        circuit.tx_bytes += end - ip + (segments - 1) * head

    # -- the socket ---------------------------------------------------------------------------------------

    def _send_batch(self, circuit, width, count):
        """Send the engine's result: datagrams of ``width`` bytes, the last one perhaps shorter."""
        end = OUT + self._engine.size
        if count > 1 and self._gso and width < circuit.gso_below:
            ancillary = ((_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", width)),)
            if self._send(circuit, self._out[OUT:end], ancillary, width):
                return
        for at in range(OUT, end, width):
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
                if ancillary and error.errno in (
                    errno.EMSGSIZE,
                    errno.EINVAL,
                ):  # larger than the way to the peer allows
                    circuit.gso_below = width
                    return False
                if ancillary and error.errno == errno.EIO:  # IPsec, or an interface without checksums
                    self._gso = False
                    return False
                circuit.drop("send: " + errno.errorcode.get(error.errno, "error"))
                return True
        circuit.drop("send: socket full")
        return True


def _takes_segments(sock):
    """True when the kernel knows UDP_SEGMENT (Linux 4.18)."""
    try:
        sock.setsockopt(_SOL_UDP, _UDP_SEGMENT, 0)
    except OSError:
        return False
    return True
