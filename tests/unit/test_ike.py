# heap: 192K
"""IKEv1 between two of our own machines: modes, proposals, NAT, loss, and every way to fail, each with one fault."""

from ipseclink import CLIENT, LNS, NAT, SERVER, Scene, listener, policy

from laclet.carrier.ipsec import payload as p
from laclet.fault import IKE


def test_main_mode_and_data_both_ways():
    scene = Scene()
    assert scene.dial()
    assert scene.names(scene.client) == ["ike-up"]
    assert scene.names(scene.server) == ["ike-up"]
    assert scene.client.told == [("ike-up", LNS)]
    assert scene.server.endpoint.got[0] == ((CLIENT, 1701, 1), b"SCCRQ")
    assert scene.client.endpoint.got == [(LNS, b"SCCRP")]
    assert scene.client.drops == {} and scene.server.drops == {}


def test_first_datagram_leaves_with_message_three():
    scene = Scene(delay=50)
    assert scene.dial()
    times = [item[0] for item in scene.wire.trace if item[1][0] == CLIENT]
    assert times[:6] == [0, 100, 200, 300, 400, 400]  # four round trips of IKE; SCCRQ beside quick mode message 3
    assert scene.esp()[0][0] == 400


def test_aggressive_mode_saves_two_round_trips():
    scene = Scene(policy(aggressive=True), listener(aggressive=True), delay=50)
    assert scene.dial()
    times = [item[0] for item in scene.wire.trace if item[1][0] == CLIENT]
    assert times[:5] == [0, 100, 100, 200, 200]


def test_nothing_in_clear_and_nothing_accepted_in_clear():
    scene = Scene()
    assert scene.dial()
    for _, _, _, data in scene.wire.trace:
        assert b"SCCR" not in data
    got = len(scene.server.endpoint.got)
    scene.inject(scene.server.natt, b"SCCRQ in clear", (CLIENT, 4500))
    scene.inject(scene.server.ike, b"SCCRQ in clear", (CLIENT, 500))
    assert len(scene.server.endpoint.got) == got
    assert scene.server.drops == {"unknown SPI": 1, "not IKEv1": 1}


def test_every_proposal():
    for ike in ("aes128-sha1-modp1024", "aes256-sha1-modp1024", "aes128-sha256-modp1024", "aes256-sha256-modp1024"):
        scene = Scene(policy(ike=ike), listener(ike=ike))
        assert scene.dial(), ike
        assert scene.client.status()["peers"][0]["ike"] == ike
    for ike in ("aes128-sha1-modp1536", "aes256-sha256-modp2048"):
        scene = Scene(policy(ike=ike), listener(ike=ike))
        assert scene.dial(), ike
    for esp in ("aes256-sha1", "aes128-sha256", "aes256-sha256", "aes128-sha256_96", "aes128-sha1-modp1024"):
        scene = Scene(policy(esp=esp), listener(esp=esp))
        assert scene.dial(), esp
        assert scene.client.status()["peers"][0]["esp"] == esp
        assert scene.client.drops == {} and scene.server.drops == {}


def test_choice_among_many():
    offered = "aes256-sha256-modp1536,aes128-sha1-modp1024"
    scene = Scene(policy(ike=offered, esp="aes256-sha256,aes128-sha1"), listener())
    assert scene.dial()
    assert scene.client.status()["peers"][0]["ike"] == "aes128-sha1-modp1024"
    assert scene.server.status()["peers"][0]["esp"] == "aes128-sha1"


def test_nat_between():
    for known in (True, False):
        scene = Scene(nat=True, raw=True, known=known)
        assert scene.dial()
        assert scene.server.endpoint.got[0][0] == (NAT, 1701, 1)
        assert scene.client.status()["peers"][0]["encapsulated"]
        assert scene.server.status()["peers"][0]["encapsulated"]
        assert scene.esp()[0][1] == (CLIENT, 4500)


def test_plain_esp_without_a_nat():
    scene = Scene(raw=True)
    assert scene.dial()
    assert not scene.client.status()["peers"][0]["encapsulated"]
    assert scene.esp()[0][1:3] == ((CLIENT, 0), (SERVER, 0))


def test_forced_encapsulation():
    scene = Scene(policy(force_encaps=True), raw=True)
    assert scene.dial()
    assert scene.client.status()["peers"][0]["encapsulated"]
    assert scene.server.status()["peers"][0]["encapsulated"]


def test_nat_keepalives_only_when_silent():
    scene = Scene(nat=True)
    assert scene.dial()
    for _ in range(6):
        scene.world.run(10000)
        scene.send(scene.client, b"data", LNS)
    assert b"\xff" not in [item[3] for item in scene.wire.trace]
    scene.world.run(65000)
    assert [item[3] for item in scene.wire.trace].count(b"\xff") in (2, 3)
    assert scene.server.drops["keepalive"] in (2, 3)


def test_nat_that_changes_its_mapping():
    scene = Scene(nat=True)
    assert scene.dial()
    scene.wire.shift = 30000
    scene.send(scene.client, b"from another port", LNS)
    scene.world.run(100)
    addr = scene.server.endpoint.got[0][0]
    assert scene.server.endpoint.got[-1] == (addr, b"from another port")
    scene.send(scene.server, b"finds its way", addr)
    scene.world.run(100)
    assert scene.client.endpoint.got[-1][1] == b"finds its way"


