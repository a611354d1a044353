"""IPCP: addresses and name servers, both sides."""

from pppwire import ALICE, BOB, Pair, Peer, server

from laclet.wire import ppp

REQUEST, ACK, NAK, REJECT = ppp.CONFIGURE_REQUEST, ppp.CONFIGURE_ACK, ppp.CONFIGURE_NAK, ppp.CONFIGURE_REJECT
NONE = b"\0\0\0\0"
OLD = b"\x0a\x63\x00\x63"
DNS1, DNS2, NBNS = b"\x09\x09\x09\x09", b"\x08\x08\x08\x08", b"\x0a\x00\x00\x07"


def option(type, value):
    return bytes((type, 6)) + value


def started(**options):
    """A peer whose IPCP has just begun; with the first request's identifier and options."""
    peer = Peer(**options)
    peer.open_lcp()
    _, _, identifier, data = peer.take()[-1]
    return peer, identifier, data


def judged(peer, options, identifier=1):
    peer.take()
    peer.say(ppp.IPCP, REQUEST, identifier, options)
    _, code, _, data = peer.take()[-1]
    return code, data


def test_what_the_client_asks():
    for options, asked in (
        ({}, option(3, NONE)),
        ({"address": BOB}, option(3, BOB)),
        ({"want_dns": True}, option(3, NONE) + option(129, NONE) + option(131, NONE)),
        (
            {"want_dns": True, "address": BOB, "dns": (DNS1,)},
            option(3, BOB) + option(129, DNS1) + option(131, NONE),
        ),
        ({"address": ALICE, "peer_address": BOB}, option(3, ALICE)),
        ({"peer_address": BOB}, b""),  # a server without an address of its own
    ):
        assert started(**options)[2] == asked


def test_name_servers():
    pair = Pair({"want_dns": True}, server(dns=(DNS1, DNS2)))
    assert pair.run(5000, pair.up)
    assert pair.a.settings["dns"] == [DNS1, DNS2] and pair.b.settings["dns"] == []
    pair = Pair({"want_dns": True}, server(dns=(DNS1,)))
    assert pair.run(5000, pair.up) and pair.a.settings["dns"] == [DNS1]
    pair = Pair({"want_dns": True}, server(dns=(DNS1, DNS1)))
    assert pair.run(5000, pair.up) and pair.a.settings["dns"] == [DNS1]
    pair = Pair({"want_dns": True}, server())
    assert pair.run(5000, pair.up) and pair.a.settings["dns"] == []
    pair = Pair({}, server(dns=(DNS1,)))
    assert pair.run(5000, pair.up) and pair.a.settings["dns"] == []


def test_an_assigned_address_is_taken_and_remembered():
    peer, identifier, _ = started(address=OLD)
    peer.say(ppp.IPCP, NAK, identifier, option(3, BOB))
    assert peer.take()[-1][3] == option(3, BOB)
    peer.say(ppp.IPCP, ppp.TERMINATE_ACK, 1)
    assert peer.link.ncps[0].address.wish == BOB


def test_no_swap_to_nothing():
    peer, identifier, _ = started(address=OLD)
    for useless in (option(3, NONE), b"\x03\x04\x0a\x00"):
        peer.say(ppp.IPCP, NAK, identifier, useless)
        _, _, identifier, data = peer.take()[-1]
        assert data == option(3, OLD)


def test_an_address_of_our_own_when_the_peer_will_not_talk_about_it():
    peer, identifier, data = started(address=OLD)
    peer.say(ppp.IPCP, REJECT, identifier, data)
    _, _, identifier, data = peer.take()[-1]
    assert data == b""
    peer.say(ppp.IPCP, REQUEST, 1, b"")
    peer.say(ppp.IPCP, ACK, identifier, b"")
    assert peer.fault() is None and peer.side.settings["local"] == OLD and peer.side.settings["remote"] == NONE


def test_no_address_at_all():
    for code in (REJECT, ACK):
        peer, identifier, data = started()
        peer.say(ppp.IPCP, REQUEST, 1, option(3, ALICE))
        peer.say(ppp.IPCP, code, identifier, data)
        if code == REJECT:
            peer.say(ppp.IPCP, ACK, peer.take()[-1][2], b"")
        peer.say(ppp.LCP, ppp.TERMINATE_ACK, 1)
        assert peer.fault().cause == "the peer gave us no address" and peer.side.settings is None


def test_what_the_client_lets_the_peer_have():
    peer, _, _ = started()
    assert judged(peer, option(3, ALICE)) == (ACK, option(3, ALICE))
    assert judged(peer, option(3, NONE), 2) == (REJECT, option(3, NONE))
    assert judged(peer, b"\x02\x06\x00\x2d\x0f\x01" + option(3, ALICE), 3) == (REJECT, b"\x02\x06\x00\x2d\x0f\x01")
    assert judged(peer, b"\x01\x0a" + ALICE + BOB, 4) == (REJECT, b"\x01\x0a" + ALICE + BOB)
    assert judged(peer, option(129, NONE), 5) == (REJECT, option(129, NONE))


def test_what_the_server_lets_the_peer_have():
    peer, _, _ = started(**server(dns=(DNS1,), nbns=(NBNS,)))
    assert judged(peer, option(3, NONE)) == (NAK, option(3, BOB))
    assert judged(peer, option(3, OLD), 2) == (NAK, option(3, BOB))
    assert judged(peer, b"\x03\x03\x0a", 3) == (NAK, option(3, BOB))
    everything = option(3, BOB) + option(129, NONE) + option(130, NONE)
    assert judged(peer, everything, 4) == (NAK, option(129, DNS1) + option(130, NBNS))
    assert judged(peer, option(131, NONE) + option(132, NONE), 5) == (
        REJECT,
        option(132, NONE),
    )  # the only name server is told again as the second
    everything = option(3, BOB) + option(129, DNS1) + option(130, NBNS)
    assert judged(peer, everything, 6) == (ACK, everything)


def test_the_servers_own_address_is_not_the_peers_to_choose():
    peer, identifier, data = started(**server())
    peer.say(ppp.IPCP, NAK, identifier, option(3, OLD))
    assert peer.take()[-1][3] == data == option(3, ALICE)


def test_the_pool_is_asked_by_name():
    asked = []

    def pool(name):
        asked.append(name)
        return BOB

    pair = Pair({"username": b"bob", "password": b"builder"}, dict(server("pap"), peer_address=pool))
    assert pair.run(5000, pair.up) and asked == [b"bob"]


def test_an_empty_pool():
    pair = Pair({}, dict(server(), peer_address=lambda name: None))
    assert pair.run(20000, pair.failed)
    assert pair.b.faults[0].cause == "the peer did not take an address" or "ipcp" in str(pair.a.faults[0])
    assert not pair.a.ups and not pair.b.ups
