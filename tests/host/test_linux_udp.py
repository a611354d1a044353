"""UDP carriers on the loopback: both families, ports, refusals; names."""

import socket

import pytest
from linuxloop import TestLoop

from laclet.port import HEADROOM, frame_buffer
from laclet_linux.udp import UdpCarrier, address_text, resolve


class Endpoint:
    """Notes what comes in; has the room that the core is promised."""

    def __init__(self):
        self.heard = []

    def receive(self, buf, start, end, addr, now):
        assert start >= HEADROOM and len(buf) >= end + 40
        self.heard.append((bytes(buf[start:end]), addr))


class Fixture:
    def __init__(self):
        self.loop = TestLoop()
        self.refused = []
        self.made = []

    def carrier(self, address, port=0, peer=None):
        endpoint = Endpoint()
        made = UdpCarrier(
            self.loop, endpoint, address, port, peer, lambda addr, text: self.refused.append((addr, text))
        )
        made.heard = endpoint.heard
        self.made.append(made)
        return made


@pytest.fixture
def udp():
    fixture = Fixture()
    yield fixture
    for each in fixture.made:
        each.close()
        each.close()
    fixture.loop.close()


def send(carrier, payload, addr):
    buf = frame_buffer(len(payload))
    buf[HEADROOM : HEADROOM + len(payload)] = payload
    carrier.send(buf, HEADROOM, HEADROOM + len(payload), addr)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_both_ways(udp, host):
    lns = udp.carrier(host)
    lac = udp.carrier(None, 0, lns.local)
    for i in range(100):
        send(lac, b"%d" % i + bytes(1400), lns.local)
    udp.loop.until(lambda: len(lns.heard) == 100)
    assert [payload[:2].rstrip(b"\0") for payload, _ in lns.heard] == [b"%d" % i for i in range(100)]
    back = lns.heard[0][1]
    assert back == (host, lac.local[1], *back[2:])
    send(lns, b"", back)
    send(lns, bytes(9000), back)
    udp.loop.until(lambda: len(lac.heard) == 2)
    assert lac.heard == [(b"", lns.local), (bytes(9000), lns.local)]
    assert lac.drops == {} and udp.refused == []


def test_answers_from_another_address_are_heard(udp):
    lns, other = udp.carrier("127.0.0.1"), udp.carrier("127.0.0.2")
    lac = udp.carrier(None, 0, lns.local)
    send(other, b"x", ("127.0.0.1", lac.local[1]))
    udp.loop.until(lambda: lac.heard)
    assert lac.heard == [(b"x", other.local)]


def test_fixed_port_and_address(udp):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.3", 0))
        port = probe.getsockname()[1]
    first = udp.carrier("127.0.0.3", port, ("127.0.0.1", 1701))
    assert first.local == ("127.0.0.3", port)
    with pytest.raises(OSError, match="Address already in use"):
        udp.carrier("127.0.0.3", port)


def test_no_way_to_the_peer_is_told_at_once(udp):
    with pytest.raises(OSError, match="Cannot assign requested address"):
        udp.carrier("192.0.2.1", 0, ("127.0.0.1", 1701))
    with pytest.raises(OSError):
        udp.carrier("127.0.0.1", 0, ("255.255.255.255", 1701))


def test_refusal_is_told_once_until_the_peer_settles(udp):
    gone = udp.carrier("127.0.0.1")
    addr = gone.local
    gone.close()
    lac = udp.carrier(None, 0, addr)
    lns = udp.carrier("127.0.0.1")
    for _ in range(3):
        send(lac, b"x", addr)
        udp.loop.until(lambda: udp.refused)
    assert udp.refused == [(addr, "Connection refused")]
    # The error of one peer does not cost another its datagram.
    send(lac, b"x", addr)
    send(lac, b"y", lns.local)
    udp.loop.until(lambda: lns.heard)
    lac.settle(addr)
    send(lac, b"x", addr)
    udp.loop.until(lambda: len(udp.refused) == 2)


def test_what_cannot_be_sent_is_counted(udp):
    lac = udp.carrier("127.0.0.1")
    send(lac, bytes(65600), ("127.0.0.1", 9))
    assert lac.drops == {"send: Message too long": 1}
    assert udp.refused == [(("127.0.0.1", 9), "Message too long")]


def test_closed_by_what_a_datagram_sets_off(udp):
    lns = udp.carrier("127.0.0.1")
    lac = udp.carrier(None, 0, lns.local)
    seen = []
    lns._endpoint.receive = lambda *args: (seen.append(1), lns.close())
    send(lac, b"x", lns.local)
    send(lac, b"y", lns.local)
    udp.loop.until(lambda: seen)
    assert seen == [1]


def test_names_are_looked_up(udp):
    answers = []
    for host in ("localhost", "127.0.0.1", "::1", "no.such.name.invalid", "a" * 70 + ".invalid"):
        resolve(udp.loop, host, 1701, lambda addresses, fault, now, host=host: answers.append((host, addresses, fault)))
    udp.loop.until(lambda: len(answers) == 5)
    found = {host: (addresses, fault) for host, addresses, fault in answers}
    assert found["127.0.0.1"] == ([("127.0.0.1", 1701)], None)
    assert found["::1"] == ([("::1", 1701, 0, 0)], None)
    assert ("127.0.0.1", 1701) in found["localhost"][0]
    for host in ("no.such.name.invalid", "a" * 70 + ".invalid"):
        addresses, fault = found[host]
        assert addresses == [] and fault.layer == "dns" and host in fault.cause and fault.hint


def test_addresses_for_people():
    assert address_text(("192.0.2.1", 1701)) == "192.0.2.1 port 1701"
    assert address_text(("2001:db8::1", 1701, 0, 0)) == "2001:db8::1 port 1701"
