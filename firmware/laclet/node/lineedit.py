"""A line typed at a terminal: echo, cursor keys for the history, characters in UTF-8; the owner takes it at Enter."""

from .grammar import LINE_MAX, split

HISTORY = 8  # lines kept


class LineEditor:
    """``receive`` what is typed. Who inherits has ``_host.write(text)``, ``_locked``, ``_enter(now)``, ``_complete()``,
    ``help(line)``."""

    prompt = "laclet> "

    def __init__(self, host, history, line):
        self._host = host
        self._locked = False  # what is typed is a password
        self._line = line
        self._history = list(history)
        self._place = len(history)
        self._utf = b""  # bytes of a character that is not complete
        self._escape = 0  # 1 after ESC, 2 after ESC [
        self._long = False  # the line was too long, and is refused
        self._cr = False

    def receive(self, data, now):
        """Bytes from the terminal."""
        for octet in data:
            if octet == 10 and self._cr:
                self._cr = False
                continue
            self._cr = octet == 13
            if self._escape:
                self._escaped(octet)
            elif octet in (10, 13):
                self._enter(now)
            else:
                self._key(octet)

    def _key(self, octet):
        if self._locked and (octet == 27 or octet == 9 or octet == 63):
            self._type(chr(octet))  # no help, no history: it belongs to the password
        elif octet == 27:
            self._escape = 1
        elif octet in (8, 127):
            if self._line:
                self._line = self._line[:-1]
                self._echo("\b \b")
        elif octet == 21:  # Ctrl-U
            self._replace("")
        elif octet == 9:
            self._complete()
        elif octet == 63 and self._asks():
            self._host.write("?\n" + "".join(["  " + line + "\n" for line in self.help(self._line)]))
            self._host.write(self.prompt + self._line)
        elif octet >= 128:
            self._character(octet)
        elif octet >= 32:
            self._type(chr(octet))

    def _character(self, octet):
        """One byte of a character in UTF-8."""
        self._utf += bytes((octet,))
        try:
            self._type(self._utf.decode())
        except UnicodeError:
            if len(self._utf) < 4:
                return
        self._utf = b""

    def _type(self, text):
        if len(self._line) >= LINE_MAX:
            self._long = True
            return
        self._line += text
        self._echo(text)

    def _echo(self, text):
        if self._line[:1] != "{" and not self._locked:  # tools want no echo
            self._host.write(text)

    def _escaped(self, octet):
        if self._escape == 1 and octet == 91:
            self._escape = 2
            return
        step = {65: -1, 66: 1}.get(octet) if self._escape == 2 else None
        self._escape = 0
        if step and 0 <= self._place + step <= len(self._history):
            self._place += step
            self._replace(self._history[self._place] if self._place < len(self._history) else "")

    def _replace(self, line):
        self._host.write("\b \b" * len(self._line) + line)
        self._line = line

    def _asks(self):
        """True where ``?`` asks for help: not in a value."""
        found = split(self._line)
        return self._line[:1] != "{" and not (
            found and found[0][1] == "set" and len(found) + self._line.endswith(" ") > 2
        )
