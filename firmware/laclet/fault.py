"""A failure that explains itself: which layer, what happened, what the peer said, what to try."""

# Layers, from the ground up; Fault.layer is one of these.
CONFIG = "config"
DNS = "dns"
UDP = "udp"
IKE = "ike"
TUNNEL = "tunnel"
TUNNEL_AUTH = "tunnel-auth"
SESSION = "session"
LINE = "line"
MODEM = "modem"
LCP = "lcp"
AUTH = "auth"
IPCP = "ipcp"
IPV6CP = "ipv6cp"
CCP = "ccp"
INTERFACE = "interface"

_SAID_MAX = 120  # what a peer says may fill a datagram; a log line needs no more than this


class Fault:
    """``layer`` (a constant), ``cause`` (ours), ``said`` (the peer's words, cleaned), ``hint`` (what to try)."""

    def __init__(self, layer, cause, said="", hint=""):
        self.layer = layer
        self.cause = cause
        self.said = said
        self.hint = hint

    def __str__(self):
        text = self.layer + ": " + self.cause
        if self.said:
            text += "; the peer said: " + self.said
        if self.hint:
            text += " (" + self.hint + ")"
        return text

    def __repr__(self):
        return "Fault(" + str(self) + ")"


def clean(raw):
    """A peer's bytes as printable text of at most 120 characters: control and non-ASCII bytes become ``.``."""
    text = "".join([chr(b) if 32 <= b < 127 else "." for b in bytes(raw[:_SAID_MAX])])
    return text + "..." if len(raw) > _SAID_MAX else text
