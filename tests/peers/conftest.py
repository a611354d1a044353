"""The laboratory of a test session: booted once, shared by all tests; daemons are started and stopped by each test."""

import pytest

from peers.cable import Port
from peers.capture import assert_well_formed
from peers.l2tpns import L2tpns
from peers.lab import Lab, LabError
from peers.needs import GUEST, need

TAIL = 3000  # characters of each log that the report of a failure shows


@pytest.fixture(scope="session")
def lab():
    need(*GUEST)
    with Lab() as laboratory:
        yield laboratory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """To the report of a failure belongs what all programs have said meanwhile."""
    report = yield
    laboratory = item.funcargs.get("lab") or getattr(item.funcargs.get("here"), "lab", None)
    if laboratory:
        if call.when == "call" and report.failed:
            report.sections += [(f"{place.name}: {path}", _log(place, path)) for place, path in laboratory.logs]
        if call.when == "teardown":
            laboratory.logs.clear()
    return report


def _log(place, path):
    """The end of a log; of a guest that is no more, what its kernel said last."""
    try:
        return place.read(path)[-TAIL:]
    except (OSError, LabError) as error:
        console = place.console.text()[-TAIL:] if hasattr(place, "console") else ""
        return f"not to be read: {error}\n{console}"


@pytest.fixture(scope="session")
def cable(lab):
    """The serial line: `.near` for the program under test, /dev/ttyS0 of `cpe` at the far end."""
    return lab.cable("line")


@pytest.fixture(scope="session")
def between(lab):
    """Another line, from ttyS1 of `cpe`, the near end, to ttyS0 of `lns`."""
    return lab.cable("between", near=Port)


@pytest.fixture(scope="session")
def second(lab):
    """One more line, like `cable`, to ttyS2 of `cpe`."""
    return lab.cable("second")


@pytest.fixture(scope="session")
def guests(lab, cable, between, second):
    """Both guests, booted at the same time."""
    lines = [cable.ends[1], between.ends[0], second.ends[1]]
    both = lab.guest("lns", [between.ends[1]]), lab.guest("cpe", lines)
    for guest in both:
        guest.ready()
    return both


@pytest.fixture(scope="session")
def lns(guests):
    """A guest, for the far end of a tunnel."""
    return guests[0]


@pytest.fixture(scope="session")
def cpe(guests):
    """A guest, for the premises: a client of ours, or pppd on the serial line."""
    return guests[1]


@pytest.fixture(scope="session")
def here(lab):
    """A namespace of this machine on the same bridge, for the program under test."""
    return lab.namespace("here")


@pytest.fixture(scope="session")
def l2tpns(lab):
    """l2tpns in a namespace of its own, with a tunnel secret; it takes clients with and without one."""
    need("l2tpns", "freeradius")
    with L2tpns(lab.namespace("l2tpns"), "chap pap", "tunnelsecret") as daemon:
        yield daemon


@pytest.fixture(scope="session")
def inside(lab):
    """A namespace behind a real masquerade, that of `router`."""
    need("nft")
    router, place = lab.namespace("router"), lab.namespace("inside")
    place.run("ip", "addr", "flush", "dev", "eth0")
    place.run("ip", "addr", "add", "10.78.0.2/24", "dev", "eth0")
    place.run("ip", "route", "add", "default", "via", "10.78.0.1")
    router.run("ip", "addr", "add", "10.78.0.1/24", "dev", "eth0")
    router.run("sysctl -q net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0")
    router.run("nft add table ip nat")
    router.run("nft 'add chain ip nat out { type nat hook postrouting priority 100; }'")
    router.run("nft add rule ip nat out ip saddr 10.78.0.0/24 masquerade random")
    place.router = router
    return place


@pytest.fixture
def well_formed(lab, here):
    """Everything that `here` sends over UDP 1701 during the test is well-formed in the eyes of tshark."""
    with lab.capture(here) as capture:
        yield capture
    assert_well_formed(capture.path, here.address)
