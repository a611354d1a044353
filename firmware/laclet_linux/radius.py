"""RADIUS for the callers of an LNS: log-ins judged (RFC 2865, 2548, 3579), calls counted (RFC 2866). Never waits.

pyrad makes and checks packets; the sockets and the patience are ours.
"""

import errno
import hashlib
import os
import socket
import time

from laclet.fault import AUTH, Fault

from . import udp

try:
    from pyrad import dictionary, packet
except ImportError:  # the extra ``radius``
    packet = None

# Attributes.
_USER_NAME, _USER_PASSWORD, _CHAP_PASSWORD, _NAS_IP, _NAS_PORT = 1, 2, 3, 4, 5
_SERVICE_TYPE, _FRAMED_PROTOCOL, _FRAMED_ADDRESS, _REPLY_MESSAGE, _STATE, _CLASS = 6, 7, 8, 18, 24, 25
_SESSION_TIMEOUT, _CALLED, _CALLING, _NAS_IDENTIFIER = 27, 30, 31, 32
_STATUS_TYPE, _IN_OCTETS, _OUT_OCTETS, _ACCT_SESSION_ID = 40, 42, 43, 44
_SESSION_TIME, _IN_PACKETS, _OUT_PACKETS, _CAUSE, _IN_GIGAWORDS, _OUT_GIGAWORDS = 46, 47, 48, 49, 52, 53
_CHAP_CHALLENGE, _NAS_PORT_TYPE, _EAP_MESSAGE, _MESSAGE_AUTHENTICATOR = 60, 61, 79, 80
# Of Microsoft (RFC 2548).
_MS = 311
_MS_RESPONSE, _MS_ERROR, _MS_CHALLENGE, _MS_KEYS, _MS_SEND_KEY, _MS_RECV_KEY = 1, 2, 11, 12, 16, 17
_MS2_RESPONSE, _MS2_SUCCESS = 25, 26

# Numbers are all the names we use, but without a dictionary pyrad does not look into vendors' attributes.
_NAMES = dictionary.Dictionary() if packet is not None else None

_FRAMED, _PPP, _VIRTUAL = 2, 1, 5
_START, _STOP = 1, 2
_EAP_CHUNK = 253  # bytes of an attribute
_ANY_ADDRESS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe")  # the caller, or we, may choose (RFC 2865 §5.8)
_SIZE = 4096  # bytes of the longest packet (RFC 2865 §3)
_MAX_WAITING = 1024  # questions that are out, to all servers
_MAX_ADDRESSES = 8  # of one kind of server

# Parts of a Fault's text, and the Acct-Terminate-Cause of such an end (RFC 2866 §5.10).
_CAUSES = (
    ("time is over", 5),
    ("shut down", 7),
    ("configuration has changed", 6),
    ("carrier lost", 2),
    ("no answer", 2),
    ("no longer answers", 2),
    ("the peer closed it", 1),
    ("cleared by the peer", 1),
    ("closed by the peer", 1),
)
_NAS_ERROR = 9


def _u32(number):
    return (number & 0xFFFFFFFF).to_bytes(4, "big")


