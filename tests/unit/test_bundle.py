"""Links in bundles: who joins which, joining and leaving under traffic, peers without multilink (RFC 1990 §5 to §7)."""
# heap: 192K

from bundlepair import Desk
from pppwire import Pipe

from laclet.ppp import bundle
from laclet.wire import ppp

HERE = b"\x03\x02\x00\x00\x00\x00\x01"
THERE = b"\x03\x02\x00\x00\x00\x00\x02"


def started(count=2, client=None, server=None, **options):
    d = Desk(client, server)
    cables = [d.cable(**options) for _ in range(count)]
    assert d.world.run(3000, lambda: len(d.client.members) == count)
    d.world.run(500)
    return d, cables


def test_two_links_carry_what_one_bundle_sends():
    for client, server in (({}, {}), ({"short": True}, {}), ({"short": True, "mrru": 1600}, {"short": True})):
        client["discriminator"] = HERE
        server["discriminator"] = THERE
        d, cables = started(2, client, server)
        (other,) = d.made
        assert len(other.members) == 2 and len(d.client.owner.ups) == len(other.owner.ups) == 1
        for near in (d.client, other):
            far = other if near is d.client else d.client
            for cable in cables:
                cable.sent()
            assert d.send(near, 10) == far.above.sum and far.above.packets == 10
            one, two = [cable.sent()[near is other] for cable in cables]
            assert one >= 9 and 8 <= two <= 10  # the first packet is the first link's alone (§6)
            assert near.drops == {} and far.drops == {}


def test_one_link_sends_whole_packets_without_a_header():
    d, (cable,) = started(1)
    cable.sent()
    assert d.send(d.client, 3) == d.made[0].above.sum and cable.sent() == (0, 0)


def test_the_last_link_takes_the_bundle_with_it_and_another_begins_anew():
    d, cables = started(2)
    d.send(d.client, 3)
    for cable in cables:
        cable.a.close(d.world.now)
    d.world.run(500)
    assert len(d.client.owner.downs) == len(d.made[0].owner.downs) == 1
    assert d.client.poll_at() is None and not d.client.network
    d.bundles.forget(d.made[0])
    d.cable()
    d.cable()
    d.world.run(1000)
    assert len(d.made) == 2 and len(d.client.owner.ups) == 2
    assert d.send(d.client, 3) == d.made[1].above.sum


def test_a_bundle_that_is_closed_closes_its_links():
    d, cables = started(2)
    d.client.close(d.world.now)
    d.world.run(500)
    assert [fault.cause for fault in d.client.owner.downs] == ["closed by us"]
    assert all(len(cable.a.owner.downs) == 1 for cable in cables)


def test_others_get_bundles_of_their_own():
    d, _ = started(1, {"discriminator": HERE})
    other = Desk({"discriminator": THERE})
    other.world, other.bundles, other.made, other.random = d.world, d.bundles, d.made, d.random
    other._watch(other.client)
    other.cable()
    d.world.run(500)
    assert len(d.made) == 2 and [len(each.members) for each in d.made] == [1, 1]


def test_a_link_to_another_system_is_not_joined():
    d, _ = started(1, server={"discriminator": HERE})
    elsewhere = Desk(server={"discriminator": THERE})
    elsewhere.world = d.world
    elsewhere.client = d.client
    cable = elsewhere.cable()
    d.world.run(1000)
    assert "another system" in cable.a.owner.downs[0].cause and len(d.client.members) == 1


def test_a_peer_without_multilink_has_one_link():
    plain = {"address": b"\x0a\0\0\1", "peer_address": b"\x0a\0\0\2"}
    d = Desk()
    first = d.cable(server=plain)
    d.world.run(1000)
    assert len(d.client.owner.ups) == 1 and d.client.status()["multilink"] is False
    second = d.cable(server=plain)
    d.world.run(1000)
    assert "no multilink" in second.a.owner.downs[0].cause and first.a.owner.downs == []
    # And the other way round: a caller without multilink gets a bundle with itself.
    plain = d.cable(client={"address": None})
    again = d.cable(client={"address": None})
    d.world.run(1000)
    assert plain.a.owner.ups and again.a.owner.ups and len(d.made) == 2
    assert ppp.MULTILINK not in plain.b.inputs


def test_too_many_links():
    d, cables = started(1)
    d.client.members.extend(d.client.members * (bundle.MAX_LINKS - 1))
    cable = d.cable()
    d.world.run(1000)
    assert "16 links already" in cable.a.owner.downs[0].cause and len(d.made[0].members) == 1


def test_what_a_bundle_hears():
    d, cables = started(2)
    far = d.made[0]
    link = cables[0].a
    link.joined = Pipe(cables[0].path, cables[0].b)  # keeps what is sent

    def hear(frame):
        buf = bytearray(frame)
        d.client.carry(buf, 0, len(buf), d.world.now)
        return [sent[:3] for _, sent in link.joined.frames]

    assert hear(b"\xc0\x21\x05\x01\x00\x04") == [] and hear(b"\xc0\x21\x01\x01\x00\x04") == []
    assert d.client.drops == {"LCP negotiation in a bundle": 2}
    assert hear(b"\x40\x21abc") == [b"\xc0\x21\x08"]
    assert hear(b"\xff\x03\xc0\x21\x09\x01\x00\x08abcd") == [b"\xc0\x21\x08", b"\xc0\x21\x0a"]
    hear(b"\x21\x45abc")  # without a leading zero
    assert d.client.above.packets == 1 and hear(b"") and d.client.drops["frame without a protocol"] == 1
    assert len(far.members) == 2


def test_discriminators():
    right = (b"\0", b"\1a", b"\1" + bytes(20), b"\2abcd", b"\3abcdef", b"\4abcd", b"\4" + bytes(20), b"\0051", b"\x09")
    wrong = (b"", b"\0a", b"\1", b"\1" + bytes(21), b"\2abc", b"\3abcdefg", b"\4abcde", b"\5", b"\5" + bytes(16))
    assert all(bundle.well_formed(d) for d in right) and not any(bundle.well_formed(d) for d in wrong)
