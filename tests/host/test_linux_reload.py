"""A running service takes a new configuration: what has not changed loses no packet, a bad file changes nothing."""

import json
import signal
import socket
import threading

import pytest
from clirun import PATIENCE, Service, laclet
from linuxns import in_namespace
from test_linux_service import free_port, interfaces, ip, lns_words, ping


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


def write(folder, port, more="", **calls):
    """A configuration with one tunnel for all calls: name -> lines of its section."""
    path = folder / "home.toml"
    text = f'[tunnel.office]\nserver = "127.0.0.1:{port}"\nholdoff = 0.1\n{more}\n'
    for name, lines in calls.items():
        text += f'[call.{name}]\ntunnel = "office"\nusername = "me"\nifname = "{name}"\n{lines}\n'
    path.write_text(text)
    secrets = folder / "secrets.toml"
    secrets.touch(0o600)
    secrets.write_text("".join(f'[call.{name}]\npassword = "pw"\n' for name in calls))
    return path


def status(folder, name="home"):
    return json.loads(laclet(folder / "run", "status", name, "--json").stdout)[name]


class Traffic:
    """Pings from ``source`` to the LNS at ``address``, one after the other. ``stop()``: (sent, lost)."""

    def __init__(self, source, address):
        self.lost = self.done = 0
        self._stop = threading.Event()
        self._source = source
        self._address = address
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            try:
                ok = ping(self._address, self._source)
            except OSError:
                ok = False
            self.done += 1
            self.lost += not ok

    def stop(self):
        self._stop.set()
        self._thread.join(PATIENCE)
        return self.done, self.lost


@in_namespace
def test_reload_under_traffic(tmp_path, start):
    ip("link", "set", "lo", "up")
    port = free_port()
    lns = start(*lns_words(port))
    lns.wait_for("listening")
    lab = f'[tunnel.lab]\nserver = "127.0.0.1:{port}"\n'
    home = start("run", write(tmp_path, port, lab, one="", two=""), "--log-json")
    for _ in range(2):
        home.wait_for(": up: address")
    before = status(tmp_path)
    addresses = {name: before["calls"][name]["address"] for name in ("one", "two")}
    ip("route", "add", "10.64.64.1", "dev", "one", "src", addresses["one"], "metric", "1")
    assert ping("10.64.64.1", addresses["one"])
    traffic = Traffic(addresses["one"], "10.64.64.1")
    run = tmp_path / "run"

    same = laclet(run, "reload", "home")
    assert (same.returncode, same.stdout) == (0, "home: nothing has changed\n")

    lab += "hello_interval = 9\n"
    write(tmp_path, port, lab, one="", two="mtu = 1400", three="")
    changed = laclet(run, "reload")
    assert (changed.returncode, changed.stdout.splitlines()) == (
        1,  # the LNS in the same folder was started without a file
        ["home: call.three is new", "home: call.two: made anew", "home: tunnel.lab: made anew"],
    )
    assert changed.stderr == "laclet: lns: it was started without a file\n"
    for _ in range(2):
        home.wait_for(": up: address")
    now = status(tmp_path)
    session = ("local_session", "peer_session")
    assert [now["calls"]["one"]["session"][key] for key in session] == [
        before["calls"]["one"]["session"][key] for key in session
    ]
    assert now["calls"]["two"]["mtu"] == 1400 and now["calls"]["two"]["interface"] == "two"

    path = write(tmp_path, port, "hello_intervall = 3", one="")
    wrong = laclet(run, "reload", "home")
    assert wrong.returncode == 1 and wrong.stdout == ""
    assert wrong.stderr.splitlines() == [
        "laclet: home: nothing has changed",
        f"{path}:4: tunnel.office.hello_intervall: no such key; did you mean hello_interval?",
    ]
    home.wait_for("reload: " + str(path))

    write(tmp_path, port, one="")
    home.process.send_signal(signal.SIGHUP)
    home.wait_for("reload: call.three is gone")
    home.wait_for("reload: call.two is gone")
    assert interfaces() == ["lo", "one"]
    done, lost = traffic.stop()
    assert done > 5 and not lost

    write(tmp_path, port, "hello_interval = 30", one="")
    assert laclet(run, "reload", "home").stdout.splitlines() == [
        "home: call.one: made anew",
        "home: tunnel.office: made anew",
    ]
    home.wait_for("call.one: up")
    assert home.end(signal.SIGTERM) == 5 and interfaces() == ["lo"]


