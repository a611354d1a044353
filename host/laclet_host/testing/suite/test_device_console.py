"""The console, and the configuration that is made with it."""

import pytest

from laclet_host.device.link import Refused
from laclet_host.testing.bench import IDLE


def test_the_console_answers(laclet_device):
    """Help names its commands; the version is told."""
    assert any(line.lstrip().startswith("commit") for line in laclet_device.link.get("help"))
    assert laclet_device.link.get("show version")


def test_bad_input_is_one_line_with_its_place(laclet_device):
    """Nothing happens; the line says where it is wrong, where that is not plain, and what is allowed."""
    for words, value, column in (
        ("sohw status", None, 1),
        ("set tunnel.x.sever", "192.0.2.1", 14),
        ("set hostname", 7, 0),
    ):
        with pytest.raises(Refused) as refused:
            laclet_device.link.get(words, value)
        assert refused.value.column == column and "\n" not in str(refused.value)
    assert laclet_device.link.get("compare") == []


def test_a_configuration_is_tried_and_taken_back(laclet_device):
    """Set, compare, commit, rollback; what is set shows."""
    laclet_device.run(IDLE)
    link = laclet_device.link
    before = link.get("show config")
    link.get("set hostname", "laclet-test")
    assert '+ hostname = "laclet-test"' in link.get("compare")
    link.get("commit")
    assert link.get("show config")["hostname"] == "laclet-test"
    link.get("rollback")
    link.get("commit")
    assert link.get("show config") == before


def test_secrets_are_never_shown(laclet_device):
    """Neither in the configuration nor in what would change."""
    link = laclet_device.link
    link.get("set tunnel.probe.tunnel_secret", "do-not-show-me")
    shown = str(link.get("compare")) + str(link.get("show config"))
    link.get("discard")
    assert "do-not-show-me" not in shown and "(hidden)" in shown
