# heap: 192K
"""IKE over a kernel that does ESP: what it is told, who it takes for whom, and a NAT that changes its mind."""

from ipseclink import CLIENT, LNS, NAT, SERVER, Scene, listener, policy

from laclet.carrier.ipsec import payload as p


class Kernel:
    """Stands for XFRM: remembers what it was told."""

    plain = True

    def __init__(self):
        self.told = []
        self.carrier = self
        self.sock = "the socket of L2TP"

    def install(self, peer, pair):
        self.told.append(("install", peer.addr[1]))

    def use(self, peer, pair):
        self.told.append(("use", peer.esp_addr[1]))

    def remove(self, pair):
        self.told.append(("remove", 0))

    def moved(self, peer):
        self.told.append(("moved", peer.esp_addr[1]))

    def send(self, buf, start, end, addr):
        self.told.append(("send", bytes(buf[start:end])))

    def close(self):
        self.told.append(("close", 0))


def scene(**options):
    """Both machines over kernels, a pair between them."""
    made = Scene(policy(dpd_interval=10000), listener(dpd_interval=0), **options)
    made.client.kernel, made.server.kernel = Kernel(), Kernel()
    made.client.connect(LNS, made.world.now)
    made.send(made.client, b"SCCRQ", LNS)
    made.world.run(1000)
    return made


def test_what_the_kernel_is_told():
    made = scene()
    told = made.client.kernel.told
    assert told[:3] == [("install", 500), ("use", 0), ("send", b"SCCRQ")]
    assert made.esp() == []
    assert made.client.sock == "the socket of L2TP"
    made.client.disconnect(LNS)
    assert told[-1] == ("remove", 0)
    made.send(made.client, b"too late", LNS)
    assert told[-1] == ("remove", 0) and made.client.drops == {"no SA": 1}
    made.client.close()
    assert told[-1] == ("close", 0)


def test_who_is_known_to_l2tp():
    made = scene()
    assert made.server.opened((CLIENT, 1701)) == (CLIENT, 1701)
    assert made.server.opened((CLIENT, 2701)) == (CLIENT, 2701)
    assert made.server.opened(("203.0.113.7", 1701)) is None
    assert made.client.opened((SERVER, 1701)) == LNS
    assert made.client.opened((SERVER, 1702)) is None
    assert made.server.drops["foreign port"] == made.client.drops["foreign port"] == 1
    assert made.server.told == [("ike-up", (CLIENT, 0))]


def test_one_caller_behind_an_address():
    made = scene(nat=True)
    first = made.server.peers[0]
    for host, port, alive in (("192.0.2.77", 40000, True), (CLIENT, 50000, False)):
        made.client.peers[0].forget()  # without a word; as another client, or as this one after a crash
        made.client.peers.clear()
        made.client._above.clear()
        made.client.ike.source = lambda addr, host=host: (host, 500)
        made.client.natt.source = lambda addr, host=host: (host, 4500)
        made.wire.shift = port
        made.client.connect(LNS, made.world.now)
        made.send(made.client, b"SCCRQ", LNS)
        made.world.run(1000)
        assert (first in made.server.peers) == alive and len(made.server.peers) == 1
    faults = made.faults(made.server)
    assert faults[0].startswith("ike: a second peer behind one address") and "ipsec_plane" in faults[0]
    assert faults[1:] == ["ike: the peer began anew"]


def test_a_nat_that_changes_its_mapping_is_seen_by_ike():
    made = scene(nat=True)
    assert made.server.peers[0].esp_addr == (NAT, p.PORT_NATT + 20000)
    made.wire.shift = 30000
    made.world.run(25000)  # the client asks whether the server is there, from another port
    assert ("moved", p.PORT_NATT + 30000) in made.server.kernel.told
    assert made.server.peers[0].sas[0].addr == (NAT, p.PORT_NATT + 30000)