@in_namespace
def test_an_interface_that_cannot_be_had_is_tried_again_by_the_next_reload(tmp_path, start):
    ip("link", "set", "lo", "up")
    port = free_port()
    start(*lns_words(port)).wait_for("listening")
    ip("link", "add", "two", "type", "veth", "peer", "name", "other")
    home = start("run", write(tmp_path, port, one=""), "--log-json")
    home.wait_for("call.one: up")
    write(tmp_path, port, one="", two="")
    taken = laclet(tmp_path / "run", "reload", "home")
    assert taken.returncode == 1 and "interface: " in taken.stderr
    ip("link", "del", "two")
    again = laclet(tmp_path / "run", "reload", "home")
    assert (again.returncode, again.stdout) == (0, "home: call.two: made anew\n")
    home.wait_for("call.two: up")
    assert home.end(signal.SIGTERM) == 5 and interfaces() == ["lo"]


@in_namespace
def test_a_tunnel_over_ipsec_gets_another_key(tmp_path, start):
    ip("link", "set", "lo", "up")
    lns = tmp_path / "lns.toml"
    lns.write_text(
        '[lns]\nlisten = "127.0.0.1"\naddress = "10.64.64.1"\npool = "10.64.64.2-10.64.64.9"\ninterface = "echo"\n'
        'auth = []\nipsec_psk = "right"\n'
    )
    start("run", lns, "--log-json").wait_for("listening")
    home = start("run", write(tmp_path, 1701, 'ipsec_psk = "right"', one=""), "--log-json")
    home.wait_for("call.one: up")
    sockets = len(status(tmp_path)["sockets"])
    for key in ("wrong", "right"):
        write(tmp_path, 1701, f'ipsec_psk = "{key}"', one="")
        assert "home: tunnel.office: made anew" in laclet(tmp_path / "run", "reload", "home").stdout
        home.wait_for("call.one: up" if key == "right" else "ike: ")
    assert len(status(tmp_path)["sockets"]) == sockets and ping(
        "10.64.64.1", status(tmp_path)["calls"]["one"]["address"]
    )
    assert home.end(signal.SIGTERM) == 5 and not any("Traceback" in line for line in home.said)


def test_an_lns_takes_users_and_addresses_from_its_file(tmp_path, start):
    port, other = free_port(), free_port()
    path = tmp_path / "lns.toml"

    def write_lns(port, user):
        path.write_text(
            f'[lns]\nlisten = "127.0.0.1:{port}"\naddress = "10.64.64.1"\npool = "10.64.64.2-10.64.64.9"\n'
            f'interface = "echo"\n[lns.users]\n{user} = "pw"\n'
        )

    write_lns(port, "me")
    lns = start("run", path, "--log-json")
    lns.wait_for("listening")
    write_lns(port, "you")
    assert laclet(tmp_path / "run", "reload", "lns").stdout == "lns: nothing has changed\n"
    write_lns(other, "you")
    assert laclet(tmp_path / "run", "reload", "lns").stdout == "lns: lns: made anew\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))  # is free again
        write_lns(port, "you")
        refused = laclet(tmp_path / "run", "reload", "lns")
        assert refused.returncode == 1 and "Address already in use" in refused.stderr
    assert laclet(tmp_path / "run", "reload", "lns").stdout == "lns: lns is new\n"
    assert lns.end(signal.SIGTERM) == 5
