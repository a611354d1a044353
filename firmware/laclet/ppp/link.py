"""One PPP link: LCP and authentication (RFC 1661 §3), as a frame port; network protocols above it as in ``network``."""

from ..fault import AUTH, LCP, Fault
from ..port import HEADROOM, frame_buffer
from ..wire import ppp
from . import auth as methods
from .automaton import CLOSING, OPENED, REQ_SENT, RESTART_FIRST, STATES
from .lcp import Lcp
from .network import Network, agreed_options

MAX_CONTROL = 576  # bytes of a control packet we make: a PAP name and password of 255 bytes each, options up to 512
MAX_REJECTED = 64  # bytes of a rejected packet that a Protocol-Reject quotes

# Protocols from here on belong to the link itself, those from there on control a network (RFC 1661 §2).
LINK_LAYER = 0xC000
NETWORK_CONTROL = 0x8000


class PppLink(Network):
    """Our own end of a PPP link. All times in ms, all addresses 4 bytes, names and passwords bytes (1 to 255).

    ``random``        f(n) -> n random bytes
    ``mru``           longest information field we take; asked of the peer when it is not 1500
    ``mtu``           longest IP packet we send (default: mru); the peer's MRU may lower it
    ``username``, ``password``  how we prove ourselves
    ``auth``          methods we may prove ourselves with, best first (names of ``laclet.ppp.auth``); never another
    ``demand``        methods the peer shall prove itself with, best first; () asks for no proof
    ``name``          how we call ourselves in a CHAP Challenge
    ``secret_of``     f(name) -> password of that peer or None; needed with ``demand``
    ``address``       our address: wished at the client (None: any), ours at the server
    ``peer_address``  server: the peer's address, or f(name) -> address or None, asked when IPCP begins
    ``dns``, ``want_dns``, ``nbns``  see ``Ipcp``
    ``echo_interval``, ``echo_failure``  LCP Echo-Request every so many ms (0: never); dead after so many unanswered
    ``multilink``     a ``Bundle`` to join, or the ``Bundles`` of a server; it has the NCPs, ``above`` and ``send_ip``
    ``accm``          4 bytes when an asynchronous line is joined: ask this ACCM, PFC and ACFC; None otherwise

    Events: ``("up", link, settings)`` when an NCP opens (``Ipcp.settings``), and again after a renegotiation, which
    replaces the former; with ``multilink`` instead ``("joined", link, bundle)``; ``("down", link, Fault)`` once when
    the link has ended: the owner then takes the lower layer down; ``("timer", link, None)`` when poll_at() has moved
    earlier.
    """

    def __init__(
        self,
        random,
        mru=1500,
        mtu=None,
        username=b"",
        password=b"",
        auth=("chap", "pap"),
        demand=(),
        name=b"laclet",
        secret_of=None,
        address=None,
        peer_address=None,
        dns=(),
        want_dns=False,
        nbns=(),
        echo_interval=0,
        echo_failure=4,
        accm=None,
        multilink=None,
    ):
        super().__init__(random, mtu or mru)
        for method in tuple(auth) + tuple(demand):
            if methods.method(method) is None:
                raise ValueError("no such authentication method: " + method)
        if len(username) > 255 or len(password) > 255 or len(name) > 255:
            raise ValueError("a name or password is longer than 255 bytes")
        if demand and secret_of is None:
            raise ValueError("demand needs secret_of")
        self.username = username
        self.password = password
        self.auth = tuple(auth)
        self.demand = tuple(demand)
        self.name = name
        self.secret_of = secret_of
        self.judge = None  # who judges the peer's proof in place of secret_of; see ``auth.remote``
        self.tap = None  # tap(received, buf, start, end): shown every control frame (debugging)
        self._asynchronous = accm is not None
        self._reported = True  # the owner knows that the link is down
        self._proven = False  # the peer believes us, or does not ask
        self._verified = False  # we believe the peer, or do not ask
        self.challenge = b""  # the CHAP challenge we sent: one that comes back is never answered
        self.lcp = Lcp(self, mru, accm, echo_interval, echo_failure)
        self.machines.append(self.lcp)
        self.inputs[ppp.LCP] = self.lcp.receive
        self.multilink = multilink
        self.bundle = None  # the one it has joined
        self.extras = None  # what LCP says beside the necessary
        self.speed = 0  # bits a second, as far as known; divides the traffic of a bundle
        if multilink is None:
            self.add_ipcp(address, peer_address, dns, want_dns, nbns)
        else:
            multilink.equip(self.lcp)

    # -- verbs --------------------------------------------------------------------------------------

    def open(self, now):
        """We want the link; negotiation starts as soon as the lower layer is up."""
        self.fault = None
        self.lcp.open(now)
        self.rearm()

    def close(self, now):
        """We want it no longer: Terminate-Request, then ("down", …)."""
        self.fail(Fault(LCP, "closed by us"), now)
        self.rearm()

    def lower_up(self, now):
        """What is joined to us carries frames now: the first Configure-Request leaves at once."""
        self.fault = None
        self.lcp.up(now)
        self.rearm()

    def lower_down(self, now):
        """What is joined to us carries no more frames."""
        if self.lcp.why is None:
            self.lcp.why = Fault(LCP, "the line below went down")
        self.lcp.down(now)
        self._report()

    def kick(self, now):
        """Repeat an unanswered first request now (the L2TP peer has just acknowledged the call)."""
        if self.lcp.state < OPENED:
            self.lcp.kick(now, RESTART_FIRST // 2)  # once more soon: what is to hear it may need a moment yet
            self.rearm()

    def carry(self, buf, start, end, now):
        """Take a bare PPP frame from the port that is joined."""
        head = ppp.head(buf, start, end)
        protocol = head & 0xFFFF
        at = start + (head >> 16)
        lcp = self.lcp
        lcp.alive = True
        if protocol == ppp.LCP:
            if self.tap is not None:
                self.tap(True, buf, start, end)
            lcp.receive(buf, at, end, now)
            self.rearm()
        elif lcp.state != OPENED or protocol == 0:
            self.drop("frame before LCP is open" if protocol else "frame without a protocol")
        elif protocol < LINK_LAYER and not self.network and not self._implied(now):
            self.drop("network frame before authentication")
        else:
            if protocol >= NETWORK_CONTROL and self.tap is not None:
                self.tap(True, buf, start, end)
            handler = self.inputs.get(protocol)
            if handler is not None:
                handler(buf, at, end, now)
            else:
                self._other(protocol, buf, at, end, now)
            if protocol >= NETWORK_CONTROL:
                self.rearm()
                if self.bundle is not None:
                    self.bundle.rearm()

    def phase(self):
        """Phase of the link (§3.2), read off LCP's state."""
        state = self.lcp.state
        if state >= REQ_SENT:
            return "Establish" if state < OPENED else "Network" if self.network else "Authenticate"
        return "Terminate" if state >= CLOSING else "Dead"

    def status(self):
        """For people: plain values, no secrets. ``auth``: how we prove ourselves, and how the peer does."""
        status = self.ncp_status()
        status["options"][self.lcp.layer] = agreed_options(self.lcp)
        status["phase"] = self.phase()
        status["lcp"] = STATES[self.lcp.state]
        status["auth"] = [_title(self.lcp.authentication.peers), _title(self.lcp.authentication.ours)]
        status["identification"] = self.lcp.identification
        status["rtt"] = self.lcp.rtt
        if self.extras is not None:
            status["quality"] = self.extras.status()
        return status

    # -- for the machines inside --------------------------------------------------------------------

    def next_identifier(self):
        """A fresh identifier for an authentication packet."""
        return self.lcp.next_identifier()

    def send(self, protocol, code, identifier, data, now):
        """Send a control packet; data beyond what fits is cut (only quotations and texts are that long)."""
        if self.joined is None:
            self.drop("not joined")
            return
        tx = frame_buffer(MAX_CONTROL if len(data) > MAX_CONTROL - 6 else 6 + len(data))
        end = ppp.write(tx, HEADROOM, protocol, code, identifier, data[: MAX_CONTROL - 6])
        if self.tap is not None:
            self.tap(False, tx, HEADROOM, end)
        self.joined.carry(tx, HEADROOM, end, now)

    def send_data(self, protocol, data, now):
        """Send a packet that is no control packet."""
        if self.joined is None:
            self.drop("not joined")
            return
        tx = frame_buffer(2 + len(data))
        tx[HEADROOM] = protocol >> 8
        tx[HEADROOM + 1] = protocol & 0xFF
        end = HEADROOM + 2 + len(data)
        tx[HEADROOM + 2 : end] = data
        self.joined.carry(tx, HEADROOM, end, now)

    def send_in_place(self, protocol, buf, at, end, now):
        """Send the control packet that stands at ``at`` in the buffer it came in."""
        if self.joined is None:
            self.drop("not joined")
            return
        buf[at - 2] = protocol >> 8
        buf[at - 1] = protocol & 0xFF
        if self.tap is not None:
            self.tap(False, buf, at - 2, end)
        self.joined.carry(buf, at - 2, end, now)

    def peer_gave_up(self, now):
        """The peer ends the negotiation of LCP: in vain to go on, if we know why."""
        if self._blamed is not None:
            self.fail(self._blamed, now)

    def renegotiate(self, now):
        """Begin anew with LCP."""
        self.lcp.down(now)
        self.lcp.up(now)
        self.rearm()

    def fail(self, fault, now):
        """Close the link, because of this."""
        if self.fault is None:
            self.fault = fault
        self.lcp.close(now, fault.cause.encode()[:MAX_REJECTED])

    def lcp_begins(self):
        """LCP negotiates, for the first time or again."""
        self._blamed = None
        self._reported = False

    def lcp_up(self, now):
        """LCP is Opened: authenticate, whoever has to."""
        lcp = self.lcp
        self.limit_mtu(lcp.peer_mru())
        self._pfc = self._asynchronous and lcp.pfc.peers is not None
        value = lcp.authentication.ours
        self._verified = value is None
        if value is not None:
            self.roles.append(methods.verifier(value, self))
        value = lcp.authentication.peers
        self._proven = value is None or lcp.proxied
        if value is not None:
            self.roles.append(methods.load(value).Prover(self))
        self.machines.extend(self.roles)
        for role in self.roles if not lcp.proxied else ():  # else all has been said for them
            role.start(now)
        if self.extras is not None:
            self.extras.up(now)
        self._authenticated(now)

    def lcp_down(self, now):
        """LCP left Opened: everything above it is down."""
        if self.extras is not None:
            self.extras.down()
        self.network = False
        self.peer_name = b""
        self.challenge = b""
        for role in self.roles:
            role.settle()
            self.machines.remove(role)
        self.roles = []
        self.stop_ncps(now)
        if self.bundle is not None:
            self.bundle.leave(self, now)
        self.tell(now)

    def lcp_finished(self, now):
        """LCP is done: the lower layer is needed no longer."""
        self._report()

    def answered(self, now):
        """Our credentials are on their way: the first network request flies with them (they mostly are right)."""
        if self._verified and not self.network:
            for ncp in self.ncps:
                ncp.start_early(now)

    def proven(self, now):
        """The peer believes us."""
        self._proven = True
        self._authenticated(now)

    def verified(self, name, now):
        """We believe the peer."""
        self._verified = True
        self.peer_name = name
        self._authenticated(now)

    def _authenticated(self, now):
        if self._proven and self._verified and not self.network and self.lcp.state == OPENED:
            self.network = True
            if self.roles:
                self._blamed = None  # whatever went wrong before, it was got over
            if self.multilink is None:
                self.tell(now)
                self.start_ncps(now)
            else:
                self.multilink.admit(self, now)

    def _implied(self, now):
        """The peer speaks network protocols: does that stand for a lost Success? True when they may be heard."""
        for role in self.roles:
            role.implied(now)
        return self.network

    def protocol_rejected(self, protocol, now):
        """The peer does not speak this protocol (§5.7)."""
        if self.ncp_rejected(protocol, now) or (self.bundle is not None and self.bundle.ncp_rejected(protocol, now)):
            return
        for role in self.roles:
            if role.protocol == protocol:
                self.fail(Fault(AUTH, "the peer does not speak the protocol it agreed to"), now)
                return
        if protocol == ppp.LCP:
            self.lcp.reject(now)
        else:
            self.drop("Protocol-Reject of a protocol we did not use")

    def _other(self, protocol, buf, at, end, now):
        """A packet of authentication, or of a protocol that nobody here speaks (§5.7)."""
        ours = False
        for role in self.roles:
            if role.protocol == protocol:
                ours = True
                if role.receive(buf, at, end, now):
                    return
        if ours:
            self.drop("authentication packet unasked for")
        else:
            self.reject_protocol(protocol, buf, at, end, now)

    def reject_protocol(self, protocol, buf, at, end, now):
        """Nobody here speaks this protocol (§5.7)."""
        self.drop("unknown protocol")
        data = bytes((protocol >> 8, protocol & 0xFF)) + bytes(buf[at : min(end, at + MAX_REJECTED)])
        self.send(ppp.LCP, ppp.PROTOCOL_REJECT, self.lcp.next_identifier(), data, now)

    def _report(self):
        if not self._reported:
            self._reported = True
            why = self.lcp.why or Fault(LCP, "closed")
            if self._blamed is not None and not self._blamed.said:
                self._blamed.said = why.said
            self.event("down", self.fault or self._blamed or why)


def _title(value):
    return methods.title(value) if value is not None else "none"
