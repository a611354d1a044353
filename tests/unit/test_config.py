"""Configuration: the schema's table, the check of a tree, secrets."""

from laclet.node import schema
from laclet.node.config import HIDDEN, MAX_PROBLEMS, check, exposed, hide, is_secret, merge
from laclet.node.values import LIST_KINDS, dotted, ipv4_bytes, is_ipv6, nearest, split_host

KINDS = ("bool", "int", "seconds", "text", "secret", "choice", "ref", "ip", "ipv4", "pool", "secrets")
KINDS += ("proposals", "circuit") + LIST_KINDS


def tree(**sections):
    """A LAC client's tree that is right, with sections replaced or added."""
    out = {
        "tunnel": {"office": {"server": "lns.example.net"}},
        "call": {"home": {"tunnel": "office", "username": "me", "password": "pw"}},
    }
    for name in sections:
        out[name] = sections[name]
    return out


def problems_of(wrong, on_board=False):
    """``{dotted path: "what; mend"}``."""
    found = {}
    for path, what, mend in check(wrong, on_board)[1]:
        assert what and mend and dotted(path) not in found
        found[dotted(path)] = what + "; " + mend
    return found


def with_key(section, key, value):
    """A right tree with one key added."""
    out = tree(
        line={"port": {"device": "/dev/ttyS0"}},
        lns={"address": "192.0.2.1", "pool": "192.0.2.2-192.0.2.9", "users": {"a": "b"}},
        log={},
    )
    into = out
    for part in section:
        into = into[part]
    into[key] = value
    return out


def test_schema_is_well_formed():
    seen = []
    for name, many, rows, text in schema.SECTIONS:
        assert name not in seen and many in (True, False) and text[-1] == "."
        seen.append(name)
        names = [row[0] for row in rows]
        assert len(names) == len(set(names))
        for key, kind, limits, default, flags, text in rows:
            assert kind in KINDS and text[-1] == "." and len(text) < 100, key
            assert not flags & schema.MUST or default is None
            if kind in ("int", "seconds"):
                assert default is None or limits[0] <= default <= limits[1], key
            if kind == "choice":
                assert default in limits
    assert schema.section("tunnel")[0] == "tunnel" and schema.section("tunel") is None


def test_defaults_are_filled_in():
    config, problems = check(tree())
    assert problems == []
    tunnel = config["tunnel"]["office"]
    assert tunnel["server"] == [("lns.example.net", 1701)]
    assert tunnel["hello_interval"] == 60 and tunnel["max_retries"] == 5 and tunnel["redial"] is True
    call = config["call"]["home"]
    assert call["auth"] == ["chap", "pap"] and call["mtu"] == 1450 and call["routes"] == () and call["line"] is None
    assert config["hostname"] is None and config["lns"] is None and config["line"] == {}
    assert config["log"] == {"level": "info", "json": False, "syslog": False}


def test_lac_call_keeps_no_ppp_keys():
    config, problems = check(
        tree(line={"port": {"device": "/dev/ttyS0"}}, call={"c": {"tunnel": "office", "line": "port"}})
    )
    assert problems == []
    assert config["call"]["c"] == {
        "tunnel": "office",
        "line": "port",
        "proxy": False,
        "private_group": None,
        "error_reports": 0,
        "data_plane": "auto",
    }
    assert config["line"]["port"]["baud"] == 115200


def test_lists_of_one_configuration_are_not_those_of_the_next():
    first = check(tree())[0]
    first["call"]["home"]["auth"].append("x")
    assert check(tree())[0]["call"]["home"]["auth"] == ["chap", "pap"]


def test_hostname_of_the_top_reaches_tunnels_and_lns():
    given = with_key((), "hostname", "cpe-17")
    config, problems = check(given)
    assert (
        problems == [] and config["tunnel"]["office"]["hostname"] == "cpe-17" and config["lns"]["hostname"] == "cpe-17"
    )
    given["tunnel"]["office"]["hostname"] = "other"
    assert check(given)[0]["tunnel"]["office"]["hostname"] == "other"


