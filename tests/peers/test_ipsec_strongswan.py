"""ipsec = "strongswan": strongSwan has IKE and the SAs, by our orders; never in clear, with or without its daemon."""

import datetime
import re
import signal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from peers.capture import frames
from peers.needs import need
from peers.service import Laclet
from peers.strongswan import PSK, StrongSwan
from peers.test_ipsec import FAST, FAULTS, LOCAL, assert_nothing_in_clear, client, lns_of_ours
from peers.test_ipsec_kernel import clear_sccrq
from peers.traffic import assert_passes
from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest]

OURS = {"ipsec": "strongswan", "ipsec_ike": FAST, "ipsec_esp": "aes128-sha1"}
INTERFACE = "laclet[0-9]+|ppp[0-9]+"


class Driven(StrongSwan):
    """charon without a connection of its own, for a service at the same place to drive."""

    connections = False


class Driver(Laclet):
    """The service beside a `Driven`."""

    @property
    def _environment(self):
        return {**super()._environment, "LACLET_VICI": f"{self.place.directory}/ipsec/vici"}


@pytest.fixture
def kernel(cpe):
    """A guest whose kernel has ESP, and nothing of it left at the end."""
    need("swanctl", "xl2tpd", "pppd")
    cpe.run("modprobe", "-q", "-a", "-d", "/run/mod", "tun", check=False)
    yield cpe
    assert cpe.run("ip xfrm policy; ip xfrm state").out == ""


@pytest.mark.parametrize("encaps", [False, True])
def test_strongswan_calls_for_us(lab, lns, kernel, encaps):
    with (
        StrongSwan(lns, ike=FAST) as swan,
        Xl2tpdLns(lns) as server,
        Driven(kernel) as driven,
        lab.capture(kernel) as capture,
    ):
        with Driver(kernel, *client(lns.address, ipsec_forceencaps=encaps, **OURS)) as service:
            interface, own, peer = service.up(INTERFACE)
            server.up()
            assert_passes(kernel, own, lns, peer)
            assert service.faults() == []
            assert ("TRANSPORT-in-UDP" in swan.security_associations()) == encaps
            swan.swanctl("--terminate", "--ike", "l2tp")
            service.said("IPsec is up again")
            assert_passes(kernel, own, lns, peer)
        swan.said("deleting IKE_SA", count=2)
        kernel.no_interface(interface)
        assert "laclet" not in driven.swanctl("--list-conns").out
        assert PSK not in service.text()
    assert_nothing_in_clear(capture.path, kernel.address)


@pytest.mark.parametrize("port", [1701, 2701])
def test_strongswan_takes_callers_for_us(lab, lns, kernel, port):
    with (
        Driven(kernel),
        Driver(kernel, *lns_of_ours(**OURS)) as service,
        lab.capture(kernel) as capture,
        StrongSwan(lns, kernel.address, ike=FAST, local_ts=f"dynamic[udp/{port}]") as swan,
        Xl2tpdClient(lns, kernel.address, port=port) as caller,
    ):
        service.said("listening at")
        swan.initiate()
        caller.dial()
        _, own, peer = caller.up()
        assert peer == LOCAL
        service.up(INTERFACE)
        assert_passes(lns, own, kernel, peer)
        assert service.faults() == []
        swan.swanctl("--terminate", "--ike", "l2tp")
        service.said("IPsec with .* ended")
    assert_nothing_in_clear(capture.path, kernel.address)


@pytest.mark.parametrize("name", FAULTS)
def test_what_strongswan_could_not_do(lab, lns, kernel, name):
    """One line each time, that names IKE and the cause; nothing in clear; once it is mended it recovers by itself."""
    options, line = FAULTS[name]
    cause = re.match(r"ike: [\w -]+", line)[0]
    config, secrets = client(lns.address, **OURS)
    with Xl2tpdLns(lns), lab.capture(kernel) as capture, Driven(kernel):
        swan = StrongSwan(lns, **{"ike": FAST, **options}).start()
        with Driver(kernel, config, secrets) as service:
            try:
                service.said(cause, count=2, timeout=40)
            finally:
                swan.stop()
            faults = service.faults()
            assert all(re.match(cause, fault) for fault in faults), faults
            with StrongSwan(lns, ike=FAST):
                service.up(INTERFACE, timeout=60)
    assert PSK not in service.text() and "another" not in service.text()
    assert_nothing_in_clear(capture.path, kernel.address)


