"""The configuration on the board's file system: config.json, and secrets.json beside it.

Both are saved as one: written beside the old ones as ``.new``, then store.json with their digests takes the place of
its predecessor, and with that rename, which a file system does wholly or not at all, the new pair counts. Only then
the old files become ``.bak`` and the new ones take their names; a board that loses power meanwhile goes on with it
when it loads. A file that people have changed is taken when it is in order, and otherwise the pair before.

What came out of the checks is kept in checked.json: as long as neither file nor code has changed, a board boots without
the schema, which is as large as a role.
"""

import json
import os
from binascii import hexlify
from hashlib import sha256

from laclet import BUILD

from . import forget

_VERSION = 1  # of the layout of store.json
_CHUNK = 256  # bytes of a file hashed at once


def load(path, tell=print):
    """``(config, problems)`` of the configuration at ``path``: see ``Store.load``."""
    return Store(path).load(tell)


def nothing():
    """A checked configuration with nothing in it, for a board that has a console only."""
    from laclet.node.config import check

    config = check({}, True)[0]
    forget("laclet.node", "config", "schema", "values")
    return config


class Store:
    """The configuration at ``path``, with secrets.json, store.json and copies in the same folder."""

    def __init__(self, path="/config.json"):
        cut = path.rfind("/") + 1
        self._folder = path[:cut]
        self._names = (path[cut:], "secrets.json")

    def load(self, tell=print):
        """``(config, problems)``: checked, secrets merged in; problems as lines of text.

        With problems the configuration before is taken, if there is one in order; ``tell(line)`` is told why.
        """
        pair = self._current(tell)
        config = self._kept(pair)
        if config is not None:
            return config, []
        from .checks import checked, plain

        config, lines = checked(pair)
        if not lines:
            self._keep(pair, json.dumps(plain(config)))
        else:
            before = self._previous()
            saved, problems = checked(before) if before else (None, lines)
            if not problems:
                for line in lines:
                    tell(line)
                tell(before[0] + ": taken instead")
                config, lines = saved, []
        forget("laclet.node", "config", "schema", "values")
        forget("laclet_mcu", "checks")
        return config, lines

    def _kept(self, pair):
        """What the checks of these files have come to before, or None."""
        try:
            with open(self._folder + "checked.json") as file:
                proof = file.readline()[:-1]
                text = file.read()
        except (OSError, ValueError):
            return None
        return restore(json.loads(text)) if BUILD and proof == _proof(pair, text) else None

    def _keep(self, pair, text):
        if not BUILD:  # these sources may change unnoticed
            return
        path = self._folder + "checked"
        try:
            with open(path + ".new", "w") as file:
                file.write(_proof(pair, text) + "\n" + text)
            _replace(path + ".new", path + ".json")
        except OSError:  # a full or read-only file system: it is checked at every boot
            pass

    def read(self, previous=False):
        """``(tree, secrets)`` as they are in the files, or as they were before the last save; None without such."""
        pair = self._previous() if previous else self._current(_mute)
        if pair is None:
            return None
        lines = []
        return read_json(pair[0], lines), read_json(pair[1], lines, False)

    def save(self, tree, secrets):
        """Keep both, all or nothing; raises OSError when the file system is full or does not keep what is written."""
        self._current(_mute)
        was = {}
        sums = {}
        for name, content in zip(self._names, (tree, secrets)):
            path = self._folder + name
            was[name] = _digest(path)
            text = json.dumps(content)
            with open(path + ".new", "w") as file:
                file.write(text)
            sums[name] = _hex(sha256(text.encode()))
            if _digest(path + ".new") != sums[name]:
                raise OSError(path + ".new: is not what was written")
        manifest = self._folder + "store"
        with open(manifest + ".new", "w") as file:
            json.dump({"version": _VERSION, "sums": sums, "was": was}, file)
        _replace(manifest + ".new", manifest + ".json")
        self._current(_mute)

    def forget(self):
        """Remove all there is; secrets before what is useless without them."""
        for suffix in (".bak", ".new", ""):
            for name in ("checked.json", "store.json", self._names[1], self._names[0]):
                if _exists(self._folder + name + suffix):
                    os.remove(self._folder + name + suffix)

    def _manifest(self):
        """What store.json tells; None without a usable one."""
        # Where a rename does not replace, store.new may be all there is.
        for suffix in (".json", ".new"):
            kept = read_json(self._folder + "store" + suffix, [])
            if isinstance(kept, dict) and kept.get("version") == _VERSION:
                return kept
        return None

    def _current(self, tell):
        """Paths of configuration and secrets that count; an interrupted save is ended, or forgotten."""
        kept = self._manifest()
        if not self._calm(kept):
            _touch(self._folder + "store.tmp")
            kept = self._manifest()
        pair = []
        for name in self._names:
            path = self._folder + name
            pair.append(path)
            wanted = kept["sums"].get(name) if kept else None
            if wanted and _digest(path) != wanted:
                if _digest(path + ".new") == wanted:
                    if _exists(path):
                        _replace(path, path + ".bak")
                    os.rename(path + ".new", path)
                else:
                    tell(path + ": is not as it was saved")
            if _exists(path + ".new"):
                os.remove(path + ".new")
        return pair

    def _calm(self, kept):
        """True when all is as a save leaves it, or nothing was ever saved."""
        for name in self._names:
            path = self._folder + name
            if _exists(path + ".new") or (_digest(path) != kept["sums"].get(name) if kept else _exists(path + ".bak")):
                return False
        return True

    def _previous(self):
        """Paths of configuration and secrets as they were before the last save, or None."""
        kept = self._manifest()
        pair = []
        for name in self._names:
            path = self._folder + name
            wanted = kept["was"].get(name) if kept else None
            for each in (path + ".bak", path):  # what a save did not change has no copy
                if wanted and _digest(each) == wanted:
                    pair.append(each)
                    break
            else:
                if wanted or (not pair and not _exists(path + ".bak")):
                    return None
                pair.append(path + ".bak")  # without a file there were no secrets
        return pair