def test_good_values():
    for section, key, value, kept in (
        (
            ("tunnel", "office"),
            "server",
            ["a:17", "[2001:db8::1]:2", "::1"],
            [("a", 17), ("2001:db8::1", 2), ("::1", 1701)],
        ),
        (("tunnel", "office"), "source_address", "2001:db8::1", "2001:db8::1"),
        (("tunnel", "office"), "retry_timeout", 0.5, 0.5),
        (
            ("call", "home"),
            "routes",
            ["10.0.0.0/8", "192.0.2.7"],
            ["10.0.0.0/8", "192.0.2.7/32"],
        ),
        (("call", "home"), "routes", ["0.0.0.0/0", "10.1.128.0/17"], ["0.0.0.0/0", "10.1.128.0/17"]),
        (("call", "home"), "auth", [], []),
        (("line", "port"), "init", ["ATZ", "ATZ"], ["ATZ", "ATZ"]),
        (("lns",), "pool", "192.0.2.2 - 192.0.2.3", ("192.0.2.2", "192.0.2.3")),
        (("lns",), "users", {"me@isp.example": "x"}, {"me@isp.example": "x"}),
    ):
        config, problems = check(with_key(section, key, value))
        assert problems == [], (key, problems)
        for part in section:
            config = config[part]
        assert config[key] == kept, key


def test_bad_values_are_named_with_their_mend():
    office, home, port = ("tunnel", "office"), ("call", "home"), ("line", "port")
    for section, key, value, said in (
        (office, "redial", "yes", 'must be true or false, not "yes"; write true or false without quotes'),
        (office, "rws", 0, "0 is out of range; choose 1 to 65535"),
        (office, "rws", 2.5, "must be a whole number, not 2.5; choose 1 to 65535"),
        (office, "rws", True, "must be a number, not true; write 1 to 65535 without quotes"),
        (office, "holdoff", float("nan"), "nan is out of range; choose 0.1 to 3600"),
        (office, "holdoff", 90, "is longer than redial_timeout; make it 60 or less"),
        (office, "hostname", 7, "must be a string, not 7; put it in quotes"),
        (office, "hostname", "", "is empty; give it a value or remove the line"),
        (office, "hostname", "x" * 65, "is 65 bytes long; use at most 64"),
        (office, "hostname", "a\nb", "holds a control character; use printable characters"),
        (
            office,
            "source_address",
            "10.0.0",
            '"10.0.0" is not an IP address; write it like "192.0.2.1" or "2001:db8::1"',
        ),
        (office, "server", [], "is an empty list; name at least one"),
        (office, "server", 5, "must be a list, not 5; put it in [ ]"),
        (home, "address", "2001:db8::1", '"2001:db8::1" is not an IPv4 address; write it like "192.0.2.1"'),
        (home, "tunnel", "ofice", 'there is no [tunnel.ofice]; did you mean "office"?'),
        (home, "tunnel", "wan", "there is no [tunnel.wan]; add [tunnel.wan]"),
        (home, "mtu", 9000, "9000 is out of range; choose 128 to 1500"),
        (home, "ifname", "a/b", "is no name for an interface; use letters, digits, -, _ and ."),
        (port, "flow", "rtcts", '"rtcts" is not known; did you mean "rtscts"?'),
        (port, "flow", 3, '3 is not known; choose "none", "rtscts"'),
        (port, "modem", "dial", 'number is missing; add number = "..."'),
        (port, "number", "123", 'is for a modem that dials; add modem = "dial", or remove it'),
        (("lns",), "pool", "192.0.2.9-192.0.2.2", "ends before it begins; put the lower address first"),
        (
            ("lns",),
            "pool",
            "192.0.2.9",
            '"192.0.2.9" is not a range of IPv4 addresses; write it like "192.0.2.10-192.0.2.99"',
        ),
        (("lns",), "pool", "192.0.2.1-192.0.2.2", "holds lns.address; leave our own address out"),
        (("lns",), "dns", ["192.0.2.1", "192.0.2.2", "192.0.2.3"], "has more than two entries; keep two"),
        (("lns",), "users", 1, 'must be a table of names and passwords; write name = "password" below [lns.users]'),
        (("log",), "level", "warn", '"warn" is not known; did you mean "warning"?'),
        (home, "password", 12345, "must be a string; put it in quotes"),
    ):
        found = problems_of(with_key(section, key, value))
        path = dotted(section + (key,))
        assert found.get(path) == said, (path, found)


