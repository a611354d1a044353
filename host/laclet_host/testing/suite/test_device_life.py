"""Restarts, power cuts, updates and the way back from one."""

import pytest

from laclet_host.device.update import status, update
from laclet_host.testing.bench import IDLE


def test_it_comes_back_from_a_restart_with_what_is_saved(laclet_device):
    """What was only committed is forgotten."""
    laclet_device.restart()
    saved = laclet_device.link.get("show config")
    laclet_device.run(IDLE)
    laclet_device.link.get("set hostname", "not-saved")
    laclet_device.link.get("commit")
    laclet_device.restart()
    assert laclet_device.link.get("show config").get("hostname") == saved.get("hostname") != "not-saved"


@pytest.mark.laclet_needs("power")
def test_it_comes_back_from_power_cuts(laclet_device):
    """Three in a row."""
    for _ in range(3):
        laclet_device.cut_power()
        assert laclet_device.status()["console"]["uncommitted"] == 0


@pytest.mark.laclet_needs("power", "update")
def test_an_update_is_taken_and_one_that_never_proves_itself_is_not(laclet_device):
    """New code runs on trial; power that fails before it has proved itself takes the device back."""
    link = laclet_device.link
    before = status(link)
    done = update(link, lambda *_: None)
    assert done["slot"] == before["other"]
    laclet_device.restarted()
    assert status(laclet_device.link)["running"] == done["slot"]
    for _ in range(8):
        if status(laclet_device.link)["failed"]:
            break
        laclet_device.cut_power()
    after = status(laclet_device.link)
    assert (after["failed"], after["running"]) == (done["slot"], before["running"])