def test_loss_and_disorder():
    for seed in range(1, 13):
        scene = Scene(seed=seed, loss=30, repeat=10, reorder=20)
        scene.client.connect(LNS, scene.world.now)
        for _ in range(40):  # as L2TP repeats what is not acknowledged
            scene.wire.trace.clear()
            scene.send(scene.client, b"SCCRQ", LNS)
            scene.world.run(1000)
            if scene.server.endpoint.got:
                scene.send(scene.server, b"SCCRP", scene.server.endpoint.got[0][0])
        assert scene.names(scene.client) == ["ike-up"] or scene.faults(scene.client), seed
        assert scene.client.endpoint.got or scene.faults(scene.client), (seed, scene.client.drops, scene.server.drops)


def one_fault(scene, ms=120000):
    """The only fault of the client, after a long time; nothing went in clear, nothing is left."""
    scene.client.connect(LNS, scene.world.now)
    scene.send(scene.client, b"SCCRQ", LNS)
    scene.world.run(ms)
    assert scene.names(scene.client) == ["ike-down"]
    addr, fault = scene.client.told[0][1]
    assert addr == LNS and fault.layer == IKE
    assert scene.server.endpoint.got == []
    assert scene.client.peers == [] and scene.client.poll_at() is None
    assert b"SCCRQ" not in b"".join([item[3] for item in scene.wire.trace])
    return str(fault)


def test_wrong_key():
    scene = Scene(policy(psk=b"one"), listener(psk=b"another"))
    text = one_fault(scene)
    assert text.startswith("ike: the peer refused our pre-shared key") and "ipsec_psk" in text
    assert "AUTHENTICATION-FAILED" in text
    assert "one" not in text.split() and "another" not in text
    assert scene.names(scene.server) == ["ike-fault"]  # the server's own line about it
    assert "pre-shared key" in scene.faults(scene.server)[0]


def test_wrong_key_in_aggressive_mode():
    scene = Scene(policy(psk=b"one", aggressive=True), listener(psk=b"another", aggressive=True))
    assert one_fault(scene).startswith("ike: the pre-shared key differs")


def test_no_common_ike_proposal():
    scene = Scene(policy(ike="aes256-sha256-modp2048"), listener(ike="aes128-sha1-modp1024"))
    text = one_fault(scene)
    assert text.startswith("ike: no common IKE proposal; we offered aes256-sha256-modp2048; the peer said: NO-PROPOSAL")
    assert scene.names(scene.server) == ["ike-fault"]
    assert scene.server.drops["no common proposal"] == 1


def test_no_common_esp_proposal():
    scene = Scene(policy(esp="aes256-sha256"), listener(esp="aes128-sha1"))
    text = one_fault(scene)
    assert text.startswith("ike: no common ESP proposal; we offered aes256-sha256; the peer said: NO-PROPOSAL-CHOSEN")


def test_silent_responder():
    scene = Scene()
    scene.wire.link.up = False
    assert one_fault(scene).startswith("ike: no answer (is the address right")


def test_silence_after_authentication():
    scene = Scene()
    scene.wire.tamper = lambda data, source: None if source == (SERVER, 4500) else data
    assert one_fault(scene).startswith("ike: no answer to our authentication: the pre-shared key differs, or UDP 4500")


def test_peer_without_nat_traversal():
    scene = Scene()

    def strip(data, source):
        return data.replace(p.VENDOR_NATT, bytes(16)) if source[0] == SERVER else data

    scene.wire.tamper = strip
    assert one_fault(scene).startswith("ike: the peer does not do NAT traversal")


def test_peer_that_promises_nat_traversal_and_tells_nothing():
    """Where plain ESP cannot go, ESP in UDP it is."""
    scene = Scene()

    def without_hashes(data, source):
        if data[p.NEXT] != p.KE:
            return data
        found = p.parse(p.KE, data, p.HEADER, len(data))
        body = p.chain([(kind, data[start:end]) for kind, start, end in found if kind != p.NAT_D])
        return data[: p.LENGTH] + p.p32(p.HEADER + len(body)) + body

    scene.wire.tamper = without_hashes
    assert scene.dial()
    assert scene.esp()[0][1][1] == 4500


def test_redial_after_failure():
    scene = Scene()
    scene.wire.link.up = False
    one_fault(scene)
    scene.wire.link.up = True
    assert scene.dial()


def test_keys_are_exported_only_to_who_asks():
    scene = Scene()
    told = []
    scene.client.on_keys = lambda kind, *values: told.append(kind)
    assert scene.dial()
    assert told == ["ike", "esp", "esp"]


def test_no_secret_in_what_people_see():
    scene = Scene(policy(psk=b"topsecret"), listener(psk=b"topsecret"))
    assert scene.dial()
    seen = repr(scene.client) + repr(scene.client.policy) + repr(scene.client.peers[0]) + str(scene.client.status())
    seen += repr(scene.client.peers[0].sas[0].keys) + repr(scene.client.peers[0].out)
    assert "topsecret" not in seen


def test_ipv6_has_checksums():
    hosts = ("2001:db8::1", "2001:db8:0:1::2")
    scene = Scene(raw=True, hosts=hosts)
    assert scene.dial()
    ends = p.packed(hosts[0]) + p.packed(hosts[1])
    assert len(ends) == 32
    scene.client.peers[0].out.outbound.seal = lambda buf, start, end: taken.append(bytes(buf[start:end])) or end
    for data in (b"even", b"odd", b""):
        taken = []
        scene.send(scene.client, data, scene.lns)
        datagram = taken[0]
        pseudo = ends + p.p32(len(datagram)) + bytes((0, 0, 0, 17)) + datagram + bytes(len(datagram) & 1)
        total = sum([p.u16(pseudo, i) for i in range(0, len(pseudo), 2)])
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        assert total == 0xFFFF and datagram[6:8] != b"\x00\x00"
