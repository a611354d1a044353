"""A Modem and its line on a desk, where the tests play the device."""

from laclet import port, ticks
from laclet.line import tables as m
from laclet.line.modem import Modem
from laclet.line.serial import SerialLine
from laclet.port import Port
from laclet.wire import hdlc

FRAME = b"\xff\x03\x00\x21some data"


class Sink(Port):
    def __init__(self):
        super().__init__()
        self.frames = []

    def carry(self, buf, start, end, now):
        self.frames.append(bytes(buf[start:end]))


class Desk:
    """A Modem, its line, and a device that we play."""

    def __init__(self, **options):
        self.now = ticks.PERIOD - 3000
        self.sink = Sink()
        self.line = SerialLine()
        port.join(self.line, self.sink)
        self.modem = Modem(self.line, **options)

    def sent(self):
        line = self.line
        data = bytes(line.tx[line.tx_start : line.tx_end])
        line.sent(len(data))
        return data

    def hear(self, data, chunk=None):
        chunk = chunk or len(data)
        for at in range(0, len(data), chunk):
            part = bytearray(data[at : at + chunk])
            self.modem.receive(part, 0, len(part), self.now)

    def wait(self, ms):
        end = ticks.add(self.now, ms)
        while True:
            at = self.modem.poll_at()
            if at is None or ticks.diff(at, end) > 0:
                break
            self.now = at
            self.modem.on_timer(at)
        self.now = end

    def events(self):
        """Names and details since the last time, without the timers."""
        found = [
            (name, str(detail) if name in ("failed", "hung_up") else detail) for name, _, detail in self.modem.events
        ]
        self.modem.events.clear()
        return [event for event in found if event[0] != "timer"]

    def obey(self):
        """Say OK to everything that is asked; returns the commands."""
        seen = []
        while True:
            command = self.sent()
            if not command:
                return seen
            seen.append(command)
            self.hear(b"\r\nOK\r\n")

    def ready(self):
        self.modem.start(self.now)
        self.obey()
        assert self.modem.state == m.IDLE and self.modem.poll_at() is None
        return self

    def online(self):
        self.ready()
        self.hear(b"\r\nRING\r\n")
        self.wait(500)
        self.modem.answer(self.now)
        self.hear(b"\r\nCONNECT 33600\r\n")
        assert self.modem.state == m.ONLINE
        self.events()
        self.sent()
        return self


def frame(accm=0xFFFFFFFF, data=FRAME):
    out = bytearray(2 * len(data) + 20)
    end = hdlc.encode(bytearray(data), 0, len(data), out, 0, accm)
    return b"~" + bytes(out[:end])
