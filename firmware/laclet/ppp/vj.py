"""Van Jacobson TCP/IP header compression (RFC 1144), negotiated in IPCP (RFC 1332 §4), for slow serial lines."""

from ..port import HEADROOM
from ..wire import ppp
from ..wire.ip import CHECKSUM, FRAGMENT, IDENTIFICATION, LENGTH, PROTOCOL, checksum, get16, put16
from .options import Option

IP_COMPRESSION = 2  # type of the option; its value: protocol 002D, Max-Slot-Id, Comp-Slot-Id
SLOTS = 16  # connections remembered in each direction; more would need more memory at the peer than it may have

TCP = 6
# Offsets in the TCP header.
SEQUENCE = 4
ACKNOWLEDGMENT = 8
OFFSET = 12
FLAGS = 13
WINDOW = 14
TCP_CHECKSUM = 16
URGENT = 18

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20

# Change mask of a compressed header (RFC 1144 §3.2.2).
NEW_U = 0x01
NEW_W = 0x02
NEW_A = 0x04
NEW_S = 0x08
PUSH = 0x10
NEW_I = 0x20
NEW_C = 0x40
SPECIAL_I = NEW_S | NEW_W | NEW_U  # echoed interactive traffic
SPECIAL_D = NEW_S | NEW_A | NEW_W | NEW_U  # unidirectional data
SPECIALS = 0x0F

# Bytes of a header that is rebuilt in front of its data: so much room is there, with the four bytes at least that
# protocol field, mask and checksum took. Only TCP with nearly all options possible needs more.
MAX_REBUILT = HEADROOM + 4


def _headers(buf, start, end):
    """Bytes of the IP and TCP headers of a whole TCP packet (the protocol number is not looked at); 0 for others."""
    if end - start < 40 or buf[start] >> 4 != 4 or get16(buf, start + FRAGMENT) & 0x3FFF:
        return 0
    header = (buf[start] & 15) << 2
    length = get16(buf, start + LENGTH)
    if header < 20 or header + 20 > length or length > end - start:
        return 0
    size = buf[start + header + OFFSET] >> 4 << 2
    return header + size if size >= 20 and header + size <= length else 0


def _difference(buf, at, old, old_at):
    """New minus old of two 32-bit numbers when that is 0 to 65535, else -1; in halves, to stay within small ints."""
    low = get16(buf, at + 2) - get16(old, old_at + 2)
    high = get16(buf, at) - get16(old, old_at)
    if low < 0:
        low += 0x10000
        high -= 1
    return -1 if high & 0xFFFF else low


def _add(buf, at, n):
    """Add 16 bits to the 32-bit number at ``at``."""
    low = get16(buf, at + 2) + n
    put16(buf, at + 2, low)
    put16(buf, at, get16(buf, at) + (low >> 16))


