"""``laclet flash`` for boards that are a volume (UF2), and by dfu-util, behind which a double stands for the board."""

import binascii
import json
import os
import shutil
import struct

import pytest
from deskboard import needs_micropython
from flashdesk import laclet, without_pins

from laclet_host.board.virtual import VirtualBoard
from laclet_host.device import files, uf2
from laclet_host.device.link import Link
from laclet_host.ui import DEVICE_ABSENT, FAILURE, TIMEOUT

RP2040, RP2350 = 0xE48BFF56, 0xE48BFF59
FLASH = 0x10000000
CONFIG = """
hostname = "pico"
[tunnel.lab]
server = "127.0.0.1:9"
[line.uart]
device = "1"
[call.uart]
tunnel = "lab"
line = "uart"
"""


@pytest.fixture
def desk(tmp_path):
    """A mounted bootloader, MicroPython's images, and a configuration."""
    volume = tmp_path / "RPI-RP2"
    volume.mkdir()
    (volume / "INFO_UF2.TXT").write_text(
        "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n", newline=""
    )
    for name, family in (("pico", RP2040), ("pico2", RP2350)):
        parts = [uf2.Block(FLASH + at, family, os.urandom(256)) for at in range(0, 20_000, 256)]
        (tmp_path / f"{name}.uf2").write_bytes(uf2.encode(parts))
    (tmp_path / "pico.toml").write_text(CONFIG)
    return tmp_path


def flash(desk, image, *more, board="RPI_PICO_W", code=0):
    words = [board] if board else []
    words += ["--volume", desk / "RPI-RP2", "--image", desk / image, "--yes", "--no-check", "--json", *more]
    return laclet("flash", *words, code=code)


def written(desk):
    return uf2.blocks((desk / "RPI-RP2" / "laclet.uf2").read_bytes(), "it")


@pytest.mark.micropython
class TestPico:
    pytestmark = needs_micropython

    def test_one_image_in_a_volume_boots_with_its_configuration(self, desk, monkeypatch):
        without_pins(monkeypatch)
        done = json.loads(flash(desk, "pico.uf2", "--config", desk / "pico.toml", "--arch", "x64").stdout)
        assert done["board"] == "RPI_PICO_W" and done["volume"].endswith("RPI-RP2")
        parts = written(desk)
        original = uf2.blocks((desk / "pico.uf2").read_bytes(), "it")
        assert parts[: len(original)] == original
        size = files.board_named("RPI_PICO_W")["memory"]["file_system"]
        start = FLASH + (2 << 20) - size
        system = bytearray(b"\xff" * size)
        for block in parts[len(original) :]:
            system[block.address - start : block.address - start + 256] = block.data
        (desk / "flash.img").write_bytes(system)
        with VirtualBoard(flash=desk / "flash.img", heap="384K") as board, Link(board.port) as link:
            assert link.get("show config")["hostname"] == "pico"

    def test_it_is_restarted_into_its_bootloader_and_has_to_answer_in_the_end(self, desk, monkeypatch):
        told = []

        def volumes():
            told.append("looked")
            return [uf2.Volume(desk / "RPI-RP2", "RPI-RP2")] if len(told) > 2 else []

        monkeypatch.setattr(uf2, "volumes", volumes)
        board = files.board_named("UNIX")
        (desk / "flash.img").write_bytes(
            files.littlefs(files.device(board, files.read_config(desk / "pico.toml")), 512 * files.BLOCK)
        )
        words = ("RPI_PICO_W", "--image", desk / "pico.uf2", "--yes")
        with VirtualBoard(flash=desk / "flash.img", heap="384K") as device:
            device.wait(lambda board: board.boots)
            done = laclet("flash", *words, "--port", device.port, "--no-check")
            assert "restarting it into its bootloader\n" in done.stderr and len(told) == 3
            device.reset()  # what the boot ROM does after the last block
            done = laclet("flash", *words, "--port", device.port, "--volume", desk / "RPI-RP2")
            assert "it is pico\n" in done.stdout
            device.kill()
            monkeypatch.setattr("laclet_host.device.flash._BOOT", 1.0)
            told = laclet("flash", *words, "--port", device.port, "--volume", desk / "RPI-RP2", code=TIMEOUT).stderr
            assert "all is written, but nobody answers; press RESET" in told


