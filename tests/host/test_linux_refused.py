"""What this machine does not grant is one line with the way out, nothing half configured; less power once it runs."""

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from clirun import Service, laclet
from linuxns import in_namespace
from test_linux_service import client_file, free_port, interfaces, ip, lns_words, ping

from laclet_linux.log import Log


@pytest.fixture
def public():
    """A folder that every user can go into: pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="laclet-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def start(tmp_path, request):
    """Start services that are killed when the test is over."""
    made = []
    folder = request.getfixturevalue("public") if "public" in request.fixturenames else tmp_path

    def start(*words, **options):
        made.append(Service(folder / "run", *words, **options))
        return made[-1]

    yield start
    for each in made:
        each.kill()


def without_device(*more):
    """A command in a mount namespace whose /dev/net is empty."""
    return ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh", *more]


def refused(start, path, words, prefix=()):
    """The service ends with one line that has these words, and leaves nothing."""
    before = (interfaces(), subprocess.check_output(["ip", "route", "show", "table", "all"]))
    home = start("run", path, "--log-json", prefix=prefix)
    home.wait_for(words)
    assert home.end() == 7 and not any("Traceback" in line for line in home.said), home.said
    assert [line for line in home.said if "starts as" not in line] == [home.said[-1]], home.said
    assert (interfaces(), subprocess.check_output(["ip", "route", "show", "table", "all"])) == before
    assert os.listdir(path.parent / "run") == []


@in_namespace
def test_what_cannot_be_had_is_one_line_with_the_way_out(tmp_path, start):
    ip("link", "set", "lo", "up")
    path = client_file(tmp_path, 1, "", 'ifname = "office"')
    refused(start, path, "/dev/net/tun: No such file or directory (modprobe tun, or mknod", without_device())
    no_user = ["setpriv", "--bounding-set=-setpcap", "--inh-caps=-all"]
    no_power = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    refused(start, path, "office: Operation not permitted (run it as root, or with CAP_NET_ADMIN)", no_power)
    ip("link", "add", "office", "type", "veth", "peer", "name", "other")
    refused(start, path, "office: Invalid argument (an interface of this name is in use: choose another ifname")
    ip("link", "delete", "office")
    path = client_file(tmp_path, 1, "", 'data_plane = "kernel"')
    if not os.path.exists("/dev/ppp"):
        refused(start, path, "data plane kernel: there is no /dev/ppp (modprobe ppp_generic")
    path = client_file(tmp_path, 1)
    path.write_text('user = "nobody-of-this-name"\n' + path.read_text())
    refused(start, path, "config: user: there is no user nobody-of-this-name")
    path = client_file(tmp_path, 1)
    path.write_text('user = "nobody"\n' + path.read_text())
    refused(start, path, "config: user: prctl: Operation not permitted (start it as root", no_user)
    path = client_file(tmp_path, 1)
    path.write_text(path.read_text() + '[metrics]\nlisten = "192.0.2.9:9401"\n')
    refused(start, path, "cannot serve metrics at 192.0.2.9 port 9401: Cannot assign requested address")


@in_namespace
def test_an_lns_without_the_device_does_not_begin(tmp_path, start):
    path = tmp_path / "home.toml"
    path.write_text('[lns]\naddress = "10.0.0.1"\npool = "10.0.0.2-10.0.0.9"\nauth = []\n')
    refused(start, path, "(modprobe tun, or mknod", without_device())


@in_namespace
def test_a_source_address_that_is_not_ours_is_told_and_nothing_is_left(tmp_path, start):
    ip("link", "set", "lo", "up")
    path = client_file(tmp_path, 1, 'source_address = "192.0.2.77"\nredial = false')
    home = start("run", path, "--log-json")
    home.wait_for("Cannot assign requested address")
    assert home.end() == 8 and interfaces() == ["lo"] and os.listdir(tmp_path / "run") == []
    assert not any("Traceback" in line for line in home.said)


@in_namespace
def test_two_links_that_want_one_route_keep_the_first(tmp_path, start):
    ip("link", "set", "lo", "up")
    port = free_port()
    start(*lns_words(port)).wait_for("listening")
    path = client_file(tmp_path, port, "", 'ifname = "office"\nroutes = ["10.7.0.0/16"]')
    ip("link", "add", "lan", "type", "veth", "peer", "name", "other")
    ip("link", "set", "other", "up")
    ip("link", "set", "lan", "up")
    ip("route", "add", "10.7.0.0/16", "dev", "lan")
    home = start("run", path, "--log-json")
    home.wait_for("interface: office: 10.7.0.0/16: File exists (another link has this route: give each its own metric)")
    shown = subprocess.run(["ip", "-o", "address", "show", "office"], capture_output=True, text=True, check=True).stdout
    assert "10.64.64" not in shown
    assert home.end(signal.SIGTERM) == 5 and sorted(interfaces()) == ["lan", "lo", "other"]


def powers(pid):
    """What /proc says of a process: (users, capabilities by set)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        lines = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    return set(lines["Uid"].split()), {name: int(lines[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")}


def readable(folder):
    """A prefix to a command: the interpreter can be read by everybody, even when it lives in root's home."""
    if not sys.base_prefix.startswith("/root/"):
        return []
    mounts = (
        f'mkdir "$0" && mount --bind {sys.base_prefix} "$0" && mount -t tmpfs -o mode=755 none /root && '
        f'mkdir -p {sys.base_prefix} && mount --bind "$0" {sys.base_prefix} && exec "$@"'
    )
    return ["unshare", "-m", "sh", "-c", mounts, folder]


NETWORK = 1 << 10 | 1 << 12 | 1 << 13  # CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW


@in_namespace
def test_a_service_keeps_the_networks_capabilities_only(public, start):
    ip("link", "set", "lo", "up")
    port = free_port()
    start(*lns_words(port)).wait_for("listening")
    (public / "hooks/ip-up.d").mkdir(parents=True)
    hook = public / "hooks/ip-up.d/show"
    hook.write_text("#!/bin/sh\nip route add 10.9.0.0/16 dev $1\n")
    hook.chmod(0o755)
    for user in ("nobody", "root"):
        path = client_file(public, port, "", 'default_route = true\ntable = 9\nifname = "office"')
        path.write_text(f'user = "{user}"\n' + path.read_text() + f'[hooks]\ndirectory = "{public}/hooks"\n')
        home = start("run", path, "--log-json", prefix=readable(public / f"python-{user}"))
        home.wait_for("call.home: up")
        users, capabilities = powers(home.process.pid)
        assert users == {str(pwd.getpwnam(user).pw_uid)} and set(capabilities.values()) == {NETWORK}
        status = json.loads(laclet(public / "run", "status", "home", "--json").stdout)["home"]
        assert ping("10.64.64.1", status["calls"]["home"]["address"])
        assert laclet(public / "run", "down", "home").returncode == 0  # routes, rules and the interface still obey
        home.wait_for("tunnel.office: closed")
        assert laclet(public / "run", "up", "home").returncode == 0
        home.wait_for("call.home: up")
        assert home.end(signal.SIGTERM) == 5 and interfaces() == ["lo"]
        assert not any("not permitted" in line or "denied" in line for line in home.said), home.said
        # A user who may not take away the folder itself leaves it, empty.
        assert sorted(os.listdir(public / "run")) == (["lns"] if user == "root" else ["home", "lns"])
        assert user == "root" or os.listdir(public / "run/home") == []


def test_lines_for_the_journal_have_priorities_and_no_clock(tmp_path, monkeypatch):
    path = tmp_path / "stream"
    with path.open("w") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        log = Log(stream=stream)
        log("warning", "udp", "no route")
        log("info", "lns", "listening")
        log("debug", "lns", "not wanted")
    assert path.read_text() == "<4>udp: no route\n<6>lns: listening\n"


@in_namespace
def test_lines_go_to_syslog(tmp_path, start):
    """In a mount namespace of its own there is a /dev/log of its own."""
    (tmp_path / "dev").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "dev/log"))
        syslog.settimeout(20)
        path = client_file(tmp_path, 1)
        path.write_text('user = "nobody-of-this-name"\n' + path.read_text() + "[log]\nsyslog = true\n")
        mounts = (
            'mkdir "$0/dev/net" && touch "$0/dev/net/tun" "$0/dev/null" "$0/dev/urandom" && '
            'for each in net/tun null urandom; do mount --bind /dev/$each "$0/dev/$each"; done && '
            'mount --rbind "$0/dev" /dev && exec "$@"'
        )
        home = start("run", path, prefix=["unshare", "-m", "sh", "-c", mounts, tmp_path])
        text = syslog.recv(1000).decode()
        assert text.startswith("<27>") and "laclet[" in text, text
        assert text.endswith(": service: config: user: there is no user nobody-of-this-name"), text
        assert home.end() == 7