class _Names:
    """Makes names of keys: a key out of JSON takes 64 bytes at each place where it stands, a name of the code none."""


def restore(value):
    """A checked configuration out of JSON: see checks.plain()."""
    if isinstance(value, dict):
        names = _Names()
        for key in value:
            setattr(names, key, restore(value[key]))
        return names.__dict__
    if isinstance(value, list):
        return tuple(map(restore, value[1:])) if value[:1] == [None] else list(map(restore, value))
    return value


def _proof(pair, text):
    """Digest of all that the text depends on, and of itself."""
    sums = sha256(BUILD.encode())
    for path in pair:
        sums.update((_digest(path) or "none").encode())
    sums.update(text.encode())
    return _hex(sums)


def read_json(path, lines, must=True):
    """What a file holds; otherwise {}, and a line that says why: also when it is missing, if it ``must`` be there."""
    try:
        with open(path) as file:
            return json.load(file)
    except ValueError:
        lines.append(path + ": is no JSON; look for a comma or a quote too many or too few")
    except OSError:
        if must:
            lines.append(path + ": is missing")
    return {}


def _digest(path):
    """SHA-256 of a file in hex, or None."""
    sums = sha256()
    chunk = bytearray(_CHUNK)
    view = memoryview(chunk)
    try:
        with open(path, "rb") as file:
            n = file.readinto(chunk)
            while n:
                sums.update(view[:n])
                n = file.readinto(chunk)
    except OSError:
        return None
    return _hex(sums)


def _hex(sums):
    return hexlify(sums.digest()).decode()


def _touch(path):
    """Write something. LittleFS ends a rename that was cut only then; until then it may hide a wrong file."""
    try:
        with open(path, "w"):
            pass
        os.remove(path)
    except OSError:  # read-only or full: it stays as it is
        pass


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def _replace(path, target):
    """Rename, over an older file; FAT has to remove that first."""
    try:
        os.rename(path, target)
    except OSError:
        os.remove(target)
        os.rename(path, target)


def _mute(line):
    pass
