"""Services as people run them: a LAC client with its interface, a LAC on a pty, the test LNS; faults."""

import hashlib
import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tty

import pytest
from clirun import PATIENCE, Service, laclet
from linuxns import in_namespace

from laclet import ticks
from laclet.ip.host import Host
from laclet.line.serial import SerialLine
from laclet.port import HEADROOM, frame_buffer, join
from laclet.ppp.link import PppLink
from laclet.wire.ip import checksum
from laclet_linux.loop import now_ms


@pytest.fixture
def start(tmp_path):
    """Start services that are killed when the test is over."""
    made = []

    def start(*words, **options):
        made.append(Service(tmp_path / "run", *words, **options))
        return made[-1]

    yield start
    for each in made:
        each.kill()


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def client_file(folder, port, tunnel="", call="", password="pw"):
    path = folder / "home.toml"
    path.write_text(
        f'[tunnel.office]\nserver = "127.0.0.1:{port}"\nholdoff = 0.1\n{tunnel}\n'
        f'[call.home]\ntunnel = "office"\nusername = "me"\n{call}\n'
    )
    secrets = folder / "secrets.toml"
    secrets.touch(0o600)
    secrets.write_text(f'[call.home]\npassword = "{password}"\n')
    return path


def lns_words(port, *more):
    return ("lns", "--listen", f"127.0.0.1:{port}", "--user", "me:pw", "--json", *more)


def ping(address, source):
    """One ICMP echo through the kernel."""
    packet = bytearray(struct.pack("!BBHHH", 8, 0, 0, 7, 1) + bytes(56))
    packet[2:4] = checksum(packet, 0, len(packet)).to_bytes(2, "big")
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.bind((source, 0))
        sock.settimeout(PATIENCE)
        sock.sendto(packet, (address, 0))
        while True:
            answer, (came_from, _) = sock.recvfrom(999)
            if came_from == address and answer[20] == 0:
                return answer[24:] == packet[4:]


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def interfaces():
    return sorted(name for _, name in socket.if_nameindex())


# -- LAC client -----------------------------------------------------------------------------------------


@in_namespace
def test_client_up_ping_down_up_stop(tmp_path, start):
    ip("link", "set", "lo", "up")
    port = free_port()
    lns = start(*lns_words(port, "--dns", "192.0.2.53"))
    lns.wait_for("listening")
    home = start("run", client_file(tmp_path, port, "", 'ifname = "office"'), "--log-json")
    home.wait_for("call.home: up: address 10.64.64.2, peer 10.64.64.1, MTU 1450")
    status = json.loads(laclet(tmp_path / "run", "status", "--json").stdout)  # when it answers, the interface is up too
    assert ping("10.64.64.1", "10.64.64.2")
    assert sorted(status) == ["home", "lns"]
    call = status["home"]["calls"]["home"]
    assert (call["state"], call["interface"], call["address"]) == ("up", "office", "10.64.64.2") and call["up_for"] >= 0
    assert status["home"]["tunnels"]["office"]["server"] == ["127.0.0.1", port]
    (caller,) = status["lns"]["lns"]["callers"]
    assert (caller["name"], caller["address"]) == ("me", "10.64.64.2") and "pw" not in json.dumps(status).split('"')
    shown = laclet(tmp_path / "run", "status").stdout
    for words in ("tunnel: office", "interface: office", "address: 10.64.64.2, peer 10.64.64.1", "caller: me"):
        assert words in shown, shown
    numbers = json.loads(laclet(tmp_path / "run", "stats", "home", "--json").stdout)["home"]
    assert numbers["calls"]["home"]["rx_bytes"] >= 84 and numbers["process"]["descriptors"] > 3
    shown = laclet(tmp_path / "run", "stats").stdout.splitlines()
    assert shown[0].startswith("home: ") and "s of CPU" in shown[0] and shown[1].startswith("  call.home: "), shown
    assert laclet(tmp_path / "run", "down", "home").returncode == 0
    home.wait_for("tunnel.office: closed")
    assert (
        json.loads(laclet(tmp_path / "run", "status", "home", "--json").stdout)["home"]["calls"]["home"]["state"]
        != "up"
    )
    wrong = laclet(tmp_path / "run", "up", "home", "offfice")
    assert (wrong.returncode, wrong.stderr) == (1, "laclet: home: no tunnel offfice; tunnels here: office\n")
    assert laclet(tmp_path / "run", "up", "home", "office").returncode == 0
    home.wait_for("call.home: up")
    assert laclet(tmp_path / "run", "stop", "home").returncode == 0
    assert home.end() == 0 and lns.end(signal.SIGTERM) == 5
    assert interfaces() == ["lo"] and os.listdir(tmp_path / "run") == []


