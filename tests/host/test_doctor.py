"""laclet doctor: set-ups broken one by one, each diagnosed; every one in a network namespace of its own."""

import json
import os
import pty
import socket
import subprocess

import pytest
import tomlkit
from clirun import Service, laclet
from linuxns import in_namespace

PASSWORD = "never-shown"
PSK = "psk-never-shown"
LNS = "192.0.2.1"


class Patient:
    """A configuration, the LNS that it wants, and what the doctor says of it."""

    def __init__(self, folder):
        self.folder = folder
        self.tunnel = {"server": f"{LNS}:1701"}
        self.call = {"tunnel": "lab", "username": "me"}
        self.more = {}
        self.secrets = {"call": {"home": {"password": PASSWORD}}, "tunnel": {"lab": {}}}
        self._services = []
        for words in (["link", "set", "lo", "up"], ["address", "add", f"{LNS}/32", "dev", "lo"]):
            subprocess.run(["ip", *words], check=True)

    def lns(self, lns_secrets=None, **section):
        """Our LNS at its address; ``listening`` is waited for."""
        section = {"listen": LNS, "address": "10.64.64.1", "pool": "10.64.64.2-10.64.64.9", **section}
        path = self.folder / "lns.toml"
        path.write_text(tomlkit.dumps({"lns": {"interface": "echo", **section}}))
        self._write_secrets({"lns": {"users": {"me": PASSWORD}, **(lns_secrets or {})}})
        service = Service(self.folder / "run", "run", path, "--log-json")
        self._services.append(service)
        service.wait_for("listening")

    def occupy(self):
        """Somebody else's call to the LNS, which stays up."""
        path = self.folder / "other.toml"
        path.write_text(tomlkit.dumps({"tunnel": {"lab": self.tunnel}, "call": {"other": self.call}}))
        self._write_secrets({"call": {"other": {"password": PASSWORD}}})
        other = Service(self.folder / "run", "run", path, "--log-json")
        self._services.append(other)
        other.wait_for("call.other: up")

    def _write_secrets(self, tree):
        path = self.folder / "secrets.toml"
        path.touch(0o600)
        path.write_text(tomlkit.dumps(tree))

    def examined(self):
        """``(exit code, findings)`` of the only call."""
        path = self.folder / "home.toml"
        path.write_text(tomlkit.dumps({"tunnel": {"lab": self.tunnel}, "call": {"home": self.call}, **self.more}))
        self._write_secrets(self.secrets)
        told = laclet(self.folder / "run", "doctor", path, "--json", timeout=60)
        assert PASSWORD not in told.stdout and PSK not in told.stdout and "Traceback" not in told.stderr, told.stderr
        (findings,) = json.loads(told.stdout)["calls"].values()
        return told.returncode, findings

    def diagnosis(self):
        """``(exit code, finding)`` of what is wrong: one thing."""
        code, findings = self.examined()
        (wrong,) = [each for each in findings if each["ok"] is False]
        assert wrong["hint"], wrong
        return code, wrong

    def close(self):
        for service in self._services:
            service.kill()


def patient(test):
    """Decorate a test: it is given a Patient, in a namespace."""

    @in_namespace
    def examined(tmp_path):
        someone = Patient(tmp_path)
        try:
            test(someone)
        finally:
            someone.close()

    examined.__name__ = test.__name__
    return examined


@patient
def test_nothing_is_wrong(p):
    p.lns()
    code, findings = p.examined()
    assert code == 0 and all(each["ok"] for each in findings)
    assert [each["layer"] for each in findings] == ["route", "tunnel", "session", "lcp", "auth", "ipcp", "mtu"]
    assert "laclet" in findings[1]["text"] and "10.64.64.2" in findings[5]["text"]


@patient
def test_the_name_is_unknown(p):
    p.tunnel["server"] = "lns.invalid"
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "dns") and "lns.invalid" in wrong["text"]


@patient
def test_there_is_no_way(p):
    p.tunnel["server"] = "198.51.100.7"
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "route") and "unreachable" in wrong["text"]


@patient
def test_the_way_leads_into_a_tunnel(p):
    subprocess.run(["ip", "tuntap", "add", "laclet7", "mode", "tun"], check=True)
    subprocess.run(["ip", "address", "add", "10.1.1.1/32", "dev", "laclet7"], check=True)
    subprocess.run(["ip", "link", "set", "laclet7", "up"], check=True)
    subprocess.run(["ip", "route", "add", "default", "dev", "laclet7"], check=True)
    p.tunnel["server"] = "198.51.100.7"
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "route") and "laclet7, a tunnel" in wrong["text"]
    assert wrong["hint"].endswith("ip route add 198.51.100.7 via GATEWAY dev UPLINK")


@patient
def test_nobody_listens(p):
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "udp") and "refused" in wrong["text"]


