"""L2TP over ATM AAL5 (RFC 3355), LLC or VC multiplexed, and AAL5 itself where no card does it (ITU-T I.363.5, I.361).

    LLC:  AA-AA-03 | OUI 00-00-5E | PID 00-07 | L2TP …          VC:  L2TP …
    CPCS: that | pad to whole cells | UU 1 | CPI 1 | length 2 | CRC-32 4
    cell: GFC, VPI, VCI, PTI, CLP 4 | HEC 1 | 48

``Llc`` stands on a socket that takes AAL5 payloads (the kernel's AF_ATMPVC), or on an ``Aal5``, which makes cells. An
address is ``("atm", name, VPI, VCI)``. OAM is left out.
"""

import binascii

from ..port import HEADROOM, TAILROOM
from .snap import OUI_PID, Carrier, is_l2tp

_LLC = b"\xaa\xaa\x03" + OUI_PID

CELL = 53
# Cells that travel together: as many as an Ethernet frame holds.
TRAIN = 28
_HEADER = 5
_PAYLOAD = 48
_TRAILER = 8
_HEC_COSET = 0x55  # I.432
# PTI: bit 2 is OAM, bit 0 the last cell of a PDU.
_PTI_OAM = 0x08
_PTI_LAST = 0x02
# The longest CPCS SDU that is put together: RFC 2684's default MTU is 9180; ours is a datagram of an Ethernet's size.
MAX_SDU = 2048
_MAX_PDU = (MAX_SDU + _TRAILER + _PAYLOAD - 1) // _PAYLOAD * _PAYLOAD
# Circuits that cells come from; each has a buffer for the PDU in the making.
_MAX_CIRCUITS = 16


def _hec_table():
    table = bytearray(256)
    for i in range(256):
        crc = i
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
        table[i] = crc
    return bytes(table)


_HEC = _hec_table()
# Octets with their bits in the other order: AAL5 sends the most significant bit first, ``binascii.crc32`` the least.
_MIRROR = bytes([sum([(i >> bit & 1) << (7 - bit) for bit in range(8)]) for i in range(256)])


def crc32(data):
    """The four octets of the CRC of I.363.5 §9.2.1.2 over ``data``."""
    if hasattr(data, "translate"):
        mirrored = data.translate(_MIRROR)
    else:
        mirrored = bytearray(data)
        for i in range(len(mirrored)):
            mirrored[i] = _MIRROR[mirrored[i]]
    crc = binascii.crc32(mirrored)
    return bytes([_MIRROR[crc >> shift & 0xFF] for shift in (0, 8, 16, 24)])


def hec(data, at):
    """The fifth octet of a cell header, after the four at ``at`` (I.432)."""
    crc = 0
    for i in range(at, at + 4):
        crc = _HEC[crc ^ data[i]]
    return crc ^ _HEC_COSET


class Llc(Carrier):
    """L2TP in AAL5 payloads. ``vc_mux``: the circuit carries nothing else, so that no header is needed."""

    def __init__(self, vc_mux=False):
        Carrier.__init__(self)
        self._vc_mux = vc_mux

    def send(self, buf, start, end, addr):
        """A datagram to the far end of the circuit ``addr``; needs 8 bytes of headroom."""
        if not self._vc_mux:
            start -= len(_LLC)
            for i in range(len(_LLC)):
                buf[start + i] = _LLC[i]
        self.carrier.send(buf, start, end, addr)

    def receive(self, buf, start, end, addr, now):
        """An AAL5 payload, in place."""
        if not self._vc_mux:
            if end - start < len(_LLC) or buf[start] != 0xAA or buf[start + 1] != 0xAA or buf[start + 2] != 3:
                self.drop("not LLC")
                return
            if not is_l2tp(buf, start + 3):
                self.drop("not L2TP")
                return
            start += len(_LLC)
        self.endpoint.receive(buf, start, end, addr, now)


