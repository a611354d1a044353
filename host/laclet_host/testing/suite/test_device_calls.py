"""The device as a LAC client: it comes up with each authentication, comes back, and finds another LNS."""

import pytest

from laclet_host.testing.bench import PASSWORD, USER

UP = 30.0  # s
QUICK = {"holdoff": 0.5, "redial_timeout": 2, "retry_timeout": 0.3, "max_retries": 3, "hello_interval": 2}


def client(servers, auth=None):
    """The configuration of a LAC client."""
    call = {"tunnel": "test", "username": USER, "password": PASSWORD}
    if auth:
        call["auth"] = [auth]
    return {"tunnel": {"test": {"server": servers, **QUICK}}, "call": {"test": call}}


def is_up(status):
    return status["calls"]["test"]["state"] == "up"


@pytest.mark.parametrize("auth", ["pap", "chap", "mschap", "mschap-v2", "eap"])
def test_it_comes_up_with_each_authentication(laclet_device, laclet_lns, auth):
    """The LNS asks for whatever; the device offers only this one."""
    laclet_device.run(client(laclet_lns.server, auth))
    caller = laclet_lns.wait_for_caller(UP)
    status = laclet_device.wait(is_up, UP)
    assert caller["name"] == USER and caller["address"] == status["calls"]["test"]["address"]


def test_a_wrong_password_is_told(laclet_device, laclet_lns):
    """With the layer, and what to do; and it comes up when the password is right again."""
    laclet_lns.fault("wrong-password")
    laclet_device.run(client(laclet_lns.server))
    status = laclet_device.wait(lambda status: status["calls"]["test"]["fault"], UP)
    assert status["calls"]["test"]["fault"].startswith("auth: ")
    laclet_lns.fault("calm")
    laclet_device.wait(is_up, UP)


def test_a_bad_network_is_survived(laclet_device, laclet_lns):
    """A fifth of the datagrams lost, others twice or late."""
    laclet_lns.fault("loss", "20", "duplicate", "10", "reorder", "10", "jitter", "10")
    laclet_device.run(client(laclet_lns.server))
    laclet_device.wait(is_up, 2 * UP)


def test_it_calls_again_when_the_lns_hangs_up(laclet_device, laclet_lns):
    """And when the LNS falls silent for a while."""
    laclet_device.run(client(laclet_lns.server))
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
    laclet_device.run(client([f"{host}:{int(port) ^ 1}", laclet_lns.server]))
    laclet_lns.wait_for_caller(UP)
    laclet_device.wait(is_up, UP)
