"""From the tunnel to interfaces: L2TP datagrams read from the socket, packets and super-packets written to a TUN."""

import errno
import os
import socket

from .headers import L2TP_L, L2TP_O, L2TP_S, L2TP_T, ORDER, batch_headers, clamp_mss, ns_offset
from .plain import GROUP, MAX_GROUP, MAX_MERGE, OUT
from .tun import VNET

_UDP_GRO = 104  # linux/udp.h
_SOL_UDP = 17
_ROOM = socket.CMSG_SPACE(4)

# Datagrams read in one turn stand at this distance; those that UDP_GRO joined take as many places as they need.
_PLACE = 2048
_READS = 64
_LAST_PLACE = _READS + MAX_GROUP * 32
_HEAD = 64  # room in front of the first one for a virtio header, and even
_LARGEST = 65_535
_NO_OFFLOAD = bytes(VNET.size)


# What a usual datagram looks like: first two octets, where the fixed rest of its header is, that rest, bytes in all,
# the circuit, the IP version, the peer.
_NOTHING = (None, 0, b"", 0, None, 0, None)


class Inbound:
    """Reads the socket and writes to interfaces. ``circuits``: our ids -> Circuit; ``pass_up(data, addr, control)``."""

    def __init__(self, sock, engine, circuits, pass_up):
        self.drops = {}
        self._sock = sock
        self._engine = engine
        self._circuits = circuits
        self._pass_up = pass_up
        self._reads = 1  # datagrams the next turn may read
        self._room = _ROOM if _joins(sock) else 0
        self._buf = bytearray(_HEAD + _LAST_PLACE * _PLACE + 3 * 65_536)
        self._view = memoryview(self._buf)
        starts = [_HEAD + i * _PLACE for i in range(_LAST_PLACE + 1)]
        self._places = [(self._view[at : at + _LARGEST],) for at in starts]
        self._out = memoryview(engine.out)
        self._usual = _NOTHING
        self._circuit = None  # of the datagram opened last
        self._end = 0  # of its PPP frame

    def drop(self, reason):
        """Count a datagram that was dropped before its circuit was known."""
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def end(self):
        """Nothing is passed up any more. It unties a knot: megabytes of buffers are given back at once."""
        self._pass_up = None

    def read(self):
        """Move what waits at the socket, up to a turn's worth."""
        recvmsg = self._sock.recvmsg_into
        sizes = []  # of single datagrams not yet handled, all from addr, the first one at place `first`
        joined = []  # (start, bytes, bytes of each) of those that came together, not yet handled, all from addr
        first = place = count = 0
        addr = None
        # A read that finds nothing costs more than being called again: no more reads than were worth while lately.
        reads = self._reads
        self._reads = min(2 * reads, _READS)
        try:
            while count < reads and len(joined) < MAX_GROUP and place <= _LAST_PLACE:
                size, ancillary, _, source = recvmsg(self._places[place], self._room)
                count += 1
                length = int.from_bytes(ancillary[0][2][:4], ORDER) if ancillary else size
                several = size > length > 0 or size > _PLACE
                if source != addr or (joined and not several) or (sizes and several):
                    self._handle(first, sizes, joined, addr)
                    sizes = []
                    joined = []
                    addr = source
                if several:
                    joined.append((_HEAD + place * _PLACE, size, length))
                    place += 1 + size // _PLACE
                else:
                    if not sizes:
                        first = place
                    sizes.append(size)
                    place += 1
        except BlockingIOError:
            self._reads = count or 1
        except OSError as error:  # what ICMP said of something we sent
            self.drop("socket: " + errno.errorcode.get(error.errno, "error"))
        self._handle(first, sizes, joined, addr)

    def _handle(self, place, sizes, joined, addr):
        """Handle datagrams of one peer: single ones from ``place`` on, or such as came joined."""
        if len(sizes) == 1:
            self._rows(_HEAD + place * _PLACE, _PLACE, 1, sizes[0], sizes[0], addr)
        elif sizes:
            self._singles(place, sizes, addr)
        i = 0
        while i < len(joined):
            at, size, length = joined[i]
            starts = [at]
            i += 1
            while i < len(joined) and len(starts) < self._engine.groups and joined[i][1:] == (size, length):
                starts.append(joined[i][0])
                i += 1
            rows = -(-size // length)
            if size % length or not self._together(starts, length, rows, addr):
                for start in starts:
                    self._rows(start, length, rows, length, size - (rows - 1) * length, addr)

    def _singles(self, place, sizes, addr):
        """Handle datagrams that were read one by one: in runs of one length, of which the last may be shorter."""
        i = 0
        while i < len(sizes):
            length = last = sizes[i]
            n = 1
            while i + n < len(sizes) and last == length and sizes[i + n] <= length:
                last = sizes[i + n]
                n += 1
            self._rows(_HEAD + (place + i) * _PLACE, _PLACE, n, length, last, addr)
            i += n

    def _together(self, starts, length, n, addr):
        """Merge ``n`` datagrams of ``length`` bytes at each start, all like the last one; False: not so simple."""
        buf = self._buf
        size = self._usual[3]
        head = 0
        local = False
        for at in starts:
            ip = self._open_usual(at, at + length, addr)
            found = batch_headers(buf, ip, at + length) if ip else None
            if found is None:
                return False
            l4 = found[0]
            if not head:
                head = found[1]
                local = self._is_local(self._circuit, ip, l4)
            elif found[1] != head or self._is_local(self._circuit, ip, l4) != local:
                return False
        circuit = self._circuit
        if not (circuit.tun.tso if head > l4 + 8 else circuit.tun.uso):
            return False
        if not self._engine.merge_all(buf, starts, length, n, length, size, l4, head, local):
            return False
        total = head + n * (length - size - head)
        for i in range(len(starts)):
            at = OUT + i * GROUP
            self._write(circuit, self._out[at - VNET.size : at + total])
        circuit.rx_packets += n * len(starts)
        circuit.rx_bytes += n * (length - size) * len(starts)
        return True

    def _rows(self, at, pitch, n, length, last, addr):
        """Handle ``n`` datagrams at ``at``, ``at + pitch`` …, all of ``length`` bytes but the last."""
        while n:
            end = at + (length if n > 1 else last)
            taken = 1
            ip = self._open_usual(at, end, addr) or self._open(at, end, addr)
            if ip:
                circuit = self._circuit
                if n > 1 and end == self._end and self._same_flow(ip, ip + pitch):
                    taken = self._merge(circuit, at, pitch, n, length, last, ip, end)
                if taken == 1:
                    self._deliver(circuit, ip, self._end)
                elif not taken:
                    circuit.drop("bad checksum")
                    taken = 1
            at += taken * pitch
            n -= taken

    def _is_local(self, circuit, ip, l4):
        """True when the packet is for this host itself."""
        return bytes(self._buf[ip + 16 : ip + 20] if l4 == 20 else self._buf[ip + 24 : ip + 40]) in circuit.local

    def _same_flow(self, ip, other):
        """A quick look whether two packets have the same addresses and ports."""
        buf = self._buf
        if buf[ip] >> 4 == 4:
            return buf[ip + 12 : ip + 24] == buf[other + 12 : other + 24]
        return buf[ip + 8 : ip + 44] == buf[other + 8 : other + 44]

    def _merge(self, circuit, at, pitch, n, length, last, ip, end):
        """Write as many of the datagrams as go together as one super-packet; how many, as Plain.merge() says it."""
        buf = self._buf
        found = batch_headers(buf, ip, end)
        if found is None:
            return 1
        l4, head = found
        tcp = head > l4 + 8
        if not (circuit.tun.tso if tcp else circuit.tun.uso):
            return 1
        local = self._is_local(circuit, ip, l4)
        n = min(n, MAX_MERGE)
        taken = self._engine.merge(buf, at, pitch, n, length, last, ip - at, l4, head, local)
        if taken > 1:
            size = self._engine.size
            if buf[at] & L2TP_S:
                circuit.expected = circuit.expected + taken - 1 & 0xFFFF
            circuit.rx_packets += taken
            circuit.rx_bytes += size + (taken - 1) * head
            self._write(circuit, self._out[OUT - VNET.size : OUT + size])
        return taken

    def _open_usual(self, at, end, addr):
        """What _open() would return and set, quickly, for a datagram with the header of the last one; or 0."""
        buf = self._buf
        first, offset, rest, size, circuit, version, source = self._usual
        if buf[at : at + 2] != first or buf[at + offset : at + size] != rest or source != addr:
            return 0
        if offset == 4 and buf[at + 2] << 8 | buf[at + 3] != end - at:
            return 0
        ip = at + size
        if version == 4:
            if buf[ip] != 0x45 or buf[ip + 2] << 8 | buf[ip + 3] != end - ip:
                return 0
        elif buf[ip] >> 4 != 6 or (buf[ip + 4] << 8 | buf[ip + 5]) + 40 != end - ip:
            return 0
        if self._circuits.get(circuit.key) is not circuit:
            return 0
        self._circuit = circuit
        self._end = end
        return ip

    def _open(self, at, end, addr):
        """Where the IP packet starts in the datagram, or 0 if there is none for us; sets ``_circuit`` and ``_end``."""
        buf = self._buf
        if end - at < 6:
            self.drop("datagram too short")
            return 0
        first = buf[at]
        if first & L2TP_T or buf[at + 1] & 0x0F != 2:
            self._pass_up(bytes(self._view[at:end]), addr, True)
            return 0
        i = at + 2
        if first & L2TP_L:
            length = buf[i] << 8 | buf[i + 1]
            if length > end - at:
                self.drop("length beyond the datagram")
                return 0
            end = at + length
            i += 2
        circuit = self._circuits.get(int.from_bytes(buf[i : i + 4], "big"))
        i += 4
        if first & L2TP_S:
            i += 4
        if first & L2TP_O:
            i += 2 + (buf[i] << 8 | buf[i + 1])
        if i >= end:
            self.drop("header cut short")
            return 0
        if circuit is None:
            self._pass_up(bytes(self._view[at:end]), addr, False)
            return 0
        if circuit.addr is not None and addr[:2] != circuit.addr[:2]:
            circuit.drop("wrong address")
            return 0
        if first & L2TP_S:
            ns = at + ns_offset(first)
            if not circuit.accept_ns(buf[ns] << 8 | buf[ns + 1]):
                return 0
        return self._open_ppp(circuit, at, i, end, addr)

    def _open_ppp(self, circuit, at, i, end, addr):
        """The rest of _open(): the PPP frame at ``i``, and the IP packet in it."""
        buf = self._buf
        if buf[i] == 0xFF and buf[i + 1] == 0x03:
            i += 2
        protocol = buf[i]
        i += 1
        if not protocol & 1:
            protocol = protocol << 8 | buf[i]
            i += 1
        if i > end:
            circuit.drop("PPP header cut short")
            return 0
        version = circuit.versions.get(protocol)
        if version is None:
            self._pass_frame(circuit, at, end, addr)
            return 0
        end = _ip_end(buf, i, end, version)
        if end < 0:
            circuit.drop("bad IP header")
            return 0
        if not buf[at] & (L2TP_S | L2TP_O):
            offset = 4 if buf[at] & L2TP_L else 2
            self._usual = (buf[at : at + 2], offset, buf[at + offset : i], i - at, circuit, version, addr)
        self._circuit = circuit
        self._end = end
        return i

    def _pass_frame(self, circuit, at, end, addr):
        """Hand a frame that is not IP to the owner; its Ns is made one without the gaps that IP packets leave."""
        data = bytearray(self._view[at:end])
        if data[0] & L2TP_S:
            ns = ns_offset(data[0])
            data[ns : ns + 2] = circuit.passed.to_bytes(2, "big")
            circuit.passed = circuit.passed + 1 & 0xFFFF
        self._pass_up(bytes(data), addr, False)

    def _deliver(self, circuit, ip, end):
        """Write one packet to the interface."""
        buf = self._buf
        if circuit.mss:
            clamp_mss(buf, ip, end, circuit.mss)
        circuit.rx_packets += 1
        circuit.rx_bytes += end - ip
        if circuit.tun.vnet:
            buf[ip - VNET.size : ip] = _NO_OFFLOAD  # over our own header, and bytes that were handled before
            ip -= VNET.size
        self._write(circuit, self._view[ip:end])

    def _write(self, circuit, view):
        try:
            os.write(circuit.tun.fd, view)
        except OSError as error:
            circuit.drop("write: " + errno.errorcode.get(error.errno, "error"))


def _ip_end(buf, ip, end, version):
    """Where the packet at ``ip`` ends by its own length (what follows is padding), or -1 when that lies."""
    if buf[ip] >> 4 != version:
        return -1
    if version == 4:
        total = buf[ip + 2] << 8 | buf[ip + 3]
        return ip + total if 20 <= (buf[ip] & 0x0F) * 4 <= total <= end - ip else -1
    total = 40 + (buf[ip + 4] << 8 | buf[ip + 5])
    return ip + total if total <= end - ip else -1


def _joins(sock):
    """True when the kernel joins datagrams of one flow for us: UDP_GRO (Linux 5.0)."""
    try:
        sock.setsockopt(_SOL_UDP, _UDP_GRO, 1)
    except OSError:
        return False
    return True
