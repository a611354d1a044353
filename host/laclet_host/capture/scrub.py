"""Secrets taken out of what a capture keeps: passwords, and answers from which one could be guessed."""

from laclet.wire import avp, ppp
from laclet.wire.l2tp import CONTROL_HEADER, T, check_control, u16

from .source import payload

_HIDDEN = 0x40  # H bit of an AVP
_SECRETS = (avp.CHALLENGE_RESPONSE, avp.PROXY_AUTHEN_RESPONSE)
_PAP_REQUEST = 1
_RESPONSE = 2
_SUCCESS = 3  # of MS-CHAPv2 it bears the authenticator's response


def ppp_frame(frame: bytes) -> bytes:
    """A bare PPP frame with ``*`` for secrets; lengths stay."""
    head = ppp.head(frame, 0, len(frame))
    protocol = head & 0xFFFF
    at = head >> 16
    if protocol not in (ppp.PAP, ppp.CHAP, ppp.EAP) or len(frame) - at < ppp.CONTROL_HEADER + 1:
        return frame
    code = frame[at]
    at += ppp.CONTROL_HEADER
    if protocol == ppp.PAP:
        if code != _PAP_REQUEST:
            return frame
        at += 1 + frame[at]  # behind the name is the password
    elif protocol == ppp.CHAP:
        if code == _SUCCESS:
            return frame[:at] + b"*" * (len(frame) - at)
        if code != _RESPONSE:
            return frame
        return frame[: at + 1] + _stars(frame[at + 1 :], frame[at])
    else:
        if code != _RESPONSE or frame[at] < 4:  # Identity, Notification and Nak are no secrets
            return frame
        at += 1
        return frame[:at] + b"*" * (len(frame) - at)
    return frame[: at + 1] + _stars(frame[at + 1 :], frame[at] if at < len(frame) else 0)


def _stars(data: bytes, size: int) -> bytes:
    size = min(size, len(data))
    return b"*" * size + data[size:]


def datagram(data: bytes) -> bytes:
    """An L2TP datagram with ``*`` for secrets, in its AVPs or in the PPP frame that it carries; lengths stay."""
    if data and data[0] & T:
        return _control(data)
    found = payload(data)
    return data[: found[2]] + ppp_frame(data[found[2] :]) if found else data


def _control(data: bytes) -> bytes:
    end = check_control(data, 0, len(data))
    if end < 0:  # only the head of it was kept
        end = len(data)
    out = bytearray(data)
    at = CONTROL_HEADER
    while at + 6 <= end:
        size = u16(data, at) & 0x03FF
        if size < 6:
            break
        size = min(size, end - at)
        secret = data[at] & _HIDDEN or (not u16(data, at + 2) and u16(data, at + 4) in _SECRETS)
        if secret:
            out[at + 6 : at + size] = b"*" * (size - 6)
        at += size
    return bytes(out)
