"""The device as a LAC: a PPP host calls through a modem on its line."""

import time

import pytest

pytestmark = pytest.mark.laclet_needs("line")

UP = 30.0  # s
SECONDS = 5.0  # of throughput
WINDOW = 0.1  # s that make a point of its curve
PING = 500  # bytes of data in each of throughput's
BATCH = 4  # of them under way at a time


@pytest.fixture
def called(laclet_device, laclet_lns, laclet_modem):
    """The modem, with IP up through the device."""
    laclet_device.run(
        {
            "tunnel": laclet_lns.client()["tunnel"],
            "line": {"test": {**laclet_device.line(), "modem": "answer"}},
            "call": {"test": {"tunnel": "test", "line": "test"}},
        }
    )
    assert laclet_modem.run(UP, lambda: _lines_up(laclet_device)), "the tunnel does not come up"
    _call(laclet_modem)
    return laclet_modem


def _lines_up(device):
    return all(each["state"] == "up" for each in device.status()["tunnels"].values())


def _call(modem):
    modem.call()
    assert modem.run(UP, lambda: modem.settings), f"IP does not come up: {modem.fault}"


def test_a_caller_gets_an_address_from_the_lns(called, laclet_lns):
    """And a ping gets an answer."""
    caller = laclet_lns.wait_for_caller(UP)
    assert caller["name"] == laclet_lns.user
    called.ping(called.settings["remote"])
    assert called.run(UP, lambda: called.pongs)


def test_throughput(called, request):
    """Bytes a second both ways, by pings that come back; the curve is in the report."""
    points = []
    began = time.monotonic()
    while time.monotonic() < began + SECONDS:
        have, at = len(called.pongs), time.monotonic()
        while time.monotonic() < at + WINDOW:
            want = len(called.pongs) + BATCH
            for _ in range(BATCH):
                called.ping(called.settings["remote"], PING)
            assert called.run(UP, lambda want=want: len(called.pongs) >= want)
        octets = 2 * (len(called.pongs) - have) * (PING + 28)
        points.append((round(at - began, 2), round(octets / (time.monotonic() - at))))
    request.node.user_properties.append(("throughput", points))
    assert len(points) > 1


def test_a_call_that_is_hung_up_can_be_made_again(called, laclet_lns):
    """From both ends in turn."""
    called.hang_up()
    assert called.run(UP, called.idle)
    _call(called)
    laclet_lns.fault("hang-up")
    assert called.run(UP, called.idle)
    _call(called)