def test_blocks_are_numbered_as_the_boot_rom_counts_them(desk):
    flash(desk, "pico.uf2")
    data = (desk / "RPI-RP2" / "laclet.uf2").read_bytes()
    heads = [struct.unpack_from("<8I", data, at) for at in range(0, len(data), 512)]
    assert [head[5] for head in heads] == list(range(len(heads))) and {head[6] for head in heads} == {len(heads)}
    assert {head[7] for head in heads} == {RP2040} and {head[4] for head in heads} == {256}
    sectors = [head[3] // 4096 for head in heads]
    assert sectors == sorted(sectors), "each sector is erased once"


def test_esptool_reads_what_we_write(desk):
    """A reader that is not ours: the one of esptool, for the family of its own chips."""
    parts = [uf2.Block(at, 0x1C5F21B0, os.urandom(256)) for at in range(0, 4096, 256)]
    (desk / "esp.uf2").write_bytes(uf2.encode(parts))
    image = bytes(desk.joinpath("esp.uf2").read_bytes())
    pytest.importorskip("esptool")
    theirs = desk / "theirs.uf2"
    (desk / "plain.bin").write_bytes(b"".join(block.data for block in parts))
    import subprocess
    import sys

    command = [
        sys.executable,
        "-m",
        "esptool",
        "--chip",
        "esp32",
        "merge-bin",
        "--format",
        "uf2",
        "--chunk-size",
        "256",
    ]
    subprocess.run([*command, "-o", str(theirs), "0x0", str(desk / "plain.bin")], check=True, capture_output=True)
    got = uf2.blocks(theirs.read_bytes(), "theirs")
    assert [block.data for block in got] == [block.data for block in parts] and got[0].family == 0x1C5F21B0
    assert [b.address for b in uf2.blocks(image, "ours")] == [block.address for block in got]


def test_the_erratum_block_of_rp2350_stays_in_front(desk):
    absolute = uf2.Block(0x10FFFF00, 0xE48BFF57, b"\xef" * 256)
    image = uf2.encode([absolute, *uf2.blocks((desk / "pico2.uf2").read_bytes(), "it")])
    merged = uf2.merge(image, "pico2.uf2", files.board_named("RPI_PICO2_W"), files.littlefs({"/x": b"y"}, 2621440))
    parts = uf2.blocks(merged, "it")
    assert parts[0] == absolute and parts[-1].family == RP2350 and parts[-1].address < FLASH + (4 << 20)
    assert struct.unpack_from("<8I", merged)[5:7] == (0, 1)


def test_only_micropython_is_renewed(desk):
    flash(desk, "pico.uf2", "--keep-files")
    assert (desk / "RPI-RP2" / "laclet.uf2").read_bytes() == (desk / "pico.uf2").read_bytes()


def test_wrong_boards_and_images(desk):
    assert "is for another chip than the rp2040" in flash(desk, "pico2.uf2", code=DEVICE_ABSENT).stderr
    done = flash(desk, "pico2.uf2", board="RPI_PICO2_W", code=DEVICE_ABSENT)
    assert "is the volume of RPI-RP2, not RP2350 of RPI_PICO2_W" in done.stderr
    assert flash(desk, "pico.uf2", board=None).exit_code == 0, "one board has that volume"
    (desk / "cut.uf2").write_bytes((desk / "pico.uf2").read_bytes()[:-100])
    assert "was cut off at byte" in flash(desk, "cut.uf2", code=FAILURE).stderr
    (desk / "text.uf2").write_text("<html>")
    assert "is no UF2 image" in flash(desk, "text.uf2", code=FAILURE).stderr
    (desk / "RPI-RP2" / "INFO_UF2.TXT").unlink()
    assert "so it is no UF2 bootloader; hold BOOTSEL" in flash(desk, "pico.uf2", code=DEVICE_ABSENT).stderr


def test_a_volume_that_is_full(desk):
    (desk / "RPI-RP2" / "laclet.uf2").symlink_to("/dev/full")
    done = flash(desk, "pico.uf2", code=FAILURE)
    assert "KiB does not fit there; is it the right board?" in done.stderr


def test_a_volume_that_goes_in_the_middle(desk, monkeypatch):
    real = uf2.os.fsync
    monkeypatch.setattr(uf2.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    flash(desk, "pico.uf2")  # its last block has come: the board restarts by itself
    monkeypatch.setattr(uf2.os, "fsync", real)
    shutil.rmtree(desk / "RPI-RP2")
    (desk / "RPI-RP2").mkdir()
    (desk / "RPI-RP2" / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    told = []

    class Dying:
        """A file on a volume that is pulled out after its first piece."""

        def __init__(self, *_, **__):
            self.writes = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, data):
            self.writes += 1
            if self.writes > 1:
                raise OSError(5, "Input/output error")
            return len(data)

    monkeypatch.setattr(uf2.Path, "open", Dying)
    with pytest.raises(uf2.Absent, match="has gone in the middle; its bootloader is unharmed: hold BOOTSEL"):
        uf2._copy(desk / "RPI-RP2", bytes(200_000), lambda doing, percent: told.append(percent))
    assert told == [100.0 * 65536 / 200_000]


# -- DFU ----------------------------------------------------------------------------------------------

DOUBLE = r"""#!/bin/sh
# What dfu-util prints for an STM32: progress by CR.
case "$*" in *"-d 0483:df11 -a 0 -s :leave -D "*) ;; *) exit 64 ;; esac
printf 'dfu-util 0.11\n\nErase   \t[=========                ]  40%%      1000 bytes\r'
printf 'Download\t[=========================] 100%%      2000 bytes\rDownload done.\nFile downloaded successfully\n'
"""


@pytest.fixture
def stm32(desk, monkeypatch):
    """An image of STM32; and a dfu-util for boards that are not there."""
    body = b"DfuSe\x01" + os.urandom(2000) + b"\x00\x22\x11\xdf\x83\x04\x1a\x01UFD\x10"
    (desk / "nucleo.dfu").write_bytes(body + struct.pack("<I", ~binascii.crc32(body) & 0xFFFFFFFF))
    (desk / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{desk / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def double(text):
        (desk / "bin" / "dfu-util").write_text(text)
        (desk / "bin" / "dfu-util").chmod(0o755)

    return double


def dfu(desk, *more, code=0):
    words = ("NUCLEO_H743ZI", "--image", desk / "nucleo.dfu", "--yes", "--no-check", "--json", *more)
    return laclet("flash", *words, code=code)


def test_an_stm32_by_a_double_of_dfu_util(desk, stm32):
    stm32(DOUBLE)
    done = json.loads(dfu(desk).stdout)
    assert done["board"] == "NUCLEO_H743ZI" and done["bytes"] == (desk / "nucleo.dfu").stat().st_size
    stm32("#!/bin/sh\necho 'No DFU capable USB device available' >&2; exit 74\n")
    assert "no STM32 is in its bootloader; set BOOT0" in dfu(desk, code=DEVICE_ABSENT).stderr
    stm32("#!/bin/sh\necho 'Error during download get_status'; exit 74\n")
    done = dfu(desk, code=FAILURE)
    assert "Error during download get_status; its bootloader is unharmed" in done.stderr
    assert "give --port, too" in dfu(desk, "--config", desk / "pico.toml", code=2).stderr
    image = desk / "nucleo.dfu"
    image.write_bytes(image.read_bytes()[:50] + b"!" + image.read_bytes()[51:])
    assert "nucleo.dfu: is damaged; get it again" in dfu(desk, code=FAILURE).stderr


@pytest.mark.micropython
class TestAfterDfu:
    pytestmark = needs_micropython

    def test_the_files_of_an_stm32_follow_at_the_prompt(self, desk, stm32, monkeypatch):
        stm32(DOUBLE.replace("successfully", "successfully\\nError during get_status") + "exit 74\n")
        without_pins(monkeypatch)
        files.catalogue.boards()["NUCLEO_H743ZI"]["arch"] = "x64"
        with VirtualBoard(flash=desk / "flash.img", heap="384K") as plain:
            words = ("NUCLEO_H743ZI", "--image", desk / "nucleo.dfu", "--config", desk / "pico.toml", "--yes", "--json")
            done = json.loads(laclet("flash", *words, "--port", plain.port).stdout)
            assert done["hostname"] == "pico" and done["board"] == "NUCLEO_H743ZI"


@pytest.mark.skipif(shutil.which("dfu-util") is None, reason="dfu-util is missing: apt install dfu-util")
def test_dfu_util_itself_finds_no_board(desk, stm32):
    assert "no STM32 is in its bootloader" in dfu(desk, code=DEVICE_ABSENT).stderr


def test_without_dfu_util(desk, stm32, monkeypatch):
    monkeypatch.setenv("PATH", str(desk / "bin"))
    assert "dfu-util is missing: install the package dfu-util" in dfu(desk, code=FAILURE).stderr
