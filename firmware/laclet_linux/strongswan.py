"""A carrier of L2TP whose IPsec strongSwan does: we send datagrams to a socket, its SAs in the kernel seal them.

Two policies of ours block all that belongs to the socket; those that strongSwan makes for its SAs come before them. So
nothing passes in clear, whether its daemon runs or not.
"""

from laclet.carrier.ipsec.proposals import DEFAULT_ESP, DEFAULT_IKE
from laclet.fault import IKE, Fault

from .charon import Charon
from .xfrm import Guard

_AGAIN = 3000  # ms after which an LNS looks for the daemon again
_DPD = "30s"
_BEHIND_ALL = 0xF0000000  # priority of our policies: strongSwan's have smaller numbers, which win
_ANYBODY = "%any"


class StrongSwan:
    """The carrier. Events as those of ``laclet.carrier.ipsec.machine.Ipsec``: ike-up, ike-down.

    ``name`` is that of the connection, its child and its secret, as ``swanctl`` lists them.
    """

    def __init__(self, loop, log, name, endpoint, config, events):
        self.owner = None  # free for the node
        self.drops = {}
        self.endpoint = endpoint
        self._loop = loop
        self._log = log
        self._name = name
        self._config = config
        self._events = events
        self._carrier = None  # the UDP socket
        self._guard = None
        self._charon = Charon(loop, name, self._on_sa, self._on_gone)
        self._listens = False  # whoever strongSwan lets in may call
        self._calling = None  # the addr of the peer that we call
        self._up = {}  # host -> addr of those with SAs
        self._algorithms = {}  # host -> text
        self._serial = 0  # of the negotiation that counts
        self._timer = None

    def open(self, shell, address, port, peer, state):
        """Guard the port, open the socket; strongSwan is told of an LNS at once. Raises OSError in plain words."""
        self._guard = Guard(state)
        self._listens = peer is None
        try:
            self._guard.up(address, ":" in (address or peer[0]), port, f"action block priority {_BEHIND_ALL}")
            self._carrier = shell.open_udp(self, address, port, peer)
            if self._listens:
                self._load(_ANYBODY)
        except OSError:
            self.close()
            raise

    # -- carrier --------------------------------------------------------------------------------------

    @property
    def sock(self):
        """The socket of L2TP: the kernel's data plane works over it."""
        return self._carrier.sock

    @property
    def local(self):
        """Our end of L2TP."""
        return self._carrier.local

    def source(self, addr):
        """Our end as ``addr`` sees it."""
        return self._carrier.source(addr)

    def mark(self, dscp):
        """The class of service of L2TP; ESP takes it over."""
        self._carrier.mark(dscp)

    def send(self, buf, start, end, addr):
        """Hand a datagram to the kernel, which seals it or refuses it."""
        self._carrier.send(buf, start, end, addr)

    def receive(self, buf, start, end, addr, now):
        """A datagram that came out of an SA: the policies let no other in."""
        self.endpoint.receive(buf, start, end, addr, now)

    def settle(self, addr):
        """The address is final."""
        self._carrier.settle(addr)

    def connect(self, addr, now):
        """Let strongSwan negotiate with the L2TP peer at ``addr``; ``ike-up`` or ``ike-down`` follows."""
        self._calling = addr
        self._serial += 1
        serial = self._serial
        if addr[0] in self._up:
            self._event("ike-up", addr)
            return
        try:
            self._load(addr[0])
        except OSError as error:
            self._event("ike-down", (addr, Fault(IKE, str(error), "", "does it run, with its vici plugin?")))
            return
        self._charon.initiate(lambda fault: self._failed(addr, fault, serial))

    def disconnect(self, addr):
        """Let strongSwan delete the SAs with ``addr``."""
        self._calling = None
        self._up.pop(addr[0], None)
        self._charon.terminate()

    def close(self):
        """Delete all SAs, close the socket, and end the guard last."""
        self._calling = None
        self._loop.cancel(self._timer)
        self._charon.close()
        if self._carrier is not None:
            self._carrier.close()
        self._guard.down(self._log)

    def summary(self, addr):
        """The algorithms in use with the peer at ``addr``."""
        return self._algorithms.get(addr[0], "no SA")

    # -- strongSwan -----------------------------------------------------------------------------------

    def _load(self, remote):
        config = self._config
        made = connection(config, self._name, self.local, remote)
        if config["ipsec_cert"]:
            made["local"]["certs"] = [_file(config["ipsec_cert"])]
            self._charon.load(made, key=_file(config["ipsec_key"]), ca=_file(config["ipsec_ca"]))
        else:
            secret = {"data": config["ipsec_psk"]}
            self._charon.load(made, secret if remote == _ANYBODY else {**secret, "owners": [remote]})

    def _failed(self, addr, fault, serial):
        """A negotiation of ours came to nothing."""
        if self._calling == addr and serial == self._serial and addr[0] not in self._up:
            self._charon.terminate()
            self._event("ike-down", (addr, fault))

    def _on_sa(self, host, algorithms, up):
        wanted = self._listens or (self._calling is not None and self._calling[0] == host)
        if up and wanted:
            self._algorithms[host] = algorithms
            if host not in self._up:
                self._up[host] = self._calling or (host, 0, *self.local[2:])
                self._event("ike-up", self._up[host])
        elif not up and host in self._up and not self._charon.has_sas(host):
            self._event("ike-down", (self._up.pop(host), Fault(IKE, "the peer deleted the SA")))

    def _on_gone(self):
        """The daemon ended, and its SAs with it; the guard stands."""
        for host in list(self._up):
            self._event("ike-down", (self._up.pop(host), Fault(IKE, "strongSwan ended", "", "does it run?")))
        if self._listens:
            self._look_again(0)

    def _look_again(self, now):
        """An LNS waits for the daemon to come back."""
        try:
            self._load(_ANYBODY)
        except OSError:
            self._timer = self._loop.after(_AGAIN, self._look_again)

    def _event(self, name, detail):
        self._events.append((name, self, detail))


