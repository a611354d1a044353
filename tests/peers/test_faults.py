"""What goes wrong in the field: one line that names layer and cause, and recovery without a person."""

import pytest

from peers.needs import need
from peers.service import Laclet
from peers.test_client import client
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
    with Laclet(here, *impatient_client(lns.address)) as service:
        with Xl2tpdLns(lns, "chap", users={"user": "another"}):
            service.said(r"\bauth: ")
        with Xl2tpdLns(lns, "chap"):
            service.up()
    assert "secret" not in service.text()


def test_a_wrong_tunnel_secret(lns, here):
    need("xl2tpd", "pppd")
    with Laclet(here, *impatient_client(lns.address, SECRET)) as service:
        with Xl2tpdLns(lns, "chap", "another"):
            service.said(r"\btunnel-auth: ")
        with Xl2tpdLns(lns, "chap", SECRET):
            service.up()
    assert SECRET not in service.text()


def test_an_lns_that_is_not_there(lab, lns, here):
    need("xl2tpd", "pppd")
    with Laclet(here, *impatient_client(lns.address)) as service:
        service.said(r"\b(udp|tunnel): ")
        with Xl2tpdLns(lns):
            service.up()
            assert service.status()


def test_an_lns_that_dies_and_returns(lns, here):
    need("xl2tpd", "pppd")
    server = Xl2tpdLns(lns).start()
    try:
        with Laclet(here, *impatient_client(lns.address)) as service:
            service.up()
            assert service.faults() == []
            server.kill()
            service.said(r"\b(udp|tunnel): ")
            here.no_address("laclet[0-9]+|tun[0-9]+")
            server.start()
            service.up()
            server.up()
    finally:
        server.stop()
