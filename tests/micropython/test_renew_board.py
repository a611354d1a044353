"""A commit at the console of a virtual board: what has changed is made anew, all else does not notice."""

import pytest
from test_console_board import LAC, Desk, pytestmark, rom  # noqa: F401 (the fixture, and what it needs)

SECOND = (b"set tunnel.two.server 127.0.0.1:10", b"set call.two.tunnel two", b"set call.two.username anna")


@pytest.fixture
def desk(tmp_path, rom):  # noqa: F811
    desk = Desk(tmp_path, rom, heap="256K")
    desk.board.start()
    desk.open()
    for line in (*LAC, *SECOND, b"set call.two.password geheim"):
        desk.do(line)
    desk.do(b"commit")
    yield desk
    desk.close()


def commit(desk):
    """What is said from a commit until an answer that comes after it has taken effect."""
    desk.write(b"commit\r")
    assert b"error" not in desk.expect(b"runs; write save to keep it over a restart\r\n")
    desk.ask(id=1, do="show status")
    return log(desk)


def log(desk):
    """The lines of the log."""
    return set(desk.ask(id=3, do="show log")["out"])


def said(part, lines):
    """True when one of the lines ends so."""
    return any(line.endswith(part) for line in lines)


def test_a_tunnel_that_has_not_changed_does_not_notice(desk):
    for _ in range(100):
        tunnels = desk.ask(id=3, do="show status")["data"]["tunnels"]
        if tunnels["lns"]["state"] == tunnels["two"]["state"] == "connecting":
            break
    before = log(desk)
    desk.do(b"set tunnel.two.hello_interval 30")
    new = commit(desk) - before
    assert said("[config]: tunnel.two: made anew", new) and said("[config]: call.two: made anew", new)
    assert not [line for line in new if "tunnel.lns" in line or "call.uart" in line], new
    # A line that goes gives its device back; a new one may have it.
    desk.do(b"delete call.uart")
    desk.do(b"delete line.uart")
    desk.do(b"set line.other.device 1")
    desk.do(b"set call.other.line other")
    desk.do(b"set call.other.tunnel lns")
    new = commit(desk) - before
    assert said("[config]: call.uart is gone", new) and said("[config]: call.other is new", new)
    assert not [line for line in new if "cannot open" in line], new
    desk.do(b"set log.level debug")
    commit(desk)
    assert "call.other" not in " ".join(commit(desk) - new), "the log's level is nothing to make calls anew for"
