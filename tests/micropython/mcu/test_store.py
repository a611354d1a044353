"""The configuration of a board: files checked, secrets merged, the checks forgotten."""

import json
import os
import sys

from laclet_mcu.store import load

FOLDER = "store-test"
CLIENT = {"tunnel": {"isp": {"server": "lns.example"}}, "call": {"isp": {"tunnel": "isp", "username": "anna"}}}
SECRETS = {"call": {"isp": {"password": "geheim"}}}


def loaded(config, secrets=None):
    """load() of files with these texts or trees."""
    os.mkdir(FOLDER)
    paths = []
    try:
        for name, content in (("config.json", config), ("secrets.json", secrets)):
            if content is not None:
                paths.append(FOLDER + "/" + name)
                with open(paths[-1], "w") as file:
                    file.write(content if isinstance(content, str) else json.dumps(content))
        return load(FOLDER + "/config.json")
    finally:
        for path in paths:
            os.remove(path)
        os.rmdir(FOLDER)


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