def connection(config, name, local, remote):
    """A checked section as the connection that ``load-conn`` of vici takes, but for its certificate."""
    esp = config["ipsec_esp"] or DEFAULT_ESP
    auth = "pubkey" if config["ipsec_cert"] else "psk"
    ike_life, sa_life = config["ipsec_ikelifetime"], config["ipsec_salifetime"]
    child = {
        "mode": "transport",
        "esp_proposals": _words(esp.replace("sha256_96", "sha256")),
        "sha256_96": "yes" if "sha256_96" in esp else "no",
        "local_ts": [f"dynamic[udp/{local[1]}]"],
        "remote_ts": ["dynamic[udp]" if remote == _ANYBODY else "dynamic[udp/1701]"],
        "life_time": f"{sa_life}s",
        "rekey_time": f"{sa_life * 9 // 10}s",
    }
    return {
        "version": "1",
        "proposals": _words(config["ipsec_ike"] or DEFAULT_IKE),
        "local_addrs": [_ANYBODY if local[0] in ("0.0.0.0", "::") else local[0]],
        "remote_addrs": [remote],
        "aggressive": "yes" if config["ipsec_aggressive"] else "no",
        "encap": "yes" if config["ipsec_forceencaps"] else "no",
        "dpd_delay": _DPD,
        "rekey_time": f"{ike_life * 9 // 10}s",
        "over_time": f"{ike_life // 10}s",
        "local": _end(auth, config["ipsec_id"]),
        "remote": _end(auth, config["ipsec_peer_id"]),
        "children": {name: child},
    }


def _end(auth, identity):
    return {"auth": auth, "id": identity} if identity else {"auth": auth}


def _words(text):
    return [word.strip() for word in text.rstrip("! ").split(",")]


def _file(path):
    """The bytes of a file of credentials; OSError names it."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise OSError(f"{path}: {error.strerror}") from None
