"""Hooks: which programs run, in which order, what they are told; those that fail, hang, or leave something behind."""

import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
from clirun import PATIENCE, ROOT, Service
from linuxns import in_namespace
from test_linux_service import client_file, free_port, ip, lns_words, ping

from laclet.ip import dns
from laclet_linux.hooks import Hooks, programs
from laclet_linux.state import State

SETTINGS = {"local": bytes((10, 0, 0, 2)), "remote": bytes((10, 0, 0, 1)), "dns": [bytes((192, 0, 2, 53))], "mtu": 1400}


class Link:
    peer_name = b"l\x00ns"


@pytest.fixture
def desk(tmp_path):
    for which in ("ip-up.d", "ip-down.d"):
        (tmp_path / which).mkdir()
    return Desk(tmp_path)


class Desk:
    """Hooks of a folder, and what they log."""

    def __init__(self, folder):
        self.folder = folder
        self.log = []
        self.hooks = Hooks(
            str(folder), 5, lambda level, text: self.log.append((level, text)), State(str(folder / "state.json"))
        )

    def program(self, name, text, which="ip-up.d", mode=0o755):
        path = self.folder / which / name
        path.write_text("#!/bin/sh\n" + text + "\n")
        path.chmod(mode)
        return path

    def said(self):
        return (self.folder / "said").read_text().splitlines()


def test_order_and_names_are_those_of_run_parts(desk):
    for name in ("20b", "10a", "0x_y-z"):
        desk.program(name, "")
    for name in ("a.sh", "b~", ".c", "d.dpkg-old", "e\n"):
        desk.program(name, "")
    desk.program("plain", "", mode=0o644)
    (desk.folder / "ip-up.d" / "folder").mkdir()
    found = programs(desk.folder / "ip-up.d")
    assert [os.path.basename(path) for path in found] == ["0x_y-z", "10a", "20b"]


def test_arguments_and_environment_up_and_down(desk):
    say = f'echo "$0 $# [$1] [$2] [$3] [$4] [$5] [$6]" >>{desk.folder}/said; env | sort >>{desk.folder}/said'
    desk.program("say", say)
    desk.program("say", say, "ip-down.d")
    call = desk.hooks.of_call("home", Link)
    call.down(1, 2, 3)  # was never up: nobody is told
    call.up("ppp7", SETTINGS)
    call.down(61, 1000, 2000)
    desk.hooks.close()
    said = desk.said()
    up, down = [i for i, line in enumerate(said) if line.startswith(str(desk.folder))]
    assert up == 0
    for i, which in ((up, "ip-up.d"), (down, "ip-down.d")):
        assert said[i] == f"{desk.folder}/{which}/say 6 [ppp7] [] [0] [10.0.0.2] [10.0.0.1] [home]"
    common = {"DEVICE=", "IFNAME=ppp7", "IPLOCAL=10.0.0.2", "IPREMOTE=10.0.0.1", "PEERNAME=l.ns", "DNS1=192.0.2.53"}
    shells_own = ("PATH=", "PWD=", "OLDPWD=", "SHLVL=", "_=")
    assert {line for line in said[1:down] if not line.startswith(shells_own)} == common
    more = {"CONNECT_TIME=61", "BYTES_SENT=1000", "BYTES_RCVD=2000"}
    assert {line for line in said[down + 1 :] if not line.startswith(shells_own)} == common | more


def test_failures_are_logged_and_the_next_program_runs(desk):
    folder = desk.folder / "ip-up.d"
    desk.program("1", "echo first; echo cannot do that >&2; exit 3")
    desk.program("2", "kill -9 $$")
    (folder / "3").write_text("#!/no/such/interpreter\n")
    (folder / "3").chmod(0o755)
    desk.program("4", f"echo ran >{desk.folder}/said")
    desk.hooks.run("ip-up.d", ["x"], {})
    desk.hooks.close()
    assert desk.log == [
        ("warning", f"{folder}/1: exit code 3: cannot do that"),
        ("warning", f"{folder}/2: killed by signal 9"),
        ("warning", f"{folder}/3: No such file or directory"),
        ("debug", f"{folder}/4: done"),
    ]
    assert desk.said() == ["ran"]


def test_one_that_hangs_is_killed_with_its_children_and_nobody_waits_for_it(desk):
    path = desk.program("hang", f"sleep 1000 & echo $! >{desk.folder}/said; wait")
    desk.hooks.timeout = 0.3
    began = time.monotonic()
    desk.hooks.run("ip-up.d", [], {"PATH": os.environ["PATH"]})
    assert time.monotonic() - began < 0.25
    desk.hooks.close()
    assert desk.log == [("warning", f"{path}: not done after 0.3 s, killed")]
    child = int(desk.said()[0])
    end = time.monotonic() + PATIENCE
    while alive(child):
        assert time.monotonic() < end