@in_namespace
def test_lns_that_dies_and_returns(tmp_path, start):
    ip("link", "set", "lo", "up")
    port = free_port()
    lns = start(*lns_words(port))
    lns.wait_for("listening")
    quick = "hello_interval = 0.2\nretry_timeout = 0.1\nmax_retries = 2\nredial_timeout = 1"
    home = start("run", client_file(tmp_path, port, quick), "--log-json")
    home.wait_for("call.home: up")
    lns.end(signal.SIGKILL)
    home.wait_for("Connection refused")
    home.wait_for("tunnel.office: tunnel: ")
    home.wait_for("dialling again")
    start(*lns_words(port)).wait_for("listening")
    home.wait_for("call.home: up")
    assert laclet(tmp_path / "run", "status", "home").returncode == 0
    assert ping("10.64.64.1", "10.64.64.2")
    assert home.end(signal.SIGINT) == 5 and interfaces() == ["lo"]


@in_namespace
def test_failures_that_are_final_have_the_exit_codes_of_pppd(tmp_path, start):
    ip("link", "set", "lo", "up")
    port = free_port()
    secret = tmp_path / "secret"
    secret.write_text("tell nobody\n")
    lns = start(*lns_words(port, "--secret-file", secret))
    lns.wait_for("listening")
    once = "redial = false\nretry_timeout = 0.1\nmax_retries = 1\n"
    known = 'tunnel_secret = "tell nobody"\n'
    for tunnel, password, words, code in (
        (known, "wrong", "call.home: auth: ", 19),
        ('tunnel_secret = "guessed"\n', "pw", "tunnel-auth: ", 19),
        ("source_port = 1\n", "pw", "tunnel", 8),
    ):
        if "source_port" in tunnel:
            lns.end(signal.SIGTERM)
        home = start("run", client_file(tmp_path, port, once + tunnel, "", password), "--log-json")
        home.wait_for(words)
        assert home.end() == code, home.said
        assert home.said.count("service: stopping") == 1 and not any("Traceback" in line for line in home.said)
    path = client_file(tmp_path, port, once)
    path.write_text(path.read_text().replace("127.0.0.1", "no.such.name.invalid"))
    home = start("run", path, "--log-json")
    home.wait_for("tunnel.office: dns: cannot find no.such.name.invalid")
    assert home.end() == 8 and interfaces() == ["lo"]


