"""A PPP host of ours on a serial line of pppd: Van Jacobson's compression, and MPPE as only Linux does it."""

import json
import sys

import pytest

from peers.lab import PROGRAMS
from peers.needs import need
from peers.pppd import SERVER, PppdSerial
from peers.traffic import assert_passes, exchange

pytestmark = [pytest.mark.root, pytest.mark.guest]


class PppHost:
    """programs/ppphost.py at the near end of the cable."""

    def __init__(self, place, device, **options):
        self.place = place
        self.arguments = [sys.executable, PROGRAMS / "ppphost.py", device, json.dumps(options)]
        self.process = None

    def __enter__(self):
        self.process = self.place.spawn(*self.arguments, log="ppphost.log")
        return self

    def __exit__(self, *exc):
        self.process.stop()

    def up(self):
        """(own address, peer's address)."""
        self.process.said("up ")
        _, own, peer = self.place.interface("ppphost0")
        return own, peer

    def passed(self):
        """Stop; frames by protocol, ``out`` and ``in``, and what the link dropped."""
        self.process.stop()
        counts, drops = self.process.text().splitlines()[-2:]
        return json.loads(counts), json.loads(drops)


def test_headers_are_compressed(cpe, here, cable):
    need("pppd")
    with PppdSerial(cpe, auth="mschap-v2") as server, PppHost(here, cable.near, vj=True) as host:
        own, peer = host.up()
        server.up()
        assert peer == SERVER
        assert_passes(here, own, cpe, peer, 200_000)
        seen, drops = host.passed()
        assert "compress VJ 0f 01" in server.pppd_text()
    for way in ("out", "in"):  # a timestamp that has moved on makes a packet go uncompressed
        assert seen[way]["0x2d"] > seen[way]["0x2f"] > 0, seen
    assert not any("VJ" in reason for reason in drops), drops


@pytest.mark.parametrize("lose", [0, 37])
def test_stateful_encryption_survives_losses(cpe, here, cable, lose):
    need("pppd")
    pppd = ("require-mppe-128", "mppe-stateful")
    with (
        PppdSerial(cpe, auth="mschap-v2", pppd=pppd) as server,
        PppHost(here, cable.near, stateful=True, lose=lose) as host,
    ):
        own, peer = host.up()
        server.up()
        server.pppd_said("MPPE 128-bit stateful compression enabled")
        exchange(here, own, cpe, peer, 300_000)  # past several changes of keys
        seen, drops = host.passed()
    for way in ("out", "in"):
        assert seen[way]["0xfd"] > 200 and "0x21" not in seen[way], seen
    assert bool(drops.get("MPPE packet after a loss")) == bool(lose), drops
    assert "MPPE packet garbled" not in drops
