"""The agent of a place: carries out the laboratory's requests where it stands, in a namespace or in a guest.

    agent.py ADDRESS SECONDS        ADDRESS: a path (Unix socket) or HOST:PORT

One request per connection: a line of JSON in, a line of JSON back. The first connection is the lifeline: when it
closes, or SECONDS have passed, the agent ends, and its place with it (the agent is the first process of its process
namespace, or the one whose end powers the guest off). Standard library only.
"""

import fcntl
import json
import os
import re
import select
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import transfer

PERIOD = 0.02  # seconds between two looks at a condition
ORPHAN = 120.0  # seconds an agent waits for its lifeline
SIOCGIFADDR, SIOCGIFDSTADDR, SIOCGIFFLAGS = 0x8915, 0x8917, 0x8913
IFF_UP = 1

_started = {}  # pid -> Popen
_listening = {}  # port -> listening socket of a transfer
_lock = threading.Lock()


def run(argv, timeout, data, env, cwd):
    """Run a command to its end; `argv` is a list, or one string for the shell."""
    shell = isinstance(argv, str)
    process = subprocess.Popen(
        ["/bin/sh", "-c", argv] if shell else argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
        env={**os.environ, **env},
        cwd=cwd,
    )
    late = False
    try:
        out, err = process.communicate(data.encode(), timeout)
    except subprocess.TimeoutExpired:
        late = True
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    out, err = out.decode(errors="replace"), err.decode(errors="replace")
    return {"rc": process.returncode, "out": out, "err": err, "late": late}


def spawn(argv, log, env, cwd):
    """Start a command that stays; its output goes to `log`."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", argv] if isinstance(argv, str) else argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # not a session: who leads one would be hung up with the first tty it opens
            env={**os.environ, **env},
            cwd=cwd,
        )
    with _lock:
        _started[process.pid] = process
    return {"pid": process.pid}


def _stat(pid):
    """(parent, start time) of a process, None when it is gone; the start time tells a reused number apart."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[19]


def _family(pid):
    """`pid` and every process below it: {pid: start time}."""
    stats = {int(entry): _stat(entry) for entry in os.listdir("/proc") if entry.isdigit()}
    found, grew = {pid}, True
    while grew:
        more = {child for child, stat in stats.items() if stat and stat[0] in found} - found
        grew = bool(more)
        found |= more
    return {member: stats[member][1] for member in found if stats.get(member)}


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def stop(pid, number, timeout):
    """Send a signal to a started process, wait, then kill what is left of it and of the processes it started."""
    process = _started[pid]
    family = _family(pid)
    if process.poll() is None:
        process.send_signal(number)
    late = False
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        late = True
    for member, since in family.items():
        stat = _stat(member)
        if stat and stat[1] == since:
            _signal(member, signal.SIGKILL)
    return {"rc": process.wait(5), "late": late}


def poll(pid):
    return {"rc": _started[pid].poll()}


def kill(pid, number):
    """One signal, no waiting; also to a process that the agent did not start itself."""
    return {"hit": _signal(pid, number)}


def write(path, text, mode, append):
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "a" if append else "w") as file:
        file.write(text)
    target.chmod(mode)
    return {}


def read(path):
    try:
        return {"text": Path(path).read_text(errors="replace")}
    except FileNotFoundError:
        return {"text": ""}


def listen(address, port):
    _listening[port] = transfer.listen(address, port)
    return {}


def serve(port, seconds):
    return transfer.serve(_listening.pop(port), seconds)


# Conditions for `until`: each returns a JSON value, None while it does not hold.


def _interface_address(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16s24x", name.encode())
        try:
            if not struct.unpack_from("H", fcntl.ioctl(probe, SIOCGIFFLAGS, request), 16)[0] & IFF_UP:
                return None
            local = fcntl.ioctl(probe, SIOCGIFADDR, request)
            peer = fcntl.ioctl(probe, SIOCGIFDSTADDR, request)
        except OSError:
            return None
    if name.startswith("ppp") and local[20:24] == peer[20:24]:
        return None  # pppd sets its own address first, which stands for both ends until it has set the other
    return [name, socket.inet_ntoa(local[20:24]), socket.inet_ntoa(peer[20:24])]


def _interfaces(pattern):
    return [name for _, name in socket.if_nameindex() if re.fullmatch(pattern, name)]


def address(pattern):
    """[name, own address, peer's address] of an interface that is up, has an IPv4 address and a name like `pattern`."""
    for name in _interfaces(pattern):
        found = _interface_address(name)
        if found:
            return found
    return None


def no_address(pattern):
    return None if address(pattern) else True


def no_interface(pattern):
    return None if _interfaces(pattern) else True


def log(path, pattern, count):
    """The groups of the `count`-th match of `pattern` in a file, one line at a time."""
    matches = list(re.finditer(pattern, read(path)["text"], re.MULTILINE))
    return [matches[count - 1].group(0), *matches[count - 1].groups()] if len(matches) >= count else None


def output(command, pattern):
    """The groups of the first match of `pattern` in what a command of the shell writes."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=10)
    match = re.search(pattern, done.stdout)
    return [match.group(0), *match.groups()] if match else None


def exists(path):
    return True if os.path.exists(path) else None


def udp_port(port):
    for name in ("/proc/net/udp", "/proc/net/udp6"):
        if re.search(rf"^\s*\d+: [0-9A-F]+:{port:04X} ", read(name)["text"], re.MULTILINE):
            return True
    return None


def exited(pid):
    return poll(pid)["rc"]


CONDITIONS = {f.__name__: f for f in (address, no_address, no_interface, log, output, exists, udp_port, exited)}


def until(condition, args, timeout, pid=None):
    """Wait until a condition holds, at most `timeout` seconds, or as long as the process `pid`; its value, or null."""
    end = time.monotonic() + timeout
    while True:
        late = time.monotonic() > end or (pid is not None and exited(pid) is not None)
        value = CONDITIONS[condition](*args)
        if value is not None or late:
            return {"value": value}
        time.sleep(PERIOD)


VERBS = {
    f.__name__: f
    for f in (run, spawn, stop, poll, kill, write, read, until, listen, serve, transfer.exchange, transfer.ping)
}


class _Request(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline()
        if not line:
            return
        request = json.loads(line)
        verb = request.pop("verb")
        if verb == "live":
            self.wfile.write(b"{}\n")
            self.server.live(self.connection)
            return
        try:
            reply = VERBS[verb](**request)
        except Exception as error:  # whatever went wrong belongs to the one who asked
            reply = {"error": f"{type(error).__name__}: {error}"}
        self.wfile.write(json.dumps(reply).encode() + b"\n")


class _Agent(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, address, seconds):
        if ":" in address:
            host, _, port = address.rpartition(":")
            address = (host, int(port))
        else:
            self.address_family = socket.AF_UNIX
        super().__init__(address, _Request)
        self.seconds = seconds
        self.held = threading.Event()  # somebody holds the lifeline

    def orphan(self):
        """Nobody took the lifeline: the laboratory died while this place was being made."""
        if not self.held.wait(ORPHAN):
            self.shutdown()

    def live(self, connection):
        """Hold the lifeline: until it closes, or the time is over."""
        self.held.set()
        select.select([connection], [], [], self.seconds)
        self.shutdown()


def main(address, seconds):
    agent = _Agent(address, float(seconds))
    threading.Thread(target=agent.orphan, daemon=True).start()
    print("agent ready", flush=True)
    agent.serve_forever(0.1)
    with _lock:
        left = [process for process in _started.values() if process.poll() is None]
    for process in left:
        _signal(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
