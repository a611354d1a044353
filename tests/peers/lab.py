"""The laboratory: namespaces and user-mode Linux guests on one bridge, with an agent in each to carry out requests.

Everything hangs on processes: a namespace lives as long as its agent, an agent as long as the lifeline held here. So a
laboratory leaves nothing behind, not even when the process that made it is killed. Two of them never meet.
"""

import atexit
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from peers.cable import cable

TREE = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"
CLONE_NEWNET = 0x40000000
BOOT = 30.0  # seconds for a guest to come up; it takes 2 to 4 on a quiet machine
LIFE = 3600  # seconds after which a place ends by itself


class LabError(Exception):
    """The laboratory could not do what a test asked of it; the text holds what the place said."""


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    rc: int
    out: str
    err: str


class Process:
    """A program that an agent started and keeps; its output is in `log` (a path in the place)."""

    def __init__(self, place, pid, log):
        self.place = place
        self.pid = pid  # as the place counts
        self.log = log

    def text(self):
        """Everything the program has written so far."""
        return self.place.read(self.log)

    def returncode(self):
        """The exit status, None while it runs, negative when a signal ended it."""
        return self.place.request("poll", pid=self.pid)["rc"]

    def said(self, pattern, timeout=10.0, count=1):
        """Wait for a line like `pattern`; [match, group…]. LabError when it does not come, or the program ends."""
        return self.place.until("log", self.log, pattern, count, timeout=timeout, pid=self.pid)

    def wait(self, timeout=10.0):
        """Wait for the program to end by itself; its exit status."""
        return self.place.until("exited", self.pid, timeout=timeout)

    def kill(self, number):
        self.place.request("kill", pid=self.pid, number=int(number))

    def stop(self, number=signal.SIGTERM, timeout=5.0):
        """Signal it, wait, and kill whatever is left of it and its children; its exit status."""
        return self.place.request("stop", pid=self.pid, number=int(number), timeout=timeout, reply_within=timeout + 10)[
            "rc"
        ]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


class Daemon:
    """Something that a test starts and stops: use it in a `with`."""

    process = None  # the Process of it, once it has been started

    def start(self):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            if self.process:
                self.stop()
            raise

    def __exit__(self, *exc):
        self.stop()


