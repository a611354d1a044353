"""``laclet flash`` with esptool against a mock of the chips' bootloader, and what it wrote booted by MicroPython."""

import json
import stat
import subprocess
import sys

import pytest
from deskboard import needs_micropython
from flashdesk import FLASH_OFFSETS, VFS, Cable, laclet, micropython_image, mock, without_pins

from laclet_host.board.virtual import VirtualBoard
from laclet_host.device.flash import board_of
from laclet_host.device.link import Link
from laclet_host.ui import DEVICE_ABSENT, FAILURE, TIMEOUT, VERIFY_MISMATCH

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
def desk(tmp_path):
    """A folder with a configuration, and images by chip."""
    (tmp_path / "cpe.toml").write_text(CONFIG)
    for chip in FLASH_OFFSETS:
        (tmp_path / f"{chip}.bin").write_bytes(micropython_image(chip))
    return tmp_path


@pytest.fixture
def esp32(desk):
    with mock.mock_bootloader(chip="esp32") as handle:
        handle.erase_flash()
        yield handle


def flash(desk, port, chip="esp32", *more, code=0):
    words = ("--image", desk / f"{chip}.bin", "--yes", "--no-check", "--json", *more)
    return laclet("flash", "--port", port, *words, code=code)


def read_flash(handle, start, size, path):
    # Without the stub: with it, the mock gives up when this machine is busy.
    command = [sys.executable, "-m", "esptool", "--no-stub", "--port", handle.url()]
    command += ["read-flash", hex(start), hex(size), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return path.read_bytes()


@pytest.mark.parametrize("chip", FLASH_OFFSETS)
def test_a_bare_chip_becomes_a_device(chip, desk):
    words = (chip, "--config", desk / "cpe.toml", "--baud", 921600)
    image = (desk / f"{chip}.bin").read_bytes()
    for over in ("tcp", "pty"):
        with mock.mock_bootloader(chip=chip) as handle:
            handle.erase_flash()
            if over == "tcp":
                port = handle.url()
                done = json.loads(flash(desk, port, *words).stdout)
            else:
                with Cable(handle) as cable:
                    port = cable.port
                    done = json.loads(flash(desk, port, *words).stdout)
            written = read_flash(handle, 0x8000, 0x1000, desk / "back")
        assert done["chip"] == chip and done["board"] == board_of(chip, port) and done["baud"] == 921600
        at = 0x8000 - FLASH_OFFSETS[chip]
        assert written == image[at : at + 0x1000]


@pytest.mark.micropython
class TestBoot:
    pytestmark = needs_micropython

    def test_what_was_written_boots_with_its_configuration(self, esp32, desk, monkeypatch):
        without_pins(monkeypatch)
        flash(desk, esp32.url(), "esp32", "--config", desk / "cpe.toml", "--arch", "x64")
        read_flash(esp32, *VFS, desk / "flash.img")
        with VirtualBoard(flash=desk / "flash.img", heap="320K") as board, Link(board.port) as link:
            config = link.get("show config")
            assert config["hostname"] == "cpe-17" and config["tunnel"]["lab"]["server"] == "127.0.0.1:9"
            assert config["tunnel"]["lab"]["tunnel_secret"] == "(hidden)"
            status = link.get("show status")
            assert status["hostname"] == "cpe-17" and status["tunnels"]["lab"]["state"] == "connecting"
            assert link.get("update status")["running"] == "a"


def test_noise_at_high_speed_and_a_lower_one_that_works(esp32, desk):
    with Cable(esp32, too_fast=200_000) as cable:
        done = json.loads(flash(desk, cable.port, "esp32", "--keep-files").stdout)
        assert done["baud"] == 115200 and cable.speeds == [460800, 230400, 115200]


def test_a_corrupted_write_is_caught_and_repeated(esp32, desk):
    with Cable(esp32, weak_sectors=1) as cable:
        done = json.loads(flash(desk, cable.port, "esp32", "--keep-files").stdout)
    assert done["baud"] == 230400
    assert read_flash(esp32, 0x8000, 0x1000, desk / "back") == (desk / "esp32.bin").read_bytes()[0x7000:0x8000]


def test_a_corrupted_write_that_stays_so_is_told(esp32, desk):
    with Cable(esp32, weak_sectors=100) as cable:
        done = flash(desk, cable.port, "esp32", "--keep-files", code=VERIFY_MISMATCH)
    assert "MD5 of file does not match data in flash" in done.stderr and "try again" in done.stderr


def test_an_interrupted_write_is_repeated(esp32, desk):
    with Cable(esp32, cut_after=2) as cable:
        assert json.loads(flash(desk, cable.port, "esp32", "--keep-files").stdout)["baud"] == 230400


def test_unplugged_in_the_middle_and_flashed_again(esp32, desk):
    with Cable(esp32, unplug_after=2) as cable:
        done = flash(desk, cable.port, "esp32", "--keep-files", code=DEVICE_ABSENT)
        assert f"{cable.port}: there is no such port; is it plugged in?" in done.stderr
        assert done.stderr.count("\n") == 1
    flash(desk, esp32.url(), "esp32", "--keep-files")


def test_the_wrong_board_is_not_written(esp32, desk):
    done = flash(desk, esp32.url(), "esp32c3", "--config", desk / "cpe.toml", code=FAILURE)
    assert "esp32c3.bin: is for esp32c3, but the board has esp32" in done.stderr
    done = flash(desk, esp32.url(), "esp32c3", "ESP32_GENERIC_C3", code=DEVICE_ABSENT)
    assert "has an esp32, not the esp32c3 of ESP32_GENERIC_C3; name the right board" in done.stderr
    done = flash(desk, esp32.url(), "esp32", "NO_BOARD", code=2)
    assert "no board is called NO_BOARD; known are ESP32_GENERIC," in done.stderr


def test_bad_images(esp32, desk):
    (desk / "text.bin").write_text("<html>404</html>")
    assert "is no image for an ESP32" in flash(desk, esp32.url(), "text", code=FAILURE).stderr
    (desk / "bare.bin").write_bytes(micropython_image("esp32")[:0x7000].ljust(0x10000, b"\xff"))
    assert "has no table of partitions" in flash(desk, esp32.url(), "bare", code=FAILURE).stderr
    (desk / "big.bin").write_bytes(micropython_image("esp32", (0x200000, 0x600000)))
    assert "needs more flash than the 4 MiB" in flash(desk, esp32.url(), "big", code=FAILURE).stderr
    assert "none.bin: No such file" in flash(desk, esp32.url(), "none", code=FAILURE).stderr
    done = flash(desk, esp32.url(), "esp32", "--sha256", "0" * 64, code=VERIFY_MISMATCH)
    assert "has another SHA-256" in done.stderr


def test_a_file_system_that_is_too_small(esp32, desk):
    (desk / "esp32.bin").write_bytes(micropython_image("esp32", (0x110000, 0x10000)))
    done = flash(desk, esp32.url(), "esp32", "--config", desk / "cpe.toml", code=FAILURE)
    assert "the files do not fit:" in done.stderr and "in a file system of 64 KiB" in done.stderr


def test_without_a_partition_for_files_they_are_behind_the_last_one(desk):
    (desk / "esp32.bin").write_bytes(micropython_image("esp32", None))
    words = ("ESP32_GENERIC", "--image", desk / "esp32.bin", "--output", desk / "one.bin")
    assert "one.bin: ESP32_GENERIC with esp32.bin, 4190208 bytes" in laclet("flash", *words).stdout
    assert b"littlefs" in (desk / "one.bin").read_bytes()[0x110000 - 0x1000 :][:32]


def test_one_image_is_what_esptool_merges(desk):
    words = ("--image", desk / "esp32.bin", "--config", desk / "cpe.toml", "--output", desk / "one.bin", "--json")
    done = json.loads(laclet("flash", "ESP32_GENERIC", *words).stdout)
    one = (desk / "one.bin").read_bytes()
    assert stat.S_IMODE((desk / "one.bin").stat().st_mode) == 0o600, "it holds secrets"
    assert done["bytes"] == len(one) == VFS[0] + VFS[1] - 0x1000
    (desk / "fs.bin").write_bytes(one[VFS[0] - 0x1000 :])
    command = [sys.executable, "-m", "esptool", "--chip", "esp32", "merge-bin", "--target-offset", "0x1000"]
    command += ["-o", str(desk / "merged.bin"), "0x1000", str(desk / "esp32.bin"), hex(VFS[0]), str(desk / "fs.bin")]
    subprocess.run(command, check=True, capture_output=True)
    assert (desk / "merged.bin").read_bytes() == one


def test_nobody_there_and_no_configuration(desk):
    done = flash(desk, "/dev/ttyNONE", "esp32", code=DEVICE_ABSENT)
    assert done.stderr == (
        "looking for the chip\n"
        "laclet: /dev/ttyNONE: there is no such port; is it plugged in? laclet devices lists what there is\n"
    ).removeprefix("looking for the chip\n")
    (desk / "cpe.toml").write_text("[tunnel.lab]\nserver = 7\n")
    done = laclet("flash", "--port", "x", "--config", desk / "cpe.toml", "--yes", code=3)
    assert "tunnel.lab.server" in done.stderr
    done = laclet("flash", "--port", "x", code=2)
    assert "all files on x would be erased; add --yes" in done.stderr


def test_a_port_without_a_bootloader(desk):
    import os
    import pty

    master, slave = pty.openpty()
    try:
        done = flash(desk, os.ttyname(slave), "esp32", code=TIMEOUT)
    finally:
        os.close(slave)
        os.close(master)
    assert "no bootloader answers; hold BOOT" in done.stderr
