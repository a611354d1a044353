# cpython only
"""Outgoing calls on a virtual clock: our LNS asks, our LAC's modem dials, the host behind it gets its address."""

from sim.parties import lns
from sim.test_lac_modem import ModemDesk


class Asked(ModemDesk):
    """A ModemDesk whose LNS has [dialout.meter], and whose line dials out."""

    def __init__(self, line=None, **dialout):
        tree = lns()
        tree["dialout"] = {"meter": {"lac": "lac", "number": "5550123", "holdoff": 5, **dialout}}
        super().__init__(line={"dial_out": True, **(line or {})}, lns_tree=tree)

    def dialout(self):
        return self.lns.lns.dialouts[0]


def test_the_lns_asks_and_the_modem_dials():
    d = Asked()
    assert d.world.run(20_000, d.up), (d.modem.commands, d.shell.lines, d.lns_shell.lines)
    assert "ATD5550123" in d.modem.commands
    (caller,) = d.lns.lns.status()["callers"]
    assert caller["name"] == "user" and caller["called"] == "5550123" and caller["speeds"][0] == 33600
    assert d.dialout().status()["state"] == "up"


def test_a_call_that_ends_is_asked_for_again():
    d = Asked()
    assert d.world.run(20_000, d.up)
    d.host.link.close(d.world.now)
    assert d.world.run(20_000, lambda: not d.up())
    assert d.world.run(60_000, d.up), d.lns_shell.lines
    assert d.modem.commands.count("ATD5550123") == 2


def test_a_lac_without_such_a_line_is_not_asked():
    d = Asked(line={"dial_out": False})
    d.world.run(20_000)
    assert "places no such calls" in str(d.dialout().fault) and not d.up()


def test_numbers_that_are_none_and_speeds_out_of_reach_are_refused():
    for dialout, said in (
        ({"number": "1;+CFUN=0"}, "invalid destination"),
        ({"minimum_bps": 1_000_000}, "no facilities"),
        ({"minimum_bps": 56_000}, "no carrier"),
    ):
        d = Asked(**dialout)
        assert d.world.run(30_000, lambda d=d: d.dialout().fault is not None), d.lns_shell.lines
        assert said in str(d.dialout().fault), d.dialout().fault
        assert not [command for command in d.modem.commands if "CFUN" in command]


def test_two_asked_of_one_modem():
    d = Asked()
    assert d.world.run(20_000, d.up)
    (tunnel,) = [tunnel for tunnel in d.lns.tunnels() if tunnel.peer_name == "lac"]
    session = tunnel.outgoing_call(d.world.now, called=b"5550199")
    d.world.run(2000)
    assert "no facilities for now" in str(session.fault) and d.up()
