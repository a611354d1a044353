"""Circuits as a configuration names them: what carries a tunnel where there is no UDP.

``fr:INTERFACE:DLCI``                   frame relay, in the frames of a packet socket
``fr:LINE:DLCI``                        frame relay in HDLC on the serial line [line.LINE]
``aal5:INTERFACE:VPI.VCI``              ATM cells, in the frames of a packet socket; ``:vc`` behind it: VC multiplexed
``atm:NUMBER.VPI.VCI``                  a PVC of the kernel's ATM interface with that number; ``:vc`` as above
``x25:X.121 NUMBER``                    the kernel's X.25
``xot:HOST/X.121 NUMBER``               X.25 over TCP (RFC 1613); ``HOST:PORT`` where it is not 1998
"""

from .framerelay import DLCI_LONG_MAX, DLCI_MIN
from .xot import PORT

_X121 = 15  # digits of the longest number


def _number(text, low, high):
    """A decimal number within limits, or None."""
    if not text.isdigit() or len(text) > 8 or not low <= int(text) <= high:
        return None
    return int(text)


def _frame_relay(rest):
    name, _, dlci = rest.rpartition(":")
    dlci = _number(dlci, DLCI_MIN, DLCI_LONG_MAX)
    return ("fr", name, dlci) if name and dlci is not None else None


def _pvc(text, low):
    """``[VPI, VCI]`` with ``low`` numbers before them, or None; 0 to 31 are not for users (I.361)."""
    parts = [_number(part, 0, 65535) for part in text.split(".")]
    if len(parts) != low + 2 or None in parts or parts[-2] > 255 or parts[-1] < 32:
        return None
    return parts


def _atm(kind, rest):
    vc_mux = rest[-3:] == ":vc"
    name, _, pvc = (rest[:-3] if vc_mux else rest).rpartition(":")
    numbers = _pvc(pvc, 0 if kind == "aal5" else 1)
    if numbers is None or (kind == "aal5") != bool(name):
        return None
    return (kind, name or str(numbers[0]), numbers[-2], numbers[-1], vc_mux)


def _xot(rest):
    place, slash, number = rest.partition("/")
    host, _, port = place.partition(":")
    port = _number(port, 1, 65535) if port else PORT
    if not host or not slash or port is None or not _is_x121(number):
        return None
    return ("xot", host, port, number)


def _is_x121(text):
    return text.isdigit() and len(text) <= _X121


def parse(text):
    """``(kind, …)`` of a circuit, or None when it is written otherwise.

    ("fr", interface, DLCI) · ("aal5", interface, VPI, VCI, VC multiplexed) · ("atm", number, VPI, VCI, likewise) ·
    ("x25", number) · ("xot", host, port, number)
    """
    kind, _, rest = text.partition(":")
    if kind == "fr":
        return _frame_relay(rest)
    if kind in ("aal5", "atm"):
        return _atm(kind, rest)
    if kind == "xot":
        return _xot(rest)
    return ("x25", rest) if kind == "x25" and _is_x121(rest) else None


def address(circuit):
    """The far end of a circuit, as its carrier names it."""
    if circuit[0] in ("aal5", "atm"):
        return ("atm",) + circuit[1:4]
    return circuit if circuit[0] == "fr" else ("x25", circuit[0], circuit[-1])


def text(addr):
    """An address of ``address()`` for people; None for those of other carriers."""
    if type(addr[1]) is not str:
        return None
    if addr[0] == "atm":
        return "ATM %s %d.%d" % addr[1:]
    if addr[0] == "fr":
        return "DLCI %d of %s" % (addr[2], addr[1])
    return "X.25 %s%s" % (addr[2], "" if addr[1] in ("x25", "xot") else " at " + addr[1])
