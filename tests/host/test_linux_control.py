"""The control socket: commands and answers, clients that misbehave, names that are taken."""

import json
import os
import socket
import stat
import threading

import pytest
from linuxloop import TestLoop

from laclet_linux import control
from laclet_linux.control import Control, ask, running, socket_path


@pytest.fixture
def loop(tmp_path, monkeypatch):
    monkeypatch.setenv("LACLET_RUN_DIR", str(tmp_path / "run"))
    made = TestLoop()
    yield made
    made.close()


def echo(command, now):
    return {"ok": True, "you said": command}


def client(name="x"):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(socket_path(name))
    sock.setblocking(False)
    return sock


def answers(loop, sock, count):
    """``count`` answers, or all there are when the connection ends."""
    got = bytearray()
    ended = []

    def enough():
        try:
            data = sock.recv(1 << 20)
            got.extend(data)
            if not data:
                ended.append(True)
        except BlockingIOError:
            pass
        return ended or got.count(b"\n") >= count

    loop.until(enough)
    return [json.loads(line) for line in got.splitlines()]


def test_commands_and_answers(loop):
    server = Control(loop, "x", echo)
    assert stat.S_IMODE(os.stat(server.path).st_mode) == 0o600 and running() == ["x"]
    sock = client()
    sock.send(b'{"do": 1}\n{"do": 2}\n{"do"')
    assert answers(loop, sock, 2) == [{"ok": True, "you said": {"do": 1}}, {"ok": True, "you said": {"do": 2}}]
    sock.send(b": 3}\n")
    assert answers(loop, sock, 1) == [{"ok": True, "you said": {"do": 3}}]
    for bad, error in ((b"nonsense\n", "not JSON"), (b"[]\n", "not a JSON object"), (b"[" * 9999 + b"\n", "not JSON")):
        sock.send(bad)
        assert answers(loop, sock, 1) == [{"ok": False, "error": error}]
    sock.close()
    server.close()
    server.close()
    assert running() == []


def test_ask_waits_for_the_answer(loop):
    server = Control(loop, "x", echo)
    found = []
    thread = threading.Thread(target=lambda: found.append(ask("x", {"do": "it"})))
    thread.start()
    loop.until(lambda: found)
    thread.join()
    assert found == [{"ok": True, "you said": {"do": "it"}}]
    server.close()
    with pytest.raises(FileNotFoundError):
        ask("x", {})


def test_client_that_sends_for_ever_is_sent_away(loop):
    server = Control(loop, "x", echo)
    sock = client()
    sock.setblocking(True)
    thread = threading.Thread(target=lambda: _pour(sock))
    thread.start()
    loop.until(lambda: not thread.is_alive())
    thread.join()
    server.close()


def _pour(sock):
    try:
        while True:
            sock.send(bytes(65536))
    except OSError:
        sock.close()


def test_client_that_does_not_listen_costs_no_memory(loop):
    server = Control(loop, "x", lambda command, now: {"ok": True, "much": "x" * 100_000})
    sock = client()
    sent = 0
    try:
        while True:
            sent += sock.send(b'{"do": 1}\n' * 100)
            loop.once(_idle(), 0)
    except BlockingIOError:
        pass
    (kept,) = server._clients.values()
    assert len(kept._out) <= 100_100 and len(kept._in) <= 2 * control._LINE and sent > 1000
    sock.close()
    loop.until(lambda: not server._clients)
    server.close()


def _idle():
    from linuxloop import Idle

    return Idle()


def test_too_many_clients(loop):
    server = Control(loop, "x", echo)
    socks = [client() for _ in range(control._CLIENTS)]
    loop.until(lambda: len(server._clients) == control._CLIENTS)
    late = client()
    assert answers(loop, late, 1) == []
    for each in (late, *socks):
        each.close()
    loop.until(lambda: not server._clients)
    server.close()


def test_name_that_is_taken_and_one_left_by_the_dead(loop):
    first = Control(loop, "x", echo)
    with pytest.raises(OSError, match="is running already"):
        Control(loop, "x", echo)
    loop.unwatch(first._sock.fileno())
    first._sock.close()  # as a killed process leaves it: the file stays
    second = Control(loop, "x", echo)
    assert running() == ["x"]
    second.close()


def test_folders_that_cannot_be_used(loop, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LACLET_RUN_DIR", str(tmp_path / "file" / "x"))
    with pytest.raises(NotADirectoryError):
        Control(loop, "x", echo)
    assert running() == []


def test_where_sockets_are(monkeypatch):
    monkeypatch.delenv("LACLET_RUN_DIR", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert socket_path("a") == "/run/laclet/a/control.sock"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert socket_path("a") == "/run/user/1000/laclet/a/control.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert socket_path("a") == f"/tmp/laclet-{os.getuid()}/a/control.sock"
