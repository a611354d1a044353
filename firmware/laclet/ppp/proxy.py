"""LCP and authentication that a LAC did for the LNS, in the AVPs that tell of it (RFC 2661 §4.4.5)."""

from .. import ticks
from ..port import HEADROOM, frame_buffer
from ..wire import avp, ppp
from . import auth
from .lcp import AUTHENTICATION, MAGIC
from .link import MAX_CONTROL, PppLink

# Proxy Authen Type.
CHAP, PAP, NONE, MSCHAP = 2, 3, 4, 5
_TYPES = {"chap": CHAP, "pap": PAP, "mschap": MSCHAP}
_METHODS = {CHAP: "chap", PAP: "pap", MSCHAP: "mschap"}

_CHALLENGE_SIZE = 16  # bytes
_IDENTIFIER = 1  # of a proof that a LAC client gives ahead
# After the LNS has acknowledged the call, its first frame is waited for so long (ms): they were sent together.
GRACE = 50
# Codes of a client's proof (RFC 1334 §2.2.1, RFC 1994 §4.1) and of its first packet.
_PAP_REQUEST = 1
_CHAP_RESPONSE = 2


def _avps(first, sent, received, kind, name=b"", challenge=b"", identifier=0, response=b""):
    pairs = [
        (avp.INITIAL_LCP_CONFREQ, first),
        (avp.LAST_SENT_LCP_CONFREQ, sent),
        (avp.LAST_RECEIVED_LCP_CONFREQ, received),
        (avp.PROXY_AUTHEN_TYPE, kind),
    ]
    if kind != NONE:
        pairs.append((avp.PROXY_AUTHEN_NAME, name))
        if challenge:
            pairs.append((avp.PROXY_AUTHEN_CHALLENGE, challenge))
        pairs.append((avp.PROXY_AUTHEN_ID, identifier))
        pairs.append((avp.PROXY_AUTHEN_RESPONSE, response))
    return pairs


def _table(options):
    """``{type: value}`` of options as on the wire, or None when they are malformed or say anything twice."""
    found = ppp.options(options, 0, len(options))
    if isinstance(found, str):
        return None
    table = dict(found)
    return table if len(table) == len(found) else None


class Shortcut:
    """A LAC client's: it tells the LNS what the two of them would have negotiated, and takes it for agreed.

    A machine of ``link``; an LNS that wants to negotiate itself does so, or says nothing, and then we begin.
    """

    def __init__(self, link, random):
        self._link = link
        self._random = random
        self._ours = b""
        self._peers = b""
        self._deadline = None
        link.machines.append(self)

    def offer(self):
        """The AVPs for the next ICCN; None when no method that we may use can be proxied."""
        link = self._link
        for method in link.auth:
            if method in ("chap", "pap"):
                break
        else:
            return None
        for option in link.lcp.options:
            option.begin()
        self._ours = link.lcp.request()
        self._peers = ppp.option(AUTHENTICATION, auth.method(method)[1]) + ppp.option(MAGIC, b"\1" + self._random(3))
        if method == "pap":
            return _avps(self._ours, self._peers, self._ours, PAP, link.username, b"", _IDENTIFIER, link.password)
        challenge = self._random(_CHALLENGE_SIZE)
        answer = auth.load(auth.method(method)[1]).Prover(link).respond(_IDENTIFIER, challenge, b"")
        return _avps(self._ours, self._peers, self._ours, CHAP, link.username, challenge, _IDENTIFIER, answer)

    def start(self, now):
        """The ICCN is on its way: the first network request flies with it."""
        link = self._link
        link.open(now)
        link.lcp.take_over(_table(self._ours), _table(self._peers), now)
        for role in link.roles:
            role.expect(_IDENTIFIER)
        link.lcp.alive = False
        self._deadline = None
        link.rearm()

    def acked(self, now):
        """The LNS has heard the ICCN: what it has to say comes now."""
        if self._link.lcp.proxied and not self._link.lcp.alive:
            self._deadline = ticks.add(now, GRACE)
            self._link.rearm()

    def poll_at(self):
        """Until when the LNS may keep silent."""
        return self._deadline

    def on_timer(self, now):
        """It heeds no proxy AVPs and waits for LCP."""
        if ticks.due(self._deadline, now):
            self._deadline = None
            if self._link.lcp.proxied and not self._link.lcp.alive:
                self._link.renegotiate(now)