class Radius:
    """The RADIUS servers of one [lns]. ``name`` is what we call ourselves, ``say(level, text)`` logs."""

    def __init__(self, loop, config, name, say):
        if packet is None:
            raise OSError(errno.ENOENT, "RADIUS needs pyrad: pip install laclet[radius]")
        secret = config["radius_secret"].encode()
        patience = (int(config["radius_timeout"] * 1000), config["radius_retries"])
        self._judges = _Servers(loop, config["radius"], secret, patience, say)
        self._counters = _Servers(loop, config["radius_accounting"] or (), secret, patience, say)
        self._name = name.encode()
        self._secret = secret
        self._say = say

    def close(self):
        """Ask and tell nothing more."""
        self._judges.close()
        self._counters.close()

    def authenticate(self, evidence, about, done):
        """Ask for a verdict on ``evidence``; both as ``laclet.ppp.auth.remote`` has them."""

        def make():
            request = packet.AuthPacket(code=packet.AccessRequest, secret=self._secret, authenticator=os.urandom(16))
            request.add_message_authenticator()
            self._describe(request, about, evidence["name"])
            request[_FRAMED_PROTOCOL] = [_u32(_PPP)]
            _prove(request, evidence)
            return request

        def answered(request, reply, now):
            if reply is None:
                why = Fault(AUTH, "no answer from a RADIUS server", "", "check radius and radius_secret")
                done({"right": False, "why": why}, now)
            else:
                done(_verdict(request, reply, evidence), now)

        self._judges.ask(make, answered)

    def start(self, about):
        """A call is up: begin to count. Returns what ``stop`` takes."""
        call = {"id": os.urandom(8).hex().encode(), "since": time.monotonic()}
        self._count(_START, call, about)
        return call

    def stop(self, call, about, fault):
        """It has ended, because of ``fault``."""
        text = str(fault)
        cause = next((number for part, number in _CAUSES if part in text), _NAS_ERROR)
        self._count(_STOP, call, about, cause)

    def _count(self, status, call, about, cause=None):
        def make():
            request = packet.AcctPacket(code=packet.AccountingRequest, secret=self._secret)
            self._describe(request, about, about["name"])
            request[_STATUS_TYPE] = [_u32(status)]
            request[_ACCT_SESSION_ID] = [call["id"]]
            if about["address"]:
                request[_FRAMED_ADDRESS] = [socket.inet_aton(about["address"])]
            if about["class"]:
                request[_CLASS] = list(about["class"])
            if cause is not None:
                request[_CAUSE] = [_u32(cause)]
                request[_SESSION_TIME] = [_u32(int(time.monotonic() - call["since"]))]
                request[_IN_OCTETS] = [_u32(about["rx_bytes"])]
                request[_OUT_OCTETS] = [_u32(about["tx_bytes"])]
                request[_IN_GIGAWORDS] = [_u32(about["rx_bytes"] >> 32)]
                request[_OUT_GIGAWORDS] = [_u32(about["tx_bytes"] >> 32)]
                request[_IN_PACKETS] = [_u32(about["rx_packets"])]
                request[_OUT_PACKETS] = [_u32(about["tx_packets"])]
            return request

        if self._counters.hosts:
            self._counters.ask(make, lambda request, reply, now: None)

    def _describe(self, request, about, name):
        request[_USER_NAME] = [bytes(name)[:253]]
        request[_NAS_IDENTIFIER] = [self._name]
        request[_NAS_PORT] = [_u32(about["port"])]
        request[_NAS_PORT_TYPE] = [_u32(_VIRTUAL)]
        request[_SERVICE_TYPE] = [_u32(_FRAMED)]
        for code, key in ((_CALLED, "called"), (_CALLING, "calling")):
            if about[key]:
                request[code] = [about[key].encode()]


def _prove(request, evidence):
    """Put what the caller has shown into an Access-Request."""
    method = evidence["method"]
    if method == "pap":
        # Of more than 128 bytes RADIUS can carry nothing (RFC 2865 §5.2): such a password is wrong.
        request[_USER_PASSWORD] = [request.PwCrypt(evidence["password"][:128])]
        return
    if method == "eap":
        packet_of = evidence["eap"]
        request[_EAP_MESSAGE] = [packet_of[i : i + _EAP_CHUNK] for i in range(0, len(packet_of), _EAP_CHUNK)]
        if evidence.get("state"):
            request[_STATE] = list(evidence["state"])
        return
    identifier, challenge, response = bytes([evidence["identifier"]]), evidence["challenge"], evidence["response"]
    if method == "chap":
        request[_CHAP_PASSWORD] = [identifier + response]
        request[_CHAP_CHALLENGE] = [challenge]
        return
    # Both put the flags in front, which PPP has at the end.
    request[(_MS, _MS_CHALLENGE)] = [challenge]
    kind = _MS_RESPONSE if method == "mschap" else _MS2_RESPONSE
    request[(_MS, kind)] = [identifier + response[48:49] + response[:48]]


