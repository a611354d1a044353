"""A service that is killed at any moment leaves nothing that the next one does not find; a thousand calls, nothing."""

import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import time
import traceback

from linuxns import in_namespace

from laclet.l2tp import tunnel
from laclet.node.config import check
from laclet_linux.control import ask
from laclet_linux.log import Log
from laclet_linux.service import Service

# LACLET_KILLS=100 LACLET_CYCLES=1000 for the whole length.
KILLS = int(os.environ.get("LACLET_KILLS", "30"))
CYCLES = int(os.environ.get("LACLET_CYCLES", "200"))
PATIENCE = 60  # seconds for one thing to happen
LNS = "198.51.100.7"
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_NO_IPV6 = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
# What hundreds of calls may cost, in kB: garbage not yet collected, pages that the allocator keeps. A leak of one
# buffer a call is more.
MEMORY = 8000


class Forked:
    """A service in a process of its own, without the time that an interpreter takes to start."""

    def __init__(self, folder, name, tree, prepare=None):
        self.name = name
        self.log = folder / f"{name}.log"
        self.log.unlink(missing_ok=True)
        self.pid = os.fork()
        if not self.pid:
            try:
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                tunnel._LINGER_TIME = 500  # ms that a tunnel which is gone is remembered for (RFC 2661 §5.7)
                os.environ["LACLET_RUN_DIR"] = str(folder / "run")
                with open(self.log, "w", encoding="utf-8") as stream:
                    if prepare is not None:
                        prepare()
                    config, problems = check(tree)
                    assert not problems, problems
                    os._exit(Service(name, config, Log("info", False, stream)).run())
            except BaseException:
                self.log.write_text(self.log.read_text() + traceback.format_exc())
                os._exit(99)

    def said(self, text, count=1):
        """Wait until it has said ``text``."""
        until(lambda: self.log.exists() and self.log.read_text().count(text) >= count, lambda: self.log.read_text())

    def kill(self, number=signal.SIGKILL):
        """Send a signal and wait for the end: exit code, or minus the signal."""
        os.kill(self.pid, number)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def status(self):
        return ask(self.name, {"do": "status"})["status"]

    def holds(self):
        """What a process may leak: descriptors, threads, kB of memory."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            values = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        return len(os.listdir(f"/proc/{self.pid}/fd")), int(values["Threads"]), int(values["VmRSS"].split()[0])


def until(condition, said=str):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, said()
        time.sleep(0.002)


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def system(folder):
    """Everything in this namespace and this folder that a service may leave behind."""
    links = sorted(link["ifname"] for link in json.loads(ip("-j", "link")))
    tables = [ip(*words.split()) for words in ("rule", "route show table all", "-6 rule", "address")]
    resolvers = sorted(os.listdir(folder / "resolv"))
    hooks = sorted(os.listdir(folder / "up"))
    run = sorted(name for name in os.listdir(folder / "run") if not name.startswith("lns"))
    return links, tables, resolvers, hooks, run


class World:
    """A namespace with an uplink to another one, where an LNS is; a resolvconf and hooks that keep books in folders."""

    def __init__(self, folder, **lns):
        self.folder = folder
        for name in ("run", "resolv", "up", "bin", "hooks/ip-up.d", "hooks/ip-down.d"):
            (folder / name).mkdir(parents=True)
        self._program("bin/resolvconf", f'[ "$1" = -a ] && cat >{folder}/resolv/$2 || rm -f {folder}/resolv/$2')
        self._program("hooks/ip-up.d/book", f"touch {folder}/up/$1")
        self._program("hooks/ip-down.d/book", f"rm -f {folder}/up/$1")
        os.environ["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
        os.environ["LACLET_RUN_DIR"] = str(folder / "run")
        ready, go = os.pipe(), os.pipe()

        def prepare():
            assert not ctypes.CDLL(None).unshare(_CLONE_NEWNET)
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            for words in ("link set lo up", f"address add {LNS}/32 dev lo", "address add 192.0.2.1/24 dev eth0"):
                ip(*words.split())
            ip("link", "set", "eth0", "up")

        tree = {"address": "10.64.64.1", "pool": "10.64.64.2-10.64.127.254", "auth": [], "dns": ["10.64.64.53"], **lns}
        self.lns = Forked(folder, "lns", {"lns": tree}, prepare)
        os.read(ready[0], 1)
        with contextlib.suppress(FileNotFoundError), open(_NO_IPV6, "w", encoding="ascii") as file:
            file.write("1")  # its addresses come and go by themselves
        ip("link", "set", "lo", "up")
        ip("link", "add", "wan", "type", "veth", "peer", "name", "eth0", "netns", str(self.lns.pid))
        ip("address", "add", "192.0.2.10/24", "dev", "wan")
        ip("link", "set", "wan", "up")
        ip("route", "add", "default", "via", "192.0.2.1")
        os.write(go[1], b"x")
        self.lns.said("listening")
        until(lambda: "LOWER_UP" in ip("link", "show", "wan"))

    def _program(self, name, text):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def client(self, *calls, hooks="hooks", **every):
        """A service with a call for each of these; ``hooks``: their folder; ``every``: keys of every call."""
        office = {"server": LNS, "holdoff": 0.1, "retry_timeout": 0.2, "redial_timeout": 1}
        tree = {"tunnel": {"office": office}, "call": {}, "hooks": {"directory": str(self.folder / hooks)}}
        for n, call in enumerate(calls):
            tree["call"][f"c{n}"] = {"tunnel": "office", "ifname": f"ppp{n}", **every, **call}
        return Forked(self.folder, "home", tree)


@in_namespace
def test_whatever_moment_a_service_is_killed_at_the_next_start_is_clean(tmp_path):
    world = World(tmp_path, interface="echo")
    before = system(tmp_path)
    chance = random.Random(2661)
    calls = ({"default_route": True, "metric": 5}, {"default_route": True, "table": 99, "rule_mark": 7})
    left = 0
    for n in range(KILLS):
        home = world.client(*calls, use_peer_dns=True)
        if n % 3:  # when it is up and hooks and name servers are on their way, or while it stops
            home.said(": up: address", 2)
            if n % 3 == 2:
                os.kill(home.pid, signal.SIGTERM)
            time.sleep(chance.uniform(0, 0.03))
        else:
            time.sleep(chance.uniform(0, 0.1))
        with contextlib.suppress(ProcessLookupError):
            home.kill()
        left += (tmp_path / "run/home/state.json").exists()
        if n % 10 == 9:
            home = world.client(*calls, use_peer_dns=True)
            home.said(": up: address", 2)
            assert home.kill(signal.SIGTERM) == 5 and "Traceback" not in home.log.read_text()
            assert "[W]" not in home.log.read_text().replace("[W][tunnel", ""), home.log.read_text()
            assert system(tmp_path) == before
    assert left > KILLS // 4  # there was something to clean
    assert world.lns.kill(signal.SIGTERM) == 5


@in_namespace
def test_a_thousand_calls_leave_nothing(tmp_path):
    world = World(tmp_path, interface="tun")
    home = world.client({"default_route": True, "metric": 5, "table": 99, "rule_from": ["10.7.0.0/16"]}, hooks="none")

    def settled(most=(99, 99)):
        """With at most so many descriptors: a client of the control socket is let go of a moment after its answer."""
        until(lambda: not world.lns.status()["lns"]["callers"], lambda: str(world.lns.status()))
        until(lambda: not home.status()["sockets"], lambda: str(home.status()))
        until(lambda: home.holds()[0] <= most[0] and world.lns.holds()[0] <= most[1], lambda: str(marks))
        return home.holds(), world.lns.holds(), system(tmp_path)

    home.said(": up: address")
    marks = []
    for cycle in range(CYCLES):
        until(lambda: home.status()["calls"]["c0"]["state"] == "up", lambda: home.log.read_text()[-2000:])
        assert ask("home", {"do": "down"})["ok"]
        until(lambda: home.status()["tunnels"]["office"]["state"] == "idle", lambda: str(home.status()))
        if cycle == CYCLES // 4:
            marks.append(settled())
        elif cycle == CYCLES - 1:
            marks.append(settled([each[0] for each in marks[0][:2]]))
        assert ask("home", {"do": "up"})["ok"]
    (home_then, lns_then, system_then), (home_now, lns_now, system_now) = marks
    assert system_now == system_then
    assert home_now[1] <= home_then[1] and lns_now[1] <= lns_then[1]
    assert home_now[2] - home_then[2] < MEMORY and lns_now[2] - lns_then[2] < MEMORY, marks
    assert home.kill(signal.SIGTERM) == 5 and world.lns.kill(signal.SIGTERM) == 5
