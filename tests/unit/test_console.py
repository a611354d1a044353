"""The console's grammar: what is typed, what it says, and that nothing is half-applied."""

import json

from laclet.node.console import LINE_MAX, Console, Refused

TREE = {"tunnel": {"isp": {"server": "lns.example"}}, "call": {"isp": {"tunnel": "isp", "username": "anna"}}}
SECRETS = {"call": {"isp": {"password": "geheim"}}}


class Host:
    """A board that notes what it is asked."""

    def __init__(self, tree=TREE, secrets=SECRETS, before=None):
        self.said = ""
        self.applied = []
        self.saved = []
        self.acts = []
        self.full = False
        self.tree = tree
        self.secrets = secrets
        self.before = before
        self.secret = None
        self.console = Console(self)

    def write(self, text):
        self.said += text

    def running(self):
        return self.tree, self.secrets

    def previous(self):
        return self.before

    def apply(self, config, now):
        self.applied.append(config)

    def save(self, tree, secrets):
        if self.full:
            raise OSError("no space")
        self.saved.append((json.dumps(tree), json.dumps(secrets)))

    def act(self, word, arguments, now):
        self.acts.append((word, arguments))
        return ["done"]

    def password(self):
        return self.secret

    def capture(self, words, tools):
        if words == ["stop"]:
            return {"frames": 2, "lost": 0}
        return {"calls": words, "time": None, "tools": tools}

    def status(self):
        return {"tunnels": {"isp": {"state": "up"}}}

    def stats(self):
        return {"free": 1000}

    def version(self):
        return {"laclet": "1.2.3"}

    def log(self):
        return ["one line"]

    # for tests

    def type(self, text, now=0):
        """What is said after this was typed, without the echo of lines and without prompts."""
        self.said = ""
        self.console.receive(text.encode(), now)
        return self.said

    def do(self, line, now=0):
        """Lines that a command says."""
        return self.console.execute(line, now)

    def refused(self, line, now=0):
        """``(column, text)`` of a refusal."""
        try:
            self.console.execute(line, now)
        except Refused as error:
            return error.column, error.args[0]
        raise AssertionError("taken: " + line)


def test_what_is_wrong_is_told_with_column_and_what_is_allowed():
    host = Host()
    for line, column, what, mend in (
        ("shw", 1, "no such command: shw", "did you mean show?"),
        ("show me", 6, "cannot show me", "config"),
        ("show log now", 10, "too many words", "write show"),
        ("set", 4, "set what?", "set PATH VALUE"),
        ("set tunnel.isp.server", 22, "the value is missing", "set PATH VALUE"),
        ("set tunel.isp.server x", 5, "no such section: tunel", "did you mean tunnel?"),
        ("set tunnel.isp.serwer x", 16, "no such key: serwer", "did you mean server?"),
        ("set tunnel.i+p.server x", 12, "is no name", "letters"),
        ("set tunnel.isp x", 5, "tunnel.isp is a section", "server"),
        ("set tunnel.isp.server.x y", 23, "server has no keys", "write tunnel.isp.server"),
        ("set  hostname.x y", 15, "hostname has no keys", "write hostname"),
        ("set call.isp.mtu big", 18, "must be a number", "128"),
        ("set call.isp.mtu 1", 18, "out of range", "128 to 1500"),
        ("set call.isp.auth chip", 19, "is not known", "did you mean"),
        ("set call.isp.metric 5", 21, "works on Linux only", "leave it out"),
        ("set tunnel.isp.redial yes", 23, "must be true or false", "true"),
        ('set hostname "x', 14, "is no JSON", "quote"),
        ("delete call.isp.mru", 8, "call.isp.mru is not set", "show config"),
        ("commit now", 8, "no such word: now", "confirm"),
        ("commit confirm 0", 16, "is no time", "1 to 60"),
        ("confirm", 1, "nothing waits", "commit confirm"),
        ("rollback", 1, "nothing before", "compare"),
    ):
        at, text = host.refused(line)
        assert at == column and what in text and mend in text, (line, at, text)
    assert host.do("compare") == [] and host.applied == [] and host.saved == []


