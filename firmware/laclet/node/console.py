"""The console of a board, sans I/O: lines for people, with Tab and ``?``; a JSON object a line for tools.

A candidate is edited with set and delete; nothing else changes before ``commit``. Secrets are never shown.

The owner gives a ``host``:

``write(text)``             to the terminal
``running()``               ``(tree, secrets)`` that run now; ``previous()`` those of before the last save, or None
``apply(config, now)``      run this checked configuration from now on
``save(tree, secrets)``     keep both over a restart; raises OSError
``act(word, arguments, now)``  the commands of ``ACTS``; returns lines, None to leave, or raises ``Refused``
``password()``              asked of who comes here, or None
``update(words, value)``    the words of update, for tools; returns plain values, or raises ``Refused``
``capture(words, tools)``   the words of capture; returns plain values, or raises ``Refused``
``status()`` ``stats()`` ``version()``  plain values; ``log()`` the last lines
"""

import json
from io import StringIO

from .. import ticks
from .config import check, hide, is_secret, merge
from .grammar import (
    LINE_MAX,
    Refused,
    allowed,
    copy_of,
    fit,
    flat,
    locate,
    lookup,
    parse_value,
    put,
    rows,
    split,
)
from .lineedit import HISTORY, LineEditor
from .schema import LINUX, SECTIONS, section
from .values import clip, dotted

_CONFIRM_MAX = 60  # minutes; ticks wrap after days
_MINUTE = 60_000  # ms
_PASSWORD = "password: "
_DEAF = 1000  # ms without a hearing after a wrong password; doubles each time
_DEAF_DOUBLED = 6  # times at most

# What the owner does: (usage, help).
ACTS = {
    "connect": ("connect [TUNNEL]", "dial"),
    "disconnect": ("disconnect [TUNNEL]", "hang up, and stay so"),
    "ping": ("ping ADDRESS", "send an ICMP echo through a call"),
    "capture": ("capture [CALL]", "show PPP frames of a call, of all, or the datagrams; capture stop ends it"),
    "reboot": ("reboot", "restart the board"),
    "exit": ("exit", "leave the console"),
    "factory-reset": ("factory-reset yes", "forget the configuration, and restart"),
    "update": ("update [WHAT] [URL]", "status, commit, abort, or from URL: new code, see docs/update.md"),
}
_SHOW = {
    "config": "what commit would make run, secrets hidden",
    "log": "the last lines of the log",
    "stats": "memory and drops",
    "status": "tunnels and calls",
    "version": "of laclet and of MicroPython, and the board",
}