def test_bad_list_entries_are_named_by_index():
    for key, value, index, said in (
        ("auth", ["chap", "chop"], 1, '"chop" is not known; did you mean "chap"?'),
        ("auth", ["pap", "pap"], 1, '"pap" is there twice; remove one'),
        ("routes", ["10.0.0.0/8", "10.0.0.1/8"], 1, '"10.0.0.1/8" has bits beyond its prefix; write "10.0.0.0/8"'),
        ("routes", ["10.0.0.0/33"], 0, '"10.0.0.0/33" has no prefix length from 0 to 32; write it like "192.0.2.0/24"'),
        ("routes", ["2001:db8::/32"], 0, '"2001:db8::/32" is not an IPv4 network; write it like "192.0.2.0/24"'),
        ("routes", [{}], 0, 'must be a string, not a table; write it like "192.0.2.0/24"'),
    ):
        found = problems_of(with_key(("call", "home"), key, value))
        assert found == {"call.home.%s[%d]" % (key, index): said}, found
    found = problems_of(with_key(("lns",), "users", {"bob": 1}))
    assert found == {"lns.users.bob": "must be a string; put it in quotes"}
    assert problems_of(with_key(("call", "home"), "routes", ["10.0.0.0/8"] * 65)) == {
        "call.home.routes": "has 65 entries; keep at most 64"
    }


def test_unknown_names_offer_the_nearest():
    assert problems_of(with_key((), "hostnam", "x")) == {"hostnam": "no such key or section; did you mean hostname?"}
    assert problems_of(with_key((), "tunnels", {})) == {"tunnels": "no such key or section; did you mean tunnel?"}
    assert problems_of(with_key(("call", "home"), "pasword", "hunter2")) == {
        "call.home.pasword": "no such key; did you mean password?"
    }
    assert problems_of(with_key(("log",), "zzzzzz", 1)) == {"log.zzzzzz": "no such key; remove it"}
    assert nearest("x" * 33, ["x" * 32]) is None and nearest("", ["mtu"]) is None
    assert nearest("MTU", ["mru", "mtu"]) == "mtu"


def test_missing_keys_and_misplaced_sections():
    assert problems_of({}) == {"": "nothing to do; add a [call.NAME] with its [tunnel.NAME], or [lns]"}
    assert problems_of([]) == {"": "must be a table, not a list; write sections and keys"}
    assert problems_of(tree(tunnel={"office": {}})) == {"tunnel.office": "server is missing; add server = ..."}
    assert problems_of(tree(log=3)) == {"log": "must be a table, not 3; write its keys below [log]"}
    found = problems_of(tree(tunnel={"server": "x"}))
    assert found["tunnel.server"] == "stands outside a named section; put it below [tunnel.NAME]"
    found = problems_of(tree(tunnel=[{}]))
    assert found["tunnel"] == "must be a table, not a list; write its keys below [tunnel]"
    found = problems_of(tree(line={"a b": {"device": "x"}}))
    assert found == {"line.a b": "is no name for a section; use 1 to 32 letters, digits, - and _"}


def test_keys_that_do_not_go_together():
    two = {"a": {"tunnel": "office", "line": "p"}, "b": {"tunnel": "office", "line": "p", "mtu": 1400}}
    assert problems_of(tree(line={"p": {"device": "x"}}, call=two)) == {
        "call.b.line": "is taken by [call.a]; a line serves one",
        "call.b.mtu": "is for a call without a line; remove it, or remove line",
    }
    lines = {"p": {"device": "x"}, "q": {"device": "x"}}
    assert problems_of(tree(line=lines)) == {"line.q.device": "is the device of [line.p]; give each line its own"}
    taken = {"tunnel": "office", "default_route": True, "ifname": "ppp0"}
    assert problems_of(tree(call={"a": taken, "b": taken})) == {
        "call.b.default_route": "is taken with this metric by [call.a]; give each its own metric, or keep one",
        "call.b.ifname": "is the interface of [call.a]; choose another name",
    }
    apart = {"tunnel": "office", "default_route": True, "metric": 5}
    assert problems_of(tree(call={"a": apart, "b": {"tunnel": "office", "default_route": True}})) == {}
    assert problems_of(tree(call={"a": {"tunnel": "office", "username": "me"}})) == {
        "call.a.username": "password is missing; add password = ... to the secrets file"
    }
    assert problems_of(tree(call={"a": {"tunnel": "office", "password": "me"}})) == {
        "call.a.password": "username is missing; add username = ..."
    }
    assert problems_of(tree(lns={"address": "192.0.2.1", "pool": "192.0.2.2-192.0.2.9"})) == {
        "lns": "auth asks for a log-in that nobody has; add [lns.users] to the secrets file, or auth = [] for no log-in"
    }


