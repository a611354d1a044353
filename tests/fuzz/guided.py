"""Coverage-guided fuzzing of decoders and whole machines: ``guided.py TARGET [libFuzzer options] [CORPUS]``.

A target takes bytes; whatever they are, it must not raise, hang, or grow without bound. Inputs worth keeping are in
``tests/fuzz/corpus/TARGET``; ``test_guided.py`` runs each target for a bounded time.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("firmware", "host", "tests", "tests/unit")]


def pieces(data):
    """The input cut into datagrams: each begins with its length in one byte, 255 for the rest."""
    out = []
    at = 0
    while at < len(data) and len(out) < 16:
        size = data[at]
        out.append(data[at + 1 :] if size == 255 else data[at + 1 : at + 1 + size])
        at += 1 + (len(data) if size == 255 else size)
    return out


def room(data):
    """``(buf, start, end)`` with the room around it that receivers may use."""
    from laclet.port import HEADROOM, TAILROOM

    return bytearray(HEADROOM) + bytearray(data) + bytearray(TAILROOM), HEADROOM, HEADROOM + len(data)


class Nowhere:
    """Takes what a machine sends."""

    joined = None

    def send(self, buf, start, end, addr=None):
        assert 0 <= start <= end <= len(buf)

    def carry(self, buf, start, end, now):
        assert 0 <= start <= end <= len(buf)

    def settle(self, addr):
        pass

    def close(self):
        pass


def random(n):
    return bytes(range(1, n + 1))


def avp_target(data):
    """Control message AVPs, hidden ones too."""
    from laclet.wire import avp

    _, found, problem = avp.parse(bytes(data), 0, len(data), b"secret" if len(data) & 1 else None)
    assert len(found) <= avp.MAX_AVPS and (problem is None or problem[1])


def endpoint_target(data):
    """An LNS with a secret, from whatever comes: tunnels, calls, data."""
    from laclet.l2tp.endpoint import MAX_HALF_OPEN, Endpoint
    from laclet.l2tp.tunnel import TunnelOptions

    endpoint = Endpoint(random, TunnelOptions("lns", b"secret" if data[:1] == b"s" else None))
    endpoint.carrier = Nowhere()
    _drive(endpoint, endpoint.timers, data[1:], lambda session, now: session.accept(now))
    assert len(endpoint.tunnels) <= MAX_HALF_OPEN + 16


def client_target(data):
    """A LAC that has dialled, and what its LNS may answer."""
    from laclet.l2tp.endpoint import Endpoint
    from laclet.l2tp.tunnel import TunnelOptions

    endpoint = Endpoint(random)
    endpoint.carrier = Nowhere()
    tunnel = endpoint.open("lns", TunnelOptions("lac"), 0)
    tunnel.incoming_call(0)
    _drive(endpoint, endpoint.timers, data, lambda session, now: session.close(None, now))


def _drive(endpoint, timers, data, offered):
    from laclet.wire.l2tp import put_u16

    now = 0
    for piece in pieces(data):
        buf, start, end = room(piece)
        if len(piece) >= 12 and piece[0] & 0x80:  # as a peer that counts and addresses well, or little gets anywhere
            buf[start] = 0xC8
            buf[start + 1] = 2
            put_u16(buf, start + 2, end - start)
            tunnel = next(iter(endpoint.tunnels.values()), None)
            if tunnel is not None:
                put_u16(buf, start + 4, tunnel.tid)
                put_u16(buf, start + 8, tunnel.channel.nr)
                if tunnel.sessions and piece[6]:
                    put_u16(buf, start + 6, next(iter(tunnel.sessions)))
        endpoint.receive(buf, start, end, "lns", now)
        event = endpoint.next_event()
        while event is not None:
            if event[0] == "call-offered":
                offered(event[1], now)
            event = endpoint.next_event()
        now += 700
        timers.on_timer(now)


def hdlc_target(data):
    """A serial line, octet by octet and in chunks."""
    from laclet.line.serial import SerialLine

    line = SerialLine(mru=200)
    line.joined = Nowhere()
    for piece in pieces(data):
        buf, start, end = room(piece)
        line.receive(buf, start, end, 0)
        line.sent(line.tx_end - line.tx_start)


def modem_target(data):
    """A modem in front of a line, and what it may say."""
    from laclet.line.modem import Modem
    from laclet.line.serial import SerialLine

    modem = Modem(SerialLine(mru=200))
    modem.start(0)
    now = 0
    for piece in pieces(data):
        buf, start, end = room(piece)
        modem.receive(buf, start, end, now)
        event = modem.next_event()
        while event is not None:
            if event[0] == "ring":
                modem.answer(now)
            event = modem.next_event()
        now += 400
        modem.on_timer(now)


def _link(data, **options):
    from laclet.ppp.link import PppLink

    link = PppLink(random, **options)
    link.joined = Nowhere()
    link.above = None
    link.open(0)
    link.lower_up(0)
    now = 0
    for piece in pieces(data):
        buf, start, end = room(piece)
        link.carry(buf, start, end, now)
        now += 150
        link.on_timer(now)
        while link.next_event() is not None:
            pass


def ppp_target(data):
    """A PPP link that proves itself by any method."""
    auth = ("eap", "mschap-v2", "mschap", "chap", "pap")
    _link(data, username=b"user", password=b"secret", auth=auth, want_dns=True)


def ppp_server_target(data):
    """A PPP link that asks for proof."""
    demand = ("eap", "mschap-v2", "mschap", "chap", "pap")
    options = {"secret_of": lambda name: b"secret", "address": b"\x0a\0\0\1", "peer_address": b"\x0a\0\0\2"}
    _link(data, demand=demand[data[0] % 5 :] if data else demand, **options)


def ip_target(data):
    """The host in user space."""
    from laclet.ip.host import Host

    class Link:
        def send_ip(self, buf, start, end, now):
            assert 0 <= start <= end <= len(buf)

    host = Host(Link())
    host.address = b"\x0a\0\0\1"
    for piece in pieces(data):
        host.receive_ip(*room(piece), 0)


def ike_target(data):
    """Both ends of IPsec, after so many messages of an honest negotiation as the first byte says; then what comes."""
    from unit.ipseclink import CLIENT, LNS, SERVER, Scene, listener, policy

    step = data[0] if data else 0
    scene = Scene(policy(aggressive=bool(step & 16)), listener(aggressive=True))
    passed = []
    scene.wire.tamper = lambda sent, source: passed.append(sent) or (sent if len(passed) <= step % 10 else None)
    scene.client.connect(LNS, scene.world.now)
    scene.world.run(100)
    cookies = passed[0][:8] + (passed[1][8:16] if len(passed) > 1 else bytes(8))
    for piece in pieces(data[1:]):
        machine, source = (scene.client, SERVER) if len(piece) & 1 else (scene.server, CLIENT)
        # Noise goes no further than cookies and lengths; half of it has both right.
        whole = bytes(piece)
        if len(piece) & 2:
            whole = cookies + whole[:8] + (20 + len(whole)).to_bytes(4, "big") + whole[8:]
        scene.inject(machine.ike, whole, (source, 500))
        scene.inject(machine.natt, bytes(4) + whole, (source, 4500))


def esp_target(data):
    """ESP of somebody without the keys, and of somebody with them who lies about what is inside."""
    from laclet.carrier.ipsec.esp import Pair
    from laclet.carrier.ipsec.machine import Ipsec
    from laclet.carrier.ipsec.peer import Peer
    from unit.ipseclink import CLIENT, SERVER, Above, policy

    names = ("aes128-sha1", "aes256-sha256", "aes128gcm16", "aes128-sha256_96")
    ipsec = Ipsec(policy(esp=names[data[0] % 4 if data else 0]), random)
    ipsec.endpoint = Above()
    peer = Peer(ipsec, ipsec.natt, (CLIENT, 4500), (CLIENT, 0, 1), 0)
    proposal = ipsec.policy.esp[0]
    pair = Pair(proposal, b"\1\2\3\4", bytes(proposal.keymat), b"\1\2\3\4", bytes(proposal.keymat), 3600, True)
    peer.listen(pair, 0)
    for piece in pieces(data[1:]):
        buf, start, end = room(piece)
        if piece and piece[0] & 1:
            end = pair.outbound.seal(buf, start, end)
            start -= pair.outbound.overhead
        elif piece and piece[0] & 2:
            buf[start : start + 4] = b"\1\2\3\4"
        ipsec.natt.receive(buf, start, end, (SERVER, 4500), 0)
    assert all(len(each) <= len(data) for each in ipsec.endpoint.payloads())


def carriers_target(data):
    """Frame relay, AAL5, X.25 and XOT decoders."""
    from laclet.carrier.aal5 import Aal5
    from laclet.carrier.framerelay import FrameRelay
    from laclet.carrier.x25 import X25
    from laclet.carrier.xot import Xot

    class Above:
        def receive(self, buf, start, end, addr, now):
            assert 0 <= start <= end <= len(buf)

    for machine in (FrameRelay("fr0"), Aal5("atm0"), X25("x25"), Xot(lambda buf, start, end: None)):
        machine.carrier = Nowhere()
        machine.endpoint = Above()
        for piece in pieces(data):
            buf, start, end = room(piece)
            machine.receive(buf, start, end, "peer", 0)


def describe_target(data):
    """Packets in words, for logs: of L2TP, of PPP, disconnect causes."""
    from laclet.l2tp import disconnect
    from laclet.l2tp.describe import describe as describe_l2tp
    from laclet.ppp.describe import describe as describe_ppp

    for piece in pieces(data):
        buf, start, end = room(piece)
        texts = [describe_ppp(buf, start, end), disconnect.text(bytes(piece))]
        if len(piece) >= 12:
            buf[start : start + 4] = bytes((0xC8, 2, (end - start) >> 8, (end - start) & 0xFF))
            texts.append(describe_l2tp(buf, start, end, b"secret"))
        assert all("secret" not in text and text.isprintable() for text in texts)


def proxy_target(data):
    """The proxy AVPs of an ICCN at an LNS that accepts them (RFC 2661 section 4.4.5)."""
    from laclet.ppp import proxy
    from laclet.ppp.link import PppLink
    from laclet.wire import avp

    options = {"secret_of": lambda name: b"secret", "address": b"\x0a\0\0\1", "peer_address": b"\x0a\0\0\2"}
    link = PppLink(random, demand=("chap", "pap"), **options)
    link.joined = Nowhere()
    values = [bytes(piece) for piece in pieces(data)]
    kinds = (26, 27, 28, avp.PROXY_AUTHEN_NAME, avp.PROXY_AUTHEN_CHALLENGE, avp.PROXY_AUTHEN_RESPONSE)
    pairs = list(zip(kinds, values, strict=False))
    number = int.from_bytes(data[:2], "big")
    pairs += [(avp.PROXY_AUTHEN_TYPE, number % 7), (avp.PROXY_AUTHEN_ID, number)]
    proxy.accept(link, pairs, 0)
    for now in range(0, 20_000, 700):
        link.on_timer(now)


def multilink_target(data):
    """Fragments of two links, into the bundle of a server."""
    from bundlepair import Desk

    desk = Desk()
    cables = [desk.cable() for _ in range(2)]
    desk.world.run(1000)
    for i, piece in enumerate(pieces(data)):
        buf, start, end = room(b"\0\x3d" + bytes(piece))
        cables[i & 1].b.carry(buf, start, end, desk.world.now)
        desk.world.run(200)


def mppe_target(data):
    """Encrypted frames and resets, both ways of keeping keys."""
    from laclet.ppp.mppe import Receiver

    for stateless in (True, False):
        receiver = Receiver(bytes(range(16)), 128, stateless)
        for piece in pieces(data):
            buf, start, end = room(b"\0\xfd" + bytes(piece))
            receiver.open(buf, start, end)


def vj_target(data):
    """Compressed and uncompressed TCP headers."""
    from laclet.ppp.vj import Decompressor

    vj = Decompressor(16)
    for piece in pieces(data):
        buf, start, end = room(piece[1:])
        start = (vj.uncompressed if piece[:1] == b"u" else vj.compressed)(buf, start, end)
        assert start == -1 or 0 <= start <= end


def eap_relay_target(data):
    """EAP between a peer and a judge elsewhere, both of whom may lie."""
    from laclet.ppp.link import PppLink

    link = PppLink(random, demand=("eap",), secret_of=lambda name: None, address=b"\x0a\0\0\1", peer_address=b"abcd")
    link.joined = Nowhere()
    verdicts = pieces(data)

    def judge(evidence, done, now):
        said = bytes(verdicts.pop()) if verdicts else b""
        done({"right": (True, False, None)[len(said) % 3], "eap": said, "state": [said]}, now)

    link.judge = judge
    link.open(0)
    link.lower_up(0)
    link.carry(*room(b"\xc0\x21\2\1\0\x0e\1\4\5\xdc\3\4\xc2\x27"), 0)
    link.carry(*room(b"\xc0\x21\1\1\0\4"), 0)
    for now, piece in enumerate(pieces(data)):
        link.carry(*room(b"\xc2\x27" + bytes(piece)), now)


def radius_target(data):
    """What comes to the port of a RADIUS client, and what a reply may hold."""
    from pyrad import dictionary, packet

    from laclet_linux.radius import _verdict

    request = packet.AuthPacket(code=1, id=1, secret=b"secret", authenticator=bytes(16))
    raw = bytes((data[0] & 15 if data else 2, 1)) + (4 + len(data)).to_bytes(2, "big") + bytes(data)
    try:
        reply = packet.Packet(packet=raw, secret=b"secret", dict=dictionary.Dictionary())
        request.VerifyReply(reply, raw)
    except (packet.PacketError, ValueError, IndexError, KeyError):
        return
    for method in ("pap", "chap", "mschap", "mschap-v2", "eap"):
        verdict = _verdict(request, reply, {"method": method, "challenge": bytes(16)})
        assert verdict["right"] in (True, False, None)
        if verdict.get("keys"):
            assert all(len(key) in (8, 16) for bits in (40, 128) for key in verdict["keys"](bits))


TARGETS = {name[: -len("_target")]: call for name, call in list(globals().items()) if name.endswith("_target")}


def main():
    """Fuzz one target until libFuzzer's limits are reached."""
    import atheris

    target = TARGETS[sys.argv.pop(1)]
    with atheris.instrument_imports(include=["laclet", "laclet_linux", "pyrad"]):
        target(b"")  # imports what it needs
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