def _verdict(request, reply, evidence):
    """What a checked reply says."""
    method = evidence["method"]
    verdict = {"right": reply.code == packet.AccessAccept, "eap": b"".join(reply.get(_EAP_MESSAGE, ()))}
    if reply.code == packet.AccessChallenge and method == "eap":
        verdict["right"] = None
        verdict["state"] = reply.get(_STATE)
    if method in ("mschap", "mschap-v2"):
        said = reply.get((_MS, _MS2_SUCCESS if verdict["right"] else _MS_ERROR))
        if said:
            verdict["message"] = said[0][1:]  # behind the identifier
        elif not verdict["right"]:
            verdict["message"] = b"E=691 R=0 V=3"
        elif method == "mschap-v2":  # the caller would believe no server that does not know the password
            verdict["right"] = False
    elif method == "chap" and reply.get(_REPLY_MESSAGE):
        verdict["message"] = reply[_REPLY_MESSAGE][0]
    if verdict["right"]:
        _grant(request, reply, evidence, verdict)
    return verdict


def _grant(request, reply, evidence, verdict):
    """What comes with an Access-Accept: address, time, class, keys for MPPE."""
    address = (reply.get(_FRAMED_ADDRESS) or [b""])[0]
    if len(address) == 4 and address not in _ANY_ADDRESS:
        verdict["address"] = address
    timeout = (reply.get(_SESSION_TIMEOUT) or [b""])[0]
    if len(timeout) == 4 and any(timeout):
        verdict["session_timeout"] = int.from_bytes(timeout, "big")
    verdict["class"] = list(reply.get(_CLASS, ()))
    send, receive = reply.get((_MS, _MS_SEND_KEY)), reply.get((_MS, _MS_RECV_KEY))
    old = reply.get((_MS, _MS_KEYS))
    if send and receive:
        reply.request_authenticator = request.authenticator
        keys = _salted(reply, send[0]), _salted(reply, receive[0])
        if all(keys):
            verdict["keys"] = lambda bits: keys
    elif old and evidence["method"] == "mschap" and len(old[0]) == 32:
        clear = _unhidden(old[0], request)
        lan, nt, challenge = clear[:8], clear[8:24], evidence["challenge"]
        strong = hashlib.sha1(nt + nt + challenge).digest()[:16]
        verdict["keys"] = lambda bits: (strong,) * 2 if bits == 128 else (lan,) * 2


def _salted(reply, value):
    """A key of RFC 2548 §2.4.2: 16 bytes of it, b"" when it is none."""
    try:
        clear = reply.SaltDecrypt(value)
    except packet.PacketError:
        return b""
    return bytes(clear[:16]) if len(clear) >= 16 else b""


def _unhidden(value, request):
    """MS-CHAP-MPPE-Keys are hidden as a User-Password is (RFC 2548 §2.4.1)."""
    clear, before = b"", request.authenticator
    for at in range(0, len(value), 16):
        block = value[at : at + 16]
        pad = hashlib.md5(request.secret + before).digest()
        clear += bytes(a ^ b for a, b in zip(block, pad, strict=True))
        before = block
    return clear


class _Question:
    """One request on its way: ``make()`` gives it, ``answered(request, reply or None, now)`` is told."""

    def __init__(self, make, answered):
        self.make = make
        self.answered = answered
        self.request = None
        self.raw = b""
        self.server = None
        self.servers = []  # still to be tried
        self.tries = 0
        self.timer = None


class _Server:
    """A socket towards one server, and its 256 identifiers."""

    def __init__(self, family, addr):
        self.addr = addr
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.connect(addr)
        self.waiting = {}  # identifier -> _Question
        self.next = os.urandom(1)[0]

    def identifier(self):
        """One that nothing waits for, or None."""
        for _ in range(256):
            self.next = (self.next + 1) & 0xFF
            if self.next not in self.waiting:
                return self.next
        return None


