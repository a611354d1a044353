"""``laclet flash`` of many boards at once, and where MicroPython's image comes from: a file, the cache, a server."""

import contextlib
import hashlib
import http.server
import json
import threading
from typing import ClassVar

import littlefs
import pytest
from flashdesk import VFS, Cable, laclet, micropython_image, mock, without_pins

from laclet_host.device import batch, files, firmware
from laclet_host.device.job import Job
from laclet_host.ui import CONFIG_INVALID, FAILURE, INTERRUPTED, VERIFY_MISMATCH, Trouble

CONFIG = """
[tunnel.lab]
server = "127.0.0.1:9"
[line.uart]
device = "1"
[call.uart]
tunnel = "lab"
line = "uart"
"""
NAME = "ESP32_GENERIC-20260101-v1.27.0.bin"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "base.toml").write_text(CONFIG)
    (tmp_path / "mp.bin").write_bytes(micropython_image("esp32"))
    return tmp_path


@pytest.fixture
def bench():
    """Three chips at serial ports; the third loses what was written."""
    with contextlib.ExitStack() as stack:
        chips = [stack.enter_context(mock.mock_bootloader(chip="esp32")) for _ in range(3)]
        yield [stack.enter_context(Cable(chip, weak_sectors=99 * (chip is chips[2]))) for chip in chips]


