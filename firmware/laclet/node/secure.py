"""L2TP over IPsec (RFC 3193): an endpoint whose carrier is an ``Ipsec``. That has the sockets; L2TP itself has none."""

from ..carrier.ipsec import payload as p
from ..carrier.ipsec.machine import Ipsec, Policy
from ..carrier.ipsec.proposals import parse
from ..l2tp.endpoint import Endpoint

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
    made.force_encaps = config["ipsec_forceencaps"]
    made.aggressive = config["ipsec_aggressive"]
    made.identity = identity(config["ipsec_id"])
    made.port = port or _L2TP
    return made


def secure(node, owner, config, address, port, peer, accept=None):
    """An Endpoint over IPsec; ``owner`` is told what becomes of the SAs.

    For a ``peer`` that we call; or, with ``accept`` (TunnelOptions), for those who call. Raises OSError.
    """
    ipsec = Ipsec(policy(config, port), node.shell.random, node.events)
    ipsec.owner = owner
    ipsec.policy.accept = accept is not None
    endpoint = Endpoint(node.shell.random, accept, node.timers, node.events, node.settle)
    endpoint.carrier = ipsec
    ipsec.endpoint = endpoint
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
    ipsec.local = ipsec.natt.carrier.local
    return endpoint
