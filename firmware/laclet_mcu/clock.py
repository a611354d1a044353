"""The time of day, from time servers, through whatever uplink there is."""

import time

from laclet import ticks
from laclet.fault import UDP, Fault
from laclet.ip import ntp
from laclet.ip.query import Query
from laclet.wire.address import ipv4_bytes
from micropython import const

_AGAIN = const(6 * 3600_000)  # ms after the time was told
_RETRY = const(30_000)  # ms after nobody has told it; doubles
_RETRY_DOUBLED = const(6)  # times at most
_2000 = const(946684800)  # s from 1970, for ports whose clock begins in 2000


class Clock:
    """A machine of the node: sets the board's clock now and then."""

    def __init__(self, shell, servers):
        self.armed = None  # for Timers
        self._shell = shell
        self._servers = servers
        self._turn = 0
        self._failed = 0
        self._query = None
        self._node = shell.node
        self._at = shell.now()

    def poll_at(self):
        """When to ask."""
        return self._at

    def on_timer(self, now):
        """Ask."""
        if not ticks.due(self._at, now):
            return
        self._at = ticks.add(now, min(_AGAIN, _RETRY << min(self._failed, _RETRY_DOUBLED)))
        self._failed += 1
        server = self._servers[self._turn % len(self._servers)]
        self._turn += 1
        self._shell.resolve(server, ntp.PORT, self._ask)

    def _ask(self, addresses, fault, now):
        if self._query is not None:
            self._query.close()
            self._query = None
        servers = [ipv4_bytes(addr[0]) for addr in addresses if ":" not in addr[0]]
        if not servers:
            return
        asked = ntp.request(self._shell.random(8))
        fault = Fault(UDP, "no time server answers")
        try:
            self._query = Query(
                self._shell.open_datagrams,
                servers,
                ntp.PORT,
                asked,
                lambda buf, start, end: ntp.parse(buf, start, end, asked),
                self._told,
                fault,
            )
            self._query.start(now)
        except OSError:
            return
        self._shell.node.timers.update(self._query, now)

    def _told(self, told, fault, now):
        self._query = None
        if fault is not None:
            self._shell.log("warning", "clock", str(fault))
            return
        self._failed = 0
        self._at = ticks.add(now, _AGAIN)
        set_clock(told[0])
        self._shell.log("info", "clock", "the time is set")


def set_clock(seconds):
    """Seconds since 1970 in UTC."""
    import machine

    if time.gmtime(0)[0] == 2000:
        seconds -= _2000
    at = time.gmtime(seconds)
    if hasattr(machine, "RTC"):  # the system has set it already, on unix
        machine.RTC().datetime((at[0], at[1], at[2], at[6], at[3], at[4], at[5], 0))
