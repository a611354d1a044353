"""LAC role as a node: a PPP host on a wire, tunnelled to an LNS, on a virtual clock."""

from sim.lacdesk import Desk


def test_a_wire_is_tunnelled_and_pings_pass():
    d = Desk()
    d.world.run(500)
    d.dial()
    assert d.world.run(5000, d.up)
    assert d.host.settings["local"] == b"\x0a\x09\x00\x0a"
    assert d.pings() == 3
    status = d.node.status()["calls"]["meter"]
    assert status["state"] == "up" and status["line"]["send_accm"] == 0  # learned from the LCP that passed


def test_the_host_hangs_up_and_calls_again():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    for _ in range(3):
        d.host.link.close(d.world.now)
        assert d.world.run(5000, lambda: not d.lns.lns.callers)
        assert d.world.run(5000, lambda: d.call.session is None)
        d.world.run(1000)
        d.dial()
        assert d.world.run(8000, d.up)
        assert d.pings() == 3


def test_the_lns_hangs_up_and_the_host_calls_again():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    caller = next(iter(d.lns.lns.callers.values()))
    caller.link.close(d.world.now)
    assert d.world.run(10_000, lambda: d.call.session is None and not d.up())
    d.dial()
    assert d.world.run(8000, d.up)
    assert d.pings() == 3


def test_the_line_is_unplugged_and_back():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    d.wire.cut(d.world.now)
    d.world.run(1000)
    assert d.call.fault.layer == "line" and not d.lns.lns.callers
    assert d.shell.said("line: the serial line hung up") == 1
    d.wire.plugged = True
    d.dial()
    assert d.world.run(8000, d.up)
    assert d.pings() == 3


def test_the_lns_dies_and_returns():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    d.net.link.up = False
    assert d.world.run(60_000, lambda: d.call.session is None)
    assert d.shell.said("tunnel: the peer no longer answers") == 1
    d.net.link.up = True
    d.dial()
    assert d.world.run(120_000, d.up)
    assert d.pings() == 3


def test_a_host_that_calls_before_the_tunnel_is_up_is_served_when_it_is():
    d = Desk()
    d.net.link.up = False
    d.world.run(60_000)
    d.dial()
    d.world.run(3000)
    d.net.link.up = True
    assert d.world.run(120_000, lambda: d.call.session is not None)


def test_loss_on_the_tunnel():
    for seed in range(6):
        comes_up(seed)  # one network at a time: a board's heap holds no two


def comes_up(seed):
    d = Desk(seed, delay=30, loss=20, repeat=10, reorder=10)
    d.dial()
    for _ in range(40):
        if d.world.run(15_000, d.up):
            break
        d.dial()
    assert d.up(), seed


def test_errors_of_the_line_are_told_now_and_then():
    d = Desk(call={"error_reports": 10, "private_group": "blue"})
    d.dial()
    assert d.world.run(8000, d.up)
    (caller,) = d.lns.lns.callers.values()
    for _ in range(3):
        noise = bytearray(40) + b"\x7e\xff\x03\x00\x21\x45\x00\x00\x7e"
        d.call.line.receive(noise, 40, len(noise), d.world.now)
    d.world.run(40_000)
    told = caller.status()
    assert told["line_errors"]["crc"] == 3 and told["private_group"] == "blue"
    assert d.lns_shell.said("reports errors") == 1, "nothing new, nothing told"
    assert d.up()


def test_our_lns_tells_a_lac_what_lcp_has_agreed_for_its_line():
    d = Desk()
    told = []
    d.call.line.set_accm = lambda *maps: told.append(maps)
    d.dial()
    assert d.world.run(8000, d.up)
    d.world.run(100)
    assert told == [(0, 0)] and d.pings() == 3


def test_sli_changes_the_accms_of_the_line():
    d = Desk()
    d.dial()
    assert d.world.run(8000, d.up)
    (session,) = [s for t in d.lns.tunnels() for s in t.sessions.values()]
    session.set_line(0x000A0000, 0x00000001, d.world.now)
    d.world.run(100)
    status = d.call.line.status()
    assert (status["send_accm"], status["receive_accm"]) == (0x000A0000, 1)
    assert d.pings() == 3
