# cpython only
"""LAC role with an AT modem in front of the PPP host, on a virtual clock: ringing, refusing, hanging up, dialling."""

from laclet.port import HEADROOM
from laclet_host.desk.modem import AtModem
from sim.lacdesk import LAC, PppHost
from sim.net import Network, World
from sim.parties import lns
from sim.shell import checked, make


class ModemDesk:
    """A node whose line has an AT modem; behind it a PPP host. ``far`` plays the modem's end of the wire."""

    def __init__(self, modem="answer", line=None, lns_tree=None, **link):
        self.world = World(1)
        self.net = Network(self.world, **link)
        self.lns, self.lns_shell = make(self.world, self.net, "lns", *checked(lns_tree or lns()))
        tree = {**LAC, "line": {"meter": {"device": "uart1", "modem": modem, **(line or {})}}}
        if modem == "dial":
            tree["line"]["meter"]["number"] = "*99#"
        self.node, self.shell = make(self.world, self.net, "lac", *checked(tree))
        self.call = self.node.calls["meter"]
        self.wire = self.shell.wires[0]
        self.modem = AtModem()
        self.host = PppHost(self.world, self.wire)
        self.wire.connect(self, None)
        self.world.add(self, self.after)
        self.after(self.world.now)

    # The far end of the wire: the modem, and the host behind it in data mode.

    def receive(self, buf, start, end, now):
        was = self.modem.state
        data = self.modem.receive(bytes(buf[start:end]), self.world.elapsed)
        if self.modem.state == "data" and was == "command":
            self.host.call()
        if data:
            room = bytearray(HEADROOM) + data
            self.host.line.receive(room, HEADROOM, len(room), now)

    def poll_at(self):
        at = self.modem.poll_at()
        return None if at is None else self.world.now + at - self.world.elapsed

    def on_timer(self, now):
        self.modem.on_timer(self.world.elapsed)

    def after(self, now):
        if self.modem.state == "command" and self.host.link.phase() != "Dead":
            self.host.link.lower_down(now)
            self.host.take(now)
        line = self.host.line
        out = bytes(self.modem.out)
        self.modem.out.clear()
        if self.modem.state == "data":
            out += bytes(line.tx[line.tx_start : line.tx_end])
        line.sent(line.tx_end - line.tx_start)
        if out:
            self.world.later(2, self.wire._arrive, out, lambda: self.wire.target)
        self.wire.pump(now)

    def ring(self, caller="5551234"):
        self.modem.ring(caller, self.world.elapsed)
        self.on_timer(self.world.now)
        self.after(self.world.now)

    def up(self):
        return self.host.settings is not None


def test_a_ringing_modem_is_answered_and_tunnelled():
    d = ModemDesk()
    d.world.run(3000)
    d.ring()
    assert d.world.run(20_000, d.up), (d.modem.commands, d.shell.lines)
    (session,) = [s for t in d.lns.tunnels() for s in t.sessions.values()]
    assert session.calling == b"5551234" and session.tx_speed == 33600 and session.bearer == 2


def test_hang_up_on_either_side_and_the_line_answers_again():
    d = ModemDesk()
    d.world.run(3000)
    for side in ("host", "lns", "carrier", "host"):
        d.ring()
        assert d.world.run(30_000, d.up), (side, d.shell.lines)
        if side == "host":
            d.host.link.close(d.world.now)
        elif side == "lns":
            next(iter(d.lns.lns.callers.values())).link.close(d.world.now)
        else:
            d.modem.hang_up(d.world.elapsed)
            d.after(d.world.now)
        assert d.world.run(30_000, lambda: d.call.session is None and d.modem.state == "command"), side
        d.world.run(10_000)
        assert not d.lns.lns.callers and d.call.modem.state == 2, (side, d.shell.lines)  # idle


def test_without_a_tunnel_the_modem_is_left_ringing():
    d = ModemDesk()
    d.net.link.up = False
    d.world.run(120_000, lambda: d.node.dialers["isp"].state == "holdoff")
    d.ring()
    d.world.run(20)
    assert "ATA" not in d.modem.commands
    assert d.shell.said("no call without tunnel isp") == 1


def test_a_modem_that_dials():
    d = ModemDesk("dial")
    assert d.world.run(20_000, d.up), d.shell.lines
    assert "ATD*99#" in d.modem.commands
    d.modem.hang_up(d.world.elapsed)
    d.after(d.world.now)
    assert d.world.run(2000, lambda: not d.up())
    assert d.world.run(30_000, d.up), d.shell.lines
