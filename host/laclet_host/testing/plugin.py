"""The pytest plugin: devices, a test LNS, a modem and a virtual board as fixtures.

``laclet_device``  the device of ``--laclet-port``, or a virtual board with ``--laclet-virtual``; else tests are skipped
``laclet_lns``     a test LNS that the device can reach, and that does what ``laclet fault`` tells it
``laclet_modem``   an AT modem and PPP host at the far end of the device's line (``--laclet-line``)
``virtual_board``  a virtual board of its own, whatever the options say

``@pytest.mark.laclet_needs("line", "power", "update")``: what a device must have for a test.
"""

import pytest

NEEDS = {
    "line": "--laclet-line: where the far end of the device's serial line is plugged in",
    "power": "--laclet-power: a command that cuts and restores the device's power",
    "update": "a device with two slots of code, and no board.update_key",
}
VERSION = pytest.StashKey[dict]()  # of the config: what the device says of itself


def pytest_addoption(parser):
    group = parser.getgroup("laclet", "devices that run laclet")
    group.addoption("--laclet-port", metavar="PORT", help="Serial port of the device, as laclet console takes it.")
    group.addoption("--laclet-virtual", action="store_true", help="A virtual board is the device.")
    group.addoption("--laclet-line", metavar="TTY", help="Where the far end of the device's serial line is.")
    group.addoption("--laclet-lns-address", metavar="IP", help="Our address, as the device can reach it.")
    group.addoption("--laclet-power", metavar="COMMAND", help="Cuts the device's power and restores it.")
    group.addoption("--laclet-report", metavar="FILE", help="A page about the run, for people (HTML).")
    group.addoption("--laclet-json", metavar="FILE", help="The run for programs.")


def pytest_configure(config):
    config.addinivalue_line("markers", "laclet_needs(*things): line, power, update: what the device must have")
    wanted = config.getoption("laclet_report") or config.getoption("laclet_json")
    if wanted and not hasattr(config, "workerinput"):  # with pytest-xdist the first process reports
        from .report import Reporter

        config.pluginmanager.register(Reporter(config), "laclet-reporter")


@pytest.fixture(scope="session")
def _laclet_desk(request):
    """``(device, path of the line's far end)``."""
    from . import bench

    options = request.config.option
    if options.laclet_virtual:
        with bench.virtual_device() as (board, device):
            request.config.stash[VERSION] = device.link.get("show version")
            yield device, board.uarts[1]
        return
    if not options.laclet_port:
        pytest.skip("no device: give --laclet-port PORT or --laclet-virtual")
    device = bench.Device(options.laclet_port, options.laclet_power)
    request.config.stash[VERSION] = device.link.get("show version")
    yield device, options.laclet_line
    device.restart()  # what was committed was never saved: its own configuration is back
    device.close()


@pytest.fixture
def laclet_device(request, _laclet_desk):
    """A ``Device`` that has what the test needs; its log goes into the report."""
    device, line = _laclet_desk
    has = {"line": lambda: line, "power": lambda: device.power, "update": device.updates}
    for marker in request.node.iter_markers("laclet_needs"):
        for thing in marker.args:
            if thing not in NEEDS:
                pytest.fail(f"laclet_needs: no such thing: {thing}; there are {', '.join(NEEDS)}")
            if not has[thing]():
                pytest.skip(f"needs {NEEDS[thing]}")
    yield device
    _keep_log(request.node, device)


def _keep_log(node, device):
    """For the report; once, before anything is taken down that the device would complain of."""
    if "log" not in dict(node.user_properties):
        node.user_properties.append(("log", "\n".join(device.log())))


@pytest.fixture
def laclet_lns(request, laclet_device):
    """An ``Lns``; the ladder of what was said goes into the report."""
    from .bench import Lns
    from .report import ladder_of

    lns = Lns(request.config.option.laclet_lns_address or "127.0.0.1")
    try:
        yield lns
        _keep_log(request.node, laclet_device)
    finally:
        lns.close()
        request.node.user_properties.append(("ladder", ladder_of(lns.capture)))
        lns.forget()


@pytest.fixture
def laclet_modem(_laclet_desk):
    """A ``Caller`` on the device's line."""
    import os

    from .bench import modem_at

    if not _laclet_desk[1]:
        pytest.skip(f"needs {NEEDS['line']}")
    modem = modem_at(_laclet_desk[1])
    yield modem
    os.close(modem.fd)


@pytest.fixture(scope="session")
def virtual_board():
    """A ``Device`` that is a virtual board, for tests of one's own."""
    from .bench import virtual_device

    with virtual_device() as (_, device):
        yield device
