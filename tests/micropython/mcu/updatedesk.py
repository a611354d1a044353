"""Updates as tests make them, and the life of a board that saves and updates until its power is cut."""

import sys
from binascii import hexlify
from hashlib import sha256

import laclet_slots
from laclet_mcu import boots
from laclet_mcu.store import Store
from laclet_mcu.trial import Trial
from laclet_mcu.update import Update


def code(number):
    """The files of version ``number``; one is in all of them."""
    return {
        "laclet/same.mpy": b"s" * 300,
        f"laclet/wire/new{number}.mpy": bytes([number % 256]) * 700,
        "laclet_mcu/main.py": b"version = %d\n" % number,
    }


def manifest(files, version="1", mpy=None, key=None):
    text = f"# laclet {version}\n# mpy {mpy or sys.implementation._mpy}\n"
    for path in sorted(files):
        text += hexlify(sha256(files[path]).digest()).decode() + "  " + path + "\n"
    text = text.encode()
    if key is not None:
        text += b"# hmac " + hexlify(hmac(key, text)) + b"\n"
    return text


def hmac(key, text):
    key += bytes(64 - len(key))
    inner = sha256(bytes([x ^ 0x36 for x in key]) + text).digest()
    return sha256(bytes([x ^ 0x5C for x in key]) + inner).digest()


def put(update, path, data, chunk=100):
    for at in range(0, len(data), chunk):
        assert update.put(path, at, data[at : at + chunk]) == min(at + chunk, len(data))


def install(update, files, text):
    """All of an update; the paths that were asked for."""
    asked = []
    put(update, "manifest", text)
    while True:
        wanted = update.want()
        if not wanted:
            return asked
        for path in wanted:
            put(update, path, files[path])
        asked += wanted


def boot(root):
    """What boot.py does; the slot that runs."""
    laclet_slots.running, laclet_slots.trial = "", None
    path = list(sys.path)
    laclet_slots.choose(root)
    new = sys.path[: len(sys.path) - len(path)]
    sys.path[:] = path
    assert new == ([root + laclet_slots.running] if laclet_slots.running else [])
    return laclet_slots.running


def whole(root, slot):
    """The number of the version in a slot, all of whose files are there and right."""
    with open(root + slot + "/laclet_mcu/main.py") as file:
        number = int(file.read().split()[2])
    for path, content in code(number).items():
        with open(root + slot + "/" + path, "rb") as file:
            assert file.read() == content, path
    return number


class Dialer:
    up = True

    def usable(self):
        return self.up


class Service:
    """The shell and node that a trial looks at."""

    def __init__(self):
        self.node = self
        self.dialers = {"a": Dialer()}
        self.said = []

    def now(self):
        return 0

    def log(self, level, component, text):
        self.said.append((level, text))


class Life:
    """A board with its file system at ``root``: what it was acknowledged is there after every power cut.

    ``random(n)`` gives a number below n. ``config`` and ``version``: numbers of the last that was kept for certain.
    """

    def __init__(self, root, random, config, version):
        self.config = config
        self.version = version
        self._root = root
        self._random = random
        self._store = Store(root + "config.json")

    def pair(self, number):
        """Configuration and secrets, as long as they are in practice."""
        server = f"lns{number}.example"
        tree = {
            "tunnel": {"isp": {"server": server, "hostname": "h" * 60}},
            "line": {"uart": {"device": "1"}},
            "call": {"isp": {"tunnel": "isp", "line": "uart"}},
        }
        return tree, {"tunnel": {"isp": {"tunnel_secret": server + "s" * self._random(100)}}}

    def boot(self):
        """Boot as a board does: its configuration must work, and so must its code."""
        assert boots.begin(self._root + "boots") < 10, "safe mode"
        said = []
        config, problems = self._store.load(said.append)
        assert not problems and not said, problems + said
        tunnel = config["tunnel"]["isp"]
        number = int(tunnel["server"][0][0][3:-8])
        assert tunnel["tunnel_secret"].rstrip("s") == f"lns{number}.example", "half of one, half of the other"
        assert number in (self.config, self.config + 1), (number, self.config)
        self.config = number
        slot = boot(self._root)
        if slot:
            version = whole(self._root, slot)
            tried = laclet_slots.trial is not None
            assert version == self.version or (version == self.version + 1), (version, self.version)
            if not tried:
                self.version = version
            elif self._random(3):
                self.good()
        else:
            assert self.version == 0
        boots.good(self._root + "boots")

    def good(self):
        """The trial goes well."""
        version = whole(self._root, laclet_slots.running)
        trial = Trial(Service(), laclet_slots.trial, self._root)
        assert trial.looked(True, 60_000)
        if "trial" not in laclet_slots.read(self._root):
            self.version = version

    def save(self):
        """Save the next configuration."""
        self._store.save(*self.pair(self.config + 1))
        self.config += 1

    def work(self):
        """Save a configuration, or make an update; raises OSError or Refused when the power fails."""
        if self._random(3):
            self.save()
        elif laclet_slots.trial is None:
            number = self.version + 1
            update = Update(root=self._root)
            if not self._random(4):
                update.begin()
            install(update, code(number), manifest(code(number), str(number)))
            update.commit()
            boot(self._root)
            if laclet_slots.trial is not None:
                self.good()
