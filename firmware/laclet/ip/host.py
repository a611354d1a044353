"""A small IPv4 host in user space, above a PppLink: answers and sends ICMP Echo, hands UDP to whoever listens.

No operating system is asked, so it works on a board, in a test, and for a first ping before anything is configured.
"""

from .. import ticks
from ..port import HEADROOM, Port, frame_buffer
from ..wire import ip

MAX_PACKET = 1500  # bytes of a packet we make
MAX_PINGS = 16  # unanswered at one time; more are refused
MAX_SOCKETS = 16  # open at one time
_EPHEMERAL = 49152  # first of the ports that a socket without one takes (RFC 6335)
_PORTS = 16384
PING_TIMEOUT = 5000  # ms until an Echo-Request counts as lost


class Host(Port):
    """``link`` has send_ip(buf, start, end, now); set ``link.above`` to this host, and ``address`` when the link is up.

    Events: ``("pong", host, (address, sequence, ms))`` and ``("lost", host, (address, sequence))``; ``("timer", host,
    None)`` when poll_at() has moved earlier. ``udp`` maps a port to f(buf, start, end, address, port, now).
    """

    def __init__(self, link):
        super().__init__()
        self.link = link
        self.address = b"\0\0\0\0"
        self.udp = {}
        self.echoed = 0  # Echo-Requests answered
        self._tx = None  # made for the first packet of our own
        self._identification = 0
        self._port = _EPHEMERAL  # the last one given to a socket
        self._sequence = 0
        self._pings = []  # (sequence, address, sent at), oldest first

    # -- in -----------------------------------------------------------------------------------------

    def receive_ip(self, buf, start, end, now):
        """Take an IP packet; an Echo-Request is answered in the buffer it came in."""
        wrong = ip.check(buf, start, end)
        if wrong:
            self.drop(wrong)
            return
        if not self._is_ours(buf, start + ip.DESTINATION):
            self.drop("not for this host")
            return
        end = start + ip.get16(buf, start + ip.LENGTH)
        at = start + ((buf[start] & 15) << 2)
        if buf[start + ip.PROTOCOL] == ip.ICMP:
            self._receive_icmp(buf, start, at, end, now)
        elif buf[start + ip.PROTOCOL] == ip.UDP:
            self._receive_udp(buf, start, at, end, now)
        else:
            self.drop("IP protocol nobody speaks")

    def _is_ours(self, buf, at):
        address = self.address
        return (
            buf[at] == address[0]
            and buf[at + 1] == address[1]
            and buf[at + 2] == address[2]
            and buf[at + 3] == address[3]
        )

    def _receive_icmp(self, buf, start, at, end, now):
        if end - at < ip.ECHO_HEADER:
            self.drop("ICMP cut short")
        elif buf[at] == ip.ECHO_REQUEST:
            # Checksums are mended, not made anew (RFC 1624): damage on the way stays visible to the sender.
            buf[at] = ip.ECHO_REPLY
            ip.adjust(buf, at + 2, ip.ECHO_REQUEST << 8, ip.ECHO_REPLY << 8)
            for i in range(4):
                byte = buf[start + ip.SOURCE + i]
                buf[start + ip.SOURCE + i] = buf[start + ip.DESTINATION + i]
                buf[start + ip.DESTINATION + i] = byte
            ip.adjust(buf, start + ip.CHECKSUM, buf[start + ip.TTL] << 8, ip.DEFAULT_TTL << 8)
            buf[start + ip.TTL] = ip.DEFAULT_TTL
            self.echoed += 1
            self.link.send_ip(buf, start, end, now)
        elif buf[at] == ip.ECHO_REPLY:
            self._on_reply(buf, start, at, end, now)
        else:
            self.drop("ICMP of another type")

    def _on_reply(self, buf, start, at, end, now):
        sequence = ip.get16(buf, at + 6)
        for ping in self._pings:
            if ping[0] == sequence and ping[1] == bytes(buf[start + ip.SOURCE : start + ip.SOURCE + 4]):
                if ip.checksum(buf, at, end):
                    self.drop("ICMP with a wrong checksum")
                    return
                self._pings.remove(ping)
                self.event("pong", (ping[1], sequence, ticks.diff(now, ping[2])))
                return
        self.drop("Echo-Reply to nothing")

    def _receive_udp(self, buf, start, at, end, now):
        length = ip.get16(buf, at + 4) if end - at >= ip.UDP_HEADER else 0
        if length < ip.UDP_HEADER or length > end - at:
            self.drop("UDP with a wrong length")
            return
        handler = self.udp.get(ip.get16(buf, at + 2))
        if handler is None:
            self.drop("UDP port nobody listens on")
            return
        if ip.get16(buf, at + 6):  # 0: the sender made none (RFC 768)
            seed = ip.total(buf, start + ip.SOURCE, start + ip.SOURCE + 8, ip.UDP + length)
            if ip.checksum(buf, at, at + length, seed):
                self.drop("UDP with a wrong checksum")
                return
        address = bytes(buf[start + ip.SOURCE : start + ip.SOURCE + 4])
        handler(buf, at + ip.UDP_HEADER, at + length, address, ip.get16(buf, at), now)

    # -- out ----------------------------------------------------------------------------------------

    def ping(self, address, now, size=56):
        """Send an Echo-Request with ``size`` bytes of data; its sequence number, or -1 with too many under way."""
        if len(self._pings) >= MAX_PINGS:
            return -1
        size = min(size, MAX_PACKET - ip.HEADER - ip.ECHO_HEADER)
        self._sequence = (self._sequence + 1) & 0xFFFF
        tx = self._buffer()
        at = HEADROOM + ip.HEADER
        end = at + ip.ECHO_HEADER + size
        tx[at] = ip.ECHO_REQUEST
        tx[at + 1] = 0
        ip.put16(tx, at + 2, 0)
        ip.put16(tx, at + 4, 0x1AC)  # identifier: which of the pings of a machine; here is but one
        ip.put16(tx, at + 6, self._sequence)
        for i in range(size):
            tx[at + ip.ECHO_HEADER + i] = i & 0xFF
        ip.put16(tx, at + 2, ip.checksum(tx, at, end))
        self._pings.append((self._sequence, bytes(address), now))
        self.event("timer")
        self._identification = (self._identification + 1) & 0xFFFF
        ip.write_header(tx, HEADROOM, end - HEADROOM, ip.ICMP, self.address, address, self._identification)
        self.link.send_ip(tx, HEADROOM, end, now)
        return self._sequence

    def open_udp(self, handler, port=0):
        """A Socket at this UDP port, 0 for a free one; raises OSError when there is none.

        ``handler(buf, start, end, address, port, now)`` hears its datagrams; address is four bytes.
        """
        if len(self.udp) >= MAX_SOCKETS:
            raise OSError("too many sockets")
        for _ in range(MAX_SOCKETS + 1) if not port else ():
            self._port = _EPHEMERAL + (self._port - _EPHEMERAL + 1) % _PORTS
            if self._port not in self.udp:
                port = self._port
                break
        if port in self.udp:
            raise OSError("the port is taken")
        self.udp[port] = handler
        return Socket(self, port)

    def send_in_place(self, source_port, address, port, buf, start, end, checked, now):
        """Send ``buf[start:end]`` as a datagram; its headers go into the headroom. ``checked``: with a checksum."""
        at = start - ip.UDP_HEADER
        ip.put16(buf, at, source_port)
        ip.put16(buf, at + 2, port)
        ip.put16(buf, at + 4, end - at)
        ip.put16(buf, at + 6, 0)
        start = at - ip.HEADER
        self._identification = (self._identification + 1) & 0xFFFF
        ip.write_header(buf, start, end - start, ip.UDP, self.address, address, self._identification)
        if checked:
            ip.put16(buf, at + 6, ip.udp_checksum(buf, start, end))
        self.link.send_ip(buf, start, end, now)

    def send_udp(self, source_port, address, port, data, now):
        """Send a datagram of up to 1472 bytes; False when it is longer."""
        at = HEADROOM + ip.HEADER
        end = at + ip.UDP_HEADER + len(data)
        if end > HEADROOM + MAX_PACKET:
            return False
        tx = self._buffer()
        tx[at + ip.UDP_HEADER : end] = data
        self.send_in_place(source_port, address, port, tx, at + ip.UDP_HEADER, end, True, now)
        return True

    def _buffer(self):
        if self._tx is None:
            self._tx = frame_buffer(MAX_PACKET)
        return self._tx

    # -- time ---------------------------------------------------------------------------------------

    def poll_at(self):
        """When the oldest ping is to be given up."""
        return ticks.add(self._pings[0][2], PING_TIMEOUT) if self._pings else None

    def on_timer(self, now):
        """Give up the pings that were not answered in time."""
        while self._pings and ticks.due(self.poll_at(), now):
            ping = self._pings.pop(0)
            self.event("lost", (ping[1], ping[0]))


class Socket:
    """UDP at one port of a Host."""

    def __init__(self, host, port):
        self.host = host
        self.port = port

    def send(self, data, address, port, now):
        """Send a datagram of up to 1472 bytes to an address of four bytes; False when it is longer."""
        return self.host.send_udp(self.port, address, port, data, now)

    def close(self):
        """Give the port back."""
        self.host.udp.pop(self.port, None)
