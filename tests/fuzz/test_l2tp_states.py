"""Every state of a tunnel and its call × every message, whole, cut at every byte, and mutated: nothing raises, nothing
grows without bound, and the endpoint still serves the next caller."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laclet.fault import Fault
from laclet.l2tp.endpoint import MAX_HALF_OPEN, Endpoint
from laclet.l2tp.tunnel import TunnelOptions
from laclet.wire import avp
from laclet.wire.l2tp import put_control, put_u16, u16
from sim.net import Network, World

LAC = ("10.0.0.1", 40000)
LNS = ("10.0.0.2", 1701)
SECRET = b"tunnelsecret"


class Taker:
    """Drains events, accepts calls; in a tunnel that the peer opened, asks for an outgoing call."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.sessions = []

    def take(self, now):
        event = self.endpoint.next_event()
        while event is not None:
            name, source, _ = event
            if name == "call-offered":
                source.accept(now)
                source.connected(now)  # means something for outgoing calls only
            elif name == "tunnel-up" and self.endpoint.carrier.addr == LNS:
                source.outgoing_call(now, called=b"*99#")
            elif name == "call-up":
                self.sessions.append(source)
            event = self.endpoint.next_event()


def build(secret, steps, close=False):
    """A LAC and an LNS after ``steps`` deliveries of a normal set-up with both kinds of call."""
    world = World(7)
    net = Network(world, delay=5)
    net.trace = []
    options = TunnelOptions("host", secret)
    options.bearer = 3
    ends = [
        net.attach(Endpoint(world.random.bytes, options), LAC),
        net.attach(Endpoint(world.random.bytes, options), LNS),
    ]
    takers = [Taker(end) for end in ends]
    for end, taker in zip(ends, takers, strict=True):
        world.add(end, taker.take)
    tunnel = ends[0].open(LNS, options, world.now)
    tunnel.incoming_call(world.now, calling=b"5551234")
    for _ in range(steps):
        world.step(world.elapsed + 1000)
    if close:
        tunnel.close(Fault("tunnel", "test"), world.now)
    return world, net, ends, takers


def recorded(secret):
    world, net, ends, takers = build(secret, 0)
    world.run(2000)
    for taker in takers:
        taker.sessions[0].set_line(0, 0xFFFFFFFF, world.now)
    takers[0].sessions[0].close(Fault("lcp", "over"), world.now)
    world.run(1000)
    next(iter(ends[0].tunnels.values())).close(Fault("tunnel", "over"), world.now)
    world.run(1000)
    return [data for _, _, _, data in net.trace]


CORPUS = {secret: recorded(secret) for secret in (None, SECRET)}
STEPS = 16


def aim(data, victim, peer_addr):
    """The message as the victim's peer would number it now: right tunnel, next Ns, a session that exists."""
    data = bytearray(data)
    if len(data) >= 12 and victim.tunnels:
        tunnel = next(iter(victim.tunnels.values()))
        put_u16(data, 4, tunnel.tid)
        if tunnel.sessions and u16(data, 6):
            put_u16(data, 6, next(iter(tunnel.sessions)))
        put_u16(data, 8, tunnel.channel.nr)
    return data


def deliver(world, victim, taker, data, addr):
    victim.receive(data, 0, len(data), addr, world.now)
    taker.take(world.now)


@pytest.mark.parametrize("secret", [None, SECRET], ids=["open", "secret"])
@pytest.mark.parametrize("side", [0, 1], ids=["lac", "lns"])
def test_every_state_times_every_message(secret, side):
    visited = set()
    for close in (False, True):
        for steps in range(STEPS):
            for message in CORPUS[secret]:
                world, net, ends, takers = build(secret, steps, close)
                victim = ends[side]
                visited.update(t.state for t in victim.tunnels.values())
                deliver(world, victim, takers[side], aim(message, victim, side), LNS if side == 0 else LAC)
                net.link.up = False
                world.run(100_000)
                assert not victim.tunnels, "a tunnel survived its dead peer"
                assert not victim.events
    assert visited >= ({1, 3, 4} if side == 0 else {2, 3})


@pytest.mark.parametrize("side", [0, 1], ids=["lac", "lns"])
def test_every_message_cut_at_every_byte(side):
    for message in CORPUS[SECRET]:
        world, net, ends, takers = build(SECRET, 5)
        victim = ends[side]
        addr = LNS if side == 0 else LAC
        for size in range(len(message)):
            data = bytearray(message[:size])
            deliver(world, victim, takers[side], data, addr)  # the length field says more than came
            if size >= 12:
                put_u16(data, 2, size)  # now it agrees, and an AVP is cut
                deliver(world, victim, takers[side], aim(data, victim, side), addr)
        assert len(victim.tunnels) <= MAX_HALF_OPEN


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    side=st.integers(0, 1),
    steps=st.integers(0, STEPS),
    index=st.integers(0, 1000),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    addressed=st.booleans(),
)
def test_mutated_messages_in_any_state(side, steps, index, edits, addressed):
    world, net, ends, takers = build(SECRET, steps)
    victim = ends[side]
    corpus = CORPUS[SECRET]
    data = bytearray(corpus[index % len(corpus)])
    if addressed:
        data = aim(data, victim, side)
    for at, value in edits:
        if at < len(data):
            data[at] = value
    deliver(world, victim, takers[side], data, LNS if side == 0 else LAC)
    world.run(200_000)
    fresh = Endpoint(world.random.bytes)
    net.attach(fresh, ("10.0.0.9", 5))
    world.add(fresh, Taker(fresh).take)
    tunnel = fresh.open((LAC, LNS)[side], TunnelOptions("later", SECRET), world.now)
    assert world.run(20_000, lambda: tunnel.state == 3), victim.drops


@settings(max_examples=300)
@given(st.binary(max_size=300), st.booleans())
def test_noise_is_dropped_and_named(noise, control):
    world, net, ends, takers = build(None, 12)
    data = bytearray(noise)
    if control and len(data) >= 12:
        put_control(data, 0, len(data), u16(data, 4), u16(data, 6), u16(data, 8), u16(data, 10))
    before = sum(ends[1].drops.values())
    ends[1].receive(data, 0, len(data), ("192.0.2.66", 9), world.now)
    assert sum(ends[1].drops.values()) == before + 1 or avp.get(avp.parse(data, 12, len(data))[1], 9)