class Place:
    """Where programs run: a namespace of this machine, or a guest. All requests go through its agent."""

    def __init__(self, lab, name, address):
        self.lab = lab
        self.name = name
        self.address = address  # IPv4 on the laboratory's bridge
        self.port = f"tap-{name}"  # on the bridge, in the laboratory's own namespace
        self.directory = None  # for files of the programs in it
        self._lifeline = None

    # Requests

    def _connect(self, timeout):
        raise NotImplementedError

    def ready(self):
        """Wait until the place answers."""

    def request(self, verb, reply_within=20.0, **arguments):
        """Send one request to the agent and return its reply; LabError when the agent fails at it."""
        self.ready()
        with self._connect(reply_within) as connection:
            connection.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            line = b""
            with connection.makefile("rb") as reader:
                line = reader.readline()
        if not line:
            raise LabError(f"{self.name}: the agent is gone")
        reply = json.loads(line)
        if "error" in reply:
            raise LabError(f"{self.name}: {verb}: {reply['error']}")
        return reply

    def run(self, *argv, timeout=20.0, check=True, input="", env=None, cwd=None):
        """Run a command to its end: `run("ip", "link")`, or one string for the shell. LabError unless it exits 0."""
        command = argv[0] if len(argv) == 1 and " " in str(argv[0]) else [str(word) for word in argv]
        reply = self.request(
            "run", timeout + 10, argv=command, timeout=timeout, data=input, env=env or {}, cwd=str(cwd or "/")
        )
        result = Result(reply["rc"], reply["out"], reply["err"])
        if reply["late"]:
            raise LabError(f"{self.name}: not done in {timeout} s: {command}\n{result.out}{result.err}")
        if check and result.rc:
            raise LabError(f"{self.name}: exit {result.rc}: {command}\n{result.out}{result.err}")
        return result

    def spawn(self, *argv, log=None, env=None, cwd=None):
        """Start a command that stays. Its output goes to `log`, a name in the place's own folder."""
        words = [str(word) for word in argv]
        path = f"{self.directory}/{log or Path(words[0]).name + '.log'}"
        command = words[0] if len(words) == 1 and " " in words[0] else words
        reply = self.request("spawn", argv=command, log=path, env=env or {}, cwd=str(cwd or "/"))
        self.lab.logs.append((self, path))
        return Process(self, reply["pid"], path)

    def write(self, path, text, mode=0o600, append=False):
        """Write a file; a relative path is in the place's own folder. Returns the whole path."""
        path = str(Path(self.directory) / path)
        self.request("write", path=path, text=text, mode=mode, append=append)
        return path

    def read(self, path):
        """The text of a file, empty when there is none."""
        return self.request("read", path=str(Path(self.directory) / path))["text"]

    def holds(self, condition, *arguments, timeout=0.0, pid=None):
        """The value of a condition of the agent once it holds; None if it does not within `timeout` seconds, or while
        the process `pid` lives."""
        reply = self.request("until", timeout + 20, condition=condition, args=arguments, timeout=timeout, pid=pid)
        return reply["value"]

    def until(self, condition, *arguments, timeout=10.0, pid=None):
        """The same, but LabError when it does not hold in time."""
        value = self.holds(condition, *arguments, timeout=timeout, pid=pid)
        if value is None:
            said = self.read(arguments[0])[-3000:] if condition == "log" else ""
            raise LabError(f"{self.name}: not in {timeout} s: {condition} {arguments}\n{said}")
        return value

    def interface(self, pattern, timeout=15.0):
        """Wait for an interface like `pattern` with an address: (name, own address, peer's address)."""
        return tuple(self.until("address", pattern, timeout=timeout))

    def no_address(self, pattern, timeout=15.0):
        """Wait until no interface like `pattern` is up with an address."""
        self.until("no_address", pattern, timeout=timeout)

    def no_interface(self, pattern, timeout=15.0):
        """Wait until no interface is called like `pattern`."""
        self.until("no_interface", pattern, timeout=timeout)

    def spare(self, *folders):
        """Cover folders of this place with empty ones, so that programs find a place of their own in them."""
        for folder in folders:
            self.run("mount", "-t", "tmpfs", "spare", folder)


class Namespace(Place):
    """A network, mount and process namespace of this machine; its programs use the machine's own kernel."""

    def __init__(self, lab, name, address):
        super().__init__(lab, name, address)
        self.directory = str(lab.directory / name)
        Path(self.directory).mkdir()
        self._path = f"{self.directory}/agent"
        self._errors = open(f"{self.directory}/errors", "w+")  # noqa: SIM115 - closed with the namespace
        self._process = subprocess.Popen(
            [
                *["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
                *[sys.executable, PROGRAMS / "agent.py", self._path, str(lab.life)],
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            text=True,
        )
        if "ready" not in self._process.stdout.readline():
            self._process.wait()
            self._errors.seek(0)
            raise LabError(f"{name}: no namespace: {self._errors.read()}")
        self._lifeline = _lifeline(self._connect(10.0))
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self):
        """A process of this machine whose /proc/PID/ns names the namespace (for nsenter)."""
        return self._process.pid

    def _connect(self, timeout):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        connection.connect(self._path)
        return connection

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM):
        """A socket of this process that stands in the namespace."""
        return _inside(self.pid, lambda: socket.socket(family, kind))

    def popen(self, *argv, **options):
        """A subprocess of the caller that runs in the namespace (for programs whose pipes a test must hold)."""
        return subprocess.Popen(["nsenter", "-t", str(self.pid), "-n", *map(str, argv)], **options)

    def close(self):
        if self._lifeline:
            self._lifeline.close()
            self._lifeline = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(3)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()


