"""The upper half of PPP: network protocols and their packets (RFC 1661 §3.5), whatever carries them."""

from .. import ticks
from ..fault import Fault, clean
from ..port import Port
from .automaton import OPENED, STATES
from .ipcp import Ipcp


class Network(Port):
    """Base of ``PppLink``, which has one link below, and of ``Bundle``, which has several.

    Frames of packets go to ``joined``. A subclass supplies ``send(protocol, code, identifier, data, now)`` for control
    packets and ``fail(fault, now)``; says with ``network``, ``start_ncps`` and ``stop_ncps`` when networks may speak;
    and brings what arrives to ``inputs``.
    """

    def __init__(self, random, mtu):
        super().__init__()
        self.random = random
        self.above = None  # takes receive_ip(buf, start, end, now)
        self.plane = None  # what moves packets past us is told by ``changed(now)`` of links and NCPs that come and go
        self.peer_name = b""  # whom the peer proved to be
        self.mtu = 0  # bytes of an IP packet that may be sent now
        self.fault = None  # why it is being closed
        self.network = False  # network protocols may speak (Network phase)
        self.cipher = None  # the Ccp that encrypts
        self.roles = []  # of authentication, while they have something to say or keys to give
        self.ncps = []
        self.machines = []  # everything with poll_at() and on_timer(now)
        self.inputs = {}  # protocol -> f(buf, at, end, now)
        self._own_mtu = mtu
        self._pfc = False  # packets leave with a protocol field of one byte (§6.5)
        self._blamed = None  # what went wrong on the way, in case nothing better is known
        self._announced = None  # the deadline the owner knows of

    def add_ipcp(self, address, peer_address, dns, want_dns, nbns):
        """IPv4, which there always is; the first of ``ncps``."""
        self.add_ncp(Ipcp(self, address, peer_address, dns, want_dns, nbns))

    def add_ncp(self, ncp):
        """Let one more network protocol be negotiated; before ``open``."""
        self.ncps.append(ncp)
        self.machines.append(ncp)
        self.inputs[ncp.protocol] = ncp.receive
        if ncp.data_protocol:
            self.inputs[ncp.data_protocol] = ncp.carry_in

    # -- packets ------------------------------------------------------------------------------------

    def send_ip(self, buf, start, end, now):
        """Put an IP packet into the link, in place: HEADROOM before ``start`` belongs to the layers below."""
        version = buf[start] >> 4 if end > start else 0
        for ncp in self.ncps:
            if ncp.version == version and ncp.state == OPENED:
                if end - start > self.mtu:
                    self.drop("IP packet above the MTU")
                elif self.joined is None:
                    self.drop("not joined")
                else:
                    start = self._frame(ncp, buf, start, end)
                    if start >= 0:
                        self.joined.carry(buf, start, end, now)
                return
        self.drop("IP packet before its NCP is open")

    def _frame(self, ncp, buf, start, end):
        """Make a frame of a packet, encrypted or its headers compressed where that was agreed; its start, or -1."""
        protocol = ncp.data_protocol
        if self.cipher is not None:
            return self.cipher.seal(protocol, buf, start, end)
        if ncp.vj is not None:
            start = ncp.vj.compress(buf, start, end)
            protocol = ncp.vj.protocol
        start -= 1
        buf[start] = protocol
        if not self._pfc:
            start -= 1
            buf[start] = 0
        return start

    # -- time ---------------------------------------------------------------------------------------

    def poll_at(self):
        """The deadline of whichever machine comes first."""
        at = None
        for machine in self.machines:
            at = ticks.soonest(at, machine.poll_at())
        return at

    def on_timer(self, now):
        """Let every machine look at its deadline."""
        for machine in list(self.machines):  # one may bring others down
            machine.on_timer(now)
        self._announced = self.poll_at()

    def rearm(self):
        """Tell the owner when the deadline has moved earlier than it knows."""
        at = self.poll_at()
        if at is not None and (self._announced is None or ticks.diff(at, self._announced) < 0):
            self._announced = at
            self.event("timer")

    # -- for the lower half -------------------------------------------------------------------------

    def limit_mtu(self, unit):
        """The peer takes packets of this many bytes, all in all."""
        self.mtu = min(self._own_mtu, unit - (self.cipher.overhead if self.cipher is not None else 0))

    def start_ncps(self, now):
        """Networks may speak."""
        for ncp in self.ncps:
            ncp.start(now)

    def stop_ncps(self, now):
        """The lower half is down."""
        for ncp in self.ncps:
            ncp.down(now)

    def ncp_rejected(self, protocol, now):
        """The peer does not speak this protocol; False when it is none of ours."""
        for ncp in self.ncps:
            if ncp.protocol == protocol:
                if self.network:
                    ncp.refused(now)
                else:
                    self.drop("Protocol-Reject of an early request")
                return True
        return False

    def tell(self, now):
        """Whatever moves packets past us must look again."""
        if self.plane is not None:
            self.plane.changed(now)

    # -- for the NCPs -------------------------------------------------------------------------------

    def blame(self, fault):
        """Remember what may turn out to be why the link fails; the first one counts."""
        if self._blamed is None:
            self._blamed = fault

    def ncp_up(self, ncp, now):
        """An NCP is Opened."""
        self._blamed = None
        self.tell(now)
        settings = ncp.settings()
        if settings is not None:
            self.event("up", settings)

    def ncp_down(self, ncp, now):
        """An NCP left Opened; its packets are dropped until it is back."""
        self.tell(now)

    def ncp_finished(self, ncp, now):
        """An NCP gave up: the link is of no use when it was the last."""
        for other in self.ncps:
            if other.version and other.negotiating():
                return
        self.fail(ncp.why or Fault(ncp.layer, "closed"), now)

    # -- for people ---------------------------------------------------------------------------------

    def ncp_status(self):
        """Plain values: the state of every NCP, and what each protocol with options agreed on."""
        return {
            "ncps": {ncp.layer: STATES[ncp.state] for ncp in self.ncps},
            "options": {ncp.layer: agreed_options(ncp) for ncp in self.ncps},
            "peer_name": clean(self.peer_name),
            "mtu": self.mtu,
            "fault": str(self.fault) if self.fault else "",
            "drops": dict(self.drops),
        }


def agreed_options(protocol):
    """What was agreed, as ``{name: (ours, peer's)}`` in hexadecimal."""
    agreed = {}
    for option in protocol.options:
        if option.ours is not None or option.peers is not None:
            agreed[option.name] = (_hex(option.ours), _hex(option.peers))
    return agreed


def _hex(value):
    return None if value is None else "".join(["%02x" % b for b in value])
