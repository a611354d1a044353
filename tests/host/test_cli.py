"""The ``laclet`` command: help, version, checks of configurations, answers when there is nothing."""

import json
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner
from clirun import environment, laclet

from laclet import __version__
from laclet_host.cli import COMMANDS, main
from laclet_host.screen import duration, show, size

GOOD = '[tunnel.a]\nserver = "192.0.2.1"\n[call.b]\ntunnel = "a"\nusername = "me"\npassword = "hunter2"\n'


@pytest.fixture
def run(tmp_path):
    return lambda *words: laclet(tmp_path, *words)


def test_help_loads_nothing_else(tmp_path):
    """What makes it quick (tools/bench help), and without side effects: of no command are heavy modules loaded."""
    code = (
        "import sys, os; from laclet_host.cli import COMMANDS, main\n"
        "sys.stdout = open(os.devnull, 'w')\n"
        "for name in ('', *COMMANDS):\n"
        "    try: main([*name.split(), '--help'])\n"
        "    except SystemExit: pass\n"
        "    print(name, sorted(m for m in sys.modules if m.split('.')[0] in "
        "('laclet_linux', 'pyroute2', 'rich', 'serial', 'asyncio', 'tomllib', 'socket', 'tomlkit', 'textual', "
        "'littlefs', 'mpremote', 'esptool', 'subprocess', 'pytest')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(tmp_path))
    assert done.stderr.splitlines() == [f"{name} []" for name in ("", *COMMANDS)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], *[[name] for name in COMMANDS], ["config", "check"]])
def test_every_command_has_help(words):
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0 and result.output.startswith("Usage: ") and "\n  " in result.output


def test_version(run):
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"laclet, version {__version__}\n")


def test_check_of_a_good_file_never_shows_secrets(run, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(GOOD)
    done = run("config", "check", path)
    assert (done.returncode, done.stdout) == (0, f"{path}: good\n")
    assert done.stderr == f"warning: {path}:6: call.b.password: is a secret; move it to secrets.toml\n"
    done = run("config", "check", path, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["ok"] and found["errors"] == [] and done.stderr == ""
    assert found["config"]["call"]["b"]["password"] == "(hidden)" and "hunter2" not in done.stdout
    assert found["warnings"][0]["line"] == 6


def test_check_of_a_bad_file_names_everything(run, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(GOOD + 'mtuu = 5\nmru = "x"\n')
    done = run("config", "check", path)
    assert done.returncode == 3 and done.stdout == ""
    assert done.stderr.split("\n")[1:3] == [
        f"{path}:7: call.b.mtuu: no such key; did you mean mtu?",
        f'{path}:8: call.b.mru: must be a number, not "x"; write 128 to 1500 without quotes',
    ]
    found = json.loads(run("config", "check", path, "--json").stdout)
    assert not found["ok"] and found["config"] is None
    assert found["errors"][0] == {
        "file": str(path),
        "line": 7,
        "key": "call.b.mtuu",
        "what": "no such key",
        "mend": "did you mean mtu?",
    }


def test_run_refuses_a_bad_file(run, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("[lns]\n")
    done = run("run", path)
    assert done.returncode == 3
    assert done.stderr == (
        f"{path}:1: lns: address is missing; add address = ..., or forward = ...\n"
        f"{path}:1: lns: pool is missing; add pool = ..., or forward = ...\n"
        f"{path}:1: lns: auth asks for a log-in that nobody has; "
        "add [lns.users] to the secrets file, or auth = [] for no log-in\n"
    )
    done = run("run", tmp_path / "none.toml")
    assert (done.returncode, done.stderr) == (
        3,
        f"{tmp_path}/none.toml:1: No such file or directory; check the name and the permissions\n",
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lns", "--pool", "x"], 3, "laclet: --pool: "),
        (["lns", "--auth", "chop"], 3, 'laclet: --auth: "chop" is not known; did you mean "chap"?'),
        (["lns", "--auth", "chap"], 3, "laclet: --user: auth asks for a log-in that nobody has"),
        (["lns", "--user", "hunter2"], 2, "Error: a user is NAME:PASSWORD"),
        (["status", "none"], 1, "laclet: none: no such service is running"),
        (["status"], 1, "laclet: no service is running"),
        (["stop", "none"], 1, "laclet: none: no such service is running"),
        (["up", "none"], 1, "laclet: none: no such service is running"),
        (["down", "none", "x"], 1, "laclet: none: no such service is running"),
        (["nonsense"], 2, "Error: No such command 'nonsense'."),
    ],
)
def test_mistakes_take_one_line(run, words, code, said):
    done = run(*words)
    assert done.returncode == code and done.stdout == "" and "Traceback" not in done.stderr
    assert any(line.startswith(said) for line in done.stderr.split("\n")), done.stderr
    assert "hunter2" not in done.stderr


def test_reload_as_json(run):
    done = run("reload", "none", "--json")
    answer = {"none": {"ok": False, "error": "no such service is running"}}
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (1, answer, "")


def test_status_without_services_as_json(run):
    assert (run("status", "--json").stdout, run("status", "--json").returncode) == ("{}\n", 0)


def test_socket_of_a_dead_service_is_no_service(run, tmp_path):
    (tmp_path / "gone").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "gone/control.sock"))
    done = run("status", "gone")
    assert (done.returncode, done.stderr) == (1, "laclet: gone: no such service is running\n")
    assert run("status", "--json").stdout == "{}\n"


def test_durations_and_sizes():
    for seconds, words in (
        (0.9, "0 seconds"),
        (1, "1 second"),
        (182, "3 minutes, 2 seconds"),
        (7200, "2 hours"),
        (90061, "1 day, 1 hour"),
    ):
        assert duration(seconds) == words
    assert [size(n) for n in (0, 1023, 1024, 1 << 30, 5 << 50)] == [
        "0 B",
        "1023 B",
        "1.00 KiB",
        "1.00 GiB",
        "5120.00 TiB",
    ]


def test_screen_of_a_line_that_waits():
    status = {
        "version": "1",
        "pid": 7,
        "uptime": 61,
        "drops": {"bad control header": 2},
        "tunnels": {"t": {"state": "holdoff", "server": None, "tunnel": None, "redials": 3, "fault": "dns: no"}},
        "calls": {
            "c": {
                "tunnel": "t",
                "state": "waiting",
                "device": "/dev/ttyS1",
                "modem": {"state": "idle"},
                "session": None,
                "fault": None,
            }
        },
    }
    assert show({"x": status}).replace("\x1b[0m", "").split("\n") == [
        "\x1b[32m\x1b[1mservice: \x1b[32mx",
        "  \x1b[1mrunning: laclet 1, pid 7, for 1 minute, 1 second",
        "  \x1b[1mdropped: 2 × bad control header",
        "",
        "\x1b[32m\x1b[1mtunnel: \x1b[32mt",
        "  \x1b[1mstate: holdoff",
        "  \x1b[1mredials: 3",
        "  \x1b[1mlast failure: dns: no",
        "",
        "\x1b[32m\x1b[1mcall: \x1b[32mc",
        "  \x1b[1mtunnel: t",
        "  \x1b[1mstate: waiting",
        "  \x1b[1mdevice: /dev/ttyS1",
        "  \x1b[1mmodem: idle",
    ]