class Guest(Place):
    """A user-mode Linux machine, with PPP, L2TP, IPsec and netem in its kernel.

    It boots while the caller goes on; the first request waits for it.
    """

    def __init__(self, lab, name, address, serial=(), modules=(), memory=256):
        super().__init__(lab, name, address)
        self.directory = "/run/place"
        self.number = len(lab.guests) + 1
        self._control = f"169.254.{self.number}.2"
        self._ready = threading.Lock()
        net, port, control = lab.net, self.port, f"ctl-{name}"
        net.run("ip", "tuntap", "add", "dev", port, "mode", "tap")
        net.run("ip", "link", "set", port, "master", "br0", "up")
        net.run("ip", "tuntap", "add", "dev", control, "mode", "tap")
        net.run("ip", "addr", "add", f"169.254.{self.number}.1/24", "dev", control)
        net.run("ip", "link", "set", control, "up")
        arguments = {
            "NAME": name,
            "IP": f"{address}/24",
            "CTL": self._control,
            "TREE": TREE,
            "LAB": lab.directory,
            "PY": sys.executable,
            "LIFE": lab.life,
            "MODULES": ",".join(modules),
        }
        words = [
            "linux.uml",
            f"mem={memory}M",
            f"umid={name}",
            f"uml_dir={lab.directory}/",
            *["rootfstype=hostfs", "root=/dev/root", "ro", "rootflags=/", f"init={PROGRAMS}/guest-init"],
            f"vec0:transport=tap,ifname={port},depth=128",
            f"vec1:transport=tap,ifname={control},depth=16",
            *["con=null", "con0=null,fd:1", "quiet"],
            *[f"{key}={value}" for key, value in arguments.items()],
        ]
        files = []
        for index, end in enumerate(serial):
            inward, outward = 3 + 2 * index, 4 + 2 * index
            words.append(f"ssl{index}=fd:{inward},fd:{outward}")
            files.append(f"{inward}<>{end.name}.in {outward}<>{end.name}.out")
        self.console = net.spawn(f"exec {' '.join(words)} {' '.join(files)}", log=f"console-{name}.log")

    def _connect(self, timeout):
        def connect():
            return socket.create_connection((self._control, 7000), timeout)

        return _inside(self.lab.net.pid, connect)

    def ready(self):
        with self._ready:
            if self._lifeline:
                return
            self.console.said("agent ready", BOOT)
            self._lifeline = _lifeline(self._connect(10.0))

    def netem(self, delay=0.0, loss=0.0, limit=20000):
        """Delay (ms, each way) and loss (per cent, each way) on the guest's interface; both 0 takes them away."""
        self.run("tc", "qdisc", "del", "dev", "eth0", "root", check=False)
        self.run("tc", "qdisc", "del", "dev", "eth0", "ingress", check=False)
        self.run("ip", "link", "del", "ifb0", check=False)
        if not delay and not loss:
            return
        impair = ["netem", "limit", limit, "delay", f"{delay}ms", *(["loss", f"{loss}%"] if loss else [])]
        self.run("ip", "link", "add", "ifb0", "type", "ifb")
        self.run("ip", "link", "set", "ifb0", "up")
        self.run("tc", "qdisc", "add", "dev", "eth0", "ingress")
        redirect = ["matchall", "action", "mirred", "egress", "redirect", "dev", "ifb0"]
        self.run("tc", "filter", "add", "dev", "eth0", "parent", "ffff:", "protocol", "ip", *redirect)
        for device in ("eth0", "ifb0"):
            self.run("tc", "qdisc", "add", "dev", device, "root", *impair)

    def close(self):
        """Power off."""
        if self._lifeline:
            self._lifeline.close()
            self._lifeline = None
            if self.lab.net.holds("exited", self.console.pid, timeout=5.0) is not None:
                return
        self.console.stop(signal.SIGKILL)


