"""RADIUS towards a server that the test plays: what is sent, repetition, the next server, replies that lie."""

import os
import socket

import pytest
from linuxloop import TestLoop
from pyrad import packet

from laclet_linux.radius import Radius

SECRET = b"radsecret"
EVIDENCE = {"method": "pap", "name": b"tom", "password": b"pass"}
ABOUT = {"port": 7, "calling": "5551", "called": "", "address": "10.0.0.9", "class": [b"blue"], "name": b"tom"}
COUNTERS = {"rx_bytes": (3 << 32) + 5, "tx_bytes": 6, "rx_packets": 1, "tx_packets": 2}


class Desk:
    """A client, the sockets of two servers, and what came of questions."""

    def __init__(self, **config):
        self.loop = TestLoop()
        self.said = []
        self.verdicts = []
        self.servers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for server in self.servers:
            server.bind(("127.0.0.1", 0))
            server.settimeout(5)
        hosts = [server.getsockname() for server in self.servers]
        settings = {"radius": hosts, "radius_accounting": hosts[:1], "radius_secret": SECRET.decode()}
        settings.update({"radius_timeout": 0.05, "radius_retries": 1, **config})
        self.radius = Radius(self.loop, settings, "lns", lambda level, text: self.said.append(text))

    def ask(self, evidence=EVIDENCE):
        self.radius.authenticate(evidence, ABOUT, lambda verdict, now: self.verdicts.append(verdict))

    def take(self, server=0):
        """The next request that a server gets: (packet, address)."""
        heard = []
        self.servers[server].setblocking(False)

        def comes():
            try:
                heard.append(self.servers[server].recvfrom(4096))
            except BlockingIOError:
                return False
            return True

        self.loop.until(comes)
        data, addr = heard[0]
        return packet.AuthPacket(packet=data, secret=SECRET), addr

    def reply(self, request, addr, code, attributes=(), server=0, secret=SECRET):
        reply = packet.Packet(code=code, id=request.id, secret=secret, authenticator=request.authenticator)
        reply.add_message_authenticator()
        for key, value in attributes:
            reply[key] = value
        self.servers[server].sendto(reply.ReplyPacket(), addr)

    def close(self):
        self.radius.close()
        for server in self.servers:
            server.close()
        self.loop.close()


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.close()


def test_a_request_and_what_is_granted(desk):
    desk.ask()
    request, addr = desk.take()
    assert request.verify_message_authenticator() and request.PwDecrypt(request[2][0]) == "pass"
    assert request[1] == [b"tom"] and request[31] == [b"5551"] and request[5] == [b"\0\0\0\7"]
    granted = [(8, [b"\x0a\0\0\x07"]), (27, [b"\0\0\0\x3c"]), (25, [b"blue"])]
    desk.reply(request, addr, packet.AccessAccept, granted)
    desk.loop.until(lambda: desk.verdicts)
    (verdict,) = desk.verdicts
    assert verdict["right"] is True and verdict["address"] == b"\x0a\0\0\x07"
    assert verdict["session_timeout"] == 60 and verdict["class"] == [b"blue"]


def test_an_address_that_is_none(desk):
    for address in (b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe", b"\x0a"):
        desk.ask()
        request, addr = desk.take()
        desk.reply(request, addr, packet.AccessAccept, [(8, [address])])
        desk.loop.until(lambda: desk.verdicts)
        assert "address" not in desk.verdicts.pop()


def test_a_silent_server_is_asked_again_and_then_the_next(desk):
    desk.ask()
    first, _ = desk.take()
    again, _ = desk.take()
    assert again.id == first.id and again.authenticator == first.authenticator
    request, addr = desk.take(1)
    desk.reply(request, addr, packet.AccessReject, server=1)
    desk.loop.until(lambda: desk.verdicts)
    assert desk.verdicts[0]["right"] is False and "no answer from 127.0.0.1" in desk.said[0]
    desk.ask()
    desk.take(1)  # the one that answers is first from now on


def test_no_server_at_all(desk):
    desk.ask()
    desk.loop.until(lambda: desk.verdicts)
    assert "no answer from a RADIUS server" in str(desk.verdicts[0]["why"])


def test_replies_that_lie_are_dropped(desk):
    desk.ask()
    request, addr = desk.take()
    desk.reply(request, addr, packet.AccessAccept, secret=b"another")
    for data in (b"", b"\2", bytes([2, request.id, 0, 20]) + bytes(16), bytes([2, request.id, 0xFF, 0xFF]) + bytes(30)):
        desk.servers[0].sendto(data, addr)
    for size in range(0, 80, 3):
        desk.servers[0].sendto(bytes([2, request.id, 0, 20 + size]) + os.urandom(16 + size), addr)
    desk.loop.until(lambda: len(desk.said) > 3)
    assert not desk.verdicts
    desk.reply(request, addr, packet.AccessAccept)
    desk.loop.until(lambda: desk.verdicts)
    assert desk.verdicts[0]["right"] is True


def test_msv2_needs_the_servers_proof(desk):
    evidence = {"method": "mschap-v2", "name": b"tom", "identifier": 9, "challenge": bytes(16), "response": bytes(49)}
    desk.ask(evidence)
    request, addr = desk.take()
    desk.reply(request, addr, packet.AccessAccept)
    desk.loop.until(lambda: desk.verdicts)
    assert desk.verdicts[0]["right"] is False


def test_accounting(desk):
    call = desk.radius.start({**ABOUT, **COUNTERS})
    start, addr = desk.take()
    assert start[40] == [b"\0\0\0\1"] and start[44] == [call["id"]] and start[25] == [b"blue"]
    desk.reply(start, addr, packet.AccountingResponse)
    desk.radius.stop(call, {**ABOUT, **COUNTERS}, "lcp: the peer closed it")
    stop, _ = desk.take()
    while stop[40] != [b"\0\0\0\2"]:
        stop, _ = desk.take()
    assert stop[42] == [b"\0\0\0\5"] and stop[52] == [b"\0\0\0\3"] and stop[49] == [b"\0\0\0\1"]
    assert stop[44] == start[44] and stop[8] == [bytes([10, 0, 0, 9])]