@patient
def test_somebody_is_silent(p):
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as l2tp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ike,
    ):
        l2tp.bind((LNS, 1701))
        ike.bind((LNS, 500))
        code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "udp") and "firewall" in wrong["hint"]


@patient
def test_it_wants_ipsec(p):
    p.lns({"ipsec_psk": PSK})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:  # a firewall lets no L2TP in
        silent.bind((LNS, 1701))
        code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "ike") and "ipsec_psk" in wrong["hint"]


@patient
def test_there_is_no_ipsec(p):
    p.lns()
    p.secrets["tunnel"]["lab"]["ipsec_psk"] = PSK
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "ike") and "no answer" in wrong["text"]


@patient
def test_the_pre_shared_key_differs(p):
    p.lns({"ipsec_psk": PSK})
    p.secrets["tunnel"]["lab"]["ipsec_psk"] = "another"
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "ike") and "ipsec_psk" in wrong["hint"]


@patient
def test_no_proposal_in_common(p):
    p.lns({"ipsec_psk": PSK}, ipsec_ike="aes256-sha256-modp2048")
    p.secrets["tunnel"]["lab"]["ipsec_psk"] = PSK
    p.tunnel["ipsec_ike"] = "aes128-sha1-modp1024"
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "ike") and "proposal" in (wrong["text"] + wrong["hint"]).lower()


@patient
def test_the_tunnel_secret_differs(p):
    p.lns({"tunnel_secret": "one"})
    p.secrets["tunnel"]["lab"]["tunnel_secret"] = "two"
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (7, "tunnel-auth") and "tunnel_secret" in wrong["hint"]


@patient
def test_a_tunnel_secret_is_missing(p):
    p.lns({"tunnel_secret": "one"})
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (7, "tunnel-auth") and wrong["hint"] == "set tunnel_secret"


@patient
def test_the_password_is_wrong(p):
    p.lns({"users": {"me": "another"}})
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (7, "auth") and "username and password" in wrong["hint"]


@patient
def test_no_common_way_to_log_in(p):
    p.lns(auth=["pap"])
    p.call["auth"] = ["chap"]
    code, wrong = p.diagnosis()
    assert wrong["layer"] in ("lcp", "auth") and "auth" in wrong["hint"], wrong


@patient
def test_no_address_is_left(p):
    p.lns(pool="10.64.64.2-10.64.64.2")
    p.occupy()
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) in ((1, "ipcp"), (1, "session")) and "address" in wrong["text"] + wrong["hint"]


@patient
def test_long_packets_do_not_pass(p):
    p.lns()
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1300"], check=True)
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "mtu")
    longest = int(wrong["text"].split("; ")[1].split(" ")[0])
    assert 1240 <= longest <= 1264 and f"set mtu = {longest} and mru = {longest}" in wrong["hint"]
    assert str(longest - 40) in wrong["hint"]


@patient
def test_the_source_port_is_taken(p):
    p.tunnel["source_port"] = 4711
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 4711))
        code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "udp") and "source_port" in wrong["hint"]


@patient
def test_the_serial_device_is_not_there(p):
    p.more["line"] = {"modem": {"device": "/dev/no-such-device"}}
    p.call = {"tunnel": "lab", "line": "modem"}
    p.secrets = {}
    code, wrong = p.diagnosis()
    assert (code, wrong["layer"]) == (1, "line") and "/dev/no-such-device is not there" in wrong["text"]


@patient
def test_the_serial_device_is_in_use(p):
    p.lns()
    near, far = pty.openpty()
    p.more["line"] = {"modem": {"device": os.ttyname(far)}}
    p.call = {"tunnel": "lab", "line": "modem"}
    p.secrets = {}
    code, findings = p.examined()
    os.close(near)
    assert code == 0 and [each["layer"] for each in findings] == ["line", "route", "tunnel"]
    assert findings[0]["ok"] is None and f"(pid {os.getpid()})" in findings[0]["text"]


def test_the_configuration_is_wrong(tmp_path):
    path = tmp_path / "home.toml"
    path.write_text('[tunnel.lab]\nsever = "192.0.2.1"\n[call.home]\ntunnel = "lab"\n')
    told = laclet(tmp_path, "doctor", path)
    assert told.returncode == 3 and f"{path}:2: tunnel.lab.sever" in told.stderr


@pytest.mark.parametrize("words", [("--call", "other")])
def test_no_such_call(tmp_path, words):
    path = tmp_path / "home.toml"
    path.write_text('[tunnel.lab]\nserver = "192.0.2.1"\n[call.home]\ntunnel = "lab"\n')
    told = laclet(tmp_path, "doctor", path, *words)
    assert (told.returncode, told.stderr) == (1, "laclet: no call other; there are: home\n")
