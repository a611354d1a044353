"""What ``machine`` lacks on unix: reset and its cause, an identity, the watchdog, UARTs that are ttys of the host."""

import io
import select
import termios

import vfs
from umachine import *  # noqa: F403

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
SOFT_RESET = 5

host = vfs.VfsPosix()  # the host's files, mounted nowhere

_GET_FILENO = 10  # MP_STREAM_GET_FILENO
_VTIME, _VMIN = 5, 6
_UART_OPTIONS = ("tx", "rx", "rts", "cts", "txbuf", "rxbuf", "timeout", "timeout_char", "invert", "flow")

_control = None
_about = None


def plug(about):
    """Called once by the start-up script: what the supervisor said of this board."""
    global _about, _control
    _about = about
    _control = open(about["control"], "wb")  # noqa: SIM115


def tell(word):
    """Say a word to the supervisor."""
    _control.write(word + "\n")


def halt():
    """Do nothing until the supervisor kills us."""
    while True:
        pass


def reset():
    tell("reset")
    halt()


def reset_cause():
    return _about["cause"]


def unique_id():
    return bytes([int(_about["id"][i : i + 2], 16) for i in range(0, len(_about["id"]), 2)])


def freq():
    return 125_000_000


class WDT:
    """Resets the board unless fed every ``timeout`` ms; it cannot be stopped."""

    def __init__(self, id=0, timeout=5000):
        tell("wdt " + str(timeout))

    def feed(self):
        tell("feed")


class UART(io.IOBase):
    """A UART whose wire is a pty: no bit rate, and its flow control is always on."""

    RTS = 1
    CTS = 2

    def __init__(self, id, *args, **options):
        if str(id) not in _about["uarts"]:
            raise ValueError("UART(" + str(id) + ") does not exist")
        self._file = host.open(_about["uarts"][str(id)], "r+b")
        fd = self._file.fileno()
        termios.setraw(fd)
        settings = termios.tcgetattr(fd)
        settings[6][_VMIN] = settings[6][_VTIME] = 0  # a read returns at once
        termios.tcsetattr(fd, termios.TCSANOW, settings)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)
        self.init(*args, **options)

    def init(self, baudrate=9600, bits=8, parity=None, stop=1, **options):
        for name in options:
            if name not in _UART_OPTIONS:
                raise TypeError("extra keyword arguments given")

    def deinit(self):
        self._file.close()

    def any(self):
        return len(self._poll.poll(0))

    def read(self, nbytes=4096):
        return self._file.read(nbytes) or None

    def readinto(self, buf, nbytes=-1):
        return (self._file.readinto(buf) if nbytes < 0 else self._file.readinto(buf, nbytes)) or None

    def write(self, buf, *part):
        return self._file.write(buf, *part)

    def flush(self):
        pass

    def ioctl(self, request, arg):
        return self._file.fileno() if request == _GET_FILENO else -1
