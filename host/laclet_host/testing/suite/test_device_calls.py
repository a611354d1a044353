"""The device as a LAC client: it comes up with each authentication, comes back, and finds another LNS."""

import pytest

from laclet_host.testing.bench import Lns

UP = 30.0  # s


def is_up(status):
    return status["calls"]["test"]["state"] == "up"


@pytest.mark.parametrize("auth", ["pap", "chap", "mschap", "mschap-v2", "eap"])
def test_it_comes_up_with_each_authentication(laclet_device, laclet_lns, auth):
    """The LNS asks for whatever; the device offers only this one."""
    laclet_device.run(laclet_lns.client(auth))
    caller = laclet_lns.wait_for_caller(UP)
    status = laclet_device.wait(is_up, UP)
    assert caller["name"] == laclet_lns.user and caller["address"] == status["calls"]["test"]["address"]


def test_a_wrong_password_is_told(laclet_device, laclet_lns):
    """With the layer, and what to do; and it comes up when the password is right again."""
    laclet_lns.fault("wrong-password")
    laclet_device.run(laclet_lns.client())
    status = laclet_device.wait(lambda status: status["calls"]["test"]["fault"], UP)
    assert status["calls"]["test"]["fault"].startswith("auth: ")
    laclet_lns.fault("calm")
    laclet_device.wait(is_up, UP)


def test_a_bad_network_is_survived(laclet_device, laclet_lns):
    """A fifth of the datagrams lost, others twice or late."""
    laclet_lns.fault("loss", "20", "duplicate", "10", "reorder", "10", "jitter", "10")
    laclet_device.run(laclet_lns.client())
    laclet_device.wait(is_up, 2 * UP)


def test_it_calls_again_when_the_lns_hangs_up(laclet_device, laclet_lns):
    """And when the LNS falls silent for a while."""
    laclet_device.run(laclet_lns.client())
    laclet_device.wait(is_up, UP)
    laclet_lns.fault("hang-up")
    laclet_device.wait(lambda status: not is_up(status), UP)
    laclet_device.wait(is_up, UP)
    laclet_lns.fault("silent")
    laclet_device.wait(lambda status: not is_up(status), UP)
    laclet_lns.fault("calm")
    laclet_device.wait(is_up, UP)


def test_another_lns_is_found_when_the_first_is_silent(laclet_device, laclet_lns):
    """The first address answers nothing."""
    host, _, port = laclet_lns.server.rpartition(":")
    laclet_device.run(laclet_lns.client(None, f"{host}:{int(port) ^ 1}"))
    laclet_lns.wait_for_caller(UP)
    laclet_device.wait(is_up, UP)


@pytest.fixture
def first_lns(laclet_lns):
    """Another test LNS, without a ladder in the report."""
    lns = Lns(laclet_lns.server.rpartition(":")[0])
    yield lns
    lns.close()
    lns.forget()


def test_it_goes_over_to_another_lns_when_the_one_it_is_with_dies(laclet_device, laclet_lns, first_lns):
    """The path to it is cut, without a word."""
    laclet_device.run(laclet_lns.client(None, first_lns.server))
    first_lns.wait_for_caller(UP)
    laclet_device.wait(is_up, UP)
    first_lns.fault("silent")
    laclet_lns.wait_for_caller(2 * UP)
    laclet_device.wait(is_up, UP)
