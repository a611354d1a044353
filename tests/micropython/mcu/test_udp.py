"""UDP carriers on real sockets."""

import gc

from mcudesk import Desk, Peer, wait

from laclet.port import HEADROOM, frame_buffer
from laclet_mcu.udp import Udp

PORT = 43101


def packet(data):
    buf = frame_buffer(len(data))
    buf[HEADROOM : HEADROOM + len(data)] = data
    return buf, HEADROOM, HEADROOM + len(data)


def send(udp, data, addr):
    buf, start, end = packet(data)
    udp.send(buf, start, end, addr)


def carrier(desk, peer, port=0):
    return Udp(desk, desk, None, port, peer.addr, frame_buffer(2048))


def test_datagrams_pass_both_ways_before_and_after_settling():
    desk, peer = Desk(), Peer(PORT)
    udp = carrier(desk, peer)
    assert desk.watched == [udp]
    for data in (b"one", b"two"):
        send(udp, data, peer.addr)
        assert peer.receive()[0] == data
        peer.send(b"answer to " + data)
        udp.ready(wait(udp), 0)
        assert desk.received.pop() == (b"answer to " + data, peer.addr)
        udp.settle(peer.addr)
    udp.close()
    peer.close()
    assert desk.watched == [] and udp.stream is None and desk.drops == []


def test_an_answer_from_another_address_is_heard_until_settled():
    desk, peer, other = Desk(), Peer(PORT), Peer(PORT + 1)
    udp = carrier(desk, peer)
    send(udp, b"call", peer.addr)
    port = peer.receive()[1]
    other.send(b"it is me", ("127.0.0.1", port))
    udp.ready(wait(udp), 0)
    assert desk.received.pop() == (b"it is me", other.addr)
    udp.settle(other.addr)
    peer.send(b"late")
    other.send(b"data", ("127.0.0.1", port))
    udp.ready(wait(udp), 0)
    assert desk.received == [(b"data", other.addr)], "the system keeps strangers away"
    for each in (udp, peer, other):
        each.close()


def test_datagrams_that_wait_together_stay_apart():
    desk, peer = Desk(), Peer(PORT)
    udp = carrier(desk, peer)
    udp.settle(peer.addr)
    send(udp, b"call", peer.addr)
    peer.receive()
    for n in range(5):
        peer.send(bytes([n]) * (n + 1))
    for n in range(5):
        udp.ready(wait(udp), 0)
        assert desk.received.pop() == (bytes([n]) * (n + 1), peer.addr)
    udp.close()
    peer.close()


def test_another_peer_is_reached_from_the_same_port():
    desk, peer, other = Desk(), Peer(PORT), Peer(PORT + 1)
    udp = carrier(desk, peer, PORT + 2)
    udp.settle(peer.addr)
    send(udp, b"one", peer.addr)
    assert peer.receive() == (b"one", PORT + 2)
    send(udp, b"two", other.addr)
    assert other.receive() == (b"two", PORT + 2)
    peer.send(b"both are heard again")
    udp.ready(wait(udp), 0)
    assert desk.received == [(b"both are heard again", peer.addr)]
    assert desk.watched == [udp]
    for each in (udp, peer, other):
        each.close()


def test_with_two_tunnels_it_stays_open_for_both():
    desk, peer, other = Desk(), Peer(PORT), Peer(PORT + 1)
    desk.tunnels[2] = None
    udp = carrier(desk, peer, PORT + 2)
    udp.settle(peer.addr)
    other.send(b"hello", ("127.0.0.1", PORT + 2))
    udp.ready(wait(udp), 0)
    assert desk.received == [(b"hello", other.addr)]
    for each in (udp, peer, other):
        each.close()


def test_who_takes_calls_hears_others_too():
    desk, peer, other = Desk(), Peer(PORT), Peer(PORT + 1)
    desk.accept = "options"
    udp = carrier(desk, peer, PORT + 2)
    udp.settle(peer.addr)
    other.send(b"hello", ("127.0.0.1", PORT + 2))
    udp.ready(wait(udp), 0)
    assert desk.received == [(b"hello", other.addr)]
    for each in (udp, peer, other):
        each.close()


def test_refusals_are_counted():
    desk, peer = Desk(), Peer(PORT)
    udp = carrier(desk, peer)
    udp.settle(peer.addr)
    peer.close()
    send(udp, b"into the void", peer.addr)
    udp.ready(wait(udp), 0)
    assert desk.drops == ["refused"]
    udp.close()


def test_a_port_that_is_taken_raises():
    desk, peer = Desk(), Peer(PORT)
    try:
        carrier(desk, peer, PORT)
        raise AssertionError("opened")
    except OSError:
        assert desk.watched == []
    peer.close()


def test_what_is_sent_after_it_was_closed_is_lost_and_counted():
    desk, peer = Desk(), Peer(PORT)
    udp = carrier(desk, peer)
    udp.settle(peer.addr)
    udp.close()
    send(udp, b"too late", peer.addr)
    assert desk.drops == ["not sent"] and udp.stream is None and desk.watched == []
    peer.close()


def test_a_port_that_cannot_be_opened_anew_is_tried_again():
    desk, peer, other = Desk(), Peer(PORT), Peer(PORT + 1)
    udp = carrier(desk, peer, PORT + 2)
    udp.settle(peer.addr)
    udp.stream.close()
    thief = Peer(PORT + 2)
    send(udp, b"lost", other.addr)
    assert desk.drops == ["not sent"] and udp.stream is None
    thief.close()
    send(udp, b"there", other.addr)
    assert other.receive() == (b"there", PORT + 2)
    for each in (udp, peer, other):
        each.close()


def test_ipv6():
    desk = Desk()
    udp = Udp(desk, desk, "::1", PORT, None, frame_buffer(2048))
    send(udp, b"to myself", ("::1", PORT))
    udp.ready(wait(udp), 0)
    assert desk.received == [(b"to myself", ("::1", PORT))]
    udp.close()


def test_sending_allocates_nothing():
    desk, peer = Desk(), Peer(PORT)
    udp = carrier(desk, peer)
    udp.settle(peer.addr)
    buf, start, end = packet(bytes(1000))
    addr = ("127.0.0.1", PORT)

    def burst(n):
        for _ in range(n):
            udp.send(buf, start, end, addr)

    burst(1)
    gc.collect()
    before = gc.mem_alloc()
    burst(0)
    idle = gc.mem_alloc() - before
    before = gc.mem_alloc()
    burst(100)
    assert gc.mem_alloc() - before == idle
    udp.close()
    peer.close()