class _Servers:
    """Servers of one kind: asked in turn, beginning with the one that answered last."""

    def __init__(self, loop, hosts, secret, patience, say):
        self.hosts = hosts
        self._loop = loop
        self._secret = secret
        self._timeout, self._retries = patience
        self._say = say
        self._servers = []
        self._unresolved = len(hosts)
        self._early = []  # questions from before names were found
        self._waiting = 0
        self._closed = False
        self._addresses = [()] * len(hosts)  # of each, in the order of the configuration
        for place, (host, port) in enumerate(hosts):
            udp.resolve(loop, host, port, lambda *found, place=place: self._found(place, *found))

    def close(self):
        """Ask nothing more; what is out is answered never."""
        self._closed = True
        for server in self._servers:
            for question in server.waiting.values():
                self._loop.cancel(question.timer)
            self._loop.unwatch(server.sock.fileno())
            server.sock.close()
        self._servers = []
        self._early = []

    def ask(self, make, answered):
        """Ask one server after the other."""
        question = _Question(make, answered)
        if self._waiting >= _MAX_WAITING:
            self._loop.after(0, lambda now: answered(None, None, now))
            return
        self._waiting += 1
        if self._unresolved:
            self._early.append(question)
        else:
            self._begin(question)

    def _found(self, place, addresses, fault, now):
        self._unresolved -= 1
        if fault is not None:
            self._say("warning", str(fault))
        self._addresses[place] = addresses
        if not self._unresolved and not self._closed:
            for addr in [addr for each in self._addresses for addr in each][:_MAX_ADDRESSES]:
                self._open(addr)
            early, self._early = self._early, []
            for question in early:
                self._begin(question)

    def _open(self, addr):
        try:
            server = _Server(socket.AF_INET6 if len(addr) > 2 else socket.AF_INET, addr)
        except OSError as error:
            self._say("warning", f"{udp.address_text(addr)}: {error.strerror}")
            return
        self._servers.append(server)
        self._loop.watch(server.sock.fileno(), lambda events, now: self._hear(server, now))

    def _begin(self, question):
        question.servers = list(self._servers)
        self._next(question)

    def _next(self, question):
        """Go to the next server; the verdict is None after the last."""
        while question.servers:
            server = question.servers.pop(0)
            identifier = server.identifier()
            if identifier is not None:
                question.server = server
                question.request = question.make()
                question.request.id = identifier
                question.raw = question.request.RequestPacket()
                question.tries = 0
                server.waiting[identifier] = question
                self._send(question)
                return
        self._loop.after(0, lambda now: self._end(question, None, now))

    def _send(self, question):
        question.tries += 1
        question.timer = self._loop.after(self._timeout, lambda now: self._late(question))
        try:
            question.server.sock.send(question.raw)
        except OSError:
            return  # as if it had been lost

    def _late(self, question):
        if question.tries <= self._retries:
            self._send(question)
            return
        self._say("warning", f"no answer from {udp.address_text(question.server.addr)}")
        del question.server.waiting[question.request.id]
        self._next(question)

    def _hear(self, server, now):
        while True:
            try:
                data = server.sock.recv(_SIZE)
            except OSError:  # nothing more, or the port is closed there: patience will end
                return
            question = server.waiting.get(data[1]) if len(data) >= 20 else None
            if question is None:
                continue
            try:
                reply = packet.Packet(packet=data, secret=self._secret, dict=_NAMES)
                right = question.request.VerifyReply(reply, data, enforce_ma=reply.get(_EAP_MESSAGE) is not None)
            except (packet.PacketError, ValueError, IndexError, KeyError):
                right = False
            if not right:
                self._say("warning", f"{udp.address_text(server.addr)}: an answer that is not made with our secret")
                continue
            del server.waiting[data[1]]
            self._servers.remove(server)
            self._servers.insert(0, server)
            self._loop.cancel(question.timer)
            self._end(question, reply, now)

    def _end(self, question, reply, now):
        self._waiting -= 1
        if not self._closed:
            question.answered(question.request, reply, now)
