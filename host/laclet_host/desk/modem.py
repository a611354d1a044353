"""An AT modem as the far end of a serial line sees it (the DCE): it rings, answers ATA and ATD, and carries data.

No I/O inside: bytes from the line go into ``receive``, bytes for the line are taken from ``out``.
"""

GUARD = 1000  # ms of silence before and after +++
RING_INTERVAL = 2000  # ms between RINGs


class AtModem:
    """``connect`` is the text of CONNECT; ``busy`` makes every dialled number busy. Times in ms on any steady clock.

    ``state`` is ``command`` or ``data``; ``in_call`` lasts until somebody hangs up, +++ or not. ``events`` collects
    ``("answered",)``, ``("dialled", number)`` and ``("hung up",)``.
    """

    def __init__(self, connect="CONNECT 33600", busy=False):
        self.connect = connect
        self.busy = busy
        self.state = "command"
        self.in_call = False
        self.out = bytearray()
        self.events = []
        self.commands = []  # every command line seen
        self._caller = None
        self._ring_at = None
        self._line = bytearray()
        self._echo = True
        self._plus = 0
        self._quiet_since = 0
        self._escape_at = None

    def ring(self, caller, now):
        """A call comes in from the number ``caller``; not while there is another."""
        if self.in_call:
            return
        self._caller = caller
        self._ring_at = now

    def hang_up(self, now):
        """The far side ends the call."""
        if self.in_call or self._ring_at is not None:
            self._say("NO CARRIER")
            self._drop()

    def receive(self, data, now):
        """Bytes from the line. Returns those that belong to the far side: all in data mode, none in command mode."""
        if self.state == "data":
            self._watch_escape(data, now)
            return data
        for byte in data:
            if self._echo:
                self.out.append(byte)
            if byte in (10, 13):
                self._command(bytes(self._line), now)
                self._line.clear()
                if self.state == "data":
                    return data[len(data) :]
            elif len(self._line) < 256:
                self._line.append(byte)
        return b""

    def poll_at(self):
        """Deadline of the next on_timer()."""
        deadlines = [at for at in (self._ring_at, self._escape_at) if at is not None]
        return min(deadlines) if deadlines else None

    def on_timer(self, now):
        """Ring again; or fall back into command mode after +++."""
        if self._ring_at is not None and now >= self._ring_at:
            self._ring_at = now + RING_INTERVAL
            self._say("RING")
            if self._caller:
                self._say(f'+CLIP: "{self._caller}",129')
        if self._escape_at is not None and now >= self._escape_at:
            self._escape_at = None
            self.state = "command"
            self._say("OK")

    def _watch_escape(self, data, now):
        if bytes(data) == b"+++"[: len(data)] and (self._plus or now - self._quiet_since >= GUARD):
            self._plus += len(data)
            self._escape_at = now + GUARD if self._plus == 3 else None
        else:
            self._plus = 0
            self._escape_at = None
        self._quiet_since = now

    def _command(self, line, now):
        text = line.decode("ascii", "replace").strip().upper()
        at = text.find("AT")
        if at < 0:
            return
        command = text[at + 2 :]
        self.commands.append("AT" + command)
        if command.startswith("D"):
            self.events.append(("dialled", command[1:].lstrip("TP")))
            self._say("BUSY") if self.busy else self._connect()
        elif command.startswith("A") and self._ring_at is not None:
            self.events.append(("answered",))
            self._connect()
        elif command.startswith("A"):
            self._say("NO CARRIER")
        elif command.startswith(("H", "Z")):
            self._say("OK")
            if self.in_call:
                self._drop()
        else:
            if command.startswith("E"):
                self._echo = command[1:2] != "0"
            self._say("OK")

    def _connect(self):
        self._say(self.connect)
        self._ring_at = None
        self._plus = 0
        self.state = "data"
        self.in_call = True

    def _drop(self):
        self.state = "command"
        self.in_call = False
        self._ring_at = None
        self._plus = 0
        self._line.clear()
        self.events.append(("hung up",))

    def _say(self, text):
        self.out += b"\r\n" + text.encode() + b"\r\n"
