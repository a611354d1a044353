"""L2TP over frame relay (RFC 3070): one SNAP frame of RFC 2427 for each datagram, on permanent virtual circuits.

    Q.922 address 2 or 4 | control 03 | pad 00 | NLPID 80 | OUI 00-00-5E | PID 00-07 | L2TP …

Below stands what carries frames without flags and FCS: a packet or HDLC socket, or HDLC on a UART. An address is
``("fr", name, DLCI)``; LMI is left out, so the circuits are those of the configuration.
"""

from .snap import OUI_PID, Carrier, is_l2tp

_UI = 0x03  # unnumbered information (RFC 2427 §3)
_NLPID_SNAP = 0x80
# Bits of the last and the other octets of an address (Q.922 §3.3).
_EA = 0x01
_DE = 0x02
_FECN_BECN = 0x0C
# DLCIs of two octets that a network gives to users; four octets hold up to 23 bits.
DLCI_MIN = 16
DLCI_MAX = 1007
DLCI_LONG_MAX = (1 << 23) - 1
# Circuits that datagrams come from, where the configuration does not name them: a peer could name eight million.
_MAX_CIRCUITS = 64


def address(dlci):
    """The Q.922 address of a DLCI: two octets where they suffice, else four (§3.2, §3.3)."""
    if dlci <= 1023:
        return bytes((dlci >> 4 << 2, (dlci & 0x0F) << 4 | _EA))
    return bytes((dlci >> 17 << 2, (dlci >> 13 & 0x0F) << 4, (dlci >> 6 & 0x7F) << 1, (dlci & 0x3F) << 2 | _EA))


class FrameRelay(Carrier):
    """The carrier. ``name`` is that of the interface; ``dlcis`` the circuits that carry L2TP (None: all)."""

    def __init__(self, name, dlcis=None):
        Carrier.__init__(self)
        self.name = name
        self.congested = 0  # frames that came with FECN or BECN
        self._dlcis = dlcis
        self._headers = {}  # DLCI -> what goes before its datagrams
        self._addrs = {}  # DLCI -> ("fr", name, DLCI)

    def send(self, buf, start, end, addr):
        """A datagram to the far end of the circuit ``addr``; needs 12 bytes of headroom."""
        header = self._headers.get(addr[2])
        if header is None:
            # The pad makes what follows start on an even octet (RFC 2427 §3).
            header = self._headers[addr[2]] = address(addr[2]) + bytes((_UI, 0, _NLPID_SNAP)) + OUI_PID
        at = start - len(header)
        for i in range(len(header)):
            buf[at + i] = header[i]
        self.carrier.send(buf, at, end, addr)

    def receive(self, buf, start, end, addr, now):
        """A frame, in place; ``addr`` of what is below means nothing here."""
        at = start
        dlci = 0
        last = 0
        while not last & _EA:
            if at - start == 4 or at == end:
                self.drop("bad Q.922 address")
                return
            last = buf[at]
            if at == start:
                dlci = last >> 2
            elif at == start + 1:
                dlci = dlci << 4 | last >> 4
                if last & _FECN_BECN:
                    self.congested += 1
            elif last & _EA:
                dlci = dlci << 6 | last >> 2
            else:
                dlci = dlci << 7 | last >> 1
            at += 1
        if at - start < 2:
            self.drop("bad Q.922 address")
            return
        if self._dlcis is not None and dlci not in self._dlcis:
            self.drop("unknown DLCI")
            return
        pad = 1 if end - at > 1 and buf[at + 1] == 0 else 0
        if end - at < 7 + pad or buf[at] != _UI or buf[at + 1 + pad] != _NLPID_SNAP or not is_l2tp(buf, at + 2 + pad):
            self.drop("not L2TP")
            return
        found = self._addrs.get(dlci)
        if found is None:
            if len(self._addrs) >= _MAX_CIRCUITS:
                self.drop("too many DLCIs")
                return
            found = self._addrs[dlci] = ("fr", self.name, dlci)
        self.endpoint.receive(buf, at + 7 + pad, end, found, now)
