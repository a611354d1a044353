"""Serial lines on ptys: raw, at any speed, hung up, unplugged and back."""

import errno
import fcntl
import os
import pty
import tty

import pytest
from linuxloop import TestLoop

from laclet.port import HEADROOM
from laclet_linux import tty as wire
from laclet_linux.tty import Tty, open_tty


class Line:
    """The sending half of a SerialLine."""

    def __init__(self):
        self.tx = bytearray(1 << 20)
        self.tx_start = self.tx_end = 0

    def put(self, data):
        self.tx[self.tx_end : self.tx_end + len(data)] = data
        self.tx_end += len(data)

    def sent(self, n):
        self.tx_start += n
        assert self.tx_start <= self.tx_end


class Target:
    def __init__(self):
        self.heard = bytearray()
        self.hang_ups = 0

    def receive(self, buf, start, end, now):
        assert start == HEADROOM and len(buf) >= end + 40
        self.heard += buf[start:end]

    def hung_up(self, now):
        self.hang_ups += 1


class Bench:
    """A pty whose name stays the same when it is plugged in again."""

    def __init__(self, folder):
        self.loop = TestLoop()
        self.path = str(folder / "tty")
        self.far = -1
        self.log = []
        self.line = Line()
        self.target = Target()
        self.wire = None

    def plug(self):
        self.far, near = pty.openpty()
        tty.setraw(near)
        os.set_blocking(self.far, False)
        os.symlink(os.ttyname(near), self.path)
        return near

    def unplug(self):
        os.unlink(self.path)
        os.close(self.far)

    def start(self, **options):
        options = {"device": self.path, "baud": 115200, "flow": "none", "modem": "none", **options}
        self.wire = Tty(self.loop, options, self.target, self.line, lambda level, text: self.log.append((level, text)))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(wire, "_FIRST_RETRY", 1)
    made = Bench(tmp_path)
    yield made
    if made.wire is not None:
        made.wire.close()
    made.loop.close()


def read(fd, size):
    got = b""
    while len(got) < size:
        try:
            got += os.read(fd, 65536)
        except BlockingIOError:
            break
    return got


def test_bytes_both_ways_unchanged(bench):
    os.close(bench.plug())
    bench.start()
    every = bytes(range(256)) * 20
    for i in range(0, len(every), 1024):  # a pty holds 4 kB
        os.write(bench.far, every[i : i + 1024])
        bench.loop.until(lambda i=i: len(bench.target.heard) >= i + 1024)
    assert bytes(bench.target.heard) == every
    bench.line.put(every[:3000])
    bench.wire.flush(0)
    assert read(bench.far, 3000) == every[:3000]
    assert bench.wire.counters == {"received": 5120, "sent": 3000, "hang_ups": 0}


def test_writes_wait_for_a_slow_device(bench):
    os.close(bench.plug())
    bench.start()
    data = os.urandom(100_000)
    bench.line.put(data)
    bench.wire.flush(0)
    assert bench.line.tx_start < bench.line.tx_end  # the pty is full
    bench.wire.flush(0)
    got = bytearray()

    def drained():
        got.extend(read(bench.far, 65536))
        return len(got) == len(data)

    bench.loop.until(drained)
    assert got == data and bench.line.tx_start == bench.line.tx_end


def test_missing_device_is_awaited_and_said_once(bench):
    bench.start()
    bench.line.put(b"lost")
    bench.wire.flush(0)
    assert bench.line.tx_start == bench.line.tx_end
    opened = []
    bench.loop.after(5, opened.append)
    bench.loop.until(lambda: opened)
    assert bench.log == [("warning", f"{bench.path}: No such file or directory; trying again until it works")]
    os.close(bench.plug())
    bench.loop.until(lambda: len(bench.log) == 2)
    assert bench.log[1] == ("info", f"{bench.path}: open at 115200 baud")
    os.write(bench.far, b"hello")
    bench.loop.until(lambda: bench.target.heard == b"hello")


def test_unplugged_and_back(bench):
    os.close(bench.plug())
    bench.start()
    for hang_ups in (1, 2):
        bench.unplug()
        bench.line.put(b"for the call that is gone")
        bench.loop.until(lambda n=hang_ups: bench.target.hang_ups == n)
        assert bench.line.tx_start == bench.line.tx_end
        assert ("info", f"{bench.path}: hung up; waiting for it to come back") in bench.log
        os.close(bench.plug())
        bench.loop.until(lambda: bench.log[-1][1].endswith("baud"))
        bench.line.put(b"new")
        bench.wire.flush(0)
        assert read(bench.far, 3) == b"new"


def test_write_to_an_unplugged_device(bench):
    os.close(bench.plug())
    bench.start()
    bench.unplug()
    bench.line.put(b"x")
    bench.wire.flush(0)
    bench.loop.until(lambda: bench.target.hang_ups == 1)


def test_hang_up_on_a_pty_does_nothing(bench):
    os.close(bench.plug())
    bench.start(modem="dial")
    bench.wire.hang_up()
    os.write(bench.far, b"x")
    bench.loop.until(lambda: bench.target.heard == b"x")
    assert bench.target.hang_ups == 0


def test_hang_up_drops_dtr_for_a_moment_and_carrier_is_watched(bench, monkeypatch):
    """Modem control lines do not exist on a pty: here they are stood in for."""
    carrier, requests = [False], []
    monkeypatch.setattr(wire, "_carrier", lambda fd: carrier[0])
    monkeypatch.setattr(wire, "_modem_bits", lambda fd, request, bits: requests.append((request, bits)) or True)
    monkeypatch.setattr(wire, "_DTR_LOW", 1)
    monkeypatch.setattr(wire, "_DCD_EVERY", 1)
    os.close(bench.plug())
    bench.start(modem="answer")
    for _ in range(20):
        bench.loop.once(_idle(), 2)
    assert bench.target.hang_ups == 0  # no carrier yet: nothing to lose
    carrier[0] = True
    bench.loop.until(lambda: bench.wire._carrier)
    carrier[0] = False
    bench.loop.until(lambda: bench.target.hang_ups == 1)
    carrier[0] = True
    bench.loop.until(lambda: bench.wire._carrier)
    bench.wire.hang_up()
    bench.wire.hang_up()
    bench.loop.until(lambda: len(requests) == 2)
    low, high = requests
    assert low == (wire.termios.TIOCMBIC, wire.termios.TIOCM_DTR)
    assert high == (wire.termios.TIOCMBIS, wire.termios.TIOCM_DTR)


def _idle():
    from linuxloop import Idle

    return Idle()


@pytest.mark.parametrize("baud", [300, 115200, 250000, 6000000])
def test_any_speed(bench, baud):
    os.close(bench.plug())
    fd = open_tty(bench.path, baud, True)
    speeds = wire._TERMIOS2.unpack(fcntl.ioctl(fd, wire._TCGETS2, bytes(wire._TERMIOS2.size)))[-2:]
    os.close(fd)
    assert speeds == (baud, baud)


def test_devices_that_cannot_be_used(bench):
    near = bench.plug()
    fd = open_tty(bench.path, 300, False)
    for device, code, words in (
        (bench.path, errno.EBUSY, "is in use by another program"),
        ("/dev/null", errno.ENOTTY, "is not a serial device"),
        (bench.path + "x", errno.ENOENT, "No such file or directory"),
    ):
        with pytest.raises(OSError) as caught:
            open_tty(device, 300, False)
        assert (caught.value.errno, caught.value.strerror) == (code, words)
    os.close(fd)
    os.close(near)
