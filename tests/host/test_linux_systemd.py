"""Under systemd: what the manager is told, credentials, and the unit as systemd itself reads it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess

import pytest
from clirun import PATIENCE, ROOT, Service, laclet
from linuxloop import TestLoop
from test_linux_service import free_port

from laclet_host.config import load
from laclet_linux.notify import Notify

UNIT = ROOT / "firmware/laclet_linux/files/laclet@.service"


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.settimeout(PATIENCE)

    def next(self, key=None):
        """The next message, or the next one that has ``key``, as a dict."""
        while True:
            message = dict(line.split("=", 1) for line in self.sock.recv(4096).decode().splitlines())
            if key is None or key in message:
                return message


@pytest.fixture
def manager(tmp_path):
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.sock.close()


def lns_file(folder, port):
    path = folder / "lns.toml"
    path.write_text(
        f'[lns]\nlisten = "127.0.0.1:{port}"\naddress = "10.64.64.1"\npool = "10.64.64.2-10.64.64.9"\n'
        'interface = "echo"\nauth = []\n'
    )
    return path


def test_the_life_of_a_service_as_its_manager_sees_it(tmp_path, manager, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    path = lns_file(tmp_path, free_port())
    lns = Service(tmp_path / "run", "run", path, "--log-json")
    try:
        assert manager.next() == {"READY": "1", "STATUS": "0 callers", "WATCHDOG": "1"}
        for _ in range(3):
            assert manager.next() == {"WATCHDOG": "1"}
        lns.process.send_signal(signal.SIGHUP)
        assert manager.next("RELOADING")["MONOTONIC_USEC"].isdigit()
        assert manager.next("READY") == {"READY": "1"}
        path.write_text("[lns\n")
        assert laclet(tmp_path / "run", "reload", "lns").returncode == 1
        manager.next("RELOADING")
        manager.next("READY")
        assert lns.end(signal.SIGTERM) == 5
        assert manager.next("STOPPING") == {"STOPPING": "1", "STATUS": "stopping"}
    finally:
        lns.kill()


def test_a_status_is_told_when_it_has_changed_at_an_abstract_address(monkeypatch):
    name = f"laclet-test-{os.getpid()}"
    manager = Manager("\0" + name)
    loop = TestLoop()
    status = ["one"]
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notify = Notify(loop, lambda: status[0])
    notify.start()
    assert manager.next()["STATUS"] == "one"
    status[0] = "two"
    told = []
    manager.sock.settimeout(0)

    def heard():
        with contextlib.suppress(BlockingIOError):
            told.append(manager.next())
        return any(message.get("STATUS") == "two" for message in told)

    loop.until(heard)
    manager.sock.close()
    notify.tell("WATCHDOG=1")  # nobody is there: no matter
    notify.close()
    loop.close()


def test_without_a_manager_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify = Notify(None, None)
    notify.start()
    notify.reloading()
    notify.reloaded()
    notify.stopping()
    notify.close()
    assert notify._sock is None


def test_credentials_stand_in_for_secrets_that_are_not_there(tmp_path, monkeypatch):
    path = tmp_path / "home.toml"
    path.write_text('[tunnel.t]\nserver = "192.0.2.1"\n[call.c]\ntunnel = "t"\nusername = "me"\n')
    handed = tmp_path / "handed"
    handed.mkdir()
    (handed / "secrets.toml").write_text('[call.c]\npassword = "handed"\n')
    assert load(path).errors
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    loaded = load(path)
    assert loaded.config["call"]["c"]["password"] == "handed" and not loaded.errors + loaded.warnings
    beside = tmp_path / "secrets.toml"
    beside.touch(0o600)
    beside.write_text('[call.c]\npassword = "beside"\n')
    assert load(path).config["call"]["c"]["password"] == "beside"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs the Debian package systemd")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = tmp_path / "laclet@home.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/laclet", shutil.which("true")))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in found.stderr.splitlines() if "laclet" in line]
    assert found.returncode == 0 and not ours
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=40", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout + rated.stderr
