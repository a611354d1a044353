"""Why PPP ended, for the other end of a tunnel (PPP Disconnect Cause Code, RFC 3145); loaded when there is a cause.

Value of the AVP: disconnect code 2 | control protocol number 2 | direction 1 | text.
"""

from ..fault import AUTH, CCP, IPCP, IPV6CP, LCP, SESSION, clean

_NO_INFORMATION = 0
_ADMINISTRATIVE = 1
_NORMAL = 3
_ENCRYPTION = 4
_AUTH_TIMEOUT = 13
_AUTH_FAILED = 16
_NCP_TIMEOUT = 17
_NCP_NONE = 18

# Whose side the cause was on.
_GLOBAL, _PEER, _LOCAL = 0, 1, 2

_PROTOCOLS = {LCP: 0xC021, IPCP: 0x8021, IPV6CP: 0x8057, CCP: 0x80FD, AUTH: 0}

# Parts of the causes that machines of ``ppp`` name: (layer, part, code, direction); the first that fits counts.
_CODES = (
    (LCP, "closed by us", _ADMINISTRATIVE, _GLOBAL),
    (LCP, "the peer closed it", _NORMAL, _PEER),
    (LCP, "no end", 5, _LOCAL),
    (LCP, "no answer to our Configure-Requests", 6, _PEER),
    (LCP, "looped", 7, _GLOBAL),
    (LCP, "no answer to", 8, _PEER),
    (AUTH, "no answer", _AUTH_TIMEOUT, _PEER),
    (AUTH, "no Challenge", _AUTH_TIMEOUT, _PEER),
    (AUTH, "sent no", _AUTH_TIMEOUT, _PEER),
    (AUTH, "shall authenticate by", 15, _PEER),
    (AUTH, "the peer demands", 15, _LOCAL),
    (AUTH, "the peer gave", _AUTH_FAILED, _PEER),
    (AUTH, "", _AUTH_FAILED, _LOCAL),
    (CCP, "", _ENCRYPTION, _GLOBAL),
    (IPCP, "address", 19, _LOCAL),
    (IPCP, "no end", _NCP_TIMEOUT, _LOCAL),
    (IPCP, "no answer", _NCP_TIMEOUT, _PEER),
    (IPCP, "", _NCP_NONE, _GLOBAL),
    (IPV6CP, "", _NCP_NONE, _GLOBAL),
)

_TEXTS = (
    "no information",
    "ended by an administrator",
    "LCP must not be negotiated again",
    "ended in order",
    "encryption was refused",
    "LCP came to no end",
    "no LCP packets",
    "the line is looped",
    "no answer to LCP echoes",
    "another endpoint discriminator than the bundle's",
    "another MRRU than the bundle's",
    "other sequence numbers than the bundle's",
    "callback was refused",
    "authentication came to no end",
    "another name than the bundle's",
    "the authentication protocol was refused",
    "authentication failed",
    "a network protocol came to no end",
    "no network protocol is left",
    "no acceptable address",
    "no address for this user",
)
_WHERE = ("", " at the far end", " at the near end")


def cause(fault):
    """The AVP's value for a Fault of PPP; None for one of another layer."""
    protocol = _PROTOCOLS.get(fault.layer)
    if protocol is None:
        return None
    code, direction = _NO_INFORMATION, _GLOBAL
    for layer, part, number, side in _CODES:
        if layer == fault.layer and part in fault.cause:
            code, direction = number, side
            break
    return bytes((code >> 8, code & 0xFF, protocol >> 8, protocol & 0xFF, direction)) + fault.cause.encode()


def layer(value):
    """Whose failure a received value tells of; SESSION when it was none of PPP's."""
    code = (value[0] << 8 | value[1]) if len(value) >= 5 else _NO_INFORMATION
    if code == _ENCRYPTION:
        return CCP
    if _ENCRYPTION < code < _AUTH_TIMEOUT:
        return LCP
    if _AUTH_TIMEOUT <= code <= _AUTH_FAILED:
        return AUTH
    if _NCP_TIMEOUT <= code < len(_TEXTS):
        return IPV6CP if value[2] << 8 | value[3] == _PROTOCOLS[IPV6CP] else IPCP
    return SESSION


def text(value):
    """A received value in words; a value too short to be one says so."""
    if len(value) < 5:
        return "a disconnect cause that cannot be read"
    code = value[0] << 8 | value[1]
    said = _TEXTS[code] if code < len(_TEXTS) else "disconnect code " + str(code)
    said += _WHERE[value[4]] if value[4] < len(_WHERE) else ""
    return said + (", '" + clean(value[5:]) + "'" if len(value) > 5 else "")
