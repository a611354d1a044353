"""A PPP host of ours on a serial line, with a TUN interface: ppphost.py DEVICE OPTIONS, the options as JSON.

``vj``: ask for header compression. ``stateful``: encrypt with MPPE in stateful mode, at our own wish. ``lose``: every
so many data frames one is lost, in either direction. Says "up LOCAL REMOTE", and at its end how many frames of which
protocol passed, {"out": {"0x2d": 7}, "in": {…}}, and what the link dropped.
"""

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
import tty
from collections import Counter

from laclet import ticks
from laclet.line.serial import SerialLine
from laclet.port import HEADROOM, join
from laclet.ppp.ccp import Ccp
from laclet.ppp.link import PppLink
from laclet.ppp.vj import Vj
from laclet.wire import ppp
from laclet.wire.address import ipv4_text

NAME = "ppphost0"
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
ROOM = 2000


def now():
    return time.monotonic_ns() // 1_000_000 % ticks.PERIOD


class Way:
    """Between the line and the link: counts frames, loses some. The port that ``target`` is joined to."""

    def __init__(self, target, lose):
        self.target = target
        self.lose = lose
        self.seen = Counter()
        self.data = 0

    def carry(self, buf, start, end, at):
        protocol = ppp.head(buf, start, end) & 0xFFFF
        self.seen[hex(protocol)] += 1
        if protocol < 0x4000:
            self.data += 1
            if self.lose and self.data % self.lose == 0:
                return
        self.target.carry(buf, start, end, at)


class Host:
    def __init__(self, device, vj=False, stateful=False, lose=0):
        self.tty = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.tty)
        self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.tun, TUNSETIFF, struct.pack("16sH", NAME.encode(), IFF_TUN_NO_PI))
        self.line = SerialLine(tx_size=65536)
        self.link = PppLink(
            os.urandom,
            username=b"user",
            password=b"secret",
            auth=("mschap-v2", "chap"),
            accm=bytes(4),
            mtu=1400,
            mru=1400,
        )
        self.link.above = self
        if vj:
            Vj(self.link)
        if stateful:
            self.link.add_ncp(Ccp(self.link, stateful=True))
            mppe = self.link.cipher.mppe
            mppe.wish = b"\0\0\0\x40"
            mppe.judge = lambda value, now: mppe.wish
        join(self.line, self.link)
        self.line.joined = self.inward = Way(self.link, lose)
        self.link.joined = self.outward = Way(self.line, lose)
        self.buf = bytearray(HEADROOM + ROOM + HEADROOM)

    def receive_ip(self, buf, start, end, at):
        os.write(self.tun, memoryview(buf)[start:end])

    def run(self):
        """Serve until SIGTERM."""
        ended = []
        signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
        self.link.open(now())
        self.link.lower_up(now())
        while not ended:
            waiting = [self.tty] if self.line.tx_end > self.line.tx_start else []
            readable, _, _ = select.select([self.tty, self.tun], waiting, [], 0.02)
            if self.tty in readable:
                self._read_line()
            # Packets wait in the kernel while the line is busy.
            if self.tun in readable and self.line.tx_end - self.line.tx_start < 16384:
                size = os.readv(self.tun, [memoryview(self.buf)[HEADROOM : HEADROOM + ROOM]])
                self.link.send_ip(self.buf, HEADROOM, HEADROOM + size, now())
            if ticks.due(self.link.poll_at(), now()):
                self.link.on_timer(now())
            self._events()
            self._write_line()
        self.link.close(now())
        self._write_line()
        print(json.dumps({"out": self.outward.seen, "in": self.inward.seen}), flush=True)
        print(json.dumps(self.link.drops), flush=True)

    def _read_line(self):
        try:
            data = os.read(self.tty, ROOM)
        except (BlockingIOError, OSError):
            return
        self.buf[HEADROOM : HEADROOM + len(data)] = data
        self.line.receive(self.buf, HEADROOM, HEADROOM + len(data), now())

    def _write_line(self):
        line = self.line
        while line.tx_end > line.tx_start:
            try:
                line.sent(os.write(self.tty, memoryview(line.tx)[line.tx_start : line.tx_end]))
            except BlockingIOError:
                return

    def _events(self):
        event = self.link.next_event()
        while event is not None:
            name, _, detail = event
            if name == "up":
                local, remote = ipv4_text(detail["local"]), ipv4_text(detail["remote"])
                subprocess.run(["ip", "link", "set", NAME, "mtu", str(detail["mtu"]), "up"], check=True)
                subprocess.run(["ip", "address", "replace", local, "peer", remote, "dev", NAME], check=True)
                print("up", local, remote, flush=True)
            elif name == "down":
                print("down", detail, flush=True)
            event = self.link.next_event()


Host(sys.argv[1], **json.loads(sys.argv[2])).run()
