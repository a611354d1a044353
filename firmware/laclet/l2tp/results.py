"""What result and error codes mean (RFC 2661 §4.4.2), and a Fault made of them."""

from ..fault import SESSION, TUNNEL, TUNNEL_AUTH, Fault, clean

# StopCCN results.
STOP_CLEAR = 1
STOP_ERROR = 2
STOP_EXISTS = 3
STOP_UNAUTHORIZED = 4
STOP_VERSION = 5
STOP_SHUTDOWN = 6
STOP_FSM = 7
# CDN results.
CDN_CARRIER = 1
CDN_ERROR = 2
CDN_ADMIN = 3
CDN_BUSY_TEMPORARY = 4
CDN_NO_FACILITY = 5
CDN_DESTINATION = 6
CDN_NO_CARRIER = 7
CDN_BUSY = 8
CDN_NO_DIALTONE = 9
CDN_TIMEOUT = 10
CDN_NO_FRAMING = 11

_STOP = [
    "reserved",
    "cleared",
    "general error",
    "a control channel exists already",
    "not authorized",
    "protocol version not supported",
    "shutting down",
    "state machine error",
]
_CDN = [
    "reserved",
    "carrier lost",
    "general error",
    "administrative reasons",
    "no facilities for now",
    "no facilities",
    "invalid destination",
    "no carrier",
    "busy",
    "no dial tone",
    "not answered in time",
    "no framing detected",
]
_ERROR = [
    "",
    "no control connection yet",
    "wrong length",
    "value out of range",
    "insufficient resources",
    "invalid session id",
    "vendor-specific error",
    "try another",
    "unknown mandatory AVP",
]


def _text(names, result):
    code, error, message = result
    text = names[code] if code < len(names) else "result " + str(code)
    if error:
        text += ", " + (_ERROR[error] if error < len(_ERROR) else "error " + str(error))
    return text + (", '" + clean(message) + "'" if message else "")


def stop_fault(result):
    """The Fault for a StopCCN with ``result`` (code, error, message), or None when it carried no Result Code."""
    if result is None:
        return Fault(TUNNEL, "closed by the peer", "StopCCN without a reason")
    said = "StopCCN " + str(result[0]) + ": " + _text(_STOP, result)
    if result[0] == STOP_UNAUTHORIZED:
        return Fault(
            TUNNEL_AUTH, "the peer refuses this tunnel", said, "check hostname and tunnel_secret on both sides"
        )
    return Fault(TUNNEL, "closed by the peer", said)


def cdn_fault(result, cause=None):
    """The Fault for a CDN with ``result`` (code, error, message) and ``cause`` (RFC 3145); either may be None."""
    said = "CDN without a reason" if result is None else "CDN " + str(result[0]) + ": " + _text(_CDN, result)
    failed = SESSION
    if cause is not None:
        from .disconnect import layer, text

        failed = layer(cause)
        said += "; PPP: " + text(cause)
    return Fault(failed, "call cleared by the peer", said)