def test_strongswan_that_is_not_there(lns, kernel):
    with Driver(kernel, *client(lns.address, **OURS)) as service:
        service.said(r"ike: no strongSwan at .*vici: .* \(does it run", count=2)
        assert "Traceback" not in service.text()


def test_strongswan_that_ends(lab, lns, kernel, here):
    """The guard of the port outlives charon; when that comes back, the LNS gives it its orders anew."""
    with (
        lab.capture(kernel) as capture,
        StrongSwan(lns, kernel.address, ike=FAST) as swan,
        Driven(kernel) as first,
        Driver(kernel, *lns_of_ours(**OURS)) as service,
    ):
        service.said("listening at")
        assert not clear_sccrq(here, kernel.address, 3000)
        swan.initiate()
        service.said("IPsec with .* is up")
        assert not clear_sccrq(lns, kernel.address, 3001)
        first.process.kill(signal.SIGKILL)
        service.said("IPsec with .* ended: ike: strongSwan ended")
        kernel.run("ip xfrm state flush")
        assert not clear_sccrq(here, kernel.address, 3000)
        assert "action block" in kernel.run("ip xfrm policy").out
        swan.swanctl("--terminate", "--ike", "l2tp", "--force", check=False)
        kernel.run(f"rm -f /run/charon.pid {kernel.directory}/ipsec/vici")
        with Driven(kernel) as second:
            second.said("added vici connection: laclet-laclet-lns")
            swan.initiate()
            service.said("IPsec with .* is up", count=2)
            service.stop()
        assert "tunnel" not in service.text()
    sent = [frame for frame in frames(capture.path) if frame.source == kernel.address]
    assert not [frame.summary for frame in sent if "l2tp" in frame.protocols]


def certificates(place, *names):
    """A CA and certificates for all ``names``, as files below ``ipsec`` of the place."""
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    signer = rsa.generate_private_key(65537, 2048)
    for name in ("ca", *names):
        key = signer if name == "ca" else rsa.generate_private_key(65537, 2048)
        common = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in (name, "ca")]
        made = x509.CertificateBuilder().subject_name(common[0]).issuer_name(common[1]).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(begin)
        made = made.not_valid_after(begin + datetime.timedelta(days=3))
        made = made.add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
        text = made.sign(signer, hashes.SHA256()).public_bytes(pem).decode()
        yield name, text, key.private_bytes(pem, *plain).decode()


@pytest.mark.parametrize("who", ["CN=server", "CN=another"])
def test_certificates(lab, lns, kernel, who):
    """RSA signatures, and only from whom we want them."""
    made = {name: files for name, *files in certificates(kernel, "server", "client")}
    lns.write("ipsec/x509ca/ca.pem", made["ca"][0])
    lns.write("ipsec/x509/server.pem", made["server"][0])
    lns.write("ipsec/private/server.pem", made["server"][1])
    paths = {
        "ipsec_cert": kernel.write("client.pem", made["client"][0]),
        "ipsec_key": kernel.write("key.pem", made["client"][1], 0o600),
        "ipsec_ca": kernel.write("ca.pem", made["ca"][0]),
    }
    config, secrets = client(lns.address, ipsec_peer_id=who, **paths, **OURS)
    del secrets["tunnel"]
    with (
        StrongSwan(lns, ike=FAST, cert="server.pem"),
        Xl2tpdLns(lns),
        Driven(kernel),
        lab.capture(kernel) as capture,
        Driver(kernel, config, secrets) as service,
    ):
        if who == "CN=server":
            _, own, peer = service.up(INTERFACE)
            assert_passes(kernel, own, lns, peer)
            assert service.faults() == []
        else:
            service.said("ike: the peer is not who ipsec_peer_id says")
    if who == "CN=server":
        assert_nothing_in_clear(capture.path, kernel.address)
