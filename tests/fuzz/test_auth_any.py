"""Any packets in any order, to either side of every authentication, to encryption, IPv6 and header compression.

Nothing raises, nothing loops, and no secret leaves in a packet that should not have it.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laclet.port import HEADROOM, frame_buffer
from laclet.ppp.auth import method
from laclet.ppp.auth.eap import GTC
from laclet.ppp.ccp import Ccp
from laclet.ppp.ipv6cp import Ipv6cp
from laclet.ppp.vj import Vj
from laclet.wire import ppp
from unit.pppwire import CLIENT, Peer, server

METHODS = ("pap", "chap", "mschap", "mschap-v2", "eap")
AUTH = (ppp.PAP, ppp.CHAP, ppp.EAP)

# Data that gets past the first checks: counted values, EAP types, MSCHAPv2 headers, Failure texts.
LIKELY = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda value, rest: bytes((len(value),)) + value + rest, st.binary(max_size=60), st.binary(max_size=20)),
    st.builds(
        lambda type, data: bytes((type,)) + data,
        st.sampled_from((1, 2, 3, 4, 6, 13, 26)),
        st.one_of(
            st.binary(max_size=70),
            st.builds(
                lambda op, length, data: bytes((op, 1, 0, length)) + data,
                st.integers(0, 5),
                st.integers(0, 90),
                st.binary(max_size=80),
            ),
        ),
    ),
    st.builds(
        lambda code, r, c, v, text: b"E=%d R=%d C=%s V=%d M=%s" % (code, r, c, v, text),
        *(st.integers(0, 2000), st.integers(-1, 2), st.binary(max_size=40), st.integers(0, 9), st.binary(max_size=40)),
    ),
)


def option(name):
    """LCP's option that demands a method."""
    value = method(name)[1]
    return bytes((3, 2 + len(value))) + value


@settings(max_examples=60)
@pytest.mark.parametrize("name", METHODS)
@given(
    packets=st.lists(st.tuples(st.sampled_from(AUTH), st.integers(0, 7), st.integers(0, 4), LIKELY), max_size=12),
    waits=st.booleans(),
)
def test_any_packets_to_a_prover(name, packets, waits):
    peer = Peer(**dict(CLIENT, auth=(name,)))
    peer.open_lcp(option(name))
    for protocol, code, identifier, data in packets:
        peer.say(protocol, code, identifier, data)
        if waits:
            peer.wait(700)
    for protocol, code, _, data in peer.take():
        if CLIENT["password"] in data:
            assert (protocol, name) == (ppp.PAP, "pap") and code == 1


@settings(max_examples=60)
@pytest.mark.parametrize("name", METHODS)
@given(
    packets=st.lists(st.tuples(st.sampled_from(AUTH), st.integers(0, 7), st.integers(0, 4), LIKELY), max_size=12),
    waits=st.booleans(),
)
def test_any_packets_to_a_verifier(name, packets, waits):
    peer = Peer(**server(name))
    peer.open_lcp()
    for protocol, code, identifier, data in packets:
        peer.say(protocol, code, identifier, data)
        if waits:
            peer.wait(700)
    assert not peer.link.network  # nobody guesses a password, a challenge or an identifier and a digest


@settings(max_examples=100)
@given(st.lists(LIKELY, max_size=8))
def test_gtc_is_never_answered_where_pap_is_not_allowed(requests):
    peer = Peer(**dict(CLIENT, auth=("eap",)))
    peer.open_lcp(option("eap"))
    for identifier, data in enumerate(requests):
        peer.say(ppp.EAP, 1, identifier, bytes((GTC,)) + data)
    assert all(CLIENT["password"] not in data for _, _, _, data in peer.take())


CONTROL = st.tuples(
    st.sampled_from((ppp.IPCP, ppp.IPV6CP, ppp.CCP)),
    st.integers(0, 16),
    st.integers(0, 4),
    st.one_of(
        st.binary(max_size=40),
        st.builds(
            lambda type, value: bytes((type, 2 + len(value))) + value,
            st.sampled_from((1, 2, 3, 18, 129)),
            st.one_of(st.binary(max_size=12), st.just(b"\1\0\0\x40"), st.just(b"\0\x2d\x0f\1")),
        ),
    ),
)
DATA = st.tuples(
    st.sampled_from((ppp.IP, ppp.IPV6, ppp.COMPRESSED, ppp.VJ_COMPRESSED, ppp.VJ_UNCOMPRESSED)),
    st.one_of(st.binary(max_size=60), st.builds(lambda n, d: bytes((0x90 | n,)) + d, st.integers(0, 15), st.binary())),
)


@settings(max_examples=150)
@given(st.booleans(), st.lists(st.one_of(CONTROL, DATA), max_size=20))
def test_any_packets_to_the_network_protocols(encrypted, packets):
    peer = Peer(address=b"\x0a\0\0\1", peer_address=b"\x0a\0\0\2")
    link = peer.link
    link.add_ncp(Ipv6cp(link))
    if encrypted:
        link.add_ncp(Ccp(link, required=False))
    else:
        Vj(link)
    peer.open_lcp()
    if encrypted:
        link.roles = [type("Keyed", (), {"protocol": 0, "keys": staticmethod(lambda bits: (bytes(16), bytes(16)))})()]
    for packet in packets:
        if len(packet) == 4:
            peer.say(*packet)
        else:
            protocol, data = packet
            buf = frame_buffer(len(data) + 2)
            buf[HEADROOM : HEADROOM + 2] = bytes((0, protocol))
            buf[HEADROOM + 2 : HEADROOM + 2 + len(data)] = data
            link.carry(buf, HEADROOM, HEADROOM + 2 + len(data), peer.now)
    link.roles = []
    peer.wait(5000)
