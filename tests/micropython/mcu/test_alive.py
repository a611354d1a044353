"""What keeps a board alive: LED patterns, the button, power cycles, the clock, the journal, the watchdog's meals."""

import os
import sys

from mcudesk import Desk

from laclet.ip import ntp
from laclet_mcu import clock, cycles, journal, led, start
from laclet_mcu.factory import HELD, Button


class Pin:
    IN, OUT, PULL_UP, PULL_DOWN = 0, 1, 2, 3
    level = 1
    said = None  # levels it was set to

    def __init__(self, number, *how):
        self.how = how

    def value(self, level=None):
        if level is not None:
            Pin.said.append(level)
        return Pin.level


class Machine:
    """The module, where the unix port has less."""

    Pin = Pin

    class RTC:
        told = None

        def datetime(self, at):
            Machine.RTC.told = at


def with_machine(function):
    """Call it with that module in place."""
    real = sys.modules.get("machine")
    sys.modules["machine"] = Machine
    try:
        return function()
    finally:
        if real is None:
            del sys.modules["machine"]
        else:
            sys.modules["machine"] = real


class Thing:
    """Anything with these attributes."""

    def __init__(self, **have):
        for name in have:
            setattr(self, name, have[name])


def shell(calls=(), lns=None, dialers=(), uplinks=None):
    node = Thing(calls=dict(calls), lns=lns, dialers=dict(dialers))
    return Thing(node=node, uplinks=uplinks, now=lambda: 0)


def test_patterns_tell_the_state():
    call = Thing(settings=None)
    wire = Thing(line=Thing(joined=None))
    dialer = Thing(state="connecting")
    assert led.pattern(shell(), True) == led.SAFE and led.pattern(shell(), False) == led.EMPTY
    down = shell({"a": call}, None, {"t": dialer}, Thing(ready=lambda: False))
    assert led.pattern(down, False) == led.NO_UPLINK
    board = shell({"a": call, "b": wire}, None, {"t": dialer})
    assert led.pattern(board, False) == led.NO_TUNNEL
    dialer.state = "up"
    assert led.pattern(board, False) == led.NO_CALL
    wire.line.joined = board
    assert led.pattern(board, False) == led.WORKS
    wire.line.joined = None
    call.settings = {}
    assert led.pattern(board, False) == led.WORKS
    lns = Thing(callers={})
    assert led.pattern(shell(lns=lns), False) == led.NO_CALL
    lns.callers[1] = 2
    assert led.pattern(shell(lns=lns), False) == led.WORKS


def test_the_led_is_switched_only_when_it_changes():
    Pin.said = []
    light = with_machine(lambda: led.Led(shell(), {"pin": 2, "on": 0}, False))
    for step in range(32):
        light.on_timer(step * 125)
    assert Pin.said == [0, 1, 0, 1], "eight steps on, at a low level, and eight off, twice"


def test_the_button_has_to_be_held():
    Pin.level = 1
    button = with_machine(lambda: Button({"pin": 0, "pressed": 0}))
    assert button._pin.how == (Pin.IN, Pin.PULL_UP)
    Pin.level = 0
    looks = [button.held() for _ in range(HELD - 1)]
    Pin.level = 1
    looks.append(button.held())
    Pin.level = 0
    looks += [button.held() for _ in range(HELD)]
    assert looks == [False] * (2 * HELD - 1) + [True]


def test_power_cycles_are_counted_until_one_lasts():
    path = "cycles.test"
    cycles.calm(path)
    assert [cycles.cycled(path) for _ in range(cycles.CYCLES + 1)] == [False] * (cycles.CYCLES - 1) + [True, False]
    cycles.calm(path)
    assert not cycles.cycled(path)
    with open(path, "w") as file:
        file.write("?")
    assert not cycles.cycled(path)
    cycles.calm(path)


class Net(Desk):
    """Resolves one name, and is a server."""

    def __init__(self):
        Desk.__init__(self)
        self.asked = []
        self.handler = None
        self.random = lambda n: b"nonce678"[:n]
        self.broken = False

    def resolve(self, host, port, done):
        self.asked.append((host, port))
        done([("192.0.2.7", port), ("2001:db8::1", port)], None, self.time)

    def open_datagrams(self, handler):
        if self.broken:
            raise OSError(1)
        self.handler = handler
        return self

    def send(self, data, address, port, now):
        self.sent = (data, address, port)

    def close(self):
        self.handler = None

    def answer(self, seconds):
        packet = bytearray(48)
        packet[0], packet[1] = 0x24, 2
        packet[24:32] = b"nonce678"
        packet[40:44] = (seconds + 2208988800).to_bytes(4, "big")
        self.handler(packet, 0, 48, bytes((192, 0, 2, 7)), ntp.PORT, self.time)

    def run(self, ms):
        end = self.time + ms
        while self.time < end:
            self.time += 500
            self.timers.on_timer(self.time)


def test_the_clock_is_set_and_asks_again():
    net = Net()
    watch = clock.Clock(net, ["ntp.example"])
    net.timers.update(watch, 0)
    net.run(500)
    assert net.asked == [("ntp.example", 123)] and net.sent[1:] == (bytes((192, 0, 2, 7)), 123)
    with_machine(lambda: net.answer(1_764_000_000))
    assert Machine.RTC.told == (2025, 11, 24, 0, 16, 0, 0, 0), Machine.RTC.told
    assert net.said == [("info", "the time is set")] and net.handler is None
    net.run(3_600_000)
    assert len(net.asked) == 1


def test_a_silent_time_server_is_asked_more_and_more_rarely():
    net = Net()
    net.broken = True
    watch = clock.Clock(net, ["a", "b"])
    net.timers.update(watch, 0)
    net.run(600_000)
    assert [host for host, _ in net.asked] == ["a", "b", "a", "b", "a"]
    net.broken = False
    net.run(600_000)
    assert net.handler is None and ("warning", "udp: no time server answers") in net.said


def test_the_journal_keeps_lines_and_a_crash():
    journal.PATH, journal.CRASH = "log.test", "crash.test"
    journal.forget()
    desk = Desk()
    kept = journal.Journal(desk, 3)
    for i in range(30):
        desk.log("info" if i else "debug", "x", f"line {i}")
    assert len(kept.lines) == 24 and kept.show()[0] == "-- restarted, cause 3 --"
    assert kept.lines[-1].endswith("[I][x]: line 29") and len(desk.said) == 30
    desk.log("warning", "x", "careful " + "y" * 300)
    kept.flush(desk.time + 59_999)
    assert journal.read(journal.PATH) == ""
    kept.flush(desk.time + 60_000)
    assert "careful" in journal.read(journal.PATH) and len(kept.lines[-1]) == 160
    try:
        raise ValueError("crashed")
    except ValueError as error:
        kept.crashed(error)
    shown = journal.Journal(Desk(), 2).show()
    assert "careful" in shown[23] and "-- the last crash --" in shown and "ValueError: crashed" in shown
    journal.forget()
    assert "log.test" not in os.listdir() and "crash.test" not in os.listdir()


def test_a_board_without_memory_is_not_healthy():
    assert start.healthy()
    free = start.gc.mem_free
    hoard = []
    for size in (16384, 2304, 2304):  # once more after a collection: MicroPython's own, and what it has left
        start.gc.collect()
        try:
            while True:
                hoard.append(bytearray(size))
        except MemoryError:
            pass
    sick = start.healthy()
    hoard.clear()
    assert not sick and start.healthy() and free() > 0
