"""Configuration trees as TOML: every key of the schema there and back, people's own words kept, secrets apart."""

import tomllib

from laclet.node.config import HIDDEN, exposed
from laclet.node.console import flat
from laclet.node.schema import SECTIONS
from laclet_host.configtext import changes, join, keep, merge_secrets, split, toml

OF_KIND = {
    "bool": True,
    "int": 7,
    "seconds": 1.5,
    "secrets": {"a user": "pw", "b": 'quo"te'},
    "texts": ["ATZ", 'AT"'],
    "choices": ["x"],
    "refs": ["n"],
    "ipv4s": ["192.0.2.1"],
    "cidrs": ["192.0.2.0/24"],
    "circuits": ["x25:4711"],
    "hosts": ["a", "b:1"],
}


def everything():
    """A tree with every key there is, two sections of each name."""
    tree = {}
    for name, many, rows, _ in SECTIONS:
        values = {row[0]: OF_KIND.get(row[1], "a text # of kind") for row in rows}
        if name == "":
            tree.update(values)
        else:
            tree[name] = {"one": values, "two": dict(values)} if many else values
    return tree


def test_every_key_there_and_back():
    tree = everything()
    text = toml(tree)
    assert tomllib.loads(text) == tree
    assert toml(tree, text) == text, "what is the same is not touched"
    for name, many, rows, about in SECTIONS:
        if name:
            assert f"[{name}.one] # {about}\n" in text if many else f"[{name}] # {about}\n" in text
        for _, kind, _, _, _, said in rows:
            if kind != "secrets":
                assert ("# Seconds. " if kind == "seconds" else "# ") + said in text
    assert "#" not in toml(tree, head="").replace("# of kind", "")


def test_secrets_apart_and_together():
    tree = everything()
    main, secrets = split(tree)
    assert (
        exposed(main) == [] and len(exposed(secrets)) == len([path for path, _ in flat(secrets)]) - 1
    )  # users: a table
    assert join(main, secrets) == tree
    assert split({"call": {"c": {"password": "x"}}}) == ({"call": {"c": {}}}, {"call": {"c": {"password": "x"}}})


def test_own_words_stay():
    text = '# mine\nhostname="x"  # as on the label\n[log]\nlevel = "debug"\n[tunnel]\n[tunnel.b]\nserver = "b" # far\n'
    tree = tomllib.loads(text)
    tree["tunnel"]["b"]["server"] = "c"
    tree["tunnel"]["a"] = {"server": "d"}
    del tree["log"]
    new = toml(tree, text)
    assert tomllib.loads(new) == tree
    assert (
        new.startswith('# mine\nhostname="x"  # as on the label\n')
        and 'server = "c" # far' in new
        and "[log]" not in new
    )


def test_hidden_secrets_are_what_is_there():
    there = {"call": {"c": {"username": "u", "password": "old"}}}
    tree = {"call": {"c": {"username": HIDDEN, "password": HIDDEN}, "d": {"password": HIDDEN}}}
    kept, missing = keep(tree, there)
    assert kept == {"call": {"c": {"username": HIDDEN, "password": "old"}}}, "a name may be what it likes"
    assert missing == [("call", "d", "password")]
    assert changes(there, kept) == [(("call", "c", "username"), "u", HIDDEN)]


def test_a_file_of_secrets_serves_several_configurations():
    text = '# ours\n[call.a]\npassword = "1"\n[call.gone]\npassword = "2"\n[tunnel.t]\ntunnel_secret = "3"\n'
    main = {"call": {"a": {}}, "tunnel": {"t": {}}}
    secrets = {"call": {"a": {"password": HIDDEN}}}
    new = merge_secrets(secrets, main, text, "")
    assert new.startswith("# ours\n")
    assert tomllib.loads(new) == {"call": {"a": {"password": "1"}, "gone": {"password": "2"}}}
    new = merge_secrets({"call": {"a": {"password": "9"}}}, main, new, "")
    assert tomllib.loads(new) == {"call": {"a": {"password": "9"}, "gone": {"password": "2"}}}