def test_set_compare_commit_save():
    host = Host()
    for line in (
        "set tunnel.isp.server a.example, b.example:1702",
        "set tunnel.isp.hostname  the box ",
        "set tunnel.isp.redial false",
        "set tunnel.isp.holdoff 2.5",
        "set call.isp.mtu 1400",
    ):
        assert host.do(line) == []
    assert host.do("compare") == [
        "+ call.isp.mtu = 1400",
        "+ tunnel.isp.holdoff = 2.5",
        '+ tunnel.isp.hostname = "the box"',
        "+ tunnel.isp.redial = false",
        '- tunnel.isp.server = "lns.example"',
        '+ tunnel.isp.server = ["a.example", "b.example:1702"]',
    ]
    assert host.applied == [], "nothing before commit"
    assert "save" in host.do("commit")[0]
    tunnel = host.applied[0]["tunnel"]["isp"]
    assert tunnel["server"] == [("a.example", 1701), ("b.example", 1702)] and tunnel["redial"] is False
    assert host.do("compare") == [] and host.saved == []
    host.full = True
    assert "no space" in host.refused("save")[1]
    host.full = False
    assert host.do("save") == ["saved"]
    assert json.loads(host.saved[0][0])["call"]["isp"]["mtu"] == 1400
    assert json.loads(host.saved[0][1]) == SECRETS


def test_a_board_without_a_configuration_gets_one():
    host = Host({}, {})
    assert host.do("show config") == ["nothing is configured"]
    for line in (
        "set call.isp.password pass word?",
        "set call.isp.username anna",
        "set call.isp.tunnel isp",
        "set tunnel.isp.server 192.0.2.1",
    ):
        host.type(line + "\r")
    assert host.do("commit") and host.applied[0]["call"]["isp"]["password"] == "pass word?"
    host.do("save")
    assert "pass" not in host.saved[0][0] and "pass word?" in host.saved[0][1]


def test_a_wrong_whole_is_told_line_by_line_and_not_applied():
    host = Host()
    host.do("set call.isp.tunnel other")
    host.do("delete call.isp.password")
    text = host.refused("commit")[1]
    assert "nothing is changed" in text and "call.isp.tunnel: there is no" in text and "password is missing" in text
    assert host.applied == [] and len(host.do("compare")) == 3
    host.do("discard")
    assert host.do("compare") == []


def test_secrets_are_hidden_everywhere():
    host = Host()
    said = host.type("set tunnel.isp.tunnel_secret topsecret\r")
    host.type("set call.isp.password\r")
    for line in (
        "show config\r",
        "compare\r",
        '{"id": 1, "do": "show config"}\r',
        "\x1b[A",
        "\x1b[A",
        "\x1b[A",
        "\x1b[A",
    ):
        said = host.type(line)
        assert "topsecret" not in said and "geheim" not in said, line
    host.type("\x15")
    assert "+ tunnel.isp.tunnel_secret = (hidden)" in host.do("compare")
    text = host.refused("set call.isp.password " + "x" * 200)[1]
    assert "xxx" not in text


def test_commit_confirm_comes_back_unless_confirmed():
    host = Host()
    host.do("set call.isp.mtu 1300")
    host.do("commit confirm 2", 1000)
    assert host.console.poll_at() == 121_000
    assert "confirm" in host.refused("save")[1]
    host.console.on_timer(120_999)
    assert len(host.applied) == 1
    host.console.on_timer(121_000)
    assert len(host.applied) == 2 and host.applied[1]["call"]["isp"]["mtu"] == 1450
    assert host.console.poll_at() is None and host.do("compare") == []
    host.do("set call.isp.mtu 1300")
    host.do("commit confirm 2", 0)
    host.do("confirm", 5)
    assert host.console.poll_at() is None and host.do("save") == ["saved"]


def test_rollback_makes_the_one_before_the_candidate():
    host = Host(before=({"hostname": "old"}, {}))
    assert '+ hostname = "old"' in host.do("rollback"), "the one before the last save"
    host.do("discard")
    host.do("set call.isp.mtu 1300")
    host.do("commit")
    assert host.do("rollback")[0] == "- call.isp.mtu = 1300", "the one before the last commit"
    host.do("commit")
    assert host.applied[1]["call"]["isp"]["mtu"] == 1450


def test_editing_history_and_long_lines():
    host = Host()
    assert "one line" in host.type("show lox\x7fg\r\n")
    assert host.type("\x1b[A").endswith("show log")
    assert host.type("\x1b[B").endswith("\b \b")
    assert "tunnels.isp.state" in host.type("x\x15show\r")
    assert host.type("set hostname Käse\r").count("error") == 0
    assert host.do("compare") == ["+ hostname = " + json.dumps("Käse")]
    assert "too long" in host.type("set hostname " + "x" * LINE_MAX + "\r")
    assert "Käse" in host.console._new[0]["hostname"], "not cut: refused"
    assert host.type("\r\r") == "\nlaclet> \nlaclet> "


