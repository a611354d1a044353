"""The configuration of a board: files checked, secrets merged, the checks forgotten."""

import json
import os
import sys

from laclet import BUILD
from laclet_mcu import forget
from laclet_mcu.store import Store, load

FOLDER = "store-test"
CLIENT = {"tunnel": {"isp": {"server": "lns.example"}}, "call": {"isp": {"tunnel": "isp", "username": "anna"}}}
SECRETS = {"call": {"isp": {"password": "geheim"}}}


def loaded(tree, secrets=None):
    """What load() makes of these two files; a file may be text."""
    with Folder() as folder:
        for name, content in (("config.json", tree), ("secrets.json", secrets)):
            if content is not None:
                folder.write(name, content if isinstance(content, str) else json.dumps(content))
        return load(FOLDER + "/config.json")


def test_config_and_secrets_are_merged():
    config, problems = loaded(CLIENT, SECRETS)
    assert problems == []
    assert config["call"]["isp"]["password"] == "geheim"
    assert config["tunnel"]["isp"]["server"] == [("lns.example", 1701)]


def test_all_problems_are_told_with_file_and_key():
    wrong = json.loads(json.dumps(CLIENT))
    wrong["tunnel"]["isp"]["serverr"] = "x"
    wrong["call"]["isp"]["tunnel"] = "ips"
    config, problems = loaded(wrong, SECRETS)
    assert len(problems) == 2
    assert all(line.startswith(FOLDER + "/config.json: ") for line in problems)
    assert "call.isp.tunnel" in "".join(problems) and "did you mean" in "".join(problems)


def test_problems_of_the_secrets_file_name_it():
    config, problems = loaded(CLIENT, {"call": {"isp": {"username": "eve", "password": "x"}}})
    assert [line for line in problems if line.startswith(FOLDER + "/secrets.json: call.isp.username: ")]


def test_missing_and_broken_files():
    assert "is missing" in load("no-such-folder/config.json")[1][0]
    assert "no JSON" in loaded('{"tunnel": ')[1][0]
    config, problems = loaded(CLIENT, "{")
    assert config is None and len(problems) == 1 and "secrets.json" in problems[0]


def test_the_checks_are_forgotten():
    assert loaded(CLIENT, SECRETS)[1] == []
    left = [name for name in sys.modules if name in ("laclet.node.config", "laclet.node.schema", "laclet.node.values")]
    assert left == []


class Folder:
    """A folder with a store, removed at the end."""

    def __init__(self):
        self.said = []

    def __enter__(self):
        os.mkdir(FOLDER)
        return self

    def __exit__(self, *_):
        for name in os.listdir(FOLDER):
            os.remove(FOLDER + "/" + name)
        os.rmdir(FOLDER)

    def store(self):
        return Store(FOLDER + "/config.json")

    def load(self):
        return self.store().load(self.said.append)

    def write(self, name, text):
        with open(FOLDER + "/" + name, "w") as file:
            file.write(text)


def other(server):
    """CLIENT with another server."""
    tree = json.loads(json.dumps(CLIENT))
    tree["tunnel"]["isp"]["server"] = server
    return tree


def test_a_saved_configuration_is_loaded_and_the_one_before_is_kept():
    with Folder() as folder:
        for server in ("one.example", "two.example"):
            folder.store().save(other(server), SECRETS)
        config, problems = folder.load()
        assert problems == [] and folder.said == []
        assert config["tunnel"]["isp"]["server"] == [("two.example", 1701)]
        assert folder.store().read() == (other("two.example"), SECRETS)
        assert folder.store().read(True) == (other("one.example"), SECRETS)


def test_a_damaged_file_is_told_and_the_pair_before_is_taken():
    for damage in ("", '{"tunnel": {"isp"', '{"tunnel": {"isp": {"server": 5}}}'):
        with Folder() as folder:
            folder.store().save(other("one.example"), SECRETS)
            folder.store().save(other("two.example"), SECRETS)
            folder.write("config.json", damage)
            config, problems = folder.load()
            assert problems == [] and config["tunnel"]["isp"]["server"] == [("one.example", 1701)]
            assert folder.said[0] == FOLDER + "/config.json: is not as it was saved"
            assert folder.said[-1] == FOLDER + "/config.json.bak: taken instead"
            assert len(folder.said) > 2, "and what is wrong with it"


def test_what_people_have_changed_is_taken_when_it_is_in_order():
    with Folder() as folder:
        folder.store().save(other("one.example"), SECRETS)
        folder.write("config.json", json.dumps(other("mine.example")))
        config, problems = folder.load()
        assert problems == [] and config["tunnel"]["isp"]["server"] == [("mine.example", 1701)]
        assert folder.said == [FOLDER + "/config.json: is not as it was saved"]
        folder.store().save(other("two.example"), SECRETS)
        assert folder.store().read(True)[0] == other("mine.example")


def test_only_secrets_changed():
    with Folder() as folder:
        folder.store().save(CLIENT, SECRETS)
        new = {"call": {"isp": {"password": "neu"}}}
        folder.store().save(CLIENT, new)
        assert folder.store().read() == (CLIENT, new)
        assert folder.store().read(True) == (CLIENT, SECRETS)


def test_without_a_save_there_is_nothing_before():
    with Folder() as folder:
        assert folder.store().read(True) is None
        folder.store().save(CLIENT, SECRETS)
        assert folder.store().read(True) is None
        folder.write("store.json", '{"version": 99}')
        assert folder.load()[1] == [], "a layout of the future: the files as they are"


def test_what_was_checked_once_is_loaded_without_the_checks():
    assert BUILD, "this is a build"
    with Folder() as folder:
        folder.store().save(CLIENT, SECRETS)
        config, problems = folder.load()
        assert problems == []
        sys.modules["laclet_mcu.checks"] = None  # who checks now fails
        try:
            assert folder.load() == (config, [])
            assert isinstance(config["tunnel"]["isp"]["server"][0], tuple)
        finally:
            forget("laclet_mcu", "checks")
        # A change of a file, of either; a damaged copy; another build's.
        for name, text in (
            ("config.json", json.dumps(other("mine.example"))),
            ("secrets.json", json.dumps({"call": {"isp": {"password": "neu"}}})),
            ("checked.json", ""),
            ("checked.json", "x\n{}"),
            ("checked.json", "0" * 64 + '\n{"call": {}}'),
        ):
            folder.write(name, text)
            config, problems = folder.load()
            assert problems == [] and config["tunnel"]["isp"]["server"] == [("mine.example", 1701)]
        assert config["call"]["isp"]["password"] == "neu"
        folder.store().forget()
        assert os.listdir(FOLDER) == []
