"""An update: files for the slot that does not run, checked against their manifest. See docs/update.md.

The state that laclet_slots keeps is touched by ``commit`` only; until then whatever happens changes nothing.
"""

import os
import sys
from binascii import hexlify, unhexlify
from hashlib import sha256

from micropython import const

try:
    import laclet_slots
except ImportError:  # a board that was never made for updates
    laclet_slots = None

MANIFEST = "manifest"
CHUNK = const(256)  # bytes that are hashed, copied or put at once
_MANIFEST_MAX = const(32768)  # bytes
_FILES_MAX = const(256)
_LINE_MAX = const(200)  # bytes of a line of the manifest
_PATH_MAX = const(96)
_WANT_MAX = const(8)  # paths told at once: a tool's line, and our heap, are short
_BLOCK = const(64)  # bytes; of SHA-256, for HMAC
# Of sys.implementation._mpy; as mpy-cross calls them.
_ARCHITECTURES = "none x86 x64 armv6 armv6m armv7m armv7em armv7emsp armv7emdp xtensa xtensawin rv32imc rv64imc"
_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"


class Refused(Exception):
    """What is wrong and how to mend it, in one line."""


class Update:
    """The slot that does not run. ``key``: of the HMAC that a manifest must have, or None. ``root``: where slots are.

    All methods raise Refused, and nothing else.
    """

    def __init__(self, key=None, root="/"):
        if laclet_slots is None:
            raise Refused("laclet_slots is missing; install this board with laclet deploy first")
        self._key = key
        self._root = root
        self._path = None  # of the file that is being put
        self._file = None  # it stays open: what is not closed does not count after a power cut
        self._size = 0  # bytes of it so far
        self._checked = None  # the version of a manifest that was found in order
        self._done = 0  # rows of it whose files are in order

    # -- the verbs ------------------------------------------------------------------------------------

    def status(self):
        """See docs/update.md."""
        state = laclet_slots.read(self._root)
        running = laclet_slots.running
        mpy = sys.implementation._mpy
        disk = os.statvfs(self._root)
        return {
            "running": running,
            "version": self._version(running) if running else None,
            "good": state["good"],
            "trial": state.get("trial"),
            "left": state.get("left", 0),
            "failed": state.get("failed"),
            "other": _other(state),
            "mpy": mpy,
            "arch": _ARCHITECTURES.split()[(mpy >> 10) & 15],
            "chunk": CHUNK,
            "free": disk[0] * disk[3],
            "size": disk[0] * disk[2],
            "key": self._key is not None,
        }

    def begin(self):
        """Forget what was put; returns the slot."""
        slot = self._slot()
        self._forget()
        try:
            _remove(self._root + slot)
        except OSError as error:
            raise Refused("cannot empty /%s: %s; try again" % (slot, error)) from None
        return slot

    def put(self, path, at, data):
        """Write ``data`` at ``at``, where the file ends so far, or at 0 to begin it; returns where it ends then."""
        if at == 0:
            self._open(path)
        elif path != self._path:
            raise Refused(path + " was not begun; put it from 0")
        elif at + len(data) == self._size:  # said again, because we were not heard
            return self._size
        elif at != self._size:
            raise Refused("%s ends at %d, not at %d; go on there" % (path, self._size, at))
        if path == MANIFEST and at + len(data) > _MANIFEST_MAX:
            self._forget()
            raise Refused("the manifest is too long; at most %d bytes" % _MANIFEST_MAX)
        try:
            self._file.write(data)
        except OSError as error:
            self._forget()
            raise Refused("cannot write %s: %s; is there room?" % (path, error)) from None
        self._size = at + len(data)
        return self._size

    def want(self):
        """Paths of some files that are missing or wrong; none when all is there. Copies what the running slot has."""
        slot = self._slot()
        self._close()
        if self._checked is None:
            self._checked = self._check(slot)
            self._prune(slot)
        missing = []
        row = 0
        for digest, path in self._rows(slot):
            row += 1
            if row <= self._done:
                continue
            if self._has(slot, path, digest):
                if not missing:
                    self._done = row
            else:
                missing.append(path)
                if len(missing) == _WANT_MAX:
                    break
        return missing

    def commit(self, tunnel=False):
        """Have the slot tried at the next boot; returns its version. ``tunnel``: one has to come up then."""
        slot = self._slot()
        self._close()
        self._checked = None
        self._done = 0
        missing = self.want()
        if missing:
            raise Refused(missing[0] + " is missing or not as in the manifest; put what update want tells")
        try:
            laclet_slots.propose(slot, tunnel, self._root)
        except OSError as error:
            raise Refused("cannot write slots.json: %s; is there room?" % error) from None
        return self._checked

    def abort(self):
        """Make the slot useless until something is put again; returns it."""
        slot = self._slot()
        self._forget()
        try:
            os.remove(self._root + slot + "/" + MANIFEST)
        except OSError:  # there was none
            pass
        return slot

    # -- the slot -------------------------------------------------------------------------------------

    def _slot(self):
        """The slot for updates; not while it is the one to go back to."""
        state = laclet_slots.read(self._root)
        if state.get("trial") or laclet_slots.trial:
            raise Refused("the code that runs is on trial; wait until update status says it is good")
        return _other(state)

    def _open(self, path):
        slot = self._slot()
        self._close()
        if path == MANIFEST:
            self._forget()
        else:
            if not _plain(path.encode()):
                raise Refused(repr(path)[:40] + " is no path for code; write it like laclet/ticks.mpy")
            try:
                if self._checked is None:
                    self._checked = self._check(slot)
                known = any(path == each for _, each in self._rows(slot))
            except Refused as error:
                raise Refused("put the manifest first: " + str(error)) from None
            if not known:
                raise Refused(path + " is not in the manifest; leave it out")
        try:
            full = self._root + slot + "/" + path
            _make_way(full)
            self._file = open(full, "wb")  # noqa: SIM115
        except OSError as error:
            raise Refused("cannot write %s: %s; is there room?" % (path, error)) from None
        self._path = path
        self._size = 0
        self._done = 0

    def _close(self):
        """The file that was being put counts from now on."""
        file = self._file
        self._file = self._path = None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                raise Refused("cannot write: %s; is there room?" % error) from None

    def _forget(self):
        try:
            self._close()
        except Refused:  # it is overwritten, or removed
            pass
        self._checked = None
        self._done = 0

    def _has(self, slot, path, digest):
        """True when the slot has this file, or has it now from the slot that runs."""
        full = self._root + slot + "/" + path
        if _digest(full) == digest:
            return True
        running = laclet_slots.running
        if running in ("", slot):
            return False
        source = self._root + running + "/" + path
        if _digest(source) != digest:
            return False
        try:
            _make_way(full)
            _copy(source, full)
        except OSError as error:
            raise Refused("cannot write %s: %s; is there room?" % (path, error)) from None
        return _digest(full) == digest

    def _prune(self, slot):
        """Remove what the manifest does not name."""
        keep = {path for _, path in self._rows(slot)}
        keep.add(MANIFEST)
        try:
            _walk(self._root + slot, "", keep)
        except OSError as error:
            raise Refused("cannot empty /%s: %s; try again" % (slot, error)) from None

    # -- the manifest ---------------------------------------------------------------------------------

    def _version(self, slot):
        try:
            with open(self._root + slot + "/" + MANIFEST) as file:
                return file.readline(_LINE_MAX).split()[2]
        except (OSError, IndexError, ValueError):
            return None

    def _lines(self, slot):
        """The lines of its manifest, as bytes."""
        try:
            with open(self._root + slot + "/" + MANIFEST, "rb") as file:
                line = file.readline(_LINE_MAX)
                while line:
                    yield line
                    line = file.readline(_LINE_MAX)
        except OSError:
            raise Refused("there is no manifest; put it first") from None

    def _rows(self, slot):
        """``(digest, path)`` of every file; the digest as bytes."""
        for line in self._lines(slot):
            if line[:1] != b"#":
                yield unhexlify(line[:64]), line[66:-1].decode()

    def _check(self, slot):
        """The version of its manifest, which is in order."""
        sums = _Hmac(self._key or b"")
        version = proof = None
        n = files = 0
        for line in self._lines(slot):
            n += 1
            if line[-1:] != b"\n" or proof is not None:
                raise Refused("manifest line %d: is too long, or the file is cut; put it again" % n)
            words = line.split()
            if line[:7] == b"# hmac ":
                proof = words[-1]
                continue
            sums.update(line)
            if n == 1:
                if words[:2] != [b"#", b"laclet"] or len(words) != 3 or not _is_version(words[2]):
                    raise Refused('manifest line 1: is no title; write it like "# laclet 1.0.0"')
                version = words[2].decode()
            elif n == 2:
                self._check_mpy(words)
            elif line[:1] != b"#":
                files += 1
                if len(words) != 2 or not _is_digest(words[0]) or line[64:66] != b"  " or not _plain(line[66:-1]):
                    raise Refused("manifest line %d: is no file; write a SHA-256, two blanks and a path" % n)
        if not files or files > _FILES_MAX:
            raise Refused("the manifest names %d files; 1 to %d are allowed" % (files, _FILES_MAX))
        if self._key is not None and proof != hexlify(sums.digest()):
            raise Refused("the manifest is not made with this board's board.update_key; sign it with that")
        return version

    def _check_mpy(self, words):
        mine = str(sys.implementation._mpy).encode()
        if words[:2] != [b"#", b"mpy"] or words[2:] != [mine]:
            raise Refused("manifest line 2: this board wants mpy %s; build it for that" % mine.decode())


