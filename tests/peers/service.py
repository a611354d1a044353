"""The program under test, in a place of the laboratory: laclet on CPython (`laclet run`), or on MicroPython."""

import json
import re
import signal
import sys
from pathlib import Path

import tomlkit

from laclet_host.board import launch, mpy
from peers.lab import Daemon

LACLET = Path(sys.executable).with_name("laclet")
HEAP = "128K"  # of a board


class _Service(Daemon):
    """`config` is the tree of the configuration, `secrets` the tree of the secrets."""

    def __init__(self, place, config, secrets=None, name="laclet"):
        self.place = place
        self.config = config
        self.secrets = secrets or {}
        self.name = name  # of its folder

    def _file(self, name):
        return f"{self.place.directory}/{self.name}/{name}"

    def stop(self):
        """Ask it to end, in order; its exit status."""
        return self.process.stop(timeout=10.0)

    def text(self):
        """Its log."""
        return self.process.text()

    def said(self, pattern, timeout=20.0, count=1):
        """Wait for the `count`-th line like `pattern` of its log."""
        return self.process.said(pattern, timeout, count)

    def faults(self):
        """What its log complains about, without time and component: ["tunnel-auth: …"]."""
        return re.findall(r"(?m)\[[WE]\]\[[^]]*\]: (.*)$", self.text())


class Laclet(_Service):
    """The Linux service: TUN, ttys, a control socket."""

    def start(self):
        path = self.place.write(self._file("laclet.toml"), tomlkit.dumps(self.config))
        self.place.write(self._file("secrets.toml"), tomlkit.dumps(self.secrets))
        self.process = self.place.spawn(LACLET, "run", path, log=f"{self.name}/laclet.log", env=self._environment)
        self.place.until("exists", self._file("laclet/control.sock"), timeout=15.0, pid=self.process.pid)
        return self

    @property
    def _environment(self):
        return {"LACLET_RUN_DIR": self._file("")}

    def status(self):
        """What `laclet status --json` says."""
        return json.loads(self.place.run(LACLET, "status", "--json", env=self._environment).out)

    def command(self, *words):
        """Run `laclet` with a command for this service: "up", "down" …"""
        self.place.run(LACLET, words[0], self.name, *words[1:], env=self._environment)

    def up(self, pattern="laclet[0-9]+|tun[0-9]+", timeout=20.0):
        """Wait for an interface with addresses: (interface, own address, peer's address)."""
        return self.place.interface(pattern, timeout)


class MicroLaclet(_Service):
    """The service of a board on unix MicroPython: a serial line and UDP, a board's heap, the code in a ROM image."""

    module = "laclet_mcu.main"  # what is run
    environment = ()  # more for its environment: pairs

    def start(self):
        path = self.place.write(self._file("config.json"), json.dumps(self.config))
        self.place.write(self._file("secrets.json"), json.dumps(self.secrets))
        command, environment = launch.command(HEAP, rom(self.place.lab), module=self.module)
        environment.update(self.environment)
        self.process = self.place.spawn(*command, path, log=f"{self.name}/laclet.log", env=environment)
        self.said("connecting|listening")
        return self

    def stop(self):
        """Ctrl-C: MicroPython knows no other signal; its exit status."""
        return self.process.stop(signal.SIGINT, timeout=10.0)


def rom(lab):
    """The ROM image of a board, built once for a laboratory."""
    image = lab.directory / "rom.img"
    if not image.exists():
        mpy.build(lab.directory / "mpy")
        image.write_bytes(mpy.romfs(lab.directory / "mpy"))
    return image
