"""An AT modem at the near end of a serial cable, and behind the telephone line a pppd in a guest."""

import re
import threading
import time

from peers.lab import wait_for
from peers.pppd import _Pppd, client_options, server_options, write_secrets

RING_EVERY = 2.0  # seconds
RINGS = 15
GUARD = 0.9  # seconds of silence before and after the escape sequence; a real modem waits for 1


class AtModem(_Pppd):
    """It answers ATD with CONNECT, and then pppd answers (as a server); `ring()` calls our side: RING until ATA, then
    CONNECT, and pppd dials in (as a client). It hears the escape sequence and ATH, hangs up when the near end is closed
    (which is how it sees DTR), and says NO CARRIER when pppd has ended.

    pppd stands on the guest's tty itself: a tty that is read by a program loses its interrupt for good when it is once
    throttled, in user-mode Linux.
    """

    def __init__(
        self,
        cable,
        place,
        tty="ttyS0",
        auth="chap",
        user="user",
        password="secret",
        pppd=(),
        name="modem",
        speed=115200,
    ):
        super().__init__(place, tty, name)
        self.cable = cable
        self.speed = speed  # as CONNECT tells it
        self.users = {user: password}
        common = ["noccp", "lcp-echo-interval 30", "lcp-echo-failure 4", *pppd]
        self.answering = [*server_options(auth), "silent", *common]
        self.calling = [*client_options(user, password), *common]
        self.lines = []  # what was said: "< ATA", "> CONNECT 115200", "hung up" …
        self._forget()

    def _forget(self):
        self.process = None  # pppd; none: on hook
        self._echo = True
        self._command = b""
        self._rings = 0  # still to come
        self._ring_at = 0.0
        self._caller = ""
        self._online = False  # bytes are carried; with a pppd and False: escaped
        self._heard_at = 0.0  # last byte from the near end
        self._pluses = 0  # of an escape sequence, after a silence

    def start(self):
        self.place.lab.logs.append((self.place, self.place.write(self._file("pppd.log"), "")))
        write_secrets(self.place, self.users)
        self.cable.attach(self)
        return self

    def stop(self):
        self.cable.attach(None)
        if self.process:
            self.process.stop(9)
        self._forget()
        self.down()

    # What a test asks for

    def ring(self, caller=""):
        """Somebody calls; with `caller` the modem reports the number between the rings."""
        with self.cable.changed():
            self._rings, self._ring_at, self._caller = RINGS, time.monotonic(), caller

    def hang_up(self):
        """The far end hangs up: its pppd ends its link in good order, then the carrier goes."""
        self.process.kill(15)

    def cut(self):
        """The carrier is lost: nothing comes any more but NO CARRIER."""
        with self.cable.changed():
            self._disconnect("NO CARRIER", "cut")

    def said(self, pattern, timeout=10.0, count=1):
        """Wait for the `count`-th line like `pattern` of what was said; the match."""

        def matches():
            found = [match for match in (re.search(pattern, line) for line in list(self.lines)) if match]
            return found[count - 1] if len(found) >= count else None

        return wait_for(f"the modem says {pattern!r}, only {self.lines}", matches, timeout)

    # What the cable asks for

    def from_near(self, data):
        """Bytes of the program under test: carried to pppd, or commands."""
        now = time.monotonic()
        if self._online:
            if data.strip(b"+") or (not self._pluses and now - self._heard_at < GUARD):
                self._pluses = 0
            else:
                self._pluses += len(data)
            self._heard_at = now
            return data
        for byte in data:
            if self._echo:
                self.cable.send_near(bytes([byte]))
            if byte in b"\r\n":
                command, self._command = self._command, b""
                self._obey(command.decode("ascii", "ignore").upper())
            else:
                self._command = (self._command + bytes([byte]))[-80:]
        return b""

    def from_far(self, data):
        """Bytes of pppd; those that come while on hook or escaped are lost."""
        return data if self._online else b""

    def near_closed(self):
        """DTR has fallen."""
        if self.process:
            self._disconnect("", "DTR fell")

    def on_timer(self):
        now = time.monotonic()
        if self._rings and now >= self._ring_at:
            self._rings -= 1
            self._ring_at = now + RING_EVERY
            self._say("RING")
            if self._caller:
                self._say(f"NMBR = {self._caller}")
        if self._pluses == 3 and now - self._heard_at >= GUARD:
            self._online, self._pluses = False, 0
            self.lines.append("escaped")
            self._say("OK")

    # The call

    def _say(self, text):
        self.lines.append(f"> {text}")
        self.cable.send_near(f"\r\n{text}\r\n".encode())

    def _connect(self, options):
        self._rings = 0
        process = self._spawn(options)
        self._say(f"CONNECT {self.speed}")
        self._online, self._pluses, self._heard_at = True, 0, time.monotonic()
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def _watch(self, process):
        """Wait for pppd to end by itself."""
        while process.place.holds("exited", process.pid, timeout=5.0) is None:
            if process is not self.process:
                return
        with self.cable.changed():
            if process is self.process:
                self._disconnect("NO CARRIER", "pppd has ended")

    def _disconnect(self, text, why):
        """The end of the call: pppd sees a hang-up."""
        process, self.process = self.process, None
        self._online = False
        self.lines.append(f"hung up: {why}")
        process.kill(1)
        process.stop(1)
        if text:
            self._say(text)

    def _obey(self, command):
        begin = command.find("AT")
        if begin < 0:
            return
        command = command[begin + 2 :]
        self.lines.append(f"< AT{command}")
        if command.startswith("E0"):
            self._echo = False
        if command.startswith("D") and not self.process:
            self._connect(self.answering)
        elif command.startswith("A") and self._rings and not self.process:
            self._connect(self.calling)
        elif command.startswith(("A", "D")):
            self._say("NO CARRIER")
        elif command.startswith("O") and self.process:
            self._online = True
            self._say(f"CONNECT {self.speed}")
        elif command.startswith(("H", "Z")) and self.process:
            self._disconnect("OK", command)
        else:
            self._say("OK")
