"""An uplink by PPP on a UART: a cellular modem, one with a telephone line, or a wire. IP is the core's own host.

No system's IP is needed, so tunnels through it are pinned to it: nothing else can send there.
"""

from laclet import ticks
from laclet.fault import DNS, Fault
from laclet.ip import dns
from laclet.ip.host import Host
from laclet.ip.query import Query
from laclet.line.serial import SerialLine
from laclet.node.backoff import Backoff
from laclet.port import HEADROOM, frame_buffer, join, part
from laclet.ppp.link import PppLink
from laclet.wire.address import ipv4_bytes, ipv4_text
from micropython import const

_FIRST = const(1000)  # ms of the first pause between calls
_LONGEST = const(60_000)
_ECHO = const(30_000)  # ms between LCP echoes
_BELOW = const(34)  # bytes in front of a datagram: FF 03, protocol, IP, UDP, and a little
_DATAGRAM_MAX = const(1472)
_CONTROL = const(0x80)  # T bit of L2TP: a control message


class PppUplink:
    """One section [uplink.NAME] of kind modem. It is dialled again for ever."""

    def __init__(self, uplinks, name, config, whole):
        self.name = name
        self.component = "uplink." + name
        self.up = False
        self.address = ""
        self.armed = None  # for Timers
        self._uplinks = uplinks
        self._config = config
        self._options = whole["line"][config["line"]]
        self._wire = None
        self._at = None  # when it is dialled again
        self._fault = None  # why it is down
        self._servers = ()  # of DNS
        node = uplinks.shell.node
        self._backoff = Backoff(uplinks.shell.random, _FIRST, _LONGEST)
        self.line = SerialLine()
        self.modem = None
        self.link = PppLink(
            uplinks.shell.random,
            username=(config["username"] or "").encode(),
            password=(config["password"] or "").encode(),
            auth=config["auth"],
            address=ipv4_bytes(config["address"]) if config["address"] else None,
            want_dns=not config["dns"],
            echo_interval=_ECHO,
            accm=b"\0\0\0\0",
        )
        self.host = Host(self.link)
        self.link.above = self.host
        for machine in (self.line, self.link, self.host):
            node.adopt(machine, self)
        node.watch(self.link, self.component)
        if self._options["modem"] != "none":
            from laclet.line.modem import Modem

            wait = int(self._options["dial_timeout"] * 1000)
            self.modem = Modem(self.line, init=self._options["init"], dial_timeout=wait)
            node.adopt(self.modem, self)

    def start(self, now):
        """Open the line and dial."""
        self._wire = self._uplinks.shell.open_line(self._options, self.modem or self.line, self.line)
        if self.modem is not None:
            self.modem.start(now)
        self._dial(now)

    def close(self):
        """End the call in order, and give back the line."""
        self._at = None
        if self._wire is not None:
            self.link.close(self._uplinks.shell.now())  # one Terminate-Request; nobody waits for its answer
            self._wire.flush()
            self._wire.close()
            self._wire = None

    def poll_at(self):
        """When it is dialled again."""
        return self._at

    def on_timer(self, now):
        """Dial again."""
        if ticks.due(self._at, now):
            self._at = None
            self._dial(now)

    def status(self):
        """For people and tools."""
        return {
            "kind": "modem",
            "up": self.up,
            "address": self.address,
            "fault": str(self._fault) if self._fault else None,
            "line": self.line.status(),
            "modem": self.modem.status() if self.modem is not None else None,
            "ppp": self.link.status(),
        }

    def resolve(self, host, port, done):
        """Ask the name servers that the PPP peer has told."""
        shell = self._uplinks.shell
        address = ipv4_bytes(host)
        if address is not None:
            done([(host, port)], None, shell.now())
            return
        asked = dns.question(host, int.from_bytes(shell.random(2), "big"))
        fault = Fault(DNS, "cannot find " + host, "", "check the name and the name servers")
        if asked is None or not self._servers:
            done([], fault, shell.now())
            return

        def found(addresses, why, now):
            done([(ipv4_text(each), port) for each in addresses or ()], why, now)
            shell.node.settle(now)

        query = Query(
            self.host.open_udp, self._servers, dns.PORT, asked, lambda b, s, e: dns.parse(b, s, e, asked), found, fault
        )
        query.start(shell.now())
        shell.node.timers.update(query, shell.now())

    def open_udp(self, endpoint, local, port, peer):
        """A carrier through our own host."""
        return HostUdp(self._uplinks.shell, self.host, endpoint, port)

    # -- events ---------------------------------------------------------------------------------------

    def on_event(self, name, source, detail, now):
        """Of line, modem, link and host."""
        if source is self.link:
            if name == "up":
                self._rise(detail, now)
            elif name == "down":
                self._fall(detail, now)
        elif name == "connected":
            self._begin(now)
        elif name in ("hung_up", "failed"):
            self._fall(detail, now)
        elif name == "dtr":
            self._wire.hang_up()

    def _dial(self, now):
        if self.modem is None:
            self._begin(now)
        else:
            self.modem.dial(self._options["number"], now)

    def _begin(self, now):
        """There is somebody at the other end of the line."""
        join(self.line, self.link)
        self.link.open(now)
        self.link.lower_up(now)
        self._uplinks.shell.node.timers.update(self.link, now)
        self.line.release(now)

    def _rise(self, settings, now):
        self.host.address = settings["local"]
        self._servers = [ipv4_bytes(each) for each in self._config["dns"]] or list(settings["dns"])
        self.address = ipv4_text(settings["local"])
        self.up = True
        self._fault = None
        self._backoff.reset()
        self._uplinks.changed(now)

    def _fall(self, fault, now):
        """The call is over: dial again after a while."""
        if self._at is not None:
            return
        was = self.up
        self.up = False
        self._fault = fault
        self._uplinks.shell.node.fault(self.component, fault)
        self._at = ticks.add(now, self._backoff.next())
        self._uplinks.shell.node.timers.update(self, now)
        self.host.address = b"\0\0\0\0"
        part(self.line)
        self.link.lower_down(now)
        if self.modem is not None and self.modem.busy():
            self.modem.hang_up(now)
        if was:
            self._uplinks.changed(now)


