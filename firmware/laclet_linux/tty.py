"""A serial line, or a pty, as a wire: raw, non-blocking, opened again whenever it went away."""

import errno
import fcntl
import os
import struct
import termios

from laclet.port import HEADROOM, frame_buffer

from .loop import HANGUP, READ, WRITE

_SIZE = 4096  # bytes of one read; the kernel's own buffer of a tty is as large
_READS = 8  # before others get their turn
_DTR_LOW = 500  # ms; modems want at least 50 (S25), and a while to hang up
_DCD_EVERY = 200  # ms between looks at carrier detect
_FIRST_RETRY = 250  # ms; doubles
_LAST_RETRY = 5000

# Any speed, by struct termios2 (asm-generic/termbits.h): flags, line discipline, 19 control characters, speeds.
_TCGETS2 = 0x802C542A
_TCSETS2 = 0x402C542B
_TERMIOS2 = struct.Struct("=4IB19s2I")
_CBAUD = 0o010017
_BOTHER = 0o010000


class Tty:
    """The wire of ``line``: bytes that come in go to ``target``, what stands in ``line.tx`` goes out.

    ``options`` is a checked section [line.NAME]. It is looked for until close(). ``log(level,
    text)`` is told when the device goes and when it comes back.
    """

    def __init__(self, loop, options, target, line, log):
        self.counters = {"received": 0, "sent": 0, "hang_ups": 0}
        self.device = options["device"]
        self.fd = -1
        self._loop = loop
        self._options = options
        self._target = target
        self._line = line
        self._log = log
        self._buf = frame_buffer(_SIZE)
        self._room = [memoryview(self._buf)[HEADROOM : HEADROOM + _SIZE]]
        self._writing = False  # waiting until the device takes more
        self._lent = False  # the kernel reads and writes
        self._carrier = False  # carrier detect was seen
        self._retry = _FIRST_RETRY
        self._said = ""  # why it could not be opened, to say each reason once
        self._timer = None
        self._dtr = None
        self._open()

    def flush(self, now):
        """Write what the line has to send, as far as the device takes it."""
        line = self._line
        if self._writing or line.tx_end == line.tx_start:
            return
        if self.fd < 0 or self._lent:
            line.sent(line.tx_end - line.tx_start)  # into the open
            return
        try:
            while line.tx_end > line.tx_start:
                size = os.write(self.fd, memoryview(line.tx)[line.tx_start : line.tx_end])
                line.sent(size)
                self.counters["sent"] += size
        except BlockingIOError:
            self._writing = True
            self._loop.watch(self.fd, self._on_ready, READ | WRITE)
        except OSError as error:
            self._lost(error.strerror, now)

    def hang_up(self):
        """Drop DTR for a moment, which makes a modem hang up; nothing happens on a pty."""
        if self.fd >= 0 and self._dtr is None and _modem_bits(self.fd, termios.TIOCMBIC, termios.TIOCM_DTR):
            self._carrier = False
            self._dtr = self._loop.after(_DTR_LOW, self._raise_dtr)

    def close(self):
        """Give the device back, for good."""
        for timer in (self._timer, self._dtr):
            self._loop.cancel(timer)
        self._release()

    # -- for a bridge in the kernel -----------------------------------------------------------------------

    def shows_hang_up(self):
        """True when the end of a call is seen without reading what the line says."""
        return self._options["modem"] == "none" or _carrier(self.fd) is not None

    def lend(self):
        """Another has the device from now on; what has not been written is lost."""
        self._lent = True
        self._loop.unwatch(self.fd)
        self._writing = False

    def take_back(self):
        """The device is ours again, if there still is one."""
        self._lent = False
        if self.fd >= 0:
            self._loop.watch(self.fd, self._on_ready, READ)

    def lost(self, now):
        """Who has borrowed the device saw it hang up."""
        self._lost("hung up", now)

    # -- coming and going -------------------------------------------------------------------------------

    def _open(self, now=None):
        self._timer = None
        device = self.device
        try:
            self.fd = open_tty(device, self._options["baud"], self._options["flow"] == "rtscts")
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._said:
                self._said = reason
                self._log("warning", f"{device}: {reason}; trying again until it works")
            self._open_later()
            return
        self._log("info", f"{device}: open at {self._options['baud']} baud")
        self._said = ""
        self._retry = _FIRST_RETRY
        self._loop.watch(self.fd, self._on_ready, READ)
        if self._options["modem"] != "none" and _carrier(self.fd) is not None:
            self._timer = self._loop.after(_DCD_EVERY, self._look_at_carrier)

    def _open_later(self):
        self._timer = self._loop.after(self._retry, self._open)
        self._retry = min(self._retry * 2, _LAST_RETRY)

    def _release(self):
        if self.fd >= 0:
            self._loop.unwatch(self.fd)
            os.close(self.fd)
        self.fd = -1
        self._writing = False
        self._carrier = False
        self._dtr = None

    def _lost(self, reason, now):
        self._loop.cancel(self._timer)
        self._release()
        self.counters["hang_ups"] += 1
        self._said = reason
        self._log("info", f"{self.device}: {reason}; waiting for it to come back")
        self._line.sent(self._line.tx_end - self._line.tx_start)  # that was for the call that is gone
        self._target.hung_up(now)
        self._open_later()

    # -- events of the loop -----------------------------------------------------------------------------

    def _on_ready(self, events, now):
        if events & READ:
            self._read(now)
        if self.fd >= 0 and events & WRITE:
            self._writing = False
            self._loop.watch(self.fd, self._on_ready, READ)
            self.flush(now)
        if self.fd >= 0 and events & HANGUP:
            self._lost("hung up", now)

    def _read(self, now):
        buf = self._buf
        room = self._room
        receive = self._target.receive
        for _ in range(_READS):
            try:
                size = os.readv(self.fd, room)
            except BlockingIOError:
                return
            except OSError as error:
                # EIO is how Linux tells of a pty whose other end was closed, and of a hung-up tty.
                self._lost("hung up" if error.errno == errno.EIO else error.strerror, now)
                return
            if not size:
                self._lost("hung up", now)
                return
            self.counters["received"] += size
            receive(buf, HEADROOM, HEADROOM + size, now)
            if size < _SIZE or self.fd < 0:
                return

    def _look_at_carrier(self, now):
        carrier = _carrier(self.fd)
        self._timer = self._loop.after(_DCD_EVERY, self._look_at_carrier)
        if self._carrier and not carrier:
            self.counters["hang_ups"] += 1
            self._target.hung_up(now)
        self._carrier = bool(carrier)

    def _raise_dtr(self, now):
        self._dtr = None
        _modem_bits(self.fd, termios.TIOCMBIS, termios.TIOCM_DTR)


