"""Completion by the shells themselves, and the one line that ends a user's mistake."""

import shutil
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from clirun import environment, laclet

from laclet_host import cli
from laclet_host.ui import DEVICE_ABSENT, Trouble

# Each prints what the shell would offer after the words in $LINE, as its own completion machinery has it.
ASK = {
    "bash": """
eval "$SCRIPT"; words=($LINE); [[ "$LINE" == *" " ]] && words+=("")
COMP_WORDS=("${words[@]}"); COMP_CWORD=$((${#words[@]} - 1))
_laclet_completion laclet; printf '%s\\n' "${COMPREPLY[@]}"
""",
    "zsh": """
autoload -U compinit; compinit -D; eval "$SCRIPT"
_describe() { local -a found; found=("${(@P)3}"); print -l -- "${found[@]%%:*}" }
compadd() { print -l -- "${(@P)5}" }
words=(${=LINE}); [[ "$LINE" == *" " ]] && words+=(""); CURRENT=${#words}
_laclet_completion
""",
    "fish": 'echo $SCRIPT | source; complete -C "$LINE" | string replace -r "\\t.*" ""',
}


@pytest.fixture
def bin_dir(tmp_path):
    """A folder with a ``laclet`` of this checkout in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "laclet").write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'laclet'\nfrom laclet_host.cli import main\nmain()\n"
    )
    (folder / "laclet").chmod(0o755)
    return folder


@pytest.mark.parametrize("shell", list(ASK))
def test_the_shell_completes(shell, tmp_path, bin_dir):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = laclet(tmp_path, "completion", shell)
    assert script.returncode == 0, script.stderr
    (tmp_path / "office").mkdir()
    (tmp_path / "office/control.sock").touch()

    def offered(line):
        env = environment(tmp_path)
        env.update(PATH=f"{bin_dir}:{env['PATH']}", SCRIPT=script.stdout, LINE=line, HOME=str(tmp_path))
        quiet = {"bash": ["--norc", "-c"], "zsh": ["-f", "-c"], "fish": ["--no-config", "-c"]}[shell]
        command = [shell, *quiet, ASK[shell]]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        return set(done.stdout.split()), done.stderr

    assert offered("laclet st")[0] >= {"status", "stop"}, offered("laclet st")
    assert "office" in offered("laclet status ")[0]
    assert "--json" in offered("laclet status --js")[0]
    assert offered("laclet completion f")[0] == {"fish"}


def test_an_unknown_shell_is_a_usage_error(tmp_path):
    done = laclet(tmp_path, "completion", "tcsh")
    assert done.returncode == 2 and "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.stderr


def run_one(monkeypatch, error):
    """What the shell sees when a command ends with ``error``."""

    def callback():
        raise error

    monkeypatch.setitem(cli.COMMANDS, "boom", "boom")
    monkeypatch.setitem(sys.modules, "laclet_host.commands.boom", SimpleNamespace(boom=click.command()(callback)))
    result = CliRunner().invoke(cli.main, ["boom"])
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Trouble("ttyUSB0 is busy; close minicom", DEVICE_ABSENT), 4, "laclet: ttyUSB0 is busy; close minicom\n"),
        (Trouble("no"), 1, "laclet: no\n"),
        (FileNotFoundError(2, "No such file or directory", "x.toml"), 1, "laclet: x.toml: No such file or directory\n"),
        (PermissionError(13, "Permission denied"), 1, "laclet: Permission denied\n"),
        (OSError("could not open port"), 1, "laclet: could not open port\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (click.Abort(), 130, "\n"),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
    ],
)
def test_a_mistake_ends_in_one_line(monkeypatch, error, code, said):
    assert run_one(monkeypatch, error) == (code, said)


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "boom", "boom")
    fault = click.command()(lambda: 1 // 0)
    monkeypatch.setitem(sys.modules, "laclet_host.commands.boom", SimpleNamespace(boom=fault))
    assert isinstance(CliRunner().invoke(cli.main, ["boom"]).exception, ZeroDivisionError)


def test_a_reader_that_goes_away_hears_nothing_more(tmp_path):
    command = f'"{sys.executable}" -m laclet_host completion zsh | true; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command], env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() in ("0", "1") and done.stderr == ""