class HostUdp:
    """UDP of our own host as a carrier of L2TP: headers go in front of the frame, nothing is copied or allocated."""

    def __init__(self, shell, host, endpoint, port):
        self._shell = shell
        self._host = host
        self._endpoint = endpoint
        self._from = (None, 0)  # the last sender: (four bytes, port), and what it stands for
        self._addr = None
        self._spoken = None  # the same for the last receiver
        self._to = None
        self._tx = None  # for a datagram with too little room in front
        self._socket = host.open_udp(self.heard, port)

    def send(self, buf, start, end, addr):
        """Send ``buf[start:end]``. Data goes without a UDP checksum, as L2TP allows (RFC 2661 §8.1)."""
        if addr is not self._spoken and addr != self._spoken:
            self._spoken = addr
            self._to = ipv4_bytes(addr[0])
        if self._to is None or end - start > _DATAGRAM_MAX or self._socket is None:
            self._endpoint.drop("not sent")
            return
        checked = bool(buf[start] & _CONTROL)
        if start < _BELOW:
            if self._tx is None:
                self._tx = frame_buffer(_DATAGRAM_MAX)
            end = HEADROOM + end - start
            self._tx[HEADROOM:end] = memoryview(buf)[start : start + end - HEADROOM]
            buf, start = self._tx, HEADROOM
        self._host.send_in_place(self._socket.port, self._to, addr[1], buf, start, end, checked, self._shell.now())

    def heard(self, buf, start, end, address, port, now):
        """A datagram from the host."""
        if self._from[0] != address or self._from[1] != port:
            self._from = (address, port)
            self._addr = (ipv4_text(address), port)
        self._endpoint.receive(buf, start, end, self._addr, now)

    def settle(self, addr):
        """The peer's address is final: nothing to do."""

    def source(self, addr):
        """Our own address."""
        return (ipv4_text(self._host.address), self._socket.port)

    def close(self):
        """Give the port back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