def test_tab_and_question_mark():
    host = Host()
    for typed, added in (
        ("sho\t", "w "),
        ("set tun\t", "nel."),
        ("set call.isp.pass\t", "word "),
        ("connect \t", "isp "),
    ):
        assert host.type(typed) == typed[:-1] + added, typed
        host.type("\x15")
    said = host.type("set tunnel.isp.h\t")
    assert "tunnel.isp.holddown  tunnel.isp.holdoff  tunnel.isp.hostname" in said
    host.type("\x15")
    said = host.type("?")
    assert all(word in said for word in ("commit [confirm MIN]", "factory-reset yes", "ping ADDRESS"))
    said = host.type("set call.isp.?")
    assert "Largest IP packet sent." in said and "metric" not in said and said.endswith("laclet> set call.isp.")
    host.type("\x15")
    assert "the last lines of the log" in host.type("show ?")


def test_tools_speak_json_on_the_same_port():
    host = Host()

    def ask(**asked):
        said = host.type(json.dumps(asked) + "\n")
        assert said.endswith("}\n") and "\n" not in said[:-1], "no echo, no prompt: " + said
        return json.loads(said)

    assert ask(id=0, do="show version") == {"id": 0, "ok": True, "data": {"laclet": "1.2.3"}}
    assert ask(id=1, do="show status") == {"id": 1, "ok": True, "data": {"tunnels": {"isp": {"state": "up"}}}}
    assert ask(id=2, do="set tunnel.isp.server", value=["a", "b"]) == {"id": 2, "ok": True}
    assert ask(id=3, do="compare")["out"][1] == '+ tunnel.isp.server = ["a", "b"]'
    answer = ask(id=4, do="set tunnel.isp.rws many")
    assert answer["ok"] is False and answer["column"] == 20 and "must be a number" in answer["error"]
    assert ask(id=5, do="set tunnel.isp.rws", value="5")["ok"] is False
    assert ask(id=6)["error"].startswith("do is missing")
    for line, bad in (('{"id": 1, "do', 12), ('{"id": 1, "do": nope}', 17)):
        answer = json.loads(host.type(line + "\n"))
        assert "no JSON" in answer["error"] and bad - 1 <= answer["column"] <= bad + 1, (line, answer)
    assert ask(id=7, do="reboot")["out"] == ["done"] and host.acts == [("reboot", [])]
    shown = ask(id=8, do="show config")["data"]
    assert shown["call"]["isp"]["password"] == "(hidden)"


def test_another_console_goes_on_where_one_was_unloaded():
    host = Host()
    host.do("set call.isp.mtu 1300")
    host.type("commit confirm 2\rset hostna", 1000)
    other = Console(host, host.console.state())
    assert other.poll_at() == 121_000
    other.receive(b"me box\r", 1000)
    assert other.execute("compare", 0) == ['+ hostname = "box"']
    other.on_timer(121_000)
    assert host.applied[-1]["call"]["isp"]["mtu"] == 1450


def test_a_password_is_asked_and_wrong_ones_make_deaf():
    host = Host()
    host.secret = "se?am"
    host.console = Console(host, None, False)
    host.console.start()
    assert host.said == "password: "
    assert host.type("x\r") == "\nwrong, or too soon\npassword: "
    assert host.type("se?am\r", 999) == "\nwrong, or too soon\npassword: ", "right, and too soon"
    assert "log in" in host.type('{"do": "show config"}\n', 1000) and not host.acts
    assert host.type("se?am\r", 2998).endswith("too soon\npassword: ")
    assert host.type("se?am\r", 6999).startswith("\nlaclet console")
    assert host.type("show log\r").endswith("one line\nlaclet> ")
    assert Console(host, host.console.state(), True)._locked is False


def test_tools_log_in_and_leave():
    host = Host()
    host.secret = "sesam"
    host.console = Console(host, None, False)
    assert '"ok": true' in host.type('{"do": "login", "value": "sesam"}\n')
    assert '"tools": true' in host.type('{"do": "capture isp"}\n')
    host.act = lambda word, arguments, now: None
    assert host.type("exit\r") == "exit\n", "no prompt any more"
    assert '"out": []' in host.type('{"do": "exit"}\n')
    assert Console(Host())._locked is False