class Lab:
    """A bridge in a namespace, and the places on it. Use it in a `with`; it is also taken down at exit."""

    def __init__(self, life=LIFE):
        self.life = life  # seconds
        self.directory = Path(tempfile.mkdtemp(prefix="laclet-lab-"))
        self.guests = []
        self.logs = []  # (place, path) of what programs write, in the order of their starts
        self._namespaces = []
        self._cables = []
        self._next = 2  # last octet of the next address
        atexit.register(self.close)
        self.net = Namespace(self, "net", "10.77.0.1")
        self._namespaces.append(self.net)
        self.net.run("ip", "link", "add", "br0", "type", "bridge")
        self.net.run("ip", "addr", "add", "10.77.0.1/24", "dev", "br0")
        self.net.run("ip", "link", "set", "br0", "up")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _address(self):
        address = f"10.77.0.{self._next}"
        self._next += 1
        return address

    def namespace(self, name):
        """A namespace on the bridge: its eth0 has `.address`/24."""
        place = Namespace(self, name, self._address())
        self._namespaces.append(place)
        peer = ["type", "veth", "peer", "name", "eth0", "netns", place.pid]
        _machine(self.net, "ip", "link", "add", f"tap-{name}", *peer)
        self.net.run("ip", "link", "set", f"tap-{name}", "master", "br0", "up")
        place.run("ip", "addr", "add", f"{place.address}/24", "dev", "eth0")
        place.run("ip", "link", "set", "eth0", "up")
        return place

    def guest(self, name, serial=(), modules=(), memory=256):
        """A guest on the bridge; its /dev/ttyS0, ttyS1 … are the Ports `serial`; `modules` are loaded too."""
        place = Guest(self, name, self._address(), serial, modules, memory)
        self.guests.append(place)
        return place

    def cable(self, name, **ends):
        """A serial cable: `.near` is a device on this machine; `.ends[1]` goes into a guest, `guest(serial=…)`."""
        self._cables.append(cable(self.directory / "serial", name, **ends))
        return self._cables[-1]

    def capture(self, place, name=None, **options):
        """A Capture at the port of a place, to be used in a `with`."""
        from peers.capture import Capture

        return Capture(place, name, **options)

    def close(self):
        """Power everything off and remove the folder. Harmless when called again."""
        atexit.unregister(self.close)
        for guest in self.guests:
            if guest._lifeline:
                guest._lifeline.close()  # all at once, then one by one
        with contextlib.suppress(LabError, OSError):
            for guest in self.guests:
                guest.close()
        for namespace in reversed(self._namespaces):
            namespace.close()
        for line in self._cables:
            line.close()
        self.guests, self._namespaces, self._cables = [], [], []
        shutil.rmtree(self.directory, ignore_errors=True)


def _machine(namespace, *argv):
    """Run a command that must see both this machine's processes and the namespace's network."""
    subprocess.run(["nsenter", "-t", str(namespace.pid), "-n", *map(str, argv)], check=True, timeout=20)


def _lifeline(connection):
    connection.sendall(b'{"verb": "live"}\n')
    if connection.recv(16) != b"{}\n":
        raise LabError("the agent refused the lifeline")
    return connection


def _inside(pid, make):
    """The result of `make()`, called by a thread that has entered the network namespace of `pid`."""
    outcome = []

    def enter():
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            with open(f"/proc/{pid}/ns/net", "rb") as handle:
                if libc.setns(handle.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            outcome.append((make(), None))
        except OSError as error:
            outcome.append((None, error))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error:
        raise error
    return value


def wait_for(what, condition, timeout=10.0, period=0.02):
    """Wait on this machine until `condition()` is true, and return its value; LabError names `what` did not happen."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"not in {timeout} s: {what}")
        time.sleep(period)
