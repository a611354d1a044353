"""Tunnel switch: a call that comes in through one tunnel goes on through another (Session ⇄ Session)."""

from ..fault import SESSION, Fault
from ..l2tp import results
from ..port import join, part
from ..wire import avp

# What a LAC told of the LCP and the authentication it has done itself (§4.4.5); it is passed on as it came.
_PROXY = (
    avp.INITIAL_LCP_CONFREQ,
    avp.LAST_SENT_LCP_CONFREQ,
    avp.LAST_RECEIVED_LCP_CONFREQ,
    avp.PROXY_AUTHEN_TYPE,
    avp.PROXY_AUTHEN_NAME,
    avp.PROXY_AUTHEN_CHALLENGE,
    avp.PROXY_AUTHEN_ID,
    avp.PROXY_AUTHEN_RESPONSE,
)


class SwitchedCall:
    """Two sessions joined. The incoming one is accepted when the peer of the outgoing one has accepted it."""

    def __init__(self, node, incoming, dialer):
        self.node = node
        self.component = "switch.%d/%d" % (incoming.tunnel.tid, incoming.sid)
        self.incoming = incoming
        self.outgoing = None
        self._dialer = dialer
        incoming.owner = self

    def start(self, now):
        """Ask the next tunnel for the call; False when it cannot be asked, and the incoming call was refused."""
        if self._dialer.usable():
            came = self.incoming
            about = {name: getattr(came, name) for name in ("called", "calling", "sub_address", "bearer", "framing")}
            self.outgoing = self._dialer.tunnel.ringing_call(now, **about)
        if self.outgoing is None:
            fault = Fault(SESSION, "tunnel " + self._dialer.name + " is down, the call cannot go on")
            self.node.fault(self.component, fault)
            self.incoming.close(fault, now, results.CDN_BUSY_TEMPORARY)
            return False
        self.outgoing.owner = self
        return True

    def on_event(self, name, source, detail, now):
        """call-accepted and call-up of the outgoing session, call-up of the incoming one, call-down of either."""
        if name == "call-accepted":
            self.incoming.accept(now)
        elif name == "call-up" and source is self.incoming:
            self.outgoing.tx_speed = source.tx_speed
            self.outgoing.rx_speed = source.rx_speed
            self.outgoing.proxy = [pair for pair in detail if pair[0] in _PROXY]
            self.outgoing.connected(now)
        elif name == "call-up":
            join(self.incoming, self.outgoing)
            self.node.log("info", self.component, "call goes on through " + self._dialer.component)
        elif name == "call-down":
            part(source)
            other = self.outgoing if source is self.incoming else self.incoming
            if other is not None and other.fault is None:
                other.close(detail, now, results.CDN_CARRIER)
                self.node.log("info", self.component, "call ended: " + str(detail))
