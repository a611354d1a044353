"""A PPP host that calls in through an AT modem: what stands behind a serial line on the desk."""

import os
import select
import time
import tty

from laclet import ticks
from laclet.ip.host import Host
from laclet.line.serial import SerialLine
from laclet.port import HEADROOM, join
from laclet.ppp.link import PppLink

from .modem import AtModem


def now_ms():
    """The steady clock of this machine, wrapped as the core wants it."""
    return time.monotonic_ns() // 1_000_000 % ticks.PERIOD


def open_raw(path):
    """A tty or pty as a non-blocking file descriptor in raw mode."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    return fd


class Caller:
    """PPP host and AT modem on ``fd``, of ``open_raw``."""

    def __init__(self, fd, username, password, auth=("chap", "pap"), number="5551234"):
        self.fd = fd
        self.number = number
        self.modem = AtModem()
        self.line = SerialLine()
        self.link = PppLink(
            os.urandom,
            username=username.encode(),
            password=password.encode(),
            auth=auth,
            want_dns=True,
            accm=b"\0\0\0\0",
        )
        self.host = Host(self.link)
        self.link.above = self.host
        join(self.line, self.link)
        self.settings = None  # while IP is up
        self.fault = None
        self.pongs = []  # (sequence, ms)
        self._rx = bytearray(HEADROOM + 4096)

    def call(self):
        """Ring."""
        self.modem.ring(self.number, time.monotonic_ns() // 1_000_000)

    def hang_up(self):
        """End the call from this side: PPP first, then the line."""
        self.link.close(now_ms())

    def idle(self):
        """No call, and none about to end: ``call`` may be called."""
        return not self.modem.in_call and self.link.phase() == "Dead"

    def run(self, seconds, until):
        """Serve the line until ``until()`` is true; returns whether it became true in time."""
        end = time.monotonic() + seconds
        while not until():
            left = end - time.monotonic()
            if left <= 0:
                return False
            readable, _, _ = select.select([self.fd], [], [], min(left, self._wait()))
            if readable:
                self._read()
            self._timers()
            self._events()
            self._write()
        return True

    def ping(self, address, size=56):
        """Send one ICMP echo with ``size`` bytes of data to ``address`` (4 bytes)."""
        self.host.ping(address, now_ms(), size)
        self._write()

    def _wait(self):
        waits = [0.05]
        at = ticks.soonest(self.link.poll_at(), self.host.poll_at())
        if at is not None:
            waits.append(max(0, ticks.diff(at, now_ms())) / 1000)
        return min(waits)

    def _read(self):
        try:
            data = os.read(self.fd, 4096)
        except (BlockingIOError, OSError):
            return
        was = self.modem.state
        data = self.modem.receive(data, time.monotonic_ns() // 1_000_000)
        if self.modem.state == "data" and was != "data":
            self.link.open(now_ms())
            self.link.lower_up(now_ms())
        if data:
            self._rx[HEADROOM : HEADROOM + len(data)] = data
            self.line.receive(self._rx, HEADROOM, HEADROOM + len(data), now_ms())

    def _timers(self):
        self.modem.on_timer(time.monotonic_ns() // 1_000_000)
        if not self.modem.in_call and self.link.phase() != "Dead":
            self.settings = None
            self.link.lower_down(now_ms())
        for machine in (self.link, self.host):
            if ticks.due(machine.poll_at(), now_ms()):
                machine.on_timer(now_ms())

    def _events(self):
        for machine in (self.link, self.host):
            event = machine.next_event()
            while event is not None:
                name, _, detail = event
                if name == "up":
                    self.settings = detail
                    self.host.address = detail["local"]
                elif name == "down":
                    self.settings = None
                    self.fault = detail
                    self.modem.hang_up(now_ms())
                elif name == "pong":
                    self.pongs.append(detail[1:])
                event = machine.next_event()

    def _write(self):
        if self.modem.out:
            try:
                del self.modem.out[: os.write(self.fd, self.modem.out)]
            except BlockingIOError:
                return
        line = self.line
        while line.tx_end > line.tx_start:
            try:
                line.sent(os.write(self.fd, memoryview(line.tx)[line.tx_start : line.tx_end]))
            except BlockingIOError:
                return
