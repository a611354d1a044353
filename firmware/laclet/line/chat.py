"""Chat scripts in the manner of pppd's chat(8), without I/O: what to say to a modem, and what to wait for."""

from .. import ticks

# A script is a sequence of words: expect, send, expect, send … In the place of an expect word may stand
#   ABORT text     the script fails when a line holds this text
#   TIMEOUT s      how long each expect word may take from here on
# An expect word "OK-AT-OK" sends AT when OK does not come in time, and waits again. "" is there at once.
# A send word ends with a carriage return unless it has \c. \d waits 1 s, \p 0.1 s, \T is the number to dial,
# \n \r \s \t \\ are what they are elsewhere.

_TIMEOUT = 45_000  # of chat(8), ms
_DELAYS = {"d": 1000, "p": 100}  # ms
_ESCAPES = {"n": "\n", "r": "\r", "s": " ", "t": "\t"}
_HEARD_MAX = 160  # characters kept to look for an expect word in
_LINE_MAX = 100  # characters of a line in which an abort text is looked for, and which a fault quotes


class Chat:
    """One run of a script. ``ok`` is None while it runs, then True or False; ``write(bytes)`` goes to the modem."""

    def __init__(self, script, write, number=""):
        self.ok = None
        self.abort = ""  # the abort text that ended it; "" when an expect word did not come
        self.said = ""  # the line in which that text stood
        self.waited = ""  # the expect word that was waited for
        self.asked = ""  # the send word before it
        self.deadline = None
        self._script = script
        self._write = write
        self._number = number
        self._at = 0  # the next word
        self._expects = []  # what is left of an expect word: expect, send, expect …
        self._sending = None  # what is left of a send word that has a delay in it
        self._return = True  # a carriage return ends it
        self._aborts = []
        self._timeout = _TIMEOUT
        self._heard = ""
        self._line = ""

    def start(self, now):
        """Begin."""
        self._go_on(now)

    def hear(self, octet, now):
        """One octet from the modem."""
        if self.ok is not None:
            return
        c = chr(octet & 0x7F)  # some modems set a parity bit
        self._heard = (self._heard + c)[-_HEARD_MAX:]
        if c != "\r" and c != "\n":
            self._line = (self._line + c)[-_LINE_MAX:]
        else:
            line = self._line
            self._line = ""
            for text in self._aborts:
                if text in line:
                    self.abort = text
                    self.said = line
                    self._end(False)
                    return
        if self._sending is None and self._expects[0] in self._heard:
            self._found(now)

    def on_timer(self, now):
        """A delay is over, or an expect word did not come in time."""
        if not ticks.due(self.deadline, now):
            return
        if self._sending is not None:
            self._send(now)
        elif len(self._expects) > 1:
            word = self._expects[1]
            self._expects = self._expects[2:] or [""]
            self._begin(word, now)
        else:
            self.waited = self._expects[0]
            self._end(False)

    def _end(self, ok):
        self.ok = ok
        self.deadline = None

    def _go_on(self, now):
        """To the next thing that has to be waited for."""
        while not self._expects:
            word = self._word()
            if word is None:
                self._end(True)
                return
            if word == "ABORT":
                self._aborts.append(self._word() or "")
            elif word == "TIMEOUT":
                self._timeout = int(self._word() or 0) * 1000
            else:
                self._expects = word.split("-")
        self.deadline = ticks.add(now, self._timeout)
        if self._expects[0] in self._heard:
            self._found(now)

    def _word(self):
        word = self._script[self._at] if self._at < len(self._script) else None
        self._at += 1
        return word

    def _found(self, now):
        self._expects = []
        word = self._word()
        if word is None:
            self._end(True)
        else:
            self._begin(word, now)

    def _begin(self, word, now):
        self.asked = word
        self._sending = word
        self._return = "\\c" not in word
        self._heard = ""  # what was said before is no answer
        self._send(now)

    def _send(self, now):
        """Send what is left of a word, up to the next delay."""
        text = self._sending
        out = ""
        while text:
            c = text[0]
            text = text[1:]
            if c == "\\":
                c = text[:1]
                text = text[1:]
                if c in _DELAYS:
                    self._write(out.encode())
                    self._sending = text
                    self.deadline = ticks.add(now, _DELAYS[c])
                    return
                if c == "c":
                    c = ""
                elif c == "T":
                    c = self._number
                elif c in _ESCAPES:
                    c = _ESCAPES[c]
            out += c
        self._sending = None
        self._write((out + "\r" if self._return else out).encode())
        self._go_on(now)