@in_namespace
def test_traffic_between_two_machines_with_the_default_route_inside(tmp_path, start):
    """The LNS has a namespace of its own, with TUN interfaces; TCP both ways, compared by hash."""
    lns = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo made; exec sleep infinity"], stdout=subprocess.PIPE)
    try:
        inside = ["nsenter", "-t", str(lns.pid), "-n"]
        assert lns.stdout.readline() == b"made\n"
        ip("link", "add", "wan", "type", "veth", "peer", "name", "eth0", "netns", str(lns.pid))
        for words in ("link set lo up", "address add 192.0.2.10/24 dev wan", "link set wan up"):
            ip(*words.split())
        for words in ("link set lo up", "address add 198.51.100.7/32 dev lo", "address add 192.0.2.1/24 dev eth0"):
            subprocess.run([*inside, "ip", *words.split()], check=True)
        subprocess.run([*inside, "ip", "link", "set", "eth0", "up"], check=True)
        ip("route", "add", "default", "via", "192.0.2.1")
        server = start(
            *("lns", "--listen", "198.51.100.7:1701", "--interface", "tun", "--user", "me:pw", "--json"),
            prefix=inside,
        )
        server.wait_for("listening")
        path = client_file(tmp_path, 1701, "", 'default_route = true\nifname = "inet"')
        path.write_text(path.read_text().replace("127.0.0.1", "198.51.100.7"))
        home = start("run", path, "--log-json")
        home.wait_for("198.51.100.7 stays on wan via 192.0.2.1")
        server.wait_for("me is up: address 10.64.64.2")
        home.wait_for("the other default route stays, behind ours")
        _echo_by_tcp(inside, "10.64.64.1", "10.64.64.2")
        home.end(signal.SIGTERM)
        server.wait_for("ended")
        assert server.end(signal.SIGTERM) == 5
        left = subprocess.run(["ip", "-o", "route"], capture_output=True, text=True, check=True).stdout
        assert left.count("\n") == 2 and "inet" not in left and "172" not in left, left
        shown = subprocess.run([*inside, "ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        assert "laclet" not in shown
    finally:
        lns.kill()
        lns.communicate()


def _echo_by_tcp(inside, address, source):
    """Two megabytes there and back again, through a program in the other namespace."""
    program = (
        "import socket\n"
        f"server = socket.create_server(('{address}', 7))\n"
        "print('ready', flush=True)\n"
        "client, _ = server.accept()\n"
        "while data := client.recv(65536): client.sendall(data)\n"
    )
    with subprocess.Popen([*inside, sys.executable, "-c", program], stdout=subprocess.PIPE) as echo:
        assert echo.stdout.readline() == b"ready\n"
        data = os.urandom(2_000_000)
        with socket.create_connection((address, 7), PATIENCE, (source, 0)) as sock:
            thread = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
            thread.start()
            got = bytearray()
            while part := sock.recv(65536):
                got += part
            thread.join()
        assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="needs setpriv to give up capabilities")
def test_without_permission_there_is_one_line(tmp_path, start):
    prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    home = start("run", client_file(tmp_path, 1), "--log-json", prefix=prefix)
    home.wait_for("service: interface: ")
    assert home.end() == 7
    assert "(run it as root, or with CAP_NET_ADMIN)" in home.said[-1] and "Traceback" not in str(home.said)
    assert os.listdir(tmp_path / "run") == []


# -- LNS ------------------------------------------------------------------------------------------------


def test_name_and_port_that_are_taken(tmp_path, start):
    port = free_port()
    lns = start(*lns_words(port))
    lns.wait_for("listening")
    second = start(*lns_words(free_port()))
    second.wait_for("service: config: service lns: is running already")
    assert second.end() == 7
    third = start(*lns_words(port, "--name", "other"))
    third.wait_for(f"service: udp: cannot listen at 127.0.0.1 port {port}: Address already in use")
    assert third.end() == 7 and lns.end(signal.SIGTERM) == 5


def test_users_and_secret_from_files(tmp_path, start):
    users, secret = tmp_path / "users", tmp_path / "secret"
    users.write_text("# callers\nalice:a:b\n\nbob:c\n")
    secret.write_text("s3cret\n")
    port = free_port()
    lns = start(
        *lns_words(port, "--user-file", users, "--secret-file", secret, "--auth", "pap", "--log-level", "debug")
    )
    lns.wait_for("listening")
    assert lns.end(signal.SIGTERM) == 5
    assert not any("s3cret" in line or "a:b" in line for line in lns.said)


# -- LAC ------------------------------------------------------------------------------------------------


class PppHost:
    """A PPP host behind a serial line: the other end of a pty whose near end is at ``path``."""

    def __init__(self, path):
        self.fd, near = pty.openpty()
        tty.setraw(near)
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(near))
        self.near = near
        self.line = SerialLine()
        self.link = PppLink(os.urandom, username=b"me", password=b"pw")
        self.host = Host(self.link)
        self.link.above = self.host
        join(self.line, self.link)
        self.events = []
        self._rx = frame_buffer(4096)
        os.set_blocking(self.fd, False)

    def begin(self):
        """Dial in: PPP begins."""
        os.close(self.near)
        self.link.open(now_ms())
        self.link.lower_up(now_ms())

    def until(self, name):
        """Serve until an event of the link or the host; its detail."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            select.select([self.fd], [], [], 0.01)
            try:
                data = os.read(self.fd, 4096)
                self._rx[HEADROOM : HEADROOM + len(data)] = data
                self.line.receive(self._rx, HEADROOM, HEADROOM + len(data), now_ms())
            except BlockingIOError:
                pass
            if ticks.due(self.link.poll_at(), now_ms()):
                self.link.on_timer(now_ms())
            while self.line.tx_end > self.line.tx_start:
                self.line.sent(os.write(self.fd, memoryview(self.line.tx)[self.line.tx_start : self.line.tx_end]))
            for machine in (self.link, self.host):
                while event := machine.next_event():
                    if event[0] == name:
                        return event[2]
        raise AssertionError(f"no {name}: {self.link.status()}")

    def unplug(self):
        os.close(self.fd)


def test_lac_on_a_serial_line_that_is_unplugged_and_back(tmp_path, start):
    port = free_port()
    lns = start(*lns_words(port))
    lns.wait_for("listening")
    device = tmp_path / "ttyS1"
    path = tmp_path / "lac.toml"
    path.write_text(
        f'[tunnel.office]\nserver = "127.0.0.1:{port}"\n[line.port]\ndevice = "{device}"\n'
        '[call.c]\ntunnel = "office"\nline = "port"\n'
    )
    lac = start("run", path, "--log-json")
    lac.wait_for("No such file or directory; trying again")
    lac.wait_for("tunnel.office: up")
    for _ in range(2):
        ppp = PppHost(device)
        lac.wait_for("open at 115200 baud")
        ppp.begin()
        settings = ppp.until("up")
        ppp.host.address = settings["local"]
        lac.wait_for("PPP passes between line and LNS")
        lns.wait_for("me is up")
        ppp.host.ping(settings["remote"], now_ms())
        assert ppp.until("pong")[0] == bytes((10, 64, 64, 1))
        status = json.loads(laclet(tmp_path / "run", "status", "lac", "--json").stdout)["lac"]["calls"]["c"]
        assert status["state"] == "up" and status["device"] == str(device)
        device.unlink()
        ppp.unplug()
        lac.wait_for("hung up; waiting for it to come back")
        lac.wait_for("call.c: line: the serial line hung up")
        lns.wait_for("call ended")
    assert lac.end(signal.SIGTERM) == 5


def test_two_signals_end_it_at_once(tmp_path, start):
    """Nobody answers the StopCCN: the second signal does not wait for that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        path = tmp_path / "lac.toml"
        path.write_text(
            f'[tunnel.t]\nserver = "127.0.0.1:{silent.getsockname()[1]}"\n[line.p]\ndevice = "{tmp_path}/x"\n'
            '[call.c]\ntunnel = "t"\nline = "p"\n'
        )
        lac = start("run", path, "--log-json")
        lac.wait_for("connecting")
        lac.process.send_signal(signal.SIGTERM)
        lac.wait_for("stopping")
        assert lac.end(signal.SIGTERM) == 5
