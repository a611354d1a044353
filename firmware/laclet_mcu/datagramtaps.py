"""Datagrams of L2TP for a Capture, control messages and data; behind IPsec as they are inside."""

from laclet.wire import avp
from laclet.wire.l2tp import CONTROL_HEADER, L, O, S, T, u16

from .capture import mask

_RECEIVED = 0
_SENT = 1


class Taps:
    """At all endpoints of the node; each datagram is a ``capture.note()``."""

    def __init__(self, capture, shell, names):
        self._capture = capture
        self._shell = shell
        self._taps = []

    def about(self):
        """What they show, as a running service names it."""
        return "l2tp", "ppp"

    def hide(self, head):
        """Passwords of PAP, in the PPP frame inside, and in what a LAC tells of the PPP it has heard."""
        if head and head[0] & T:
            _mask_proxy(head)
        else:
            at = payload(head, 0, len(head))
            if at >= 0:
                mask(head, at)

    def describe(self, head):
        """Control messages in words."""
        if not head or not head[0] & T:
            return "L2TP data"
        from laclet.l2tp.describe import describe

        return describe(head, 0, len(head))

    def attach(self):
        """Tap the endpoints of the node, which may be a new one, and those that it makes from now on."""
        self._shell.on_endpoint = self._watch
        endpoints = self._shell.node.endpoints()
        self._taps = [tap for tap in self._taps if tap.endpoint in endpoints]
        for endpoint in endpoints:
            self._watch(endpoint)

    def close(self):
        """Leave the endpoints as they were."""
        self._shell.on_endpoint = None
        for tap in self._taps:
            tap.close()

    def _watch(self, endpoint):
        if all(tap.endpoint is not endpoint for tap in self._taps):
            self._taps.append(_Tap(self._capture, endpoint))


class _Tap:
    """Two methods of an endpoint and its carrier, and not of their classes, let datagrams come by here."""

    def __init__(self, capture, endpoint):
        self.endpoint = endpoint
        self._capture = capture
        self._carrier = endpoint.carrier
        self._receive = endpoint.receive
        self._send = endpoint.carrier.send
        endpoint.receive = self.receive
        endpoint.carrier.send = self.send

    def close(self):
        del self.endpoint.receive
        del self._carrier.send

    def receive(self, buf, start, end, addr, now):
        self._note(_RECEIVED, buf, start, end, addr, now)
        self._receive(buf, start, end, addr, now)

    def send(self, buf, start, end, addr):
        self._note(_SENT, buf, start, end, addr, self._capture.now())
        self._send(buf, start, end, addr)

    def _note(self, direction, buf, start, end, addr, now):
        local = getattr(self._carrier, "local", None)  # a socket tells only what it was bound to
        ends = ((local, None) if local else None, addr[:2])
        self._capture.note("l2tp", direction, buf, start, end, now, ends)


def _mask_proxy(head):
    """Write over the value of a Proxy Authen Response AVP (RFC 2661 §4.4.5)."""
    at = CONTROL_HEADER
    while at + 6 <= len(head):
        size = u16(head, at) & 0x03FF
        if size < 6:
            return
        if not u16(head, at + 2) and u16(head, at + 4) == avp.PROXY_AUTHEN_RESPONSE:
            for i in range(at + 6, min(at + size, len(head))):
                head[i] = 0x2A
        at += size


def payload(buf, start, end):
    """Offset of the PPP frame in a data packet (RFC 2661 §3.1), -1 without one."""
    if end - start < 6 or buf[start] & T:
        return -1
    flags = buf[start]
    at = start + 6 + (2 if flags & L else 0) + (4 if flags & S else 0)
    if flags & O:
        at += 2
        if at > end:
            return -1
        at += u16(buf, at - 2)
    return at - start if at < end else -1
