"""The userspace plane below the service: one for each UDP socket, begun with the first session that wants it."""

import importlib
import os
import threading

from laclet.l2tp.session import Session
from laclet.port import HEADROOM, frame_buffer

from .choose import Declined
from .circuit import Circuit
from .tun import limit_gso

_BATCH = 64  # events taken before others get their turn


def mover_of(link):
    """The Mover of the socket that the packets of ``link`` go through; raises Declined when they need the core."""
    session = link.joined
    if not isinstance(session, Session):
        raise Declined("the links are a bundle")
    carrier = session.tunnel.endpoint.carrier
    if not hasattr(carrier, "mover"):
        raise Declined("the tunnel is not in plain UDP")
    if link.cipher is not None:
        raise Declined("packets are encrypted by MPPE")
    if any(ncp.vj is not None for ncp in link.ncps):
        raise Declined("headers are compressed")
    if session.sequencing:
        raise Declined("packets are numbered and put in order")
    return carrier.mover()


class Mover:
    """Has the socket of ``carrier`` (a UdpCarrier), whose other datagrams go to ``endpoint``.

    The plane's code is loaded in a thread of its own: until it is there packets go one by one. It ends with its last
    session, and begins again with the next.
    """

    def __init__(self, loop, carrier, endpoint):
        self._loop = loop
        self._carrier = carrier
        self._endpoint = endpoint
        self._plane = None
        self._loading = False
        self._carried = {}  # Circuit -> Carried

    def carry(self, link, tun, settings, mss, interface):
        """Move the packets between ``link``'s session and ``tun`` from now on, or soon; returns a Carried."""
        carried = Carried(self, link, tun, settings, mss, interface)
        self._carried[carried.circuit] = carried
        if self._plane is not None:
            self._begin(carried)
        elif not self._loading:
            self._loading = True
            threading.Thread(target=self._load, name="laclet-load", daemon=True).start()
        return carried

    def forget(self, carried):
        """Its packets are no longer moved when this returns."""
        if self._carried.pop(carried.circuit, None) is not None and carried.begun:
            self._plane.remove(carried.circuit)
            if not self._carried:
                for _, data, addr in self._end():
                    self._loop.from_thread(lambda now, data=data, addr=addr: self._hand_on(data, addr, now))
                self._carrier.take_back()

    def number(self, buf, start, addr):
        """Give a numbered datagram of the core's its number."""
        if self._plane is not None:
            self._plane.number(buf, start, addr)

    def change(self, carried, change):
        """Call ``change()`` while no packet of the circuit is under way."""
        if carried.begun:
            with self._plane.held():
                change()
        else:
            change()

    def drops(self):
        """What was dropped before its session was known: reason -> count."""
        return self._plane.drops() if self._plane is not None else {}

    def close(self):
        """The socket is being closed."""
        self._carried.clear()
        if self._plane is not None:
            self._end()

    # -- inside ---------------------------------------------------------------------------------------------

    def _end(self):
        plane, self._plane = self._plane, None
        self._loop.unwatch(plane.fileno())
        left = plane.stop()
        for reason, count in plane.drops().items():
            self._carrier.drops[reason] = self._carrier.drops.get(reason, 0) + count
        return left

    def _load(self):
        importlib.import_module(".user", __package__)
        self._loop.from_thread(self._start)

    def _start(self, now):
        self._loading = False
        if not self._carried:
            return
        from .user import UserPlane

        self._loop.unwatch(self._carrier.sock.fileno())
        self._plane = UserPlane(self._carrier.sock, on_error=self._carrier.read_errors)
        self._loop.watch(self._plane.fileno(), self._on_ready)
        for carried in self._carried.values():
            self._begin(carried)
        self._plane.start()

    def _begin(self, carried):
        carried.begin()
        self._plane.add(carried.circuit)

    def _on_ready(self, events, now):
        """Datagrams that are not IP packets of a session in the plane, and sessions that have failed."""
        for _ in range(_BATCH):
            event = self._plane.next_event()
            if event is None:
                return
            name, what, detail = event
            if name == "failed":
                carried = self._carried.get(what)
                if carried is not None:
                    carried.interface.lost(now)
                continue
            self._hand_on(what, detail, now)
            if self._plane is None:
                return

    def _hand_on(self, data, addr, now):
        """A datagram for the core."""
        size = len(data)
        buf = frame_buffer(size)
        buf[HEADROOM : HEADROOM + size] = data
        self._endpoint.receive(buf, HEADROOM, HEADROOM + size, addr, now)


class Carried:
    """One session in a Mover's care."""

    def __init__(self, mover, link, tun, settings, mss, interface):
        self.interface = interface
        self.begun = False
        self._mover = mover
        session = self._session = link.joined
        self._forwards = _forwards(tun.name)
        self._mtu = settings["mtu"]
        tunnel = session.tunnel
        self.circuit = Circuit(
            *(tun, tunnel.tid, session.sid, tunnel.peer_tid, session.peer_sid, tunnel.addr),
            length_bit=tunnel.options.length_bit,
            ff03=session.ff03,
            mss=mss,
            local=() if self._forwards else (settings["local"],),
            ipv6=False,
        )
        self._counted = (0, 0, 0, 0)
        self._dropped = {}

    def begin(self):
        """The plane has the session."""
        self.begun = True
        self.interface.lend()
        if not self._forwards:
            limit_gso(self.circuit.tun.name, self._mtu)

    def up6(self, settings):
        """IPv6 packets pass, too."""
        local = () if self._forwards else (settings["local"],)
        self._mover.change(self, lambda: self.circuit.pass_ipv6(local))

    def end(self):
        """Back to one by one."""
        self._mover.forget(self)
        if self.begun and self.circuit.tun.fd >= 0:
            self.interface.take_back()
        self.count(self.interface.drops)

    def count(self, drops):
        """Add what was moved since the last time to the session's counters, and to ``drops`` what was not."""
        circuit = self.circuit
        session = self._session
        now = circuit.rx_packets, circuit.rx_bytes, circuit.tx_packets, circuit.tx_bytes
        rx_packets, rx_bytes, tx_packets, tx_bytes = (a - b for a, b in zip(now, self._counted, strict=True))
        self._counted = now
        session.rx_packets += rx_packets
        session.rx_bytes += rx_bytes + rx_packets * circuit.ppp_header
        session.tx_packets += tx_packets
        session.tx_bytes += tx_bytes + tx_packets * circuit.overhead
        for reason, count in list(circuit.drops.items()):
            drops[reason] = drops.get(reason, 0) + count - self._dropped.get(reason, 0)
            self._dropped[reason] = count


def _forwards(name):
    """True when this host may hand packets of the interface on to others."""
    for path in (f"/proc/sys/net/ipv4/conf/{name}/forwarding", f"/proc/sys/net/ipv6/conf/{name}/forwarding"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                if file.read().strip() != "0":
                    return True
    return False