def test_ipsec_by_strongswan():
    swan = {"server": "lns.example.net", "ipsec": "strongswan"}
    files = {"ipsec_cert": "c", "ipsec_key": "k", "ipsec_ca": "a"}

    def wrong(**keys):
        found = problems_of(tree(tunnel={"office": keys}))
        return sorted([path[len("tunnel.office.") :] + ": " + found[path].split(";")[0] for path in found])

    assert wrong(ipsec_psk="psk", **swan) == [] == wrong(ipsec_peer_id="CN=lns", **dict(swan, **files))
    assert wrong(**swan) == ["ipsec: has no secret"]
    assert wrong(ipsec_cert="c", ipsec_key="k", **swan) == ["ipsec_ca: is missing"]
    assert wrong(ipsec_psk="psk", **dict(swan, **files)) == ["ipsec_cert: is instead of ipsec_psk"]
    assert wrong(server="x", **files) == ["ipsec_cert: is for strongSwan"]
    assert wrong(ipsec_psk="psk", ipsec_peer_id="CN=lns", **swan) == ["ipsec_peer_id: is for certificates"]
    found = wrong(ipsec_psk="psk", ipsec_plane="user", **swan)
    assert found == ["ipsec_plane: is not for strongSwan, whose ESP is the kernel's"]
    assert "tunnel.office.ipsec" in problems_of(tree(tunnel={"office": dict(swan, ipsec_psk="psk")}), on_board=True)


def test_all_problems_at_once_within_bounds():
    wrong = tree()
    wrong["tunnel"]["office"]["rws"] = 0
    wrong["call"]["home"]["mtu"] = 0
    wrong["log"] = {"level": "x", "colour": 1}
    assert sorted(problems_of(wrong)) == ["call.home.mtu", "log.colour", "log.level", "tunnel.office.rws"]
    many = tree(log={"k%d" % i: 1 for i in range(2 * MAX_PROBLEMS)})
    assert len(check(many)[1]) == MAX_PROBLEMS
    assert problems_of(tree(line={"n%d" % i: {} for i in range(65)})) == {"line": "has 65 sections; keep at most 64"}


def test_linux_keys_on_a_board():
    given = with_key(("call", "home"), "default_route", True)
    assert problems_of(given) == {}
    assert problems_of(given, True) == {"call.home.default_route": "works on Linux only; remove it"}


def test_secrets_are_merged_into_a_new_tree():
    main = tree(lns={"users": {"a": "1", "b": "2"}})
    del main["call"]["home"]["password"]
    merged, problems = merge(main, {"call": {"home": {"password": "pw"}}, "lns": {"users": {"b": "3", "c": "4"}}})
    assert problems == []
    assert merged["call"]["home"]["password"] == "pw" and merged["lns"]["users"] == {"a": "1", "b": "3", "c": "4"}
    assert "password" not in main["call"]["home"] and main["lns"]["users"] == {"a": "1", "b": "2"}


def test_secrets_hold_nothing_else():
    for secrets, path, said in (
        ({"call": {"home": {"mtu": 1400}}}, "call.home.mtu", "is not a secret; move it to the main file"),
        ({"call": {"hom": {"password": "x"}}}, "call.hom", "the main file has no [call.hom]; did you mean home?"),
        ({"lns": {"users": {"a": "b"}}}, "lns", "the main file has no [lns]; add it there, or remove it here"),
        ({"hostname": "x"}, "hostname", "is not a secret; move it to the main file"),
        ("x", "", 'must be a table, not "x"; write sections and keys'),
    ):
        problems = merge(tree(), secrets)[1]
        assert [(dotted(p), what + "; " + mend) for p, what, mend in problems] == [(path, said)]
    assert merge([], {}) == ([], [])


def test_secrets_are_never_shown():
    given = tree(lns={"address": "192.0.2.1", "pool": "192.0.2.2-192.0.2.9", "users": {"a": "topsecret"}})
    given["tunnel"]["office"]["tunnel_secret"] = "topsecret"
    given["call"]["home"]["password"] = "topsecret"
    config, problems = check(given)
    assert problems == [] and config["call"]["home"]["password"] == "topsecret"
    for shown in (hide(given), hide(config)):
        assert "topsecret" not in str(shown)
        assert shown["lns"]["users"] == {"a": HIDDEN} and shown["call"]["home"]["password"] == HIDDEN
        assert shown["call"]["home"]["username"] == "me"
    assert hide(check(tree())[0])["tunnel"]["office"]["tunnel_secret"] is None
    assert sorted(exposed(given)) == [
        ("call", "home", "password"),
        ("lns", "users"),
        ("tunnel", "office", "tunnel_secret"),
    ]
    assert exposed({"lns": {"users": {}}}) == []
    assert is_secret(("lns", "users", "a")) and not is_secret(("lns",)) and not is_secret(())
    bad = tree()
    bad["call"]["home"]["password"] = "topsecret\n"
    bad["lns"] = {"users": {"a": ["topsecret"], "b": "x"}, "tunnel_secret": {"topsecret": 1}}
    assert "topsecret" not in str(check(bad)[1])