class Compressor:
    """``slots`` connections; ``omit_slot``: the slot need not be sent when it is the last one's (Comp-Slot-Id)."""

    def __init__(self, slots, omit_slot):
        self.protocol = ppp.IP  # that the packet compressed last goes out with
        self._limit = slots
        self._omit_slot = omit_slot
        self._slots = []  # (slot, header) of each connection, last used first
        self._last = -1  # slot that the peer had last
        self._deltas = bytearray(15)
        self._size = 0  # bytes of it in use

    def compress(self, buf, start, end):
        """Shorten an IPv4 packet in place; its new start. ``protocol`` says what it has become."""
        self.protocol = ppp.IP
        size = _headers(buf, start, end)
        if not size or buf[start + PROTOCOL] != TCP or get16(buf, start + LENGTH) != end - start:
            return start
        tcp = start + ((buf[start] & 15) << 2)
        if buf[tcp + FLAGS] & (FIN | SYN | RST | ACK) != ACK:
            return start
        i = self._find(buf, start, tcp)
        if i < 0:
            slot = len(self._slots)
            if slot == self._limit:
                slot, _ = self._slots.pop()
            changes = -1
        else:
            slot, old = self._slots.pop(i)
            changes = self._changes(buf, start, tcp, size, old) if len(old) == size else -1
        self._slots.insert(0, (slot, buf[start : start + size]))
        if changes < 0:
            buf[start + PROTOCOL] = slot
            self.protocol = ppp.VJ_UNCOMPRESSED
            self._last = slot
            return start
        return self._write(buf, start + size, changes, slot, tcp)

    def _find(self, buf, start, tcp):
        """Where the packet's connection stands, or -1."""
        for i, (_, old) in enumerate(self._slots):
            header = (old[0] & 15) << 2
            if old[12:20] == buf[start + 12 : start + 20] and old[header : header + 4] == buf[tcp : tcp + 4]:
                return i
        return -1

    def _changes(self, buf, start, tcp, size, old):
        """The change mask, with ``_deltas``; -1 when the packet differs in what is taken to stay (§3.2.3)."""
        header = tcp - start
        flags = buf[tcp + FLAGS]
        if (
            old[0:2] != buf[start : start + 2]
            or old[6:10] != buf[start + 6 : start + 10]
            or old[20:header] != buf[start + 20 : tcp]
            or old[header + OFFSET] != buf[tcp + OFFSET]
            or (old[header + FLAGS] ^ flags) & ~(PSH | URG)
            or old[header + 20 : size] != buf[tcp + 20 : start + size]
        ):
            return -1
        self._size = 0
        changes = 0
        if flags & URG:
            self._put(get16(buf, tcp + URGENT))
            changes = NEW_U
        elif get16(buf, tcp + URGENT) != get16(old, header + URGENT):
            return -1
        window = (get16(buf, tcp + WINDOW) - get16(old, header + WINDOW)) & 0xFFFF
        if window:
            self._put(window)
            changes |= NEW_W
        ack = _difference(buf, tcp + ACKNOWLEDGMENT, old, header + ACKNOWLEDGMENT)
        sequence = _difference(buf, tcp + SEQUENCE, old, header + SEQUENCE)
        if ack < 0 or sequence < 0:
            return -1
        if ack:
            self._put(ack)
            changes |= NEW_A
        if sequence:
            self._put(sequence)
            changes |= NEW_S
        data = get16(old, LENGTH) - size  # bytes of data in the packet before
        if changes == 0 and (data or get16(buf, start + LENGTH) == get16(old, LENGTH)):
            return -1  # a repetition, in case the peer missed the packet before
        if changes in (SPECIAL_I, SPECIAL_D):
            return -1
        if sequence == data and (changes == NEW_S or (changes == NEW_S | NEW_A and ack == data)):
            changes = SPECIAL_D if changes == NEW_S else SPECIAL_I
            self._size = 0
        identification = (get16(buf, start + IDENTIFICATION) - get16(old, IDENTIFICATION)) & 0xFFFF
        if identification != 1:
            self._put(identification)
            changes |= NEW_I
        return changes | PUSH if flags & PSH else changes

    def _put(self, value):
        """One delta: a byte, or three for 0 and what is above 255 (§3.2.2)."""
        at = self._size
        if 0 < value < 256:
            self._deltas[at] = value
            self._size = at + 1
        else:
            self._deltas[at] = 0
            put16(self._deltas, at + 1, value)
            self._size = at + 3

    def _write(self, buf, data, changes, slot, tcp):
        """The compressed header in front of the data: mask, slot perhaps, TCP checksum, deltas."""
        high, low = buf[tcp + TCP_CHECKSUM], buf[tcp + TCP_CHECKSUM + 1]
        omit = slot == self._last and self._omit_slot
        start = at = data - self._size - (3 if omit else 4)
        buf[at] = changes if omit else changes | NEW_C
        if not omit:
            at += 1
            buf[at] = slot
        self._last = slot
        buf[at + 1] = high
        buf[at + 2] = low
        for i in range(self._size):
            buf[at + 3 + i] = self._deltas[i]
        self.protocol = ppp.VJ_COMPRESSED
        return start


