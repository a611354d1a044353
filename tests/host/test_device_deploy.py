"""``laclet deploy``, ``backup``, ``restore``, ``update`` and ``devices`` with virtual boards: real MicroPython."""

import json
import re
import shutil
import stat
import subprocess
import sys

import pytest
import serial
from deskboard import flash_files, flash_image, needs_micropython
from flashdesk import laclet
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from laclet_host.board import mpy
from laclet_host.board.known import announced
from laclet_host.board.virtual import VirtualBoard
from laclet_host.device import files, repl
from laclet_host.device.deploy import architecture, deploy
from laclet_host.device.link import Link
from laclet_host.device.ports import Absent, address
from laclet_host.device.update import update
from laclet_host.ui import DEVICE_ABSENT, FAILURE, TIMEOUT

pytestmark = needs_micropython

HEAP = "384K"  # the code is loaded from files
CONFIG = """
hostname = "cpe-17"
[tunnel.lab]
server = "127.0.0.1:9"
tunnel_secret = "geheim"
[line.uart]
device = "1"
[call.uart]
tunnel = "lab"
line = "uart"
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with a configuration; virtual boards of this test only are known."""
    monkeypatch.setenv("LACLET_RUN_DIR", str(tmp_path / "run"))
    (tmp_path / "cpe.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def bare(desk):
    """A board with MicroPython and nothing else."""
    (desk / "flash.img").write_bytes(flash_image({}))
    with VirtualBoard(flash=desk / "flash.img", heap=HEAP) as board:
        yield board


@pytest.fixture
def device(desk):
    """A device that was flashed."""
    board = files.board_named("UNIX")
    (desk / "flash.img").write_bytes(
        files.littlefs(files.device(board, files.read_config(desk / "cpe.toml")), 512 * files.BLOCK)
    )
    with VirtualBoard(flash=desk / "flash.img", heap=HEAP) as board:
        yield board


def test_only_what_has_changed_is_written_and_stale_code_goes(bare, desk):
    first = json.loads(
        laclet("deploy", "--port", bare.port, "--config", desk / "cpe.toml", "--board", "UNIX", "--json").stdout
    )
    assert first["hostname"] == "cpe-17" and first["arch"] == "x64" and first["slot"] == "a"
    assert {"/a/manifest", "/a/laclet/ticks.mpy", "/main.py", "/slots.json", "/board.json"} < set(first["written"])
    again = json.loads(laclet("deploy", "--port", bare.port, "--no-check", "--json").stdout)
    assert again["written"] == again["removed"] == [] and again["unchanged"] == len(first["written"]) - 2
    with repl.Repl(bare.port) as prompt:
        prompt.write("/a/laclet/ticks.py", b"PERIOD = 1\n")
        prompt.write("/lib/laclet/old.py", b"x = 1\n")
        prompt.write("/own.py", b"x = 1\n")
        prompt.write("/a/laclet/timers.mpy", b"damaged")
    said = laclet("deploy", "--port", bare.port, "--dry-run", "--no-check").stdout
    assert "would be written: /a/laclet/timers.mpy\n" in said and "would be removed: /lib/laclet/old.py\n" in said
    third = json.loads(laclet("deploy", "--port", bare.port, "--json").stdout)
    assert third["written"] == ["/a/laclet/timers.mpy"]
    assert third["removed"] == ["/a/laclet/ticks.py", "/lib/laclet/old.py"] and third["hostname"] == "cpe-17"
    bare.kill()
    left = flash_files(desk / "flash.img")
    assert left["/own.py"] == b"x = 1\n" and "/a/manifest" in left and "/lib/laclet/old.py" not in left
    assert json.loads(left["/secrets.json"]) == {"tunnel": {"lab": {"tunnel_secret": "geheim"}}}


def test_mpremote_finds_what_was_deployed(bare):
    laclet("deploy", "--port", bare.port, "--no-check", "--json")
    command = [sys.executable, "-m", "mpremote", "connect", bare.port, "sha256sum", ":/a/laclet/ticks.mpy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (
        files.slots.hashlib.sha256((files.compiled("x64") / "laclet/ticks.mpy").read_bytes()).hexdigest() in done.stdout
    )


@pytest.mark.parametrize("write", [3, 15])
def test_power_lost_in_the_middle_and_deployed_again(write, device, desk, monkeypatch):
    monkeypatch.setattr(repl, "_STUCK", 2)
    with repl.Repl(device.port) as prompt:
        for name in ("ticks", "timers", "fault"):
            prompt.write(f"/a/laclet/{name}.mpy", b"an older one")
    device.kill()
    device.start(cut_after=write)
    code = laclet("deploy", "--port", device.port, "--no-check", code=None).exit_code
    assert code in (TIMEOUT, DEVICE_ABSENT) and not device.powered
    device.start()
    done = json.loads(laclet("deploy", "--port", device.port, "--json").stdout)
    assert done["hostname"] == "cpe-17"
    device.kill()
    left = flash_files(desk / "flash.img")
    assert not [path for path in left if path.endswith(".new")]


def test_a_full_file_system_is_told_before_anything_is_written(desk):
    (desk / "small.img").write_bytes(b"\xff" * 64 * 4096)
    with VirtualBoard(flash=desk / "small.img", heap=HEAP) as small:
        done = laclet("deploy", "--port", small.port, code=FAILURE)
        assert "its file system is full:" in done.stderr and "KiB are needed" in done.stderr
        with repl.Repl(small.port) as prompt:
            assert prompt.digests() == {}
            with pytest.raises(repl.Trouble, match="file system is full; remove files"):
                prompt.write("/large", bytes(300_000))


def test_backup_and_restore(device, desk):
    saved = desk / "saved"
    done = json.loads(laclet("backup", saved, "--port", device.port, "--json").stdout)
    assert done["hostname"] == "cpe-17" and "geheim" not in json.dumps(done)
    assert json.loads((saved / "secrets.json").read_text()) == {"tunnel": {"lab": {"tunnel_secret": "geheim"}}}
    assert stat.S_IMODE((saved / "secrets.json").stat().st_mode) == 0o600
    assert "geheim" not in (saved / "config.json").read_text() + (saved / "device.json").read_text()
    with Link(device.port) as link:
        link.get("set hostname", "other")
        link.get("commit")
        link.get("save")
    assert laclet("restore", saved, "--port", device.port).stdout.endswith(
        f"is cpe-17, with the configuration in {saved}\n"
    )
    with Link(device.port) as link:
        assert link.get("show config")["hostname"] == "cpe-17"
    (saved / "device.json").write_text('{"id": "4711"}')
    done = laclet("restore", saved, "--port", device.port, code=FAILURE)
    assert "is another device" in done.stderr and "add --any" in done.stderr
    laclet("restore", saved, "--any", "--port", device.port, "--json")
    (saved / "config.json").write_text('{"tunnel": {"lab": {"server": 7}}}')
    assert "tunnel.lab.server" in laclet("restore", saved, "--port", device.port, code=3).stderr
    assert "holds no config.json" in laclet("restore", desk / "none", "--port", device.port, code=FAILURE).stderr


def test_a_board_without_a_configuration_has_no_backup(bare, desk):
    done = laclet("backup", desk / "saved", "--port", bare.port, code=FAILURE)
    assert "has no configuration yet" in done.stderr and not (desk / "saved").exists()


def test_an_update_goes_to_the_other_slot_and_is_tried(device):
    boots = device.boots
    done = json.loads(laclet("update", "--port", device.port, "--no-wait", "--json").stdout)
    assert done["slot"] == "b" and done["from"] == done["version"]
    assert device.wait(lambda board: board.boots > boots)
    with Link(device.port) as link:
        assert link.get("show config")["hostname"] == "cpe-17"
    said = laclet("update", "--port", device.port, "--status").stdout
    assert "runs slot b, version" in said and "on trial: slot b, 2 more attempts" in said
    done = laclet("update", "--port", device.port, "--no-wait", code=FAILURE)
    assert "is on trial; wait until" in done.stderr


def test_an_update_that_proves_itself_stays(device):
    with repl.Repl(device.port) as prompt:
        prompt.write("/main.py", prompt.read("/main.py").replace(b"start()", b"start(good=2000)"))
    said = laclet("update", "--port", device.port).stdout
    assert "in slot b is good" in said
    assert json.loads(laclet("update", "--port", device.port, "--status", "--json").stdout)["good"] == "b"


def test_signed_updates(bare, desk):
    key = "0123456789abcdef"
    (desk / "cpe.toml").write_text(CONFIG + f'[board]\nupdate_key = "{key}"\n')
    laclet("deploy", "--port", bare.port, "--config", desk / "cpe.toml", "--json")
    assert "takes signed updates only; give --key-file" in laclet("update", "--port", bare.port, code=FAILURE).stderr
    (desk / "key").write_text("another key, sixteen\n")
    said = laclet("update", "--port", bare.port, "--key-file", desk / "key", "--no-wait", code=FAILURE).stderr
    assert "is not made with this board's board.update_key" in said and key not in said
    (desk / "key").write_text(key + "\n")
    done = json.loads(laclet("update", "--port", bare.port, "--key-file", desk / "key", "--no-wait", "--json").stdout)
    assert done["slot"] == "b"


def test_an_update_that_does_not_start_is_rolled_back(device, desk):
    release = desk / "release"
    mpy.build(release, "x64")
    (desk / "start.py").write_text("raise ValueError('spoiled')\n")
    mpy.compile_file(desk / "start.py", release / "laclet_mcu" / "start.mpy", "laclet_mcu/start.py")
    done = laclet("update", "--port", device.port, "--from", release, code=FAILURE)
    assert "the update did not prove itself, and the board went back to version" in done.stderr
    with Link(device.port) as link:
        about = link.get("update status")
        assert (about["running"], about["good"], about["failed"]) == ("a", "a", "b")
        assert link.get("show config")["hostname"] == "cpe-17"


def test_an_update_that_was_cut_short_goes_on(device, desk):
    release = desk / "release"
    mpy.build(release, "x64")
    for name in ("laclet/wire/l2tp.mpy", "laclet/wire/avp.mpy"):
        (release / name).write_bytes((release / name).read_bytes() + bytes(3000))
    sent = []

    def tell(doing, percent):
        sent.append(doing)
        if len(sent) == 2:
            raise KeyboardInterrupt

    with Link(device.port) as link, pytest.raises(KeyboardInterrupt):
        update(link, tell, folder=release)
    with Link(device.port) as link:
        done = update(link, lambda doing, percent: sent.append(doing), folder=release)
    assert done["files"] >= 1 and sent[1] in sent[2:] and sent.count(sent[0]) == 1


def test_devices_of_every_state(desk, device):
    (desk / "plain").mkdir()
    with VirtualBoard(root=desk / "plain") as plain, announced("cpe", device), announced("plain", plain):
        found = {each["name"]: each for each in json.loads(laclet("devices", "--json").stdout) if not each["vid"]}
        cpe = found["cpe"]
        assert cpe["id"] == "virtual:cpe" and cpe["port"] == device.port and cpe["state"] == "working"
        assert cpe["hostname"] == "cpe-17" and cpe["laclet"] and cpe["micropython"].startswith("1.")
        assert "tunnel lab" in cpe["detail"]
        assert found["plain"]["state"] == "prompt" and found["plain"]["micropython"] == cpe["micropython"]
        said = laclet("devices", "--filter", "name=cpe", "--ids").stdout
        assert "virtual:cpe" in said and "cpe-17" in said and "plain" not in said
        holder = subprocess.Popen(
            [sys.executable, "-c", f"f = open({plain.port!r}, 'rb+', 0); print('open', flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        holder.stdout.readline()
        busy = json.loads(laclet("devices", "-f", "name=plain", "--json").stdout)[0]
        holder.communicate(b"\n")
        assert busy["state"] == "busy" and f"(pid {holder.pid})" in busy["detail"]
        plain.kill()
        assert json.loads(laclet("devices", "-f", "name=plain", "--json").stdout)[0]["state"] == "silent"
        with Link("virtual:cpe") as link:
            assert link.get("show status")["hostname"] == "cpe-17"
    assert "no device is there that fits" in laclet("devices", "-f", "vid=ffff,serial=x", code=DEVICE_ABSENT).stderr
    assert "write a filter as vid=, pid=, name=, serial=" in laclet("devices", "-f", "colour=red", code=2).stderr


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is missing: apt install socat")
def test_over_a_terminal_server(bare, desk):
    """ser2net's protocol, by socat: a board at the far end of a TCP connection."""
    command = ["socat", "-d", "-d", "tcp-listen:0,bind=127.0.0.1,fork,reuseaddr", f"file:{bare.port},raw,echo=0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        port = re.search(r"listening on .*:(\d+)", server.stderr.readline())[1]
        url = f"socket://127.0.0.1:{port}"
        assert json.loads(laclet("deploy", "--port", url, "--config", desk / "cpe.toml", "--json").stdout)["hostname"]
        assert json.loads(laclet("backup", desk / "saved", "--port", url, "--json").stdout)["hostname"] == "cpe-17"
    finally:
        server.terminate()
        server.wait()
        server.stderr.close()


def test_unplugged_in_the_middle_of_a_deploy(bare):
    def tell(doing, percent):
        if doing.startswith("writing"):
            bare.stop()

    with pytest.raises(Absent, match="has gone in the middle; plug it in again"), repl.Repl(bare.port) as prompt:
        deploy(prompt, tell)


def test_the_wrong_board_is_not_deployed_to(bare):
    done = laclet("deploy", "--port", bare.port, "--board", "RPI_PICO_W", code=DEVICE_ABSENT)
    assert "(x64), not a Pico W; name the right board" in done.stderr


def test_usb_ports_are_told_by_what_they_are(monkeypatch):
    def usb(device, vid, pid, **more):
        info = ListPortInfo(device)
        for name, value in {"vid": vid, "pid": pid, "serial_number": None, "location": None, **more}.items():
            setattr(info, name, value)
        return info

    pico = usb("/dev/ttyNONE0", 0x2E8A, 5, serial_number="E661", product="Board in FS mode", location="1-1")
    modem = usb("/dev/ttyNONE1", 0x1199, 0x9071, product="Modem [red]", location="1-2")
    builtin = usb("/dev/ttyS0", None, None)
    monkeypatch.setattr(list_ports, "comports", lambda: [pico, modem, builtin])
    found = {each["port"]: each for each in json.loads(laclet("devices", "--json").stdout)}
    assert found["/dev/ttyNONE0"]["id"] == "usb:2e8a:0005:E661" and found["/dev/ttyNONE0"]["state"] == "gone"
    assert "RPI_PICO_W" in found["/dev/ttyNONE0"]["boards"] and "/dev/ttyS0" not in found
    assert found["/dev/ttyNONE1"]["id"] == "usb:1199:9071:1-2" and "not asked" in found["/dev/ttyNONE1"]["detail"]
    for text, ports in (("vid=0x2E8A", 1), ("vid=2e8a,vid=1199", 2), ("vid=1199,serial=E661", 0), ("pid=9071", 1)):
        given = laclet("devices", "-f", text, "--json", "--no-ask")
        assert len(json.loads(given.stdout)) == ports, text
    assert "Modem [red]" in laclet("devices", "--no-ask").stdout
    assert address("id:E661") == address("usb:2e8a:0005:E661") == "/dev/ttyNONE0"
    assert address("usb:1199:9071:1-2") == "/dev/ttyNONE1"
    assert "vid is a hexadecimal number" in laclet("devices", "-f", "vid=pico", code=2).stderr


def test_the_prompt_that_does_not_come(desk):
    with VirtualBoard(root=desk) as board, serial.Serial(board.port):
        board.kill()
        monkey = pytest.MonkeyPatch()
        monkey.setattr(repl, "_PROMPT", 0.2)
        try:
            done = laclet("deploy", "--port", board.port, code=TIMEOUT)
        finally:
            monkey.undo()
        assert "MicroPython's prompt does not come" in done.stderr


def test_an_old_micropython_is_refused():
    about = {"micropython": "1.19.1", "mpy": 6, "machine": "x"}
    with pytest.raises(repl.Trouble, match=r"MicroPython 1\.19\.1 cannot run laclet"):
        architecture(about, "x")
    with pytest.raises(repl.Trouble, match="has a processor that laclet is not compiled for"):
        architecture({**about, "micropython": "1.26.0"}, "x")


@pytest.fixture
def small(desk):
    """A device with the file system of a Pico W: its two slots are images."""
    board = files.board_named("UNIX")
    size = files.board_named("RPI_PICO_W")["memory"]["file_system"]
    (desk / "flash.img").write_bytes(
        files.littlefs(files.device(board, files.read_config(desk / "cpe.toml"), size=size), size)
    )
    with VirtualBoard(flash=desk / "flash.img", heap=HEAP) as board:
        yield board


def test_where_little_flash_is_both_slots_have_room(small, desk):
    """An image that cannot be mounted goes back by itself; one that works stays."""
    with repl.Repl(small.port) as prompt:
        prompt.write("/main.py", prompt.read("/main.py").replace(b"start()", b"start(good=2000)"))
        prompt.write("/b/manifest", prompt.read("/a/manifest"))
        prompt.write("/b/code.img", b"spoiled" * 50_000)
        prompt.write("/slots.json", b'{"good": "a", "trial": "b", "left": 1, "tunnel": false}')
    with Link(small.port) as link:
        about = link.get("update status")
        assert (about["running"], about["good"], about["failed"]) == ("a", "a", "b")
    said = laclet("update", "--port", small.port).stdout
    assert "in slot b is good" in said
    with Link(small.port) as link:
        about = link.get("update status")
        assert (about["running"], about["good"]) == ("b", "b") and about["free"] >= 48 * 1024
        assert link.get("show config")["hostname"] == "cpe-17"
    found = flash_files(desk / "flash.img")
    assert found["/a/code.img"] == found["/b/code.img"] and found["/a/manifest"] == found["/b/manifest"]
    assert not any(path.startswith(("/a/laclet", "/b/laclet")) for path in found)


def test_an_image_is_deployed_and_its_configuration_saved(small, desk):
    done = json.loads(laclet("deploy", "--port", small.port, "--json").stdout)
    assert done["written"] == []
    with repl.Repl(small.port) as prompt:
        prompt.write("/a/code.img", b"spoiled")
    done = json.loads(laclet("deploy", "--port", small.port, "--config", desk / "cpe.toml", "--json").stdout)
    assert sorted(done["written"]) == ["/a/code.img"]
    with Link(small.port) as link:
        assert link.get("update status")["running"] == "a"
        assert link.get("show config")["hostname"] == "cpe-17"