def test_a_batch_from_a_csv_with_a_report(desk, bench, monkeypatch):
    without_pins(monkeypatch)
    images = {}
    real = batch.flash

    def kept(job, tell):
        images[job.port] = files.littlefs(files.device(files.board_named("ESP32_GENERIC"), job.config), VFS[1])
        return real(job, tell)

    monkeypatch.setattr(batch, "flash", kept)
    rows = [f"cpe-{number},{cable.port},{number}.example.net,secret{number}" for number, cable in enumerate(bench)]
    header = "name, port, tunnel.lab.server, tunnel.lab.tunnel_secret"
    (desk / "batch.csv").write_text("\n".join([header, *rows]) + "\n")
    words = ("--image", desk / "mp.bin", "--config", desk / "base.toml", "--yes", "--no-check")
    done = laclet(
        "flash", "ESP32_GENERIC", "--batch", desk / "batch.csv", *words, "--report", desk / "report.json", code=FAILURE
    )
    assert "1 of 3 boards failed" in done.stderr and "cpe-2: failed: " in done.stderr
    report = json.loads((desk / "report.json").read_text())["devices"]
    assert [each["name"] for each in report] == ["cpe-0", "cpe-1", "cpe-2"]
    assert [each["ok"] for each in report] == [True, True, False]
    assert report[2]["code"] == VERIFY_MISMATCH, report[2]["error"]
    assert report[0]["sha256"] != report[1]["sha256"] and "secret" not in (desk / "report.json").read_text()
    for number, word in enumerate(("good", "good", "MD5 of file")):
        assert word in next(line for line in done.stdout.splitlines() if line.startswith(f"cpe-{number}"))
    for number, cable in enumerate(bench[:2]):
        image = littlefs.LittleFS(block_size=4096, block_count=VFS[1] // 4096, prog_size=256, mount=False)
        image.context.buffer[:] = images[cable.port]
        image.mount()
        with image.open("/config.json") as file:
            assert json.load(file)["tunnel"]["lab"]["server"] == [f"{number}.example.net"]
        with image.open("/secrets.json") as file:
            assert json.load(file)["tunnel"]["lab"]["tunnel_secret"] == f"secret{number}"
    bench[2].weak_sectors = 0
    again = laclet("flash", "--batch", desk / "batch.csv", *words, "--only", "cpe-2", "--json")
    assert [each["ok"] for each in json.loads(again.stdout)["devices"]] == [True]


def test_a_batch_in_toml_and_what_is_wrong_in_one(desk):
    base = Job(lambda board, suffix: pytest.fail("not yet"), config=files.read_config(desk / "base.toml"))
    (desk / "batch.toml").write_text(
        '[[device]]\nname = "a"\nport = "/dev/ttyA"\nboard = "ESP32_GENERIC"\n'
        '[device.tunnel.lab]\ntunnel_secret = "x"\n'
        '[[device]]\nport = "/dev/ttyB"\nhostname = "b"\n'
    )
    first, second = batch.read(desk / "batch.toml", base)
    assert first.name == "a" and first.job.board == "ESP32_GENERIC" and second.name == "b"
    assert first.job.config.secrets == {"tunnel": {"lab": {"tunnel_secret": "x"}}}
    assert (
        first.job.config.tree["tunnel"]["lab"]["server"]
        == "127.0.0.1:9"
        == second.job.config.tree["tunnel"]["lab"]["server"]
    )
    (desk / "bad.csv").write_text(
        "name,port,tunnel.lab.servr,tunnel.lab.hello_interval\na,/dev/ttyA,x,\nb,/dev/ttyA,,soon\nc,,,\n"
    )
    with pytest.raises(Trouble) as caught:
        batch.read(desk / "bad.csv", base)
    lines = str(caught.value).splitlines()
    assert caught.value.code == CONFIG_INVALID and len(lines) == 3
    assert "bad.csv:2: tunnel.lab.servr: no such key" in lines[0] and "did you mean server?" in lines[0]
    assert "bad.csv:3: tunnel.lab.hello_interval:" in lines[1] and "bad.csv:4: has no port" in lines[2]
    (desk / "twice.csv").write_text("name,port\na,/dev/ttyA\nb,/dev/ttyA\n")
    with pytest.raises(Trouble, match="port /dev/ttyA is there twice"):
        batch.read(desk / "twice.csv", base)
    (desk / "none.csv").write_text("name,port\n")
    with pytest.raises(Trouble, match="names no board"):
        batch.read(desk / "none.csv", base)
    (desk / "bad.toml").write_text("[[device\n")
    with pytest.raises(Trouble, match="write a CSV with a line of names"):
        batch.read(desk / "bad.toml", base)


# -- MicroPython's image ------------------------------------------------------------------------------


class Site(http.server.BaseHTTPRequestHandler):
    """A download page as micropython.org has it, and what it links to."""

    pages: ClassVar[dict] = {}

    def do_GET(self):
        body = self.pages.get(self.path)
        self.send_response(404 if body is None else 200)
        body = body or b""
        self.send_header("Content-Length", str(len(body) + (7 if self.path in self.pages.get("short", ()) else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(desk, monkeypatch):
    image = (desk / "mp.bin").read_bytes()
    links = [NAME, NAME.replace("v1.27.0", "v1.9.4"), NAME.replace("20260101-v1.27.0", "20260202-v1.28.0-preview.1")]
    links += [NAME.replace(".bin", ".elf"), NAME.replace("ESP32_GENERIC", "ESP32_GENERIC_C3")]
    page = "".join(f'<a href="/resources/firmware/{link}">x</a>' for link in links)
    Site.pages = {
        "/download/ESP32_GENERIC/": page.encode(),
        f"/resources/firmware/{NAME}": image,
        f"/resources/firmware/{NAME}.sha256": f"{hashlib.sha256(image).hexdigest()}  {NAME}\n".encode(),
    }
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("LACLET_FIRMWARE_SITE", f"http://127.0.0.1:{server.server_port}")
    yield Site.pages
    server.shutdown()
    server.server_close()


def make(desk, *more, code=0, **options):
    words = ("ESP32_GENERIC", "--keep-files", "--output", desk / "one.bin", "--json")
    return laclet("flash", *words, *more, code=code, **options)


def test_nothing_is_downloaded_unasked(desk, site):
    done = make(desk, code=FAILURE)
    assert "no MicroPython for ESP32_GENERIC in" in done.stderr and "give --image FILE, or --download" in done.stderr
    assert not firmware.cache().exists()


def test_the_newest_release_is_downloaded_compared_and_kept(desk, site):
    assert json.loads(make(desk, "--download").stdout)["image"] == NAME
    assert (desk / "one.bin").read_bytes() == (desk / "mp.bin").read_bytes()
    site.clear()
    assert json.loads(make(desk).stdout)["image"] == NAME, "from the cache"
    kept = firmware.cache() / NAME
    kept.write_bytes(kept.read_bytes()[:-1])
    assert "is not as it was downloaded; remove it" in make(desk, code=VERIFY_MISMATCH).stderr


def test_at_a_terminal_questions_are_asked(desk, site, monkeypatch):
    monkeypatch.setattr("laclet_host.commands.flash._somebody_is_there", lambda: True)
    assert "would be downloaded; go on? [y/N]: n" in make(desk, code=FAILURE, text="n\n").output
    assert not firmware.cache().exists()
    del site[f"/resources/firmware/{NAME}.sha256"]
    asked = make(desk, code=FAILURE, text="y\nn\n").output
    assert f"nothing vouches for {NAME}, SHA-256 " in asked and list(firmware.cache().iterdir()) == []
    make(desk, text="y\ny\n")
    make(desk)
    done = laclet("flash", "--port", "/dev/ttyNONE", "--image", desk / "mp.bin", code=INTERRUPTED, text="n\n")
    assert "All files on /dev/ttyNONE are erased, its configuration too" in done.output


def test_an_image_with_another_sum_is_refused(desk, site):
    site[f"/resources/firmware/{NAME}"] += b"!"
    assert f"{NAME}: has SHA-256 " in make(desk, "--download", code=VERIFY_MISMATCH).stderr
    assert list(firmware.cache().iterdir()) == []


def test_an_image_that_nothing_vouches_for(desk, site):
    del site[f"/resources/firmware/{NAME}.sha256"]
    digest = hashlib.sha256((desk / "mp.bin").read_bytes()).hexdigest()
    assert f"then give --sha256 {digest}" in make(desk, "--download", code=FAILURE).stderr
    make(desk, "--download", "--sha256", digest)


def test_a_download_that_breaks_off_or_is_not_there(desk, site, monkeypatch):
    site["short"] = (f"/resources/firmware/{NAME}",)
    assert "broke off after" in make(desk, "--download", code=FAILURE).stderr
    del site[f"/resources/firmware/{NAME}"]
    assert "the server says 404" in make(desk, "--download", code=FAILURE).stderr
    site["/download/ESP32_GENERIC/"] = b"<html>nothing</html>"
    assert "has no .bin image for ESP32_GENERIC" in make(desk, "--download", code=FAILURE).stderr
    monkeypatch.setenv("LACLET_FIRMWARE_SITE", "http://127.0.0.1:1")
    assert "is this machine online? or give --image FILE" in make(desk, "--download", code=FAILURE).stderr
    assert list(firmware.cache().iterdir()) == []
