"""L2TP over IPsec (RFC 3193): an endpoint whose carrier is an ``Ipsec``. That has the sockets; L2TP itself has none."""

from ..carrier.ipsec import payload as p
from ..carrier.ipsec.machine import Ipsec
from ..carrier.ipsec.policy import Policy
from ..carrier.ipsec.proposals import parse
from ..l2tp.endpoint import Endpoint
from .dialer import CONNECTING, IDLE, Dialer

_L2TP = 1701


def identity(text):
    """``(ID type, bytes)`` of ``ipsec_id`` in strongSwan's notation (RFC 2407 §4.6.2.1); None for our address."""
    if not text:
        return None
    if p.packed(text):
        return p.address_id(text)
    if text[:1] == "@":
        return (p.ID_FQDN, text[1:].encode())
    if text[:6] == "keyid:":
        return (p.ID_KEY_ID, text[6:].encode())
    return (p.ID_USER_FQDN if "@" in text else p.ID_FQDN, text.encode())


def _proposals(config, key):
    """The proposals of a key of a checked configuration, None for the default; OSError where this machine lacks one."""
    made, problems = parse(key, config[key]) if config[key] else (None, ())
    if problems:
        raise OSError("%s: %s" % problems[0][:2])
    return made


def policy(config, port):
    """The Policy of a checked section [tunnel.NAME] or [lns]."""
    made = Policy(config["ipsec_psk"].encode(), _proposals(config, "ipsec_ike"), _proposals(config, "ipsec_esp"))
    made.ike_life = config["ipsec_ikelifetime"]
    made.esp_life = config["ipsec_salifetime"]
    made.force_encaps = config["ipsec_forceencaps"]
    made.aggressive = config["ipsec_aggressive"]
    made.identity = identity(config["ipsec_id"])
    made.port = port or _L2TP
    return made


def secure_endpoint(node, owner, config, address, port, peer, accept=None):
    """An Endpoint over IPsec; ``owner`` is told what becomes of the SAs.

    For a ``peer`` that we call; or, with ``accept`` (TunnelOptions), for those who call. Raises OSError.
    """
    endpoint = Endpoint(node.shell.random, accept, node.timers, node.events, node.settle)
    if config["ipsec"] == "strongswan":
        endpoint.carrier = node.shell.open_strongswan(config, endpoint, address, port or _L2TP, peer)
    else:
        endpoint.carrier = _ipsec(node, config, address, port, peer)
        endpoint.carrier.endpoint = endpoint
        endpoint.carrier.policy.accept = accept is not None
    endpoint.carrier.owner = owner
    node.keep(endpoint)
    return endpoint


def _ipsec(node, config, address, port, peer):
    """An Ipsec with the carriers below it; raises OSError."""
    ipsec = Ipsec(policy(config, port), node.shell.random, node.events)
    ipsec.on_keys = getattr(node.shell, "on_keys", None)
    for inlet, number in ((ipsec.ike, p.PORT_IKE), (ipsec.natt, p.PORT_NATT)):
        try:
            inlet.carrier = node.shell.open_udp(inlet, address, number, peer)
        except OSError:
            if peer is None:
                ipsec.close()
                raise
            # Taken, or not ours to take: any port does, for the peer then sees a NAT.
            inlet.carrier = node.shell.open_udp(inlet, address, 0, peer)
        inlet.source = inlet.carrier.source
    open_kernel = getattr(node.shell, "open_ipsec_kernel", None)
    if open_kernel is not None:
        ipsec.kernel = open_kernel(config, ipsec, address, peer)
    ipsec.local = getattr(ipsec.natt.carrier, "local", None)  # what the Linux shell shows
    return ipsec


class SecureDialer(Dialer):
    """A dialer of a tunnel with ``ipsec_psk``: first the SAs, then the SCCRQ, in one flight with IKE's last message."""

    def __init__(self, node, name, config):
        Dialer.__init__(self, node, name, config)
        self._endpoint = None
        self._connected = None  # the address that there may be SAs with
        self._resuming = False  # they are negotiated anew, under a tunnel that is up

    def stop(self, fault, now):
        """Close the tunnel, or stop negotiating; it stays closed."""
        Dialer.stop(self, fault, now)
        if self.tunnel is None:
            self._disconnect()

    def connect(self, addr, now):
        """Make sure of SAs with the LNS; the tunnel is opened when they are there."""
        config = self.config
        if self._endpoint is None:
            self._endpoint = secure_endpoint(
                self.node, self, config, config["source_address"], config["source_port"], addr
            )
        if addr != self._connected:
            self._disconnect()
        self._connected = addr
        self._endpoint.carrier.connect(addr, now)

    def _disconnect(self):
        if self._connected is not None:
            self._endpoint.carrier.disconnect(self._connected)

    def on_event(self, name, source, detail, now):
        """ike-up, ike-renewed, ike-down, ike-fault of IPsec; tunnel-up, tunnel-down."""
        if name[:4] != "ike-":
            Dialer.on_event(self, name, source, detail, now)
        elif name == "ike-up" and detail == self.addr:
            self._up(source.summary(detail), now)
        elif name == "ike-renewed":
            self.node.log("debug", self.component, "IPsec has new keys")
        elif name == "ike-fault":
            self.node.fault(self.component, detail[1])
        elif name == "ike-down" and detail[0] == self.addr:
            self._lost(detail[1], now)

    def _up(self, text, now):
        if self.tunnel is not None:
            self._resuming = False
            self.node.log("info", self.component, "IPsec is up again: " + text)
            self.tunnel.hello(now)  # the LNS may have lost more than its SAs
        elif self.state == CONNECTING:
            self.node.log("info", self.component, "IPsec is up: " + text)
            self.open_tunnel(self._endpoint, now)

    def _lost(self, fault, now):
        """The SAs are gone. A tunnel does not end with them: it waits while they are negotiated anew, once."""
        if self.tunnel is not None and not self._resuming:
            self._resuming = True
            self.node.fault(self.component, fault)
            self._endpoint.carrier.connect(self.addr, now)
        elif self.tunnel is not None:
            self.tunnel.cut(fault, now)  # there is no way left for a StopCCN
        elif self.state == CONNECTING:
            self.down(fault, now)

    def down(self, fault, now):
        """The tunnel, or the SAs for it, came to nothing."""
        self._resuming = False
        if self.state != IDLE and not fault.said:
            self._disconnect()  # the LNS may have forgotten the SAs: the next time begins anew
        Dialer.down(self, fault, now)