class _Reassembly:
    """A PDU in the making."""

    def __init__(self, addr):
        self.addr = addr
        self.buf = None
        self.size = 0
        self.lost = False  # too long: wait for its last cell


class Aal5(Carrier):
    """Segmentation and reassembly on the interface ``name``. Below it travel trains of at most ``TRAIN`` cells."""

    def __init__(self, name):
        Carrier.__init__(self)
        self.name = name
        self._train = bytearray(HEADROOM + TRAIN * CELL + TAILROOM)
        self._circuits = {}  # VPI << 16 | VCI -> _Reassembly

    def send(self, buf, start, end, addr):
        """A payload as cells on the circuit ``addr``."""
        size = end - start
        if size > MAX_SDU:
            self.drop("too long")
            return
        pad = -(size + _TRAILER) % _PAYLOAD
        pdu = bytes(buf[start:end]) + bytes(pad + 2) + bytes((size >> 8, size & 0xFF))  # UU and CPI are zero
        pdu += crc32(pdu)
        out = self._train
        at = HEADROOM
        vpi, vci = addr[2], addr[3]
        for first in range(0, len(pdu), _PAYLOAD):
            last = first + _PAYLOAD == len(pdu)
            out[at] = vpi >> 4  # at a user's interface the first nibble is GFC: 0
            out[at + 1] = (vpi & 0x0F) << 4 | vci >> 12
            out[at + 2] = vci >> 4 & 0xFF
            out[at + 3] = (vci & 0x0F) << 4 | (_PTI_LAST if last else 0)
            out[at + 4] = hec(out, at)
            out[at + _HEADER : at + CELL] = pdu[first : first + _PAYLOAD]
            at += CELL
            if last or at == HEADROOM + TRAIN * CELL:
                self.carrier.send(out, HEADROOM, at, addr)
                at = HEADROOM

    def receive(self, buf, start, end, addr, now):
        """A train of cells; what they complete goes up at once."""
        if (end - start) % CELL:
            self.drop("cells cut short")
            end -= (end - start) % CELL
        for at in range(start, end, CELL):
            if buf[at + 4] != hec(buf, at):
                self.drop("bad HEC")
            elif buf[at + 3] & _PTI_OAM:
                self.drop("OAM")
            else:
                self._cell(buf, at, now)

    def _cell(self, buf, at, now):
        vpi = (buf[at] & 0x0F) << 4 | buf[at + 1] >> 4
        vci = (buf[at + 1] & 0x0F) << 12 | buf[at + 2] << 4 | buf[at + 3] >> 4
        circuit = self._circuits.get(vpi << 16 | vci)
        if circuit is None:
            if len(self._circuits) >= _MAX_CIRCUITS:
                self.drop("too many circuits")
                return
            circuit = self._circuits[vpi << 16 | vci] = _Reassembly(("atm", self.name, vpi, vci))
        if circuit.buf is None:
            circuit.buf = bytearray(HEADROOM + _MAX_PDU + TAILROOM)
        if circuit.size == _MAX_PDU:
            circuit.lost = True
        else:
            to = HEADROOM + circuit.size
            circuit.buf[to : to + _PAYLOAD] = memoryview(buf)[at + _HEADER : at + CELL]
            circuit.size += _PAYLOAD
        if buf[at + 3] & _PTI_LAST:
            size, lost = circuit.size, circuit.lost
            circuit.size, circuit.lost = 0, False
            if lost:
                self.drop("too long")
            else:
                self._pdu(circuit, size, now)

    def _pdu(self, circuit, size, now):
        buf = circuit.buf
        start = HEADROOM
        end = start + size
        length = buf[end - 6] << 8 | buf[end - 5]
        if crc32(buf[start : end - 4]) != bytes(buf[end - 4 : end]):
            self.drop("bad CRC")
        elif not size - _TRAILER - _PAYLOAD < length <= size - _TRAILER or length == 0:
            self.drop("bad length")  # 0 is an abort (I.363.5 §9.2.1.2)
        else:
            self.endpoint.receive(buf, start, start + length, circuit.addr, now)