class _Hmac:
    """HMAC-SHA256 (RFC 2104), a piece at a time."""

    def __init__(self, key):
        if len(key) > _BLOCK:
            key = sha256(key).digest()
        self._key = key + bytes(_BLOCK - len(key))
        self._inner = sha256(bytes([octet ^ 0x36 for octet in self._key]))
        self.update = self._inner.update

    def digest(self):
        outer = sha256(bytes([octet ^ 0x5C for octet in self._key]))
        outer.update(self._inner.digest())
        return outer.digest()


def _other(state):
    """The slot for updates."""
    return "b" if state["good"] == "a" else "a"


def _plain(path):
    """True for a path that stays inside its slot, as bytes."""
    stem, dot, suffix = path.rpartition(b".")
    if len(path) > _PATH_MAX or suffix not in (b"mpy", b"py", b"img"):
        return False
    return all(part and all(octet in _NAME for octet in part) for part in stem.split(b"/"))


def _is_version(word):
    return len(word) <= 32 and all(32 < octet < 127 for octet in word)


def _is_digest(word):
    return len(word) == 64 and all(octet in b"0123456789abcdef" for octet in word)


def _digest(path):
    """SHA-256 of a file, or None."""
    sums = sha256()
    chunk = bytearray(CHUNK)
    view = memoryview(chunk)
    try:
        with open(path, "rb") as file:
            n = file.readinto(chunk)
            while n:
                sums.update(view[:n])
                n = file.readinto(chunk)
    except OSError:
        return None
    return sums.digest()


def _copy(source, target):
    with open(source, "rb") as old, open(target, "wb") as new:
        chunk = old.read(CHUNK)
        while chunk:
            new.write(chunk)
            chunk = old.read(CHUNK)


def _make_way(path):
    """For a new file: its folders, and the room that an old one takes."""
    try:
        os.remove(path)
    except OSError:  # there was none
        pass
    at = path.find("/", 1)
    while at > 0:
        try:
            os.mkdir(path[:at])
        except OSError:  # it is there; or the file cannot be opened, which is told
            pass
        at = path.find("/", at + 1)


def _walk(folder, below, keep):
    """Remove the files of a folder that are not among ``keep``; paths are relative to where the walk began."""
    for entry in list(os.ilistdir(folder)):
        path = below + entry[0]
        if entry[1] == 0x4000:  # a folder
            _walk(folder + "/" + entry[0], path + "/", keep)
        elif path not in keep:
            os.remove(folder + "/" + entry[0])


def _remove(folder):
    try:
        entries = list(os.ilistdir(folder))
    except OSError:  # there is none
        return
    for entry in entries:
        path = folder + "/" + entry[0]
        if entry[1] == 0x4000:
            _remove(path)
        else:
            os.remove(path)
    os.rmdir(folder)
