"""UARTs as serial lines; on unix also ttys, which can hang up, vanish and come back."""

from laclet import ticks
from micropython import const

from . import forget

_HANG_UP = const(0x18)  # POLLERR | POLLHUP
_READS = const(4)  # reads before others get their turn
_RETRY = const(1000)  # ms between attempts to open a device that is missing
_DTR_LOW = const(500)  # ms that a modem sees DTR low
_BUFFER = const(2048)  # octets that the driver keeps each way: 180 ms at 115200 bit/s


def open_stream(options):
    """The UART or tty of a checked section [line.NAME]; raises OSError, or ValueError for a UART that is not there."""
    device = options["device"]
    rtscts = options["flow"] == "rtscts"
    if not device.isdigit():
        from .unix import Tty

        return Tty(device, options["baud"], rtscts)
    from machine import UART

    from .hardware import pins_of

    more = pins_of(device)
    forget("laclet_mcu", "hardware")
    if not rtscts:
        more.pop("rts", None)
        more.pop("cts", None)
    more.update({"timeout": 0, "rxbuf": _BUFFER})
    if rtscts:
        more["flow"] = UART.RTS | UART.CTS
    try:
        return UART(int(device), options["baud"], txbuf=_BUFFER, **more)
    except TypeError:  # some ports have no such buffer
        return UART(int(device), options["baud"], **more)


class Wire:
    """The device of a line, opened for ever: its octets go to ``target``, what stands in ``line.tx`` to it."""

    def __init__(self, shell, options, target, line, rx):
        """``rx``: the buffer for what is read, shared with all wires and sockets of a shell."""
        self.stream = None
        self.armed = None  # for Timers
        self._shell = shell
        self._options = options
        self._target = target
        self._line = line
        self._rx = rx
        self._at = None  # when to open it again, or to raise DTR
        self._full = False  # poll tells when it takes more
        self._missing = False  # it was said that the device is missing
        self._open(shell.now())

    def hang_up(self):
        """Drop DTR for a moment, where there is one."""
        if hasattr(self.stream, "dtr"):
            self.stream.dtr(False)
            self._arm(_DTR_LOW, self._shell.now())

    def close(self):
        """Give back the device."""
        self._at = None
        if self.stream is not None:
            self._shell.unwatch(self)
            self.stream.deinit()
            self.stream = None
            self._full = False

    def ready(self, events, now):
        """Bring on what has come."""
        stream = self.stream
        rx = self._rx
        left = _READS
        while left and stream is self.stream:
            left -= 1
            n = stream.readinto(rx)
            if not n:
                break
            self._target.receive(rx, 0, n, now)
        if events & _HANG_UP and stream is self.stream:
            self.close()
            self._shell.log("warning", "line", self._options["device"] + " hung up")
            self._target.hung_up(now)
            self._arm(_RETRY, now)

    def flush(self):
        """Write what the line has to send; what the device has no room for follows when it has."""
        stream = self.stream
        if stream is None:
            return
        line = self._line
        while line.tx_end > line.tx_start:
            n = stream.write(line.tx, line.tx_start, line.tx_end - line.tx_start)
            if not n:
                if not self._full:
                    self._full = True
                    self._shell.watch_room(self, True)
                return
            line.sent(n)
        if self._full:
            self._full = False
            self._shell.watch_room(self, False)

    def poll_at(self):
        """When to look after the device."""
        return self._at

    def on_timer(self, now):
        """Open the device again, or raise DTR again."""
        if not ticks.due(self._at, now):
            return
        self._at = None
        if self.stream is None:
            self._open(now)
        else:
            self.stream.dtr(True)

    def _open(self, now):
        try:
            self.stream = open_stream(self._options)
        except (OSError, ValueError) as error:
            if not self._missing:
                self._missing = True
                text = "cannot open " + self._options["device"] + ": " + str(error)
                self._shell.log("warning", "line", text)
            self._arm(_RETRY, now)
            return
        if self._missing:
            self._shell.log("info", "line", self._options["device"] + " is there")
        self._missing = False
        self._shell.watch(self)

    def _arm(self, ms, now):
        self._at = ticks.add(now, ms)
        self._shell.node.timers.update(self, now)
