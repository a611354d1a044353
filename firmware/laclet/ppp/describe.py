"""PPP control packets in the wording of pppd's debug log. Only loaded where somebody wants to read them; no secrets."""

from ..fault import clean
from ..wire import ppp
from . import auth

_PROTOCOLS = {
    ppp.LCP: "LCP",
    ppp.IPCP: "IPCP",
    ppp.IPV6CP: "IPV6CP",
    ppp.CCP: "CCP",
    ppp.PAP: "PAP",
    ppp.CHAP: "CHAP",
    ppp.EAP: "EAP",
    ppp.LQR: "LQR",
}
_CODES = (
    None,
    "ConfReq",
    "ConfAck",
    "ConfNak",
    "ConfRej",
    "TermReq",
    "TermAck",
    "CodeRej",
    "ProtRej",
    "EchoReq",
    "EchoRep",
    "DiscReq",
    "Ident",
    "TimeRem",
    "ResetReq",
    "ResetAck",
)
_PAP_CODES = (None, "AuthReq", "AuthAck", "AuthNak")
_CHAP_CODES = (None, "Challenge", "Response", "Success", "Failure")
_EAP_CODES = (None, "Request", "Response", "Success", "Failure")

# Options: type -> (name, form); forms: d number, x hexadecimal, a address, m authentication method, f nothing.
_LCP_OPTIONS = {
    1: ("mru", "d"),
    2: ("asyncmap", "x"),
    3: ("auth", "m"),
    4: ("quality", "x"),
    5: ("magic", "x"),
    7: ("pcomp", "f"),
    8: ("accomp", "f"),
    13: ("callback", "x"),
    17: ("mrru", "d"),
    18: ("ssnhf", "f"),
    19: ("endpoint", "x"),
}
_IPCP_OPTIONS = {
    1: ("addrs", "x"),
    2: ("compress", "x"),
    3: ("addr", "a"),
    129: ("ms-dns1", "a"),
    130: ("ms-wins1", "a"),
    131: ("ms-dns2", "a"),
    132: ("ms-wins2", "a"),
}
_OPTIONS = {
    ppp.LCP: _LCP_OPTIONS,
    ppp.IPCP: _IPCP_OPTIONS,
    ppp.IPV6CP: {1: ("addr", "x")},
    ppp.CCP: {18: ("mppe", "x")},
}


def describe(buf, start, end):
    """A bare frame as ``LCP ConfReq id=0x1 <mru 1400> <magic 0x1234abcd>``; passwords and digests are hidden."""
    head = ppp.head(buf, start, end)
    protocol = head & 0xFFFF
    at = start + (head >> 16)
    if not head:
        return "frame without a protocol"
    name = _PROTOCOLS.get(protocol)
    if name is None:
        return "protocol 0x%x, %d bytes" % (protocol, end - at)
    stop = ppp.packet_end(buf, at, end)
    if stop < 0:
        return name + " packet cut short"
    code = buf[at]
    text = " id=0x%x" % buf[at + 1]
    at += ppp.CONTROL_HEADER
    if protocol == ppp.PAP:
        return name + " " + _word(_PAP_CODES, code) + text + _pap(code, buf, at, stop)
    if protocol == ppp.CHAP:
        return name + " " + _word(_CHAP_CODES, code) + text + _chap(code, buf, at, stop)
    if protocol == ppp.EAP:
        return name + " " + _word(_EAP_CODES, code) + text + _eap(code, buf, at, stop)
    return name + " " + _word(_CODES, code) + text + _control(protocol, code, buf, at, stop)


def _word(words, code):
    return words[code] if 0 < code < len(words) else "code=0x%x" % code


def _hex(raw):
    return "".join(["%02x" % b for b in bytes(raw)])


def _quoted(raw):
    return '"' + clean(raw) + '"'


def _control(protocol, code, buf, at, end):
    if ppp.CONFIGURE_REQUEST <= code <= ppp.CONFIGURE_REJECT:
        return _options(_OPTIONS.get(protocol, {}), buf, at, end)
    if code == ppp.PROTOCOL_REJECT and end - at >= 2:
        number = buf[at] << 8 | buf[at + 1]
        return " " + (_PROTOCOLS.get(number) or "0x%x" % number)
    if code in (ppp.ECHO_REQUEST, ppp.ECHO_REPLY, ppp.DISCARD_REQUEST) and end - at >= 4:
        return " magic=0x" + _hex(buf[at : at + 4])
    if code == ppp.IDENTIFICATION and end - at >= 4:
        return " magic=0x" + _hex(buf[at : at + 4]) + " " + _quoted(buf[at + 4 : end])
    if code == ppp.TERMINATE_REQUEST and end > at:
        return " " + _quoted(buf[at:end])
    return ""


def _options(known, buf, at, end):
    found = ppp.options(buf, at, end)
    if isinstance(found, str):
        return " (" + found + ")"
    return "".join([" <" + _option(known, type, value) + ">" for type, value in found])


def _option(known, type, value):
    name, form = known.get(type, ("0x%x" % type, "x"))
    if form == "d" and len(value) == 2:
        return name + " " + str(value[0] << 8 | value[1])
    if form == "a" and len(value) == 4:
        return name + " " + ".".join([str(b) for b in value])
    if form == "m":
        return name + " " + auth.title(value)
    return name + " 0x" + _hex(value) if value else name


def _string(buf, at, end):
    """The counted string at ``at``: ``(bytes, behind it)``, cut to what is there."""
    if at >= end:
        return b"", end
    stop = min(end, at + 1 + buf[at])
    return buf[at + 1 : stop], stop


def _pap(code, buf, at, end):
    first, at = _string(buf, at, end)
    if code == 1:
        return " user=" + _quoted(first) + " password=<hidden>"
    return " " + _quoted(first)


def _chap(code, buf, at, end):
    if code not in (1, 2):
        return " " + _quoted(buf[at:end])
    value, at = _string(buf, at, end)
    shown = "0x" + _hex(value) if code == 1 else "hidden"
    return " <" + shown + ">, name = " + _quoted(buf[at:end])


def _eap(code, buf, at, end):
    return " type=%d" % buf[at] if code in (1, 2) and end > at else ""
