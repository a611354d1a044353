"""One session in the userspace plane: its ids, its headers, its numbers, its counters."""

import struct

from .headers import L2TP_L, L2TP_S, ns_offset

_IP = b"\x00\x21"  # PPP protocol numbers
_IPV6 = b"\x00\x57"


class Circuit:
    """A session's way between an interface and the tunnel. Its owner keeps ``tun`` open while it is in a plane.

    ``tunnel``, ``session``: our ids; ``peer_tunnel``, ``peer_session``: the peer's. ``addr``: where the peer is, or
    None on a connected socket. ``mss``: the largest TCP segment over IPv4, 0 to leave SYNs alone. ``local``: addresses
    (bytes) of this host on the interface: TCP data for them are verified by its own TCP, all others by the plane.
    ``ipv6`` False: its packets are the core's to refuse, until ``pass_ipv6``.
    """

    def __init__(
        self,
        tun,
        tunnel,
        session,
        peer_tunnel,
        peer_session,
        addr=None,
        *,
        length_bit=False,
        sequencing=False,
        ff03=True,
        compress_protocol=False,
        mss=0,
        local=(),
        ipv6=True,
    ):
        self.tun = tun
        self.key = tunnel << 16 | session
        self.peer_key = peer_tunnel << 16 | peer_session
        self.addr = addr
        self.mss = mss
        self.local = frozenset(local)
        self.length_bit = length_bit
        self.sequencing = sequencing
        self.ns = 0  # of the next datagram we send
        self.expected = 0  # Ns of the next one to come
        self.passed = 0  # Ns of the next one handed to the owner, who shall see no gaps
        self.gso_below = 65_536  # datagrams of this size and more are refused by UDP_SEGMENT: they exceed the MTU
        self.reads = 1  # packets the next turn may read
        self.failed = ""  # why the interface can no longer be read
        self.rx_packets = self.rx_bytes = self.tx_packets = self.tx_bytes = 0
        self.lost = 0  # datagrams that sequence numbers showed missing
        self.drops = {}
        self._ppp = [
            (b"\xff\x03" if ff03 else b"") + (protocol[1:] if compress_protocol else protocol)
            for protocol in (_IP, _IPV6)
        ]
        self.versions = {0x21: 4}  # PPP protocol number -> IP version
        self.ppp_header = len(self._ppp[0])
        self.overhead = 0  # bytes in front of the IP packet in a datagram we send
        self._prefixes = {}  # IP version -> L2TP and PPP header
        if ipv6:
            self.versions[0x57] = 6
        self._make_prefixes()

    def pass_ipv6(self, local=()):
        """Take packets of IPv6 from now on; ``local`` as above. Only while the plane is held."""
        self.versions[0x57] = 6
        self.local |= frozenset(local)
        self._make_prefixes()

    def _make_prefixes(self):
        first = (L2TP_L if self.length_bit else 0) | (L2TP_S if self.sequencing else 0)
        l2tp = bytes((first, 2)) + (b"\0\0" if self.length_bit else b"") + self.peer_key.to_bytes(4, "big")
        l2tp += bytes(4) if self.sequencing else b""
        self.overhead = len(l2tp) + self.ppp_header
        self._prefixes = {version: bytearray(l2tp + self._ppp[version == 6]) for version in self.versions.values()}

    def passes(self, version):
        """True when packets of this IP version pass."""
        return version in self._prefixes

    def prefix(self, version, size, count=1):
        """L2TP and PPP header for ``count`` packets of ``size`` bytes and IP ``version``; None if it does not pass."""
        prefix = self._prefixes.get(version)
        if prefix is not None:
            if self.length_bit:
                struct.pack_into("!H", prefix, 2, len(prefix) + size)
            if self.sequencing:
                struct.pack_into("!H", prefix, ns_offset(prefix[0]), self.next_ns(count))
        return prefix

    def next_ns(self, count=1):
        """The number of the next datagram; ``count`` are spent."""
        ns = self.ns
        self.ns = ns + count & 0xFFFF
        return ns

    def take_back(self, count):
        """The numbers of the last ``count`` datagrams were not spent."""
        if self.sequencing:
            self.ns = self.ns - count & 0xFFFF

    def accept_ns(self, ns):
        """Take the number of a datagram that came; False when it is late or repeated (RFC 2661 §5.4)."""
        ahead = ns - self.expected & 0xFFFF
        if ahead >= 0x8000:
            self.drop("late or repeated")
            return False
        self.lost += ahead
        self.expected = ns + 1 & 0xFFFF
        if not self.sequencing:  # the LNS turns it on by using it
            self.sequencing = True
            self._make_prefixes()
        return True

    def drop(self, reason, count=1):
        """Count packets that were dropped, under their reason."""
        self.drops[reason] = self.drops.get(reason, 0) + count

    def stats(self):
        """Counters of IP packets and their bytes, for people and tools."""
        return {
            "rx_packets": self.rx_packets,
            "tx_packets": self.tx_packets,
            "rx_bytes": self.rx_bytes,
            "tx_bytes": self.tx_bytes,
            "lost": self.lost,
            "drops": dict(self.drops),
            "failed": self.failed,
        }
