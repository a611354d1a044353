"""The test LNS with a will of its own: each fault on demand, as a real client sees it; scripts; the words for it."""

import json
import random
import subprocess

import pytest
from clirun import Service, laclet
from hypothesis import given
from hypothesis import strategies as st
from linuxns import in_namespace

from laclet_host.desk.faults import GRAMMAR, BadFault, Faults, parse, read_script


class Desk:
    """A test LNS, and a client that calls it."""

    def __init__(self, folder, *words):
        self.run = folder / "run"
        self._folder = folder
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self.lns = Service(self.run, "lns", "--user", "me:pw", "--seed", "1", "--json", *words)
        self.lns.wait_for("listening")
        self.client = None

    def call(self, tunnel="", call=""):
        path = self._folder / "home.toml"
        path.write_text(
            f'[tunnel.lab]\nserver = "127.0.0.1"\nholdoff = 0.2\nredial_timeout = 1\nretry_timeout = 0.2\n{tunnel}\n'
            f'[call.home]\ntunnel = "lab"\nusername = "me"\n{call}\n'
        )
        secrets = self._folder / "secrets.toml"
        secrets.touch(0o600)
        secrets.write_text('[call.home]\npassword = "pw"\n')
        self.client = Service(self.run, "run", path, "--log-json")
        return self.client

    def fault(self, *words):
        told = laclet(self.run, "fault", "lns", *words, "--json")
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    def close(self):
        for service in (self.client, self.lns):
            if service is not None:
                service.kill()


def with_desk(*words):
    """Decorate a test: it is given a Desk in a namespace of its own."""

    def decorate(test):
        @in_namespace
        def run(tmp_path):
            desk = Desk(tmp_path, *words)
            try:
                test(desk)
            finally:
                desk.close()

        return run

    return decorate


@with_desk("--fault", "loss 20", "--fault", "duplicate 20", "--fault", "reorder 20", "--fault", "jitter 5")
def test_a_call_comes_up_through_a_bad_network(desk):
    assert desk.fault() == ["duplicate 20", "jitter 5", "loss 20", "reorder 20"]
    desk.call().wait_for("call.home: up")
    assert desk.fault("calm") == []


@with_desk()
def test_a_silent_lns_is_given_up_and_found_again(desk):
    home = desk.call("hello_interval = 0.5\nmax_retries = 2")
    home.wait_for("call.home: up")
    assert desk.fault("silent") == ["silent"]
    home.wait_for("no longer answers")
    desk.fault("calm")
    home.wait_for("call.home: up")


@with_desk()
def test_refusals_are_told_with_their_results(desk):
    desk.fault("refuse-tunnel", "4")
    home = desk.call()
    home.wait_for("StopCCN 4: not authorized")
    assert desk.fault("calm", "refuse-call", "7") == ["refuse-call 7"]
    home.wait_for("CDN 7: no carrier")
    desk.fault("calm", "wrong-password")
    home.wait_for("auth: ")
    desk.fault("calm")
    home.wait_for("call.home: up")


@with_desk()
def test_lcp_begins_anew_and_a_call_is_cleared(desk):
    home = desk.call()
    home.wait_for("call.home: up")
    assert desk.fault("renegotiate") == []
    home.wait_for("call.home: up")
    desk.fault("hang-up")
    home.wait_for("call cleared by the peer")
    home.wait_for("call.home: up")


@in_namespace
def test_a_script_is_played(tmp_path):
    script = tmp_path / "script"
    script.write_text("# a bad second\n0 refuse-call 2\n\n1.5 calm  # and all is well\n")
    desk = Desk(tmp_path, "--script", script)
    try:
        home = desk.call()
        home.wait_for("CDN 2")
        home.wait_for("call.home: up")
        assert [line for line in desk.lns.said if "desk: " in line] == [
            "desk: from now on: refuse-call 2",
            "desk: from now on: calm",
        ]
    finally:
        desk.close()


def test_wrong_words_are_one_line(tmp_path):
    for words, said in (
        (("--fault", "lose 3"), "no such fault: lose 3; there are loss, "),
        (("--fault", "loss"), "loss: needs a number from 0 to 100: per cent of datagrams lost, each way"),
        (("--fault", "silent 3"), "silent: takes no number"),
    ):
        told = laclet(tmp_path, "lns", *words)
        assert told.returncode == 3 and told.stderr.startswith(f"laclet: {said}") and told.stderr.count("\n") == 1
    script = tmp_path / "script"
    script.write_text("1 calm\nsoon loss 30\n")
    told = laclet(tmp_path, "lns", "--script", script)
    assert told.stderr == "laclet: line 2: begins with no number of seconds; write it like: 5 loss 30\n"
    absent = laclet(tmp_path, "fault", "lns", "calm")
    assert (absent.returncode, absent.stderr) == (1, "laclet: lns: no such service is running\n")


@given(st.text(max_size=30))
def test_any_words_are_a_fault_or_refused(text):
    try:
        word, number = parse(text)
    except BadFault:
        return
    assert word in GRAMMAR and number >= 0


@given(st.lists(st.text(max_size=12), max_size=3))
def test_any_script_is_read_or_refused(lines):
    try:
        script = read_script(lines)
    except BadFault:
        return
    assert script == sorted(script)


def test_faults_happen_as_often_as_they_say():
    faults = Faults(7)
    assert faults.ways(100) == [(0, None)]
    for text, low, high in (("loss 30", 650, 750), ("duplicate 40", 1350, 1450)):
        faults.put(*parse("calm"))
        faults.put(*parse(text))
        assert low < sum(len(faults.ways(100)) for _ in range(1000)) < high
    faults.put(*parse("calm"))
    faults.put(*parse("drop-after 3"))
    assert [len(faults.ways(10)) for _ in range(5)] == [1, 1, 1, 0, 0]
    faults.put(*parse("calm"))
    faults.put(*parse("corrupt 100"))
    assert all(way[1] in range(10) for way in faults.ways(10))


@pytest.mark.parametrize("seed", [1, random.randrange(1 << 30)])
def test_the_same_seed_is_the_same_network(seed):
    two = [Faults(seed), Faults(seed)]
    for faults in two:
        faults.put("loss", 50)
        faults.put("jitter", 9)
    assert [two[0].ways(9) for _ in range(50)] == [two[1].ways(9) for _ in range(50)]