class Decompressor:
    """The other side; ``why`` tells why the last packet was refused."""

    def __init__(self, slots):
        self.why = ""
        self._slots = [None] * slots  # the last header of each connection
        self._last = -1  # slot of the last packet; -1: unknown, packets without one are tossed (§4.1)
        self._at = 0  # while deltas are read

    def uncompressed(self, buf, start, end):
        """A packet with its slot in place of the protocol: mended in place, remembered; ``start``, or -1."""
        size = _headers(buf, start, end)
        slot = buf[start + PROTOCOL] if size else 0
        if not size or slot >= len(self._slots):
            return self._refuse("VJ packet malformed")
        buf[start + PROTOCOL] = TCP
        self._slots[slot] = buf[start : start + size] if size <= MAX_REBUILT else None
        self._last = slot
        return start

    def compressed(self, buf, at, end):
        """Rebuild a packet, its headers in front of the data; where it starts, or -1."""
        if end - at < 3:
            return self._refuse("VJ packet malformed")
        changes = buf[at]
        at += 1
        if changes & NEW_C:
            self._last = buf[at] if buf[at] < len(self._slots) else -1
            at += 1
        header = self._slots[self._last] if self._last >= 0 else None
        if header is None:
            return self._refuse("VJ packet of an unknown connection")
        if end - at < 2:
            return self._refuse("VJ packet malformed")
        tcp = (header[0] & 15) << 2
        high, low = buf[at], buf[at + 1]
        self._at = at + 2
        deltas = self._read(buf, end, changes, get16(header, LENGTH) - len(header))
        if deltas is None:
            return self._refuse("VJ packet malformed")
        self._apply(header, tcp, changes, deltas)
        header[tcp + TCP_CHECKSUM] = high
        header[tcp + TCP_CHECKSUM + 1] = low
        start = self._at - len(header)
        put16(header, LENGTH, end - start)
        put16(header, CHECKSUM, 0)
        put16(header, CHECKSUM, checksum(header, 0, tcp))
        buf[start : self._at] = header
        return start

    def _read(self, buf, end, changes, data):
        """``(urgent, window, ack, sequence, identification)``, or None when they run beyond the packet."""
        urgent = window = ack = sequence = 0
        kind = changes & SPECIALS
        if kind == SPECIAL_I:
            ack = sequence = data
        elif kind == SPECIAL_D:
            sequence = data
        else:
            urgent = self._take(buf, end) if changes & NEW_U else 0
            window = self._take(buf, end) if changes & NEW_W else 0
            ack = self._take(buf, end) if changes & NEW_A else 0
            sequence = self._take(buf, end) if changes & NEW_S else 0
        identification = self._take(buf, end) if changes & NEW_I else 1
        return None if self._at > end else (urgent, window, ack, sequence, identification)

    def _take(self, buf, end):
        at = self._at
        self._at = at + (1 if at < end and buf[at] else 3)
        if self._at > end:
            return 0
        return buf[at] or get16(buf, at + 1)

    def _apply(self, header, tcp, changes, deltas):
        """Bring the remembered header up to date."""
        urgent, window, ack, sequence, identification = deltas
        flags = header[tcp + FLAGS] & ~(PSH | URG)
        if changes & SPECIALS not in (SPECIAL_I, SPECIAL_D) and changes & NEW_U:
            flags |= URG
            put16(header, tcp + URGENT, urgent)
        header[tcp + FLAGS] = flags | PSH if changes & PUSH else flags
        put16(header, tcp + WINDOW, get16(header, tcp + WINDOW) + window)
        _add(header, tcp + ACKNOWLEDGMENT, ack)
        _add(header, tcp + SEQUENCE, sequence)
        put16(header, IDENTIFICATION, get16(header, IDENTIFICATION) + identification)

    def _refuse(self, why):
        self.why = why
        self._last = -1
        return -1


class Vj(Option):
    """The option of IPCP, and the compression of its packets: ``Vj(link)`` before ``link.open`` is all it takes.

    ``ours``: we can decompress; ``peers``: we may compress. Not together with encryption.
    """

    def __init__(self, link, slots=SLOTS):
        super().__init__(IP_COMPRESSION, "compress", bytes((0, ppp.VJ_COMPRESSED, slots - 1, 1)))
        self._link = link
        self._slots = slots
        self._compressor = None
        self._decompressor = None
        self._ncp = link.ncps[0]
        self._ncp.vj = self
        self._ncp.add(self)
        link.inputs[ppp.VJ_COMPRESSED] = self._compressed_in
        link.inputs[ppp.VJ_UNCOMPRESSED] = self._uncompressed_in
        self.protocol = ppp.IP  # of the packet that ``compress`` returned last

    def begin(self):
        super().begin()
        self._compressor = None
        self._decompressor = Decompressor(self._slots)
        if self._link.cipher is not None:
            self.ours = None

    def judge(self, value, now):
        if self._link.cipher is not None:
            return None
        if len(value) == 4 and value[1] == ppp.VJ_COMPRESSED and value[0] == 0 and value[3] <= 1:
            return value
        return self.wish

    def naked(self, value, now):
        # Fewer slots would do, and no omission of theirs; what is not VJ would not.
        if self.ours is not None and len(value) == 4 and value[:2] == self.wish[:2]:
            self.ours = self.wish[:2] + bytes((min(value[2], self._slots - 1), value[3] & 1))
        else:
            self.ours = None

    def compress(self, buf, start, end):
        """Shorten an IPv4 packet that goes out, where the peer can undo it; its start. ``protocol`` goes with it."""
        self.protocol = ppp.IP
        peers = self.peers
        if peers is None:
            return start
        if self._compressor is None:
            self._compressor = Compressor(min(peers[2] + 1, self._slots), peers[3])
        start = self._compressor.compress(buf, start, end)
        self.protocol = self._compressor.protocol
        return start

    def _compressed_in(self, buf, at, end, now):
        self._deliver(buf, self._decompressor.compressed(buf, at, end) if self.ours is not None else -2, end, now)

    def _uncompressed_in(self, buf, at, end, now):
        self._deliver(buf, self._decompressor.uncompressed(buf, at, end) if self.ours is not None else -2, end, now)

    def _deliver(self, buf, start, end, now):
        if start >= 0:
            self._ncp.deliver(buf, start, end, now)
        else:
            self._link.drop(self._decompressor.why if start == -1 else "VJ packet without agreement")