def accept(link, avps, now):
    """As LNS: take over what the AVPs of an ICCN tell, and judge the proof. False: LCP has to be negotiated.

    True says nothing of the proof: a wrong one has failed the link, as if it had come through it.
    """
    sent = avp.get(avps, avp.LAST_SENT_LCP_CONFREQ)
    received = avp.get(avps, avp.LAST_RECEIVED_LCP_CONFREQ)
    kind = avp.get(avps, avp.PROXY_AUTHEN_TYPE)
    if sent is None or received is None or kind is None:
        return False
    ours, peers = _table(sent), _table(received)
    if ours is None or peers is None or not _acceptable(link, ours, peers, kind, now):
        return False
    name = avp.get(avps, avp.PROXY_AUTHEN_NAME, b"")
    response = avp.get(avps, avp.PROXY_AUTHEN_RESPONSE, b"")
    identifier = avp.get(avps, avp.PROXY_AUTHEN_ID, 0) & 0xFF
    if len(name) > 255 or len(response) > 255:
        return False
    link.open(now)
    link.lcp.take_over(ours, peers, now)
    for role in list(link.roles):
        if kind == PAP:
            _feed(role, _PAP_REQUEST, identifier, bytes((len(name),)) + name + bytes((len(response),)) + response, now)
        else:
            role.resume(identifier, avp.get(avps, avp.PROXY_AUTHEN_CHALLENGE, b""))
            _feed(role, _CHAP_RESPONSE, identifier, bytes((len(response),)) + response + name, now)
    link.rearm()
    return True


def _acceptable(link, ours, peers, kind, now):
    """True when we could have agreed to all this ourselves."""
    method = auth.name_of(ours.get(AUTHENTICATION, b""))
    if method != _METHODS.get(kind) or AUTHENTICATION in peers:
        return False
    if link.demand and method not in link.demand:
        return False
    for table in (ours, peers):
        for type in table:
            if link.lcp.find(type) is None:
                return False
    for option in link.lcp.options:
        value = peers.get(option.type)
        if value is not None and option.judge(value, now) != value:
            return False
    return True


def _feed(role, code, identifier, data, now):
    """Bring a packet to a role, as if it had come out of the link."""
    length = ppp.CONTROL_HEADER + len(data)
    packet = bytearray((code, identifier, length >> 8, length & 0xFF)) + data
    role.receive(packet, 0, length, now)


def wake(session, now):
    """As LAC: repeat the host's first Configure-Request for an LNS that waits for one; its own then wakes the host."""
    for kind, options in session.proxy:
        if kind == avp.INITIAL_LCP_CONFREQ:
            buf = frame_buffer(MAX_CONTROL)
            end = ppp.write(buf, HEADROOM, ppp.LCP, ppp.CONFIGURE_REQUEST, 0, options[: MAX_CONTROL - 6])
            session.carry(buf, HEADROOM, end, now)


class Screen(PppLink):
    """A LAC's: negotiates LCP with the host on its line and asks it for a proof, which it leaves to the LNS to judge.

    ``demand`` may hold "chap", "pap" and "mschap". Event ``("proof", screen, avps)`` once the host has given one.
    """

    def __init__(self, random, name, demand, accm):
        super().__init__(random, demand=demand, name=name, secret_of=lambda name: None, auth=(), accm=accm)
        self._first = None  # options of the first Configure-Request
        self._told = False

    def carry(self, buf, start, end, now):
        """As a PppLink, but a proof goes no further."""
        head = ppp.head(buf, start, end)
        protocol = head & 0xFFFF
        at = start + (head >> 16)
        stop = ppp.packet_end(buf, at, end)
        if protocol == ppp.LCP and stop > 0 and buf[at] == ppp.CONFIGURE_REQUEST and self._first is None:
            self._first = bytes(buf[at + ppp.CONTROL_HEADER : stop])
        code = {ppp.PAP: _PAP_REQUEST, ppp.CHAP: _CHAP_RESPONSE}.get(protocol)
        if code is not None and self.roles and stop > 0 and buf[at] == code:
            self._on_proof(buf[at + 1], bytes(buf[at + ppp.CONTROL_HEADER : stop]))
        else:
            super().carry(buf, start, end, now)

    def _on_proof(self, identifier, data):
        size = data[0] if data else 0
        kind = _TYPES[auth.name_of(self.lcp.authentication.ours)]
        first, rest = data[1 : 1 + size], data[1 + size :]
        if kind == PAP:
            rest = rest[1 : 1 + rest[0]] if rest else b""
        if self._told or not first:
            return
        self._told = True
        for role in self.roles:
            role.settle()
        peers = b"".join([ppp.option(o.type, o.peers) for o in self.lcp.options if o.peers is not None])
        name, response = (first, rest) if kind == PAP else (rest, first)
        told = _avps(self._first, self.lcp.request(), peers, kind, name, self.challenge, identifier, response)
        self.event("proof", told)