def alive(pid):
    """False when it is gone, or a zombie that nobody has collected."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_program_leaves_behind_holds_up_nothing(desk):
    desk.program("daemon", f"sleep 1000 & echo $! >{desk.folder}/said")
    desk.hooks.run("ip-up.d", [], {"PATH": os.environ["PATH"]})
    desk.hooks.close()
    os.kill(int(desk.said()[0]), signal.SIGKILL)
    assert desk.log == [("debug", f"{desk.folder}/ip-up.d/daemon: done")]


def test_no_folder_no_programs(tmp_path):
    log = []
    hooks = Hooks(str(tmp_path / "nowhere"), 5, lambda *words: log.append(words), State(str(tmp_path / "state.json")))
    hooks.run("ip-up.d", [], {})
    hooks.close()
    assert log == []


@in_namespace
def test_of_a_service(tmp_path):
    ip("link", "set", "lo", "up")
    port = free_port()
    desk = Desk(tmp_path)
    for which in ("ip-up.d", "ip-down.d"):
        (tmp_path / which).mkdir()
        desk.program("say", f'echo "${{0##*/ip-}} $*: $DNS1 $CONNECT_TIME $BYTES_SENT" >>{tmp_path}/said', which)
    path = client_file(tmp_path, port, "", 'ifname = "office"\nuse_peer_dns = true')
    path.write_text(path.read_text() + f'[hooks]\ndirectory = "{tmp_path}"\n[log]\nlevel = "debug"\n')
    lns = Service(tmp_path / "run", *lns_words(port, "--dns", "192.0.2.53"))
    home = Service(tmp_path / "run", "run", path, "--log-json")
    try:
        home.wait_for("hooks: ")
        assert ping("10.64.64.1", "10.64.64.2")
        assert home.end(signal.SIGTERM) == 5
    finally:
        lns.kill()
        home.kill()
    up, down = desk.said()
    assert up == "up.d/say office  0 10.64.64.2 10.64.64.1 home: 192.0.2.53  "
    words = down.split()
    assert words[:6] == ["down.d/say", "office", "0", "10.64.64.2", "10.64.64.1", "home:"] and int(words[-1]) >= 84


def name_server(address, *words):
    """A dnsmasq that answers at ``address``."""
    quiet = ("--keep-in-foreground", "--no-hosts", "--user=root", "--conf-file=/dev/null")
    here = (f"--listen-address={address}", "--bind-interfaces")
    return subprocess.Popen(["dnsmasq", *quiet, *here, *words], stderr=subprocess.DEVNULL)


def asks(server, name):
    """What ``server`` says to a question for ``name``: addresses, or a Fault; None when it is not there."""
    asked = dns.question(name, 7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        try:
            sock.connect((server, 53))
            sock.send(asked)
            answer = sock.recv(512)
        except OSError:
            return None
    return dns.parse(answer, 0, len(answer), asked)


@pytest.mark.skipif(not shutil.which("dnsmasq"), reason="needs the Debian package dnsmasq-base")
@in_namespace
def test_dnsmasq_asks_the_name_servers_of_the_links_that_are_up(tmp_path):
    """Our hook with a real dnsmasq: a name that only the peer's name server knows."""
    ip("link", "set", "lo", "up")
    port = free_port()
    folder = tmp_path / "dnsmasq"
    hook = (ROOT / "firmware/laclet_linux/files/hooks/dnsmasq").read_text().replace("/run/dnsmasq", str(folder))
    for which in ("ip-up.d", "ip-down.d"):
        (tmp_path / which).mkdir()
        (tmp_path / which / "dnsmasq").write_text(hook)
        (tmp_path / which / "dnsmasq").chmod(0o755)
    folder.mkdir()
    (folder / "laclet.resolv").touch()
    path = client_file(tmp_path, port, "", 'ifname = "office"\nuse_peer_dns = true')
    path.write_text(path.read_text() + f'[hooks]\ndirectory = "{tmp_path}"\n')

    def until_known(known):
        end = time.monotonic() + PATIENCE
        while (asks("127.0.0.1", "nas.office.example") == [bytes((10, 1, 2, 3))]) != known:
            assert time.monotonic() < end, (folder / "laclet.resolv").read_text()

    running = [
        Service(tmp_path / "run", *lns_words(port, "--dns", "127.0.0.2")),
        name_server("127.0.0.2", "--pid-file=", "--no-resolv", "--address=/nas.office.example/10.1.2.3"),
        name_server("127.0.0.1", "--pid-file=", f"--resolv-file={folder}/laclet.resolv"),
    ]
    try:
        home = Service(tmp_path / "run", "run", path, "--log-json")
        running.append(home)
        until_known(True)
        assert (folder / "laclet.resolv").read_text() == "nameserver 127.0.0.2\n"
        assert home.end(signal.SIGTERM) == 5 and (folder / "laclet.resolv").read_text() == ""
        until_known(False)
        assert not any("not used" in line for line in home.said)
    finally:
        for each in running:
            each.kill()
