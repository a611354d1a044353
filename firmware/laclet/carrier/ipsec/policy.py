"""What is offered and accepted by IPsec, and what stands between the shell's sockets and the machine."""

from .proposals import DEFAULT_ESP, DEFAULT_IKE, parse


class Policy:
    """What is offered and accepted. Lives in seconds; ``psk`` in bytes is never shown.

    ``accept``: answer strangers; ``aggressive``: use, or answer, aggressive mode; ``identity``: ``(ID type, bytes)``
    instead of our address; ``dpd_interval`` in ms, 0 for never; ``port``: UDP port of L2TP here.
    """

    def __init__(self, psk, ike=None, esp=None):
        self.psk = psk
        self.ike = ike or parse("ipsec_ike", DEFAULT_IKE)[0]
        self.esp = esp or parse("ipsec_esp", DEFAULT_ESP)[0]
        self.ike_life = 28800
        self.esp_life = 3600
        self.dpd_interval = 30000
        self.port = 1701
        self.identity = None
        self.accept = False
        self.aggressive = False
        self.force_encaps = False
        self.whole = 1220  # bytes that go in one datagram through everything, 1248 with IP and UDP; more go in pieces


class Inlet:
    """A lower carrier, and where its datagrams go. It stands before the shell in the place of an endpoint."""

    def __init__(self, owner, take):
        self.carrier = None
        self.source = None  # source(addr): our (host, port) as the host at ``addr`` would see us, or None
        self.receive = take  # receive(buf, start, end, addr, now)
        self.drop = owner.drop
        self.tunnels = ()

    def local(self, addr):
        """Our own (host, port) towards ``addr``, or None where nobody knows."""
        return self.source(addr) if self.source else None

    def host(self, addr):
        """Our own address towards ``addr`` as text, or ""."""
        local = self.local(addr)
        return local[0] if local else ""
