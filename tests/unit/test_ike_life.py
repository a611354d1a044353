# heap: 192K
"""The life of SAs: renewal without loss, deletion, dead peers, first contact, and what strangers can cost us."""

from ipseclink import CLIENT, LNS, SERVER, Scene, listener, policy

from laclet.carrier.ipsec import callers
from laclet.carrier.ipsec import payload as p


def note(above, seen):
    """Note which numbers came, and forget them: on a board memory is short."""
    for data in above.payloads():
        if data.isdigit():
            seen[int(data)] = 1
    above.got.clear()


def talk(scene, seconds, each=200):
    """Numbered datagrams both ways for so many seconds; returns how many were lost on either way."""
    back = scene.server.endpoint.got[0][0]
    count = seconds * 1000 // each
    there = bytearray(count)
    here = bytearray(count)
    for i in range(count + 1000 // each):
        if i < count:
            scene.send(scene.client, b"%d" % i, LNS)
            scene.send(scene.server, b"%d" % i, back)
        scene.world.run(each)
        note(scene.server.endpoint, there)
        note(scene.client.endpoint, here)
        scene.wire.trace.clear()
    return there.count(b"\x00"), here.count(b"\x00")


def test_renewal_of_phase_2_loses_nothing():
    for client_life, server_life in ((60, 3600), (3600, 60), (60, 60)):
        scene = Scene(policy(esp_life=client_life), listener(esp_life=server_life), delay=20)
        assert scene.dial()
        assert talk(scene, 200) == (0, 0)
        assert scene.names(scene.client).count("ike-renewed") in (3, 4, 5, 6, 7)
        assert scene.names(scene.client)[0] == "ike-up" and scene.faults(scene.client) == []
        assert len(scene.client.peers[0].pairs) <= 3
        assert set(scene.client.drops) | set(scene.server.drops) <= {"repeated"}


def test_renewal_of_phase_1_loses_nothing():
    for client_life, server_life in ((60, 28800), (60, 60)):
        scene = Scene(policy(ike_life=client_life), listener(ike_life=server_life), delay=20)
        assert scene.dial()
        first = scene.client.peers[0].sas[0]
        assert talk(scene, 200) == (0, 0)
        assert scene.client.peers[0].sas[-1] is not first
        assert len(scene.server.peers) == 1 and len(scene.client.peers[0].sas) <= 3
        assert scene.faults(scene.client) == [] and scene.faults(scene.server) == []


def tie(peer):
    """Make a peer take the pairs down with the ISAKMP SA that they were made under, as strongSwan does."""
    forget = peer._forget_sa

    def forget_all(sa):
        forget(sa)
        for pair in [pair for pair in peer.pairs if pair.sa is sa]:
            peer._forget_pair(pair)

    peer._forget_sa = forget_all


def test_pairs_that_hang_on_their_isakmp_sa():
    for client_life, server_life in ((60, 28800), (28800, 60), (60, 60)):
        scene = Scene(policy(ike_life=client_life), listener(ike_life=server_life), delay=20)
        assert scene.dial()
        tie(scene.client.peers[0])
        tie(scene.server.peers[0])
        assert talk(scene, 200) == (0, 0)
        assert scene.faults(scene.client) == [] and scene.faults(scene.server) == []


def test_both_renew_phase_1_at_once():
    """Two SAs come of it, and the pair hangs on either: nothing is lost when one of them goes."""
    scene = Scene(delay=20)
    assert scene.dial()
    client, server = scene.client.peers[0], scene.server.peers[0]
    tie(client)
    tie(server)
    for _ in range(3):
        client._start_phase1(scene.world.now)
        server._start_phase1(scene.world.now)
        scene.send(scene.client, b"who is there", LNS)
        scene.world.run(100)
        assert talk(scene, 40) == (0, 0)
        assert len(client.sas) <= 3 and scene.faults(scene.client) == []


def test_renewal_of_both_under_loss():
    scene = Scene(policy(esp_life=300, ike_life=400), listener(), delay=20, loss=20)
    scene.client.connect(LNS, scene.world.now)
    for _ in range(20):
        scene.send(scene.client, b"SCCRQ", LNS)
        scene.world.run(1000)
    scene.wire.trace.clear()
    there, here = talk(scene, 3000, 4000)
    assert scene.faults(scene.client) == []
    assert scene.names(scene.client).count("ike-renewed") > 5
    assert 0.15 < there / 750 < 0.25 and 0.15 < here / 750 < 0.25  # the link's loss, and no more


def test_sequence_numbers_run_out():
    scene = Scene()
    assert scene.dial()
    old = scene.client.peers[0].out
    old.outbound.sequence = 0x3F000000 - 10
    assert talk(scene, 10) == (0, 0)
    assert scene.client.peers[0].out is not old
    old.outbound.sequence = 0x3FFFFFFF
    assert old.outbound.seal(bytearray(200), 80, 100) == -1


def test_orderly_end():
    scene = Scene()
    assert scene.dial()
    scene.client.disconnect(LNS)
    scene.world.run(100)
    assert scene.client.peers == [] and scene.client.poll_at() is None
    assert scene.server.peers == [] and scene.server.poll_at() is None
    assert scene.faults(scene.server) == ["ike: the peer deleted the SA"]
    scene.send(scene.client, b"too late", LNS)
    assert scene.client.drops == {"no SA": 1}


def test_close_gives_back_the_carriers():
    scene = Scene()
    assert scene.dial()
    scene.client.close()
    scene.world.run(100)
    before = len(scene.client.drops)
    scene.inject(scene.client.ike, b"x" * 40, (SERVER, 500))
    assert len(scene.client.drops) == before + 1
    assert scene.server.peers == []


def test_deleted_pair_is_made_anew():
    scene = Scene()
    assert scene.dial()
    server = scene.server.peers[0]
    server._delete_pair(server.out)  # as a peer does that thinks it idle
    scene.world.run(1000)
    assert talk(scene, 2) == (0, 0)
    assert scene.names(scene.client) == ["ike-up", "ike-renewed"]


def test_dead_peer():
    scene = Scene(policy(dpd_interval=10000))
    assert scene.dial()
    scene.wire.link.up = False
    scene.world.run(60000)
    assert scene.faults(scene.client) == ["ike: the peer does not answer any more (dead peer detection)"]
    assert scene.client.peers == []


def test_live_but_silent_peer():
    scene = Scene(policy(dpd_interval=10000), listener(dpd_interval=0))
    assert scene.dial()
    scene.world.run(300000)
    assert scene.names(scene.client) == ["ike-up"]
    asked = len([1 for item in scene.wire.trace if item[3][4 + p.EXCHANGE : 4 + p.EXCHANGE + 1] == b"\x05"])
    assert 20 < asked < 80  # a question and an answer each time


def test_client_that_crashed_and_returns():
    scene = Scene()
    assert scene.dial()
    old = scene.server.peers[0]
    scene.client.peers[0].forget()  # no word to the server
    scene.client.peers.clear()
    scene.client._above.clear()
    scene.client.endpoint.got.clear()
    scene.server.endpoint.got.clear()
    assert scene.dial()
    assert len(scene.server.peers) == 1 and scene.server.peers[0] is not old
    assert scene.faults(scene.server) == ["ike: the peer began anew"]


def test_server_that_crashed_is_found_out():
    scene = Scene(policy(dpd_interval=10000))
    assert scene.dial()
    for peer in list(scene.server.peers):
        peer.forget()
    scene.server.peers.clear()
    scene.world.run(60000)
    assert scene.faults(scene.client) == ["ike: the peer does not answer any more (dead peer detection)"]
    scene.client.endpoint.got.clear()
    scene.server.endpoint.got.clear()
    assert scene.dial()


def test_replayed_forged_and_cut_packets():
    scene = Scene()
    assert scene.dial()
    scene.send(scene.client, b"genuine", LNS)
    scene.world.run(100)
    packet = scene.esp()[-1][3]
    got = len(scene.server.endpoint.got)
    come = (CLIENT, 4500)
    scene.inject(scene.server.natt, packet, come)
    scene.inject(scene.server.natt, packet[:7] + bytes([packet[7] + 1]) + packet[8:], come)
    for size in range(1, len(packet)):
        scene.inject(scene.server.natt, packet[:size], come)
    assert len(scene.server.endpoint.got) == got
    drops = scene.server.drops
    assert drops["replayed"] >= 1 and drops["forged"] >= 1 and drops["short"] >= 8
    assert sum(drops.values()) == 1 + 1 + len(packet) - 1


def test_late_packets_inside_the_window_only():
    scene = Scene()
    assert scene.dial()
    taken = []

    def hoard(data, source):
        taken.append(data)

    scene.wire.tamper = hoard
    for i in range(70):
        scene.send(scene.client, b"%d" % i, LNS)
    scene.wire.tamper = None
    scene.server.endpoint.got.clear()
    for data in reversed(taken):
        scene.inject(scene.server.natt, data, (CLIENT, 4500))
    assert scene.server.endpoint.payloads() == [b"%d" % i for i in range(69, 5, -1)]
    assert scene.server.drops == {"replayed": 6}


def test_foreign_ports_and_other_protocols():
    scene = Scene()
    assert scene.dial()
    scene.client.policy.port = 1702  # so it seals datagrams from another port, which the server takes as another sender
    scene.send(scene.client, b"from 1702", LNS)
    scene.world.run(100)
    assert scene.server.endpoint.got[-1] == ((CLIENT, 1702, 1), b"from 1702")
    scene.client.policy.port = 1701
    scene.server.policy.port = 1702
    scene.send(scene.server, b"from 1702", scene.server.endpoint.got[0][0])
    scene.send(scene.client, b"to 1701", LNS)
    scene.world.run(100)
    assert scene.client.drops == {"foreign port": 1}
    assert scene.server.drops == {"not L2TP": 1}


def test_no_answer_is_longer_than_three_questions():
    for aggressive in (False, True):
        scene = Scene(policy(aggressive=aggressive), listener(aggressive=True))
        scene.client.connect(LNS, scene.world.now)
        question = scene.wire.trace[0][3]
        scene.wire.link.up = False
        scene.world.run(1)
        for _ in range(50):
            scene.inject(scene.server.ike, question, ("203.0.113.99", 500))  # the sender's address is a lie
        scene.world.run(120000)
        answered = sum([len(item[3]) for item in scene.wire.trace if item[1][0] == SERVER])
        assert answered <= 50 * 3 * len(question)
        assert scene.server.peers == [] and scene.server.status()["half_open"] == 0


def test_flood_of_first_messages():
    scene = Scene()
    scene.client.connect(LNS, scene.world.now)
    question = scene.wire.trace[0][3]
    scene.world.run(1)
    for i in range(40):
        scene.wire.trace.clear()
        scene.inject(scene.server.ike, bytes([i, 1, 2, 3, 4, 5, 6, 7]) + question[8:], ("203.0.113.%d" % i, 500))
        assert scene.server.status()["half_open"] <= callers.MAX_HALF_OPEN
    assert scene.server.drops["half-open pushed out"] == 40 - callers.MAX_HALF_OPEN
    assert scene.dial(60000)  # an honest client gets through


def test_a_server_that_takes_no_calls():
    scene = Scene(server=policy())
    scene.client.connect(LNS, scene.world.now)
    scene.world.run(5000)
    assert scene.server.drops["unknown cookies"] > 1
    assert [item for item in scene.wire.trace if item[1][0] == SERVER] == []


def test_aggressive_mode_only_where_it_is_wanted():
    scene = Scene(policy(aggressive=True), listener())
    scene.client.connect(LNS, scene.world.now)
    scene.world.run(60000)
    assert scene.server.drops["aggressive mode"] > 1
    assert scene.faults(scene.client)[0].startswith("ike: no answer")


def test_two_clients_behind_one_nat():
    scene = Scene(nat=True)
    assert scene.dial()
    first = scene.server.endpoint.got[0][0]
    scene.client.peers[0].forget()
    scene.client.peers.clear()
    scene.client._above.clear()
    scene.client.ike.source = lambda addr: ("192.0.2.77", 500)  # another host: another identity, another port outside
    scene.client.natt.source = lambda addr: ("192.0.2.77", 4500)
    scene.wire.shift = 40000
    scene.client.endpoint.got.clear()
    scene.server.endpoint.got.clear()
    assert scene.dial()
    second = scene.server.endpoint.got[0][0]
    assert first != second and first[:2] == second[:2]
    assert len(scene.server.peers) == 2


def test_a_server_that_renews_phase_1():
    """A client takes calls from nobody but the server it has called."""
    scene = Scene(policy(), listener(ike_life=60))
    assert scene.dial()
    first = scene.client.peers[0].sas[0]
    assert talk(scene, 120) == (0, 0)
    assert scene.client.peers[0].sas[-1] is not first
    assert len(scene.client.peers) == len(scene.server.peers) == 1
    scene.client.disconnect(LNS)
    drops = dict(scene.client.drops)
    scene.inject(scene.client.ike, bytes(7) + b"\x01" + bytes(8) + b"\x01\x10\x02" + bytes(8) + b"\x1c", (SERVER, 500))
    assert scene.client.drops != drops
