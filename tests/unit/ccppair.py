"""Two links of ``pppwire`` with encryption."""

from pppwire import CLIENT, Pair, server

from laclet.ppp.automaton import OPENED
from laclet.ppp.ccp import Ccp

IP4 = b"\x45\0\0\x29" + bytes(range(37))
IP6 = b"\x60\0\0\0\0\x15" + bytes(range(55))


def pair(a=None, b=None, method="mschap-v2", seed=1, **path):
    """Both ends with the Ccp that the keywords describe; None: without one."""
    p = Pair(dict(CLIENT, auth=(method,)), server(method), seed, **path)
    for side, options in ((p.a, a), (p.b, b)):
        if options is not None:
            side.link.add_ncp(Ccp(side.link, **options))
    return p


def ccp(side):
    return side.link.cipher


def encrypted(p, ms=9000):
    """Run until encryption is up at both ends, and IP; whether it is."""
    return p.run(ms, lambda: ccp(p.a).state == OPENED and ccp(p.b).state == OPENED and p.up())


def send(p, side, packet):
    """Send a packet; what came out at the other side."""
    other = p.b if side is p.a else p.a
    buf = bytearray(80) + packet + bytes(48)
    side.link.send_ip(buf, 80, 80 + len(packet), p.world.now)
    p.run(40)
    got = other.link.above.packets
    other.link.above.packets = []
    return got
