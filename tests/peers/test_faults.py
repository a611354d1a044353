"""What goes wrong in the field: one line that names layer and cause, and recovery without a person."""

import pytest

from peers.needs import need
from peers.service import Laclet
from peers.test_client import client
from peers.traffic import assert_passes
from peers.xl2tpd import SECRET, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest, pytest.mark.usefixtures("well_formed")]


def impatient(config):
    """The same configuration with short waits."""
    config["tunnel"]["nas"] |= {"max_retries": 3, "retry_timeout": 0.2, "holdoff": 0.2, "redial_timeout": 1.0}
    config["tunnel"]["nas"]["hello_interval"] = 1
    return config


def impatient_client(server, secret=None, **call):
    config, secrets = client(server, secret, **call)
    return impatient(config), secrets


def test_a_wrong_password(lns, here):
    need("xl2tpd", "pppd")
    strict = Xl2tpdLns(lns, "chap", users={"user": "another"}).start()
    try:
        with Laclet(here, *impatient_client(lns.address)) as service:
            service.said(r"\bauth: .*the peer said: Access denied")
            assert all(fault.startswith("auth: ") for fault in service.faults())
            strict.stop()
            with Xl2tpdLns(lns, "chap"):
                service.up()
    finally:
        strict.stop()
    assert "secret" not in service.text()


def test_a_wrong_tunnel_secret(lns, here):
    need("xl2tpd", "pppd")
    strict = Xl2tpdLns(lns, "chap", "another").start()
    try:
        with Laclet(here, *impatient_client(lns.address, SECRET)) as service:
            service.said(r"\btunnel-auth: ")
            assert all(fault.startswith("tunnel-auth: ") for fault in service.faults())
            strict.stop()
            with Xl2tpdLns(lns, "chap", SECRET):
                service.up()
    finally:
        strict.stop()
    assert SECRET not in service.text()


def test_an_lns_that_is_silent(lab, here):
    nowhere = "192.0.2.9"  # behind a router that does not forward
    here.run("ip", "route", "add", nowhere, "via", lab.net.address)
    with Laclet(here, *impatient_client(nowhere)) as service:
        service.said(rf"\btunnel: no answer to SCCRQ from {nowhere}", count=2)
        assert all(fault.startswith("tunnel: ") for fault in service.faults())
    here.run("ip", "route", "del", nowhere)


def test_an_lns_that_comes_late(lns, here):
    need("xl2tpd", "pppd")
    with Laclet(here, *impatient_client(lns.address)) as service:
        service.said(r"\btunnel: no answer to SCCRQ")
        assert service.status()
        with Xl2tpdLns(lns) as server:
            service.up()
            server.up()


def test_an_lns_that_dies_and_returns(lns, here):
    need("xl2tpd", "pppd")
    server = Xl2tpdLns(lns).start()
    try:
        with Laclet(here, *impatient_client(lns.address)) as service:
            service.up()
            assert service.faults() == []
            server.kill()
            service.said(r"\btunnel: the peer no longer answers")
            here.no_address("laclet[0-9]+|tun[0-9]+")
            server.start()
            _, own, peer = service.up()
            server.up()
            assert_passes(here, own, lns, peer)
    finally:
        server.stop()
