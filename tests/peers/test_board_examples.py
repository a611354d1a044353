"""The examples of docs/examples on real MicroPython, each against a real peer."""

import json
import re
import time
from pathlib import Path

import pytest

from laclet_host.board import launch
from peers.lab import PROGRAMS
from peers.needs import need
from peers.pppd import PppdSerial
from peers.service import MicroLaclet, rom
from peers.services import Chrony, Dnsmasq
from peers.traffic import assert_passes
from peers.xl2tpd import SECRET, Xl2tpdClient, Xl2tpdLns

pytestmark = [pytest.mark.root, pytest.mark.guest, pytest.mark.micropython]
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
HEAP = "192K"  # asyncio and an example are there besides


class Example(MicroLaclet):
    """One file of docs/examples; ``more`` are further arguments of its main()."""

    def __init__(self, place, example, config, more=()):
        super().__init__(place, config, name=example)
        self.more = more

    def start(self):
        path = self.place.write(self._file("config.json"), json.dumps(self.config))
        command, environment = launch.command(HEAP, rom(self.place.lab), module="exampleboard")
        environment["MICROPYPATH"] = f"{PROGRAMS}:{EXAMPLES}:.frozen"
        command += [self.name, path, *self.more]
        self.process = self.place.spawn(*command, log=f"{self.name}/laclet.log", env=environment)
        return self


def test_the_client_asks_dns_and_time_through_the_tunnel(lns, here):
    need("xl2tpd", "dnsmasq", "chronyd")
    config = {
        "tunnel": {"office": {"server": lns.address, "tunnel_secret": SECRET}},
        "call": {"home": {"tunnel": "office", "username": "user", "password": "secret", "use_peer_dns": True}},
    }
    with (
        Xl2tpdLns(lns, "chap", SECRET, pppd=("silent", "ms-dns 10.9.0.1")),
        Dnsmasq(lns, {"ntp.example": "10.9.0.1"}),
        Chrony(lns),
        Example(here, "client", config, ["ntp.example"]) as example,
    ):
        example.said("address 10.9.0.10")
        example.said(r"time \d+")
        told = int(re.search(r"(?m)^time (\d+)$", example.text())[1])
        assert abs(told - time.time()) < 60


def test_the_lac_tells_when_its_line_is_connected(lns, cpe, here, cable):
    need("xl2tpd", "pppd")
    config = {
        "tunnel": {"office": {"server": lns.address, "tunnel_secret": SECRET}},
        "line": {"port": {"device": str(cable.near)}},
        "call": {"remote": {"tunnel": "office", "line": "port"}},
    }
    with Xl2tpdLns(lns, "chap", SECRET) as server, Example(here, "lac", config) as example:
        with PppdSerial(cpe) as host:
            example.said("^remote up$")
            _, own, peer = host.up()
            assert_passes(cpe, own, lns, peer)
        server.down()


def test_the_lns_counts_its_callers(cpe, here):
    need("xl2tpd")
    config = {
        "lns": {
            "address": "10.64.64.1",
            "pool": "10.64.64.2-10.64.64.9",
            "tunnel_secret": SECRET,
            "users": {"user": "secret"},
        }
    }
    with Example(here, "lns", config) as example:
        example.said("listening")
        with Xl2tpdClient(cpe, here.address, secret=SECRET) as client:
            client.dial()
            client.up()
            example.said("^lns callers: 1$")
            client.hang_up()
            example.said("^lns callers: 0$", timeout=30)