class Console(LineEditor):
    """One console; ``receive`` what is typed. ``poll_at`` is the deadline of ``commit confirm``."""

    def __init__(self, host, state=None, known=True):
        """``state``: of a console before this one, see ``state()``; ``known``: the same person goes on."""
        if state is None:
            state = (None, host.running(), None, False, (), "")
        self._confirm_at, (self._tree, self._secrets), self._before, self._unsaved, history, line = state
        super().__init__(host, history, line)
        self._locked = not known and host.password() is not None
        self._wrong = 0  # passwords in a row
        self._deaf_until = None
        self._new = ({}, {})  # the candidate: (tree, secrets)
        self._discard()

    def start(self):
        """Say the first words."""
        self._host.write(_PASSWORD if self._locked else "laclet console; ? for help, exit to leave\n" + self.prompt)

    # -- the line -------------------------------------------------------------------------------------

    def _enter(self, now):
        line = self._line
        self._line = ""
        refused = self._long
        self._long = False
        if line[:1] == "{":
            self._host.write(json.dumps(self.request(line, refused, now)) + "\n")
            return
        self._host.write("\n")
        if self._locked:
            self._host.write("" if self._unlock(line, now) else "wrong, or too soon\n")
            self.start()
            return
        if line.strip():
            self._remember(line)
        try:
            if refused:
                raise Refused("the line is too long", "use at most %d characters" % LINE_MAX, LINE_MAX + 1)
            lines = self.execute(line, now)
            if lines is None:
                return
            for said in lines:
                self._host.write(said + "\n")
        except Refused as error:
            self._host.write("error: " + error.text() + "\n")
        self._host.write(self.prompt)

    def _unlock(self, word, now):
        """True when it is the password; after a wrong one nothing is heard for a while."""
        wanted = self._host.password().encode()
        given = word.encode()
        differ = len(given) ^ len(wanted)
        for i in range(len(given)):  # as long for each: how far it is right does not show
            differ |= given[i] ^ wanted[i % len(wanted)]
        if differ or (self._deaf_until is not None and not ticks.due(self._deaf_until, now)):
            self._deaf_until = ticks.add(now, _DEAF << min(self._wrong, _DEAF_DOUBLED))
            self._wrong += 1
            return False
        self._locked = False
        return True

    def _remember(self, line):
        found = split(line)
        try:
            secret = found[0][1] == "set" and is_secret(locate(found[1][1], 0)[0])
        except (Refused, IndexError):
            secret = found[0][1] == "set"  # it may have been meant to be one
        if not secret:
            self._history = (self._history + [line])[-HISTORY:]
        self._place = len(self._history)

    # -- tools ----------------------------------------------------------------------------------------

    def request(self, line, refused, now):
        """The answer to ``{"id": …, "do": "a command", "value": …}``: ``{"id", "ok", "out" or "data" or "error"}``."""
        answer = {"id": None, "ok": False}
        try:
            if refused:
                raise Refused("the line is too long", "use at most %d characters" % LINE_MAX, LINE_MAX + 1)
            asked = _object(line)
            answer["id"] = asked.get("id")
            if not isinstance(asked.get("do"), str):
                raise Refused("do is missing", 'write {"id": 1, "do": "show status"}')
            found = split(asked["do"])
            words = [word for _, word in found]
            if self._locked:
                if words != ["login"] or not self._unlock(str(asked.get("value")), now):
                    raise Refused("wait, and log in", 'write {"do": "login", "value": "the password"}')
            elif words == ["login"]:
                pass
            elif words[:1] == ["set"] and len(words) == 2 and "value" in asked:
                path, row = self._key_at(found[1])
                self._put(path, fit(row, path, asked["value"], 0))
            elif words in (["show"], ["show", "status"]):
                answer["data"] = self._host.status()
            elif words == ["show", "stats"]:
                answer["data"] = self._host.stats()
            elif words == ["show", "version"]:
                answer["data"] = self._host.version()
            elif words[:1] == ["update"]:
                answer["data"] = self._host.update(words[1:], asked.get("value"))
            elif words[:1] == ["capture"]:
                answer["data"] = self._host.capture(words[1:], True)
            elif words == ["show", "config"]:
                answer["data"] = hide(merge(*self._new)[0])
            else:
                answer["out"] = self.execute(asked["do"], now) or []
            answer["ok"] = True
        except Refused as error:
            answer["error"] = error.args[0]
            if error.column:
                answer["column"] = error.column
        return answer

    # -- commands -------------------------------------------------------------------------------------

    def execute(self, line, now):
        """Lines that a command says; raises Refused."""
        found = split(line)
        if not found:
            return []
        column, word = found[0]
        command = self._COMMANDS.get(word)
        if command is None and word not in ACTS:
            raise Refused("no such command: " + clip(word), allowed(word, list(self._COMMANDS) + list(ACTS)), column)
        usage, most = (command[0], command[3]) if command else (ACTS[word][0], ACTS[word][0].count("[") or 1)
        if len(found) - 1 > most:
            raise Refused("too many words", "write " + usage, found[most + 1][0])
        if command is None:
            return self._host.act(word, [each for _, each in found[1:]], now)
        return command[2](self, line, found, now)

    def _show(self, line, found, now):
        word = found[1][1] if len(found) > 1 else "status"
        if word not in _SHOW:
            raise Refused("cannot show " + clip(word), allowed(word, _SHOW), found[1][0])
        if word == "config":
            return _lines(hide(merge(*self._new)[0])) or ["nothing is configured"]
        if word == "log":
            return self._host.log()
        host = self._host
        return _lines(host.status() if word == "status" else host.stats() if word == "stats" else host.version())

    def _key_at(self, found):
        path, row = locate(found[1], found[0])
        if row is None:
            name = path[0] if len(path) > 1 or not section(path[0])[1] else None
            keys = ", ".join(sorted(rows(name))) if name else "NAME"
            raise Refused(dotted(path) + " is a section", "go on with a dot and one of: " + keys, found[0])
        return path, row

    def _put(self, path, value):
        tree, secrets = self._new
        if not is_secret(path):
            put(tree, path, value)
            return
        put(secrets, path, value)
        put(tree, path, None)  # it may have stood in the main file, where the section has to be
        where = path[: 2 if section(path[0])[1] else 1]
        if lookup(tree, where) is None:
            put(tree, where, {})

    def _set(self, line, found, now):
        if len(found) < 3:
            raise Refused(
                "set what?" if len(found) < 2 else "the value is missing", "write set PATH VALUE", len(line) + 1
            )
        path, row = self._key_at(found[1])
        column = found[2][0]
        value = parse_value(row, path, line[column - 1 :].strip(), column)
        self._put(path, value)
        return []

    def _delete(self, line, found, now):
        if len(found) < 2:
            raise Refused("delete what?", "write delete PATH", len(line) + 1)
        path, _ = locate(found[1][1], found[1][0])
        if lookup(self._new[0], path) is None and lookup(self._new[1], path) is None:
            raise Refused(dotted(path) + " is not set", "see show config", found[1][0])
        for tree in self._new:
            if lookup(tree, path) is not None:
                put(tree, path, None)
        return []

    def _compare(self, line=None, found=None, now=None):
        old = dict(flat(merge(self._tree, self._secrets)[0]))
        new = dict(flat(merge(*self._new)[0]))
        out = []
        for path in sorted(set(old) | set(new)):
            if old.get(path) != new.get(path):
                out += ["- " + _shown(path, old[path])] if path in old else []
                out += ["+ " + _shown(path, new[path])] if path in new else []
        return out

    def _commit(self, line, found, now):
        minutes = 0
        if len(found) > 1:
            if found[1][1] != "confirm":
                raise Refused("no such word: " + clip(found[1][1]), "allowed: confirm", found[1][0])
            word = found[2][1] if len(found) > 2 else "10"
            minutes = int(word) if word.isdigit() else 0
            if not 1 <= minutes <= _CONFIRM_MAX:
                raise Refused("is no time", "choose 1 to %d minutes" % _CONFIRM_MAX, found[2][0])
        tree, secrets = copy_of(self._new[0]), copy_of(self._new[1])
        config = self._checked(tree, secrets)
        if self._confirm_at is None:  # what waits for it is nothing to go back to
            self._before = (self._tree, self._secrets)
        self._confirm_at = ticks.add(now, minutes * _MINUTE) if minutes else None
        self._tree, self._secrets = tree, secrets
        self._unsaved = True
        self._host.apply(config, now)
        if minutes:
            return ["runs for %d minutes unless you write confirm" % minutes]
        return ["runs; write save to keep it over a restart"]

    def _checked(self, tree, secrets):
        """The configuration to run; raises Refused with all that is wrong."""
        merged, problems = merge(tree, secrets)
        config = None
        if not problems:
            config, problems = check(merged, True)
        if problems:
            lines = [(dotted(path) + ": " if path else "") + what + "; " + mend for path, what, mend in problems]
            raise Refused("\n".join(["nothing is changed:"] + lines))
        return config

    def _confirm(self, line, found, now):
        if self._confirm_at is None:
            raise Refused("nothing waits for it", "write commit confirm MINUTES first", found[0][0])
        self._confirm_at = None
        return ["confirmed; write save to keep it over a restart"]

    def _discard(self, line=None, found=None, now=None):
        self._new = (copy_of(self._tree), copy_of(self._secrets))
        return []

    def _rollback(self, line, found, now):
        before = self._before or self._host.previous()
        if before is None:
            raise Refused("there is nothing before this", "see compare and discard", found[0][0])
        self._new = (copy_of(before[0]), copy_of(before[1]))
        return self._compare() + ["write commit to run this"]

    def _save(self, line, found, now):
        if self._confirm_at is not None:
            raise Refused("not before you write confirm", "or it comes back after a restart", found[0][0])
        try:
            self._host.save(self._tree, self._secrets)
        except OSError as error:
            raise Refused("cannot save: " + str(error), "the old configuration is kept") from None
        self._unsaved = False
        return ["saved"]

    def _help(self, line, found, now):
        return self.help("")

    def state(self):
        """What another console needs to go on after a commit: plain values, first the deadline for ``confirm``."""
        running = (self._tree, self._secrets)
        return self._confirm_at, running, self._before, self._unsaved, self._history, self._line

    def status(self):
        """What is not yet done."""
        return {"uncommitted": len(self._compare()), "unsaved": self._unsaved}

    # -- time -----------------------------------------------------------------------------------------

    def poll_at(self):
        """When a commit was not confirmed."""
        return self._confirm_at

    def on_timer(self, now):
        """Go back to what ran before."""
        if self._before is not None and ticks.due(self._confirm_at, now):
            self._confirm_at = None
            self._tree, self._secrets = self._before
            self._before = None
            self._discard()
            self._host.write("\nnot confirmed: back to the configuration before\n" + self.prompt + self._line)
            try:
                self._host.apply(self._checked(self._tree, self._secrets), now)
            except Refused:  # there was none
                self._host.apply(None, now)

    # -- help and Tab ---------------------------------------------------------------------------------

    def help(self, line):
        """Lines for ``?`` after ``line``."""
        found = split(line)
        if not found or (len(found) == 1 and not line.endswith(" ")):
            word = found[0][1] if found else ""
            known = [
                (self._COMMANDS[name][0], self._COMMANDS[name][1]) for name in self._COMMANDS if name.startswith(word)
            ]
            known += [ACTS[name] for name in ACTS if name.startswith(word)]
            return ["%-22s %s" % row for row in sorted(known)]
        texts = _SHOW if found[0][1] == "show" else {}
        out = []
        for choice in self.choices(line):
            text = texts.get(choice, "")
            if found[0][1] in ("set", "delete"):
                row = None if choice.endswith(".") else locate(choice, 0)[1]
                text = row[5] if row else ""
            out.append("%-22s %s" % (choice, text) if text else choice)
        return out or ["a value"]

    def choices(self, line):
        """What the last word of ``line`` can become."""
        found = split(line)
        last = "" if not found or line.endswith(" ") else found[-1][1]
        place = len(found) - (1 if last else 0)
        if place == 0:
            names = list(self._COMMANDS) + list(ACTS)
        else:
            names = self._after(found[0][1], place, last)
        return [name for name in sorted(names) if name.startswith(last)]

    def _after(self, command, place, last):
        if place > 1:
            return ()
        if command == "show":
            return _SHOW
        if command == "commit":
            return ("confirm",)
        if command in ("connect", "disconnect"):
            return self._tree.get("tunnel", {})
        if command == "capture":
            return ["datagrams", "stop"] + list(self._tree.get("call", {}))
        if command not in ("set", "delete"):
            return ()
        parts = last.split(".")[:-1]
        if not parts:
            return [row[0] + "." for row in SECTIONS if row[0]] + list(rows(""))
        found = section(parts[0])
        before = ".".join(parts) + "."
        if found is None or len(parts) > 2:
            return ()
        if found[1] and len(parts) == 1:
            return [before + name + "." for name in self._new[0].get(parts[0], {})]
        return [before + name for name, _, _, _, flags, _ in found[2] if not flags & LINUX]

    def _complete(self):
        found = self.choices(self._line)
        if not found or self._line[:1] == "{":
            return
        common = found[0]
        for name in found:
            while not name.startswith(common):
                common = common[:-1]
        last = "" if self._line.endswith(" ") else (split(self._line) or [(0, "")])[-1][1]
        more = common[len(last) :] + (" " if len(found) == 1 and not common.endswith(".") else "")
        if more:
            self._line += more
            self._host.write(more)
        else:
            self._host.write("\n" + "  ".join(found) + "\n" + self.prompt + self._line)

    # word: (usage, help, method, most arguments)
    _COMMANDS = {
        "show": ("show [WHAT]", "status, config, log, stats or version", _show, 1),
        "set": ("set PATH VALUE", "change the candidate", _set, LINE_MAX),
        "delete": ("delete PATH", "remove a key or a section from it", _delete, 1),
        "compare": ("compare", "what commit would change", _compare, 0),
        "commit": ("commit [confirm MIN]", "run the candidate; confirm: for so long unless confirmed", _commit, 2),
        "confirm": ("confirm", "let it run on", _confirm, 0),
        "discard": ("discard", "forget the candidate", _discard, 0),
        "rollback": ("rollback", "make the configuration before this one the candidate", _rollback, 0),
        "save": ("save", "keep what runs over a restart", _save, 0),
        "help": ("help, ?", "this; ? also after a command", _help, 0),
    }


def _shown(path, value):
    return dotted(path) + " = " + ("(hidden)" if is_secret(path) else json.dumps(value))


def _lines(tree):
    return [dotted(path) + " = " + json.dumps(value) for path, value in flat(tree)]


def _object(line):
    """The JSON of a line; what is none is refused at the column where the parser stopped."""
    text = StringIO(line)
    try:
        return json.load(text)
    except ValueError as error:
        at = error.pos + 1 if hasattr(error, "pos") else text.tell()  # MicroPython's parser reads no further than that
        raise Refused("is no JSON", 'write {"id": 1, "do": "show status"}', at) from None
