"""What a console does of updates: the words of ``update``. Loaded at the first of them."""

from binascii import a2b_base64

from .update import CHUNK, Refused, Update

_WORDS = ("status", "begin", "put", "want", "commit", "abort")


class Updates:
    """``ask`` for a shell; ``restart()`` is called when there is something to try."""

    def __init__(self, shell, restart):
        """Raises Refused on a board without slots."""
        board = shell.node.config.get("board") or {}
        key = board.get("update_key")
        self._shell = shell
        self._restart = restart
        self._keyless = not key
        self._update = Update(key.encode() if key else None)
        self._fetch = None

    def ask(self, words, value):
        """The ``data`` of an answer; see docs/update.md. Raises Refused."""
        word = words[0] if words else "status"
        if word == "from" and len(words) == 2:
            return self._from(words[1])
        if len(words) > 1 or word not in _WORDS:
            raise Refused("cannot update %s; allowed: %s, from URL" % (" ".join(words)[:40], ", ".join(_WORDS)))
        if word == "status":
            return self._status()
        if self._fetching():
            if word != "abort":
                raise Refused("a fetch is under way; wait for it, or write update abort")
            self._fetch.close()
        if word == "put":
            return {"at": self._put(value)}
        if word == "want":
            return {"paths": self._update.want()}
        if word == "commit":
            return self._commit()
        return {"slot": self._update.begin() if word == "begin" else self._update.abort()}

    def _status(self):
        status = self._update.status()
        if self._fetch is not None:
            status["fetching"] = self._fetch.path
            status["error"] = self._fetch.error
        return status

    def _put(self, value):
        try:
            path, at, data = value["path"], value["at"], a2b_base64(value["data"])
            if not isinstance(path, str) or not isinstance(at, int) or at < 0 or len(data) > CHUNK:
                raise ValueError
        except (TypeError, KeyError, ValueError):
            raise Refused('is no put; value is {"path", "at", "data": base64 of at most %d bytes}' % CHUNK) from None
        return self._update.put(path, at, data)

    def _commit(self):
        tunnel = False
        for dialer in self._shell.node.dialers.values():
            tunnel = tunnel or dialer.usable()
        version = self._update.commit(tunnel)
        self._restart()
        return {"version": version, "slot": self._update.status()["trial"]}

    def _fetching(self):
        return self._fetch is not None and self._fetch.path is not None

    def _from(self, url):
        from .fetch import Fetch

        if self._fetching():
            self._fetch.close()
        self._update.abort()
        self._fetch = Fetch(self._shell, self._update, url, self._fetched)
        if self._keyless:
            text = "no board.update_key: whoever answers in that name puts code on this board"
            self._shell.log("warning", "update", text)
        return {"fetching": self._fetch.path}

    def _fetched(self):
        self._shell.log("info", "update", "all is there: version %s is tried now" % self._commit()["version"])