def open_tty(device, baud, rtscts):
    """Open a serial device raw, 8N1, non-blocking, for us alone; the file descriptor. Raises OSError in plain words."""
    fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not os.isatty(fd):
            raise OSError(errno.ENOTTY, "is not a serial device")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(errno.EBUSY, "is in use by another program") from None
        set_raw(fd, baud, rtscts)
        termios.tcflush(fd, termios.TCIOFLUSH)
    except termios.error as error:
        os.close(fd)
        raise OSError(*error.args) from None
    except OSError:
        os.close(fd)
        raise
    return fd


def set_raw(fd, baud, rtscts):
    """8N1 without any processing; modem control lines do not matter to reads and writes (CLOCAL)."""
    attributes = termios.tcgetattr(fd)
    control = attributes[2] & ~(termios.CSIZE | termios.PARENB | termios.CSTOPB | termios.CRTSCTS)
    control |= termios.CS8 | termios.CREAD | termios.CLOCAL | termios.HUPCL
    attributes[:4] = [termios.IGNBRK, 0, control | (termios.CRTSCTS if rtscts else 0), 0]
    attributes[6][termios.VMIN] = 1
    attributes[6][termios.VTIME] = 0
    speed = getattr(termios, f"B{baud}", None)
    if speed is not None:
        attributes[4] = attributes[5] = speed
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
    if speed is None:
        _set_any_speed(fd, baud)


def _set_any_speed(fd, baud):
    try:
        raw = fcntl.ioctl(fd, _TCGETS2, bytes(_TERMIOS2.size))
        flags_in, flags_out, control, local, discipline, characters, _, _ = _TERMIOS2.unpack(raw)
        control = control & ~_CBAUD | _BOTHER
        fcntl.ioctl(
            fd, _TCSETS2, _TERMIOS2.pack(flags_in, flags_out, control, local, discipline, characters, baud, baud)
        )
    except OSError as error:
        raise OSError(error.errno, f"does not take {baud} baud") from None


def _carrier(fd):
    """Carrier detect: True or False, None where there is no such line (a pty)."""
    try:
        bits = struct.unpack("=I", fcntl.ioctl(fd, termios.TIOCMGET, bytes(4)))[0]
    except OSError:
        return None
    return bool(bits & termios.TIOCM_CAR)


def _modem_bits(fd, request, bits):
    """Set or clear modem control lines; False where there are none."""
    try:
        fcntl.ioctl(fd, request, struct.pack("=I", bits))
    except OSError:
        return False
    return True
