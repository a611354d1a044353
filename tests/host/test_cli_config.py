"""Configuration files: the lines of findings, secrets beside the file, warnings."""

import json
import os
import re
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from laclet_host.config import Source, load, secrets_path
from laclet_host.reference import markdown

DOCS = Path(__file__).resolve().parents[2] / "docs"
GOOD = """\
[tunnel.office]
server = "192.0.2.1"

[call.home]
tunnel = "office"
username = "me"
"""


def write(folder, name, text, mode=0o600):
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def paths_of(tree, path=()):
    """All paths in a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield (*path, key)
        yield from paths_of(value, (*path, key))


def test_lines_of_paths(tmp_path):
    source = Source(
        write(
            tmp_path,
            "x.toml",
            '''\
# a comment with [brackets] and = signs
hostname = """
[not.a.table]
x = 1 """""

[tunnel . "of fice"]  # a comment
server = [
  "a#b",  # one
  'c]d',
  [1, [2,
    3]],
]
a.b."c.d" = { e = 1, f = [true,
  2.5] }
[[list]]
k = 2024-05-01 10:00:00
[[list.inner]]
[[list]]
[[list.inner]]
k = \'\'\'
it's\'\'\'
last = 1''',
        )
    )
    assert set(source.lines) == set(paths_of(source.tree))
    for path, line in (
        (("hostname",), 2),
        (("tunnel",), 6),
        (("tunnel", "of fice"), 6),
        (("tunnel", "of fice", "server"), 7),
        (("tunnel", "of fice", "server", 1), 9),
        (("tunnel", "of fice", "server", 2, 1, 1), 11),
        (("tunnel", "of fice", "a", "b", "c.d", "e"), 13),
        (("tunnel", "of fice", "a", "b", "c.d", "f", 1), 14),
        (("list", 0, "k"), 16),
        (("list", 1, "inner", 0, "k"), 20),
        (("list", 1, "inner", 0, "last"), 22),
    ):
        assert source.lines[path] == line, path
    assert source.line(("hostname", "further", "in")) == 2 and source.line(("nowhere",)) == 1


KEYS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=5)
LEAVES = st.one_of(
    st.integers(-9, 9), st.booleans(), st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=9)
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
    ),
    max_size=4,
)


@settings(max_examples=150)
@given(TREES)
def test_every_path_of_any_file_has_a_line(tmp_path_factory, tree):
    folder = tmp_path_factory.getbasetemp()
    for name, text in (("any.toml", tomlkit.dumps(tree)), ("any.json", json.dumps(tree, indent=1))):
        source = Source(write(folder, name, text))
        assert set(source.lines) == set(paths_of(source.tree))


def test_problems_name_file_line_key_and_mend(tmp_path):
    path = write(
        tmp_path, "a.toml", GOOD.replace("tunnel =", "mtuu = 1\ntunnel =") + 'password = 5\nroutes = [\n"x",\n]\n'
    )
    loaded = load(path)
    assert [str(each) for each in loaded.errors] == [
        f"{path}:5: call.home.mtuu: no such key; did you mean mtu?",
        f"{path}:8: call.home.password: must be a string; put it in quotes",
        f'{path}:10: call.home.routes[0]: "x" is not an IPv4 network; write it like "192.0.2.0/24"',
    ]
    assert [str(each) for each in loaded.warnings] == [
        f"{path}:8: call.home.password: is a secret; move it to secrets.toml"
    ]


def test_secrets_beside_the_file(tmp_path):
    path = write(tmp_path, "a.toml", GOOD)
    secrets = write(tmp_path, "secrets.toml", '[call.home]\npassword = "pw"\n')
    loaded = load(path)
    assert loaded.errors == [] and loaded.warnings == []
    assert loaded.config["call"]["home"]["password"] == "pw"
    secrets.write_text('[call.home]\npassword = ""\nmtu = 1400\n[call.other]\npassword = "x"\n')
    loaded = load(path)
    assert [str(each) for each in loaded.errors] == [
        f"{secrets}:2: call.home.password: is empty; give it a value or remove the line",
        f"{secrets}:3: call.home.mtu: is not a secret; move it to the main file",
    ]
    assert [str(each) for each in loaded.warnings] == [
        f"{secrets}:4: call.other: the main file has no [call.other]; add it there, or remove it here"
    ]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_secrets_that_others_may_read(tmp_path):
    path = write(tmp_path, "a.toml", GOOD)
    secrets = write(tmp_path, "secrets.toml", '[call.home]\npassword = "pw"\n', 0o644)
    loaded = load(path)
    assert loaded.errors == []
    assert [str(each) for each in loaded.warnings] == [
        f"{secrets}:1: others than its owner may read it; chmod 600 {secrets}"
    ]


def test_json_is_for_a_board(tmp_path):
    tree = {"tunnel": {"o": {"server": "x"}}, "call": {"c": {"tunnel": "o", "default_route": True}}}
    path = write(tmp_path, "config.json", json.dumps(tree, indent=1))
    assert secrets_path(path).name == "secrets.json"
    line = path.read_text().split("\n").index('   "default_route": true') + 1
    assert [str(each) for each in load(path).errors] == [
        f"{path}:{line}: call.c.default_route: works on Linux only; remove it"
    ]


@pytest.mark.parametrize(
    ("name", "raw", "line", "what"),
    [
        ("a.toml", b"[log]\nlevel = \n", 2, "Invalid value"),
        ("a.toml", b"[log]\nlevel = 'info'\nlevel = 'info'\n", 3, "Cannot overwrite a value"),
        ("a.toml", b"[log\n", 1, "Expected ']' at the end of a table declaration"),
        ("a.toml", b"\xff\xfe", 1, "is not UTF-8 text"),
        ("a.toml", b"x = " + b"[" * 5000 + b"]" * 5000, 1, "is nested too deep"),
        ("a.json", b'{"log":\n{"level" 1}}', 2, "Expecting ':' delimiter"),
        ("a.json", b"[]", 1, "must be a table, not a list"),
        ("a.toml", b"", 1, "nothing to do"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, raw, line, what):
    path = tmp_path / name
    path.write_bytes(raw)
    (finding,) = load(path).errors
    assert (finding.line, finding.what) == (line, what) and finding.mend


def test_missing_file_and_folder(tmp_path):
    (finding,) = load(tmp_path / "none.toml").errors
    assert finding.what == "No such file or directory"
    (finding,) = load(tmp_path).errors
    assert finding.what == "Is a directory"


def test_reference_is_made_from_the_schema():
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == markdown(), "run tools/reference"


def test_examples_of_the_reference_are_right(tmp_path):
    client, secrets, *others = re.findall(r"```toml\n(.*?)```", markdown(), re.S)
    assert len(others) == 2
    write(tmp_path, "secrets.toml", secrets)
    loaded = load(write(tmp_path, "client.toml", client))
    assert loaded.errors == [] and loaded.warnings == []
    for text in others:
        folder = tmp_path / str(len(text))
        folder.mkdir()
        assert load(write(folder, "other.toml", text)).errors == []
