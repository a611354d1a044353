"""Traffic over the links of a bundle while they come and go; its division by speed (RFC 1990)."""
# heap: 192K

from bundlepair import Desk


def started(count=2, client=None, server=None, **options):
    d = Desk(client, server)
    cables = [d.cable(**options) for _ in range(count)]
    assert d.world.run(3000, lambda: len(d.client.members) == count)
    d.world.run(500)
    return d, cables


def test_traffic_is_divided_by_speed():
    d = Desk()
    fast, slow = d.cable(speed=3000000), d.cable(speed=1000000)
    d.world.run(500)
    d.send(d.client, 40)
    sizes = [cable.a.joined.bytes for cable in (fast, slow)]
    assert 2.5 < sizes[0] / sizes[1] < 3.5 and d.made[0].above.packets == 40


def test_links_join_and_leave_under_traffic():
    d, cables = started(2)
    far = d.made[0]
    third = d.cable(delay=20)
    d.world.run(500)
    assert len(far.members) == 3 and d.send(d.client, 9) == far.above.sum
    third.a.close(d.world.now)
    d.world.run(200)
    assert len(far.members) == len(d.client.members) == 2 and len(third.a.owner.downs) == 1
    cables[0].path.up = False  # dead without a word: found out by LCP Echo
    d.world.run(4000)
    assert len(d.client.members) == 1 and d.client.owner.downs == []
    far.above.sum = far.above.packets = 0
    cables[0].b.lower_down(d.world.now)
    assert d.send(d.client, 5) == far.above.sum
    cables[0].path.up = True
    for link in (cables[0].a, cables[0].b):
        link.lower_down(d.world.now)
        link.open(d.world.now)
        link.lower_up(d.world.now)
    d.world.run(500)
    far.above.sum = far.above.packets = 0
    assert len(far.members) == 2 and d.send(d.client, 5) == far.above.sum and len(d.client.owner.ups) == 1
