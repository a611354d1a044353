"""The OpenWrt handler and init script, with doubles of netifd's and procd's functions that write down what is asked."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tomllib

import pytest
from clirun import ROOT, Service, environment
from linuxns import in_namespace
from test_linux_service import free_port, interfaces, ip, lns_words

import laclet
from laclet_host.config import load

PACKAGE = ROOT / "firmware/laclet_linux/files/openwrt"
HANDLER = PACKAGE / "files/laclet.sh"
INIT = PACKAGE / "files/laclet.init"

# What netifd gives to a handler; UCI_name is an option of the interface.
NETIFD = """\
trace() { echo "$*" >>"$TRACE"; }
for name in config_add_string config_add_int config_add_boolean add_host_dependency export run_command kill_command \\
	notify_error block_restart setup_failed init_update set_keep add_ipv4_address add_ipv4_route add_dns_server \\
	send_update; do
	eval "proto_$name() { trace $name \\"\\$@\\"; }"
done
json_get_vars() { for option in "$@"; do eval "$option=\\"\\${UCI_$option}\\""; done; }
resolveip() { [ "$3" = lns.example ] && echo 192.0.2.1 && echo 192.0.2.2 || echo "$3" | grep '^[0-9]'; }
sleep() { trace sleep "$@"; }
"""


class Netifd:
    """Calls functions of the handler as netifd does; ``options`` are those of the interface."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.trace = folder / "trace"
        (folder / "netifd-proto.sh").write_text(NETIFD)
        self.hooks = folder / "hooks"
        shutil.copytree(PACKAGE / "files/netifd", self.hooks, dirs_exist_ok=True)
        for hook in self.hooks.glob("*/netifd"):  # they have a clean environment, and so no TRACE
            text = hook.read_text().replace("/lib/netifd/netifd-proto.sh", f"{folder}/netifd-proto.sh")
            hook.write_text(text.replace("#!/bin/sh\n", f"#!/bin/sh\nTRACE={self.trace}\n"))
        self.environment = {
            "PATH": os.environ["PATH"],
            "INCLUDE_ONLY": "1",
            "LACLET": shutil.which("true"),
            "LACLET_RUN_DIR": str(folder / "run"),
            "LACLET_HOOKS": str(self.hooks),
            "TRACE": str(self.trace),
            **{"UCI_" + name: value for name, value in options.items()},
        }

    def call(self, function, error=""):
        """What the double was asked for; (lines, exit code)."""
        self.trace.write_text("")
        done = subprocess.run(
            ["sh", "-ec", f'. {self.folder}/netifd-proto.sh; . {HANDLER}; {function} wan2 ""'],
            env={**self.environment, "ERROR": error},
            timeout=20,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr, done.stderr
        return self.asked(), done.returncode

    def asked(self):
        return self.trace.read_text().splitlines()

    @property
    def config(self):
        return self.folder / "run/wan2/config.toml"


def test_options_become_a_configuration_that_laclet_takes(tmp_path):
    password = "a\"b\\c $(id) `id` 'x"
    netifd = Netifd(
        tmp_path,
        server="lns.example:1702",
        username="me@isp",
        password=password,
        tunnel_secret="s p",
        mtu="1400",
        keepalive="3,10",
        holdoff="90",
        ipv6="0",
        ipsec_psk="psk",
        ipsec_ike="aes256-sha256-modp2048",
        ipsec_forceencaps="1",
    )
    asked, code = netifd.call("proto_laclet_setup")
    assert code == 0 and asked == [
        "add_host_dependency wan2 192.0.2.1",
        "add_host_dependency wan2 192.0.2.2",
        f"export LACLET_RUN_DIR={tmp_path}/run",
        f"run_command wan2 {shutil.which('true')} run {netifd.config} --name wan2",
    ]
    loaded = load(netifd.config)
    assert not loaded.errors + loaded.warnings
    tunnel, call = loaded.config["tunnel"]["wan2"], loaded.config["call"]["wan2"]
    expected = {"server": [("lns.example", 1702)], "tunnel_secret": "s p", "holdoff": 90, "redial_timeout": 90}
    expected |= {"ipsec_psk": "psk", "ipsec_ike": "aes256-sha256-modp2048", "ipsec_forceencaps": True, "max_redials": 1}
    assert {key: tunnel[key] for key in expected} == expected
    expected = {"username": "me@isp", "password": password, "mtu": 1400, "mru": 1400, "lcp_echo_failure": 3}
    expected |= {"lcp_echo_interval": 10, "ifname": "l2tp-wan2", "use_peer_dns": True, "default_route": False}
    assert {key: call[key] for key in expected} == expected
    for file in netifd.config, netifd.config.with_name("secrets.toml"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = tomllib.loads(netifd.config.read_text())
    assert "password" not in shown["call"]["wan2"]
    assert not {"tunnel_secret", "ipsec_psk"} & set(shown["tunnel"]["wan2"])


def test_few_options_will_do(tmp_path):
    netifd = Netifd(tmp_path, server="192.0.2.9")
    asked, code = netifd.call("proto_laclet_setup")
    assert code == 0 and asked[0] == "add_host_dependency wan2 192.0.2.9"
    loaded = load(netifd.config)
    assert not loaded.errors + loaded.warnings and loaded.config["call"]["wan2"]["lcp_echo_interval"] == 30
    assert load(netifd.config).config["tunnel"]["wan2"]["holdoff"] == 5


@pytest.mark.parametrize("server", ["[2001:db8::1]:1701", "2001:db8::1", "[2001:db8::1]"])
def test_addresses_of_ipv6(tmp_path, server):
    netifd = Netifd(tmp_path, server=server)
    assert netifd.call("proto_laclet_setup")[0][0] == "add_host_dependency wan2 2001:db8::1"
    assert load(netifd.config).config["tunnel"]["wan2"]["server"] == [("2001:db8::1", 1701)]


def test_a_server_without_an_address(tmp_path):
    for options in ({"server": "nowhere.example"}, {}):
        netifd = Netifd(tmp_path, **options)
        assert netifd.call("proto_laclet_setup") == (["sleep 5", "setup_failed wan2"], 1)
        assert not netifd.config.exists()


def test_options_that_are_wrong_are_laclets_to_find(tmp_path):
    netifd = Netifd(tmp_path, server="192.0.2.1", mtu="many", holdoff="x")
    assert netifd.call("proto_laclet_setup")[1] == 0
    assert load(netifd.config).errors


@pytest.mark.parametrize(
    ("error", "authfail", "expected"),
    [
        ("19", "", ["notify_error wan2 AUTH_FAILED", "block_restart wan2"]),
        ("19", "0", ["notify_error wan2 AUTH_FAILED"]),
        ("3", "", ["notify_error wan2 INVALID_OPTIONS", "block_restart wan2"]),
        ("7", "", ["notify_error wan2 OPEN_FAILED"]),
        ("8", "", []),
        ("5", "", []),
        ("", "", []),
    ],
)
def test_what_an_exit_code_means(tmp_path, error, authfail, expected):
    netifd = Netifd(tmp_path, server="192.0.2.1", authfail=authfail)
    netifd.call("proto_laclet_setup")
    assert netifd.call("proto_laclet_teardown", error) == ([*expected, "kill_command wan2"], 0)
    assert list(netifd.config.parent.iterdir()) == []


def test_every_option_is_declared(tmp_path):
    asked, _ = Netifd(tmp_path).call("proto_laclet_init_config")
    declared = {line.split()[1] for line in asked}
    read = set()
    for line in re.findall(r"json_get_vars (.*)", HANDLER.read_text()):
        read |= set(line.split())
    assert declared == read


def test_the_package_installs_what_there_is():
    text = (PACKAGE / "Makefile").read_text()
    assert f"PKG_VERSION:={laclet.__version__}\n" in text
    named = re.findall(r"\./(files/\S+)", text)
    assert len(named) == 4 and all((PACKAGE / name).is_file() and os.access(PACKAGE / name, os.X_OK) for name in named)
    for package in ("laclet", "laclet_linux", "laclet_host"):
        assert package in text


@in_namespace
def test_from_setup_to_teardown_with_an_lns(tmp_path):
    """The command that netifd would run, up to the exit code that blocks the restart."""
    ip("link", "set", "lo", "up")
    port = free_port()
    netifd = Netifd(tmp_path, server=f"127.0.0.1:{port}", username="me", password="pw", holdoff="1")
    asked, _ = netifd.call("proto_laclet_setup")
    words = asked[-1].split()[3:]
    netifd.trace.write_text("")
    lns = Service(tmp_path / "run", *lns_words(port, "--dns", "192.0.2.53"))
    lns.wait_for("listening")
    wan = Service(tmp_path / "run", *words, "--log-level", "debug", "--log-json")
    try:
        wan.wait_for("ip-up.d/netifd: done")
        assert netifd.asked() == [
            "init_update l2tp-wan2 1 1",
            "set_keep 1",
            "add_ipv4_address 10.64.64.2 32  10.64.64.1",
            "add_ipv4_route 0.0.0.0 0 10.64.64.1",
            "add_dns_server 192.0.2.53",
            "send_update wan2",
        ]
        netifd.trace.write_text("")
        assert wan.end(signal.SIGTERM) == 5
        assert netifd.asked() == ["init_update l2tp-wan2 0", "send_update wan2"] and interfaces() == ["lo"]
        netifd.environment["UCI_password"] = "wrong"
        netifd.call("proto_laclet_setup")
        wan = Service(tmp_path / "run", *words, "--log-json")
        assert wan.end() == 19
        assert "block_restart wan2" in netifd.call("proto_laclet_teardown", "19")[0]
    finally:
        lns.kill()
        wan.kill()


def test_a_service_needs_no_more_than_the_package_depends_on(tmp_path):
    """Of what Python does not bring: click. Everything else is refused here."""
    program = (
        "import sys\n"
        "class Few:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        top = name.partition('.')[0]\n"
        "        if top not in sys.stdlib_module_names and top != 'click' and not top.startswith('laclet'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Few())\n"
        "import laclet_host.commands.service, laclet_host.screen, laclet_linux.circuits\n"
        "import laclet_linux.plane.kernel, laclet_linux.plane.mover, laclet_linux.tun, laclet_linux.xfrm\n"
        "from laclet_host.__main__ import main\n"
        "main()\n"
    )
    path = tmp_path / "home.toml"
    path.write_text(
        '[tunnel.t]\nserver = "127.0.0.1:1"\nredial = false\nretry_timeout = 0.1\nmax_retries = 1\n'
        '[line.p]\ndevice = "none"\n[call.c]\ntunnel = "t"\nline = "p"\n'
    )
    command = [sys.executable, "-c", program, "run", path]
    done = subprocess.run(
        command, env=environment(tmp_path / "run"), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 8 and "127.0.0.1 port 1" in done.stderr, done.stderr
    assert "+python3-click" in (PACKAGE / "Makefile").read_text()


# What procd gives to an init script: parameters that it does not know it would pass over.
PROCD = """\
procd_open_instance() { echo "instance $1"; }
procd_close_instance() { echo end; }
procd_set_param() {
	case "$1" in
		command | env | file | respawn | stdout | stderr | term_timeout) echo "$@" ;;
		reload_signal) [ "$2" = HUP ] && echo "$1 1" ;;
		*) echo "procd knows no $1" >&2 ;;
	esac
}
"""


def instances(folder):
    """What procd is told to run: name -> parameter -> words."""
    (folder / "procd.sh").write_text(PROCD)
    environment = {"PATH": os.environ["PATH"], "LACLET": "/usr/bin/laclet", "LACLET_ETC": str(folder / "etc")}
    environment["LACLET_RUN_DIR"] = str(folder / "run")
    command = f". {folder}/procd.sh; . {INIT}; start_service"
    done = subprocess.run(
        ["sh", "-c", command], env=environment, timeout=20, capture_output=True, text=True, check=True
    )
    assert not done.stderr and INIT.read_text().startswith("#!/bin/sh /etc/rc.common\n"), done.stderr
    found = {}
    for line in done.stdout.splitlines():
        key, *words = line.split()
        if key == "instance":
            now = found[words[0]] = {}
        elif key != "end":
            now[key] = words
    return found


def test_procd_runs_a_service_for_each_file(tmp_path):
    """The command that procd would run, and the signal that it sends when the file has changed."""
    etc = tmp_path / "etc"
    etc.mkdir()
    assert instances(tmp_path) == {}
    port, other = free_port(), free_port()
    lns = '[lns]\nlisten = "127.0.0.1:{}"\naddress = "10.64.64.1"\npool = "10.64.64.2-10.64.64.9"\n'
    lns += 'interface = "echo"\nauth = []\n'
    (etc / "office.toml").write_text(lns.format(port))
    (etc / "yard.toml").write_text("")
    (etc / "secrets.toml").write_text("")
    found = instances(tmp_path)
    assert sorted(found) == ["office", "yard"]
    assert found["office"] == {
        "command": ["/usr/bin/laclet", "run", f"{etc}/office.toml"],
        "env": [f"LACLET_RUN_DIR={tmp_path}/run"],
        "file": [f"{etc}/office.toml", f"{etc}/secrets.toml"],
        "reload_signal": [str(int(signal.SIGHUP))],
        "respawn": ["3600", "5", "0"],
        "term_timeout": ["60"],
        "stdout": ["1"],
        "stderr": ["1"],
    }
    office = Service(tmp_path / "run", *found["office"]["command"][1:], "--log-json")
    try:
        office.wait_for(f"127.0.0.1 port {port}")
        (etc / "office.toml").write_text(lns.format(other))
        office.process.send_signal(int(found["office"]["reload_signal"][0]))
        office.wait_for(f"127.0.0.1 port {other}")
        assert office.end(signal.SIGTERM) == 5
    finally:
        office.kill()