def test_any_rubbish_is_a_problem_and_no_exception():
    rubbish = (None, True, 0, -1, 1.5, 1 << 70, "", "x", "é" * 9, [], [[]], [None], {}, {"x": {"x": {}}}, {"": {}})
    for name, many, rows, _ in schema.SECTIONS:
        for value in rubbish:
            if name:
                check(tree(**{name: value}))
                check({name: {"n": value}})
            for row in rows:
                keys = {row[0]: value}
                wrong = keys if not name else {name: {"n": keys}} if many else {name: keys}
                assert check(wrong)[1] != [] or row[0] in ("auth", "hello_interval"), (row[0], value)
                merge(wrong, wrong)
                hide(wrong)
                exposed(wrong)


def test_ipv4_text():
    assert ipv4_bytes("192.0.2.255") == b"\xc0\x00\x02\xff"
    for bad in (
        "",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.-4",
        "1.2.3.",
        "1.2.3.²",
        "a.b.c.d",
        "1.2.3.4 ",
    ):
        assert ipv4_bytes(bad) is None, bad


def test_ipv6_text():
    for good in (
        "::",
        "::1",
        "1::",
        "2001:db8::1",
        "1:2:3:4:5:6:7:8",
        "::ffff:192.0.2.1",
        "1:2:3:4:5:6:1.2.3.4",
        "fe80::1%eth0",
    ):
        assert is_ipv6(good), good
    for bad in (
        "",
        ":",
        ":::",
        "1:2",
        "1::2::3",
        "12345::",
        "g::",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::8",
        "::1.2.3",
        "::1%",
    ):
        assert not is_ipv6(bad), bad
    for bad in ("1.2.3.4::", "::1.2.3.4:5", ":1::", "1:2:3:4:5:6:7:"):
        assert not is_ipv6(bad), bad


def test_hosts_and_ports():
    for text, found in (
        ("lns", ("lns", 1)),
        ("lns.example.net:1701", ("lns.example.net", 1701)),
        ("192.0.2.1:65535", ("192.0.2.1", 65535)),
        ("2001:db8::1", ("2001:db8::1", 1)),
        ("[2001:db8::1]", ("2001:db8::1", 1)),
        ("[::1]:5", ("::1", 5)),
    ):
        assert split_host(text, 1) == found, text
    for bad in (
        "",
        ":",
        "a:",
        ":5",
        "a:0",
        "a:65536",
        "a:x",
        "a b",
        "-a",
        "a..b",
        "1.2.3",
        "[::1",
        "[::1]5",
        "[::1]:",
        "[a]:5",
    ):
        assert split_host(bad, 1) is None, bad


def test_uplinks_and_the_board_itself():
    given = tree(
        line={"wire": {"device": "1"}, "modem": {"device": "2"}, "console": {"device": "3"}},
        uplink={
            "home": {"kind": "wifi", "ssid": "net", "password": "geheim"},
            "cable": {"kind": "ethernet", "address": "192.0.2.5", "gateway": "192.0.2.1", "metric": 1},
            "cell": {"kind": "modem", "line": "modem", "metric": 2},
        },
        board={"ntp": ["ntp.example"], "console_line": "console", "console_password": "x"},
    )
    config, problems = check(given, True)
    assert problems == [] and config["board"]["watchdog"] == 0 and config["uplink"]["cell"]["auth"] == ["chap", "pap"]
    assert is_secret(("uplink", "home", "password")) and is_secret(("board", "console_password"))
    assert check(tree(), True)[0]["board"] is None and check(tree(), True)[0]["uplink"] == {}
    assert problems_of(given)["uplink.home.ssid"] == "works on a board only; remove it"
    given["call"]["lac"] = {"tunnel": "office", "line": "modem"}
    given["uplink"]["home"] = {"kind": "wifi", "line": "wire"}
    given["uplink"]["cable"] = {"kind": "ethernet", "ssid": "net", "address": "192.0.2.5"}
    given["board"]["console_line"] = "consol"
    found = problems_of(given, True)
    assert found == {
        "uplink.home": "ssid is missing; add ssid = ...",
        "uplink.home.line": "is for kind = modem; remove it, or change kind",
        "uplink.cable.ssid": "is for kind = wifi; remove it, or change kind",
        "uplink.cable": "address and gateway go together; add the other one",
        "uplink.cell.line": "is taken by [call.lac]; a line serves one",
        "board.console_line": 'there is no [line.consol]; did you mean "console"?',
    }, found
