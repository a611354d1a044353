"""A call made only to see how far it gets: the core on real sockets, without an interface, nothing changed."""

import copy
import os
import socket
import time

from laclet.fault import Fault
from laclet.node.dialer import FAILED, UP
from laclet.node.node import Node
from laclet.port import HEADROOM, frame_buffer
from laclet.wire import ppp
from laclet_linux import udp
from laclet_linux.interface import EchoInterface
from laclet_linux.loop import Loop, now_ms

_RETRIES = 3  # of control messages, so 8 s when nobody answers
_FIRST_RETRY = 0.5  # s
_ECHO_WAIT = (0.25, 1.0)  # s for one echo: at least, and before the round trip is known
_ECHO_TRIES = 2
_ECHO_HEAD = 8  # LCP header and magic number
_IP_MTU_DISCOVER = (socket.IPPROTO_IP, 10)
_IPV6_MTU_DISCOVER = (socket.IPPROTO_IPV6, 23)
_PROBE = 3  # IP_PMTUDISC_PROBE: don't fragment, and don't mind what the kernel believes of the path


class Trial:
    """One tunnel of a checked ``config``, and its call ``call`` when that is given and needs no line.

    Also the node's shell. ``fault`` is what it failed with, ``refused`` what the network said of our datagrams.
    """

    def __init__(self, config, tunnel, call):
        self.random = os.urandom
        self.address_text = udp.address_text
        self.hostname = socket.gethostname
        self.refused = ""
        self.said = []  # what was logged
        self._loop = Loop()
        self._sockets = []
        self._echoed = None  # (identifier, octets) of the last Echo-Reply
        self._echo_wait = _ECHO_WAIT[1]
        self._tunnel, self._call = tunnel, call
        self.node = Node(_only(config, tunnel, call), self)

    def run(self, seconds: float) -> None:
        """Until it is up, or has failed, or the time is over."""
        deadline = time.monotonic() + seconds
        self.node.start(now_ms())
        while not self._decided() and time.monotonic() < deadline:
            self._loop.once(self, 100)

    def close(self) -> None:
        """Hang up in order."""
        self.node.stop(now_ms())
        deadline = time.monotonic() + 1
        while not self.node.stopped(now_ms()) and time.monotonic() < deadline:
            self._loop.once(self, 50)
        self.node.close()
        self._loop.close()

    @property
    def dialer(self):
        return self.node.dialers[self._tunnel]

    @property
    def call(self):
        """The ClientCall, or None."""
        return self.node.calls.get(self._call)

    @property
    def fault(self) -> Fault | None:
        """Why it is not up; None while nobody knows, and when it is."""
        if self.call is not None and self.call.settings:
            return None
        return (self.call.fault if self.call is not None else None) or self.dialer.fault

    @property
    def is_up(self) -> bool:
        """The call is, or the tunnel when there is no call."""
        return bool(self.call.settings) if self.call is not None else self.dialer.state == UP

    def _decided(self) -> bool:
        gave_up = self.call is not None and self.call.gave_up
        refused = self.refused and len(self.dialer.config["server"] or ()) == 1
        return bool(self.is_up or gave_up or refused or self.dialer.state == FAILED)

    # -- sizes ------------------------------------------------------------------------------------------

    def passes(self, size: int) -> bool:
        """True when a packet of ``size`` bytes gets to the peer and back in one piece: an LCP echo as long as that."""
        link = self.call.link
        for sock in self._sockets:
            v6 = sock.family == socket.AF_INET6
            sock.setsockopt(*(_IPV6_MTU_DISCOVER if v6 else _IP_MTU_DISCOVER), _PROBE)
        link.tap = self._look
        for _ in range(_ECHO_TRIES):
            if link.joined is None:
                return False
            identifier = link.next_identifier()
            buf = frame_buffer(size + 2)
            data = (link.lcp.magic.ours or bytes(4)) + bytes(size - _ECHO_HEAD)
            end = ppp.write(buf, HEADROOM, ppp.LCP, ppp.ECHO_REQUEST, identifier, data)
            link.joined.carry(buf, HEADROOM, end, now_ms())
            began = time.monotonic()
            while time.monotonic() < began + self._echo_wait and link.joined is not None:
                self._loop.once(self, 50)
                if self._echoed == (identifier, size):
                    self._echo_wait = max(_ECHO_WAIT[0], 4 * (time.monotonic() - began))
                    return True
        return False

    def _look(self, received, buf, start, end):
        head = ppp.head(buf, start, end)
        at = start + (head >> 16)
        if received and head & 0xFFFF == ppp.LCP and end - at >= ppp.CONTROL_HEADER and buf[at] == ppp.ECHO_REPLY:
            self._echoed = (buf[at + 1], ppp.packet_end(buf, at, end) - at)

    # -- for the loop -----------------------------------------------------------------------------------

    def poll_at(self):
        return self.node.poll_at()

    def on_timer(self, now):
        self.node.on_timer(now)

    def settle(self, now):
        self.node.settle(now)

    # -- the shell --------------------------------------------------------------------------------------

    def log(self, level, component, text):
        self.said.append(f"{component}: {text}")

    def resolve(self, host, port, done):
        udp.resolve(self._loop, host, port, done)

    def open_udp(self, endpoint, address, port, peer):
        try:
            carrier = udp.UdpCarrier(self._loop, endpoint, address, port, peer, self._on_refused)
        except OSError as error:
            raise OSError(error.strerror) from None
        self._sockets.append(carrier.sock)
        return carrier

    def open_circuit(self, endpoint, circuit, listen, events):
        from laclet_linux.circuits import open_circuit

        return open_circuit(self._loop, endpoint, circuit, listen, events)

    def open_interface(self, options, link):
        return EchoInterface(link)

    def _on_refused(self, addr, text):
        self.refused = text


def _only(config, tunnel, call):
    """The configuration of a trial: one tunnel, at most one call, no second try."""
    config = copy.deepcopy(config)
    section = config["tunnel"][tunnel]
    section.update(
        redial=False,
        retry_timeout=min(section["retry_timeout"], _FIRST_RETRY),
        max_retries=min(section["max_retries"], _RETRIES),
        ipsec="laclet",
        ipsec_plane="user",
    )
    options = config["call"].get(call)
    if options is not None:
        options.update(multilink=False, proxy=False, tunnel=tunnel, tunnels=())
    config.update(tunnel={tunnel: section}, call={} if options is None else {call: options}, lns=None, line={})
    return config
