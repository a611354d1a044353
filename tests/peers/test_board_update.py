"""A board fetches its update through its own tunnel: laclet's IP on the board, xl2tpd and pppd, dnsmasq's TFTP."""

import shutil

from littlefs import LittleFS

from laclet_host.board import mpy, slots
from laclet_host.board.virtual import VirtualBoard
from peers.needs import need
from peers.service import rom
from peers.test_board_console import Console, pytestmark, until  # noqa: F401 (what this needs as well)
from peers.xl2tpd import SECRET, Xl2tpdLns

KEY = "correct horse battery"


def deliver(path):
    """A file system with the files that ship; a boot is good after a second, instead of a minute."""
    image = LittleFS(block_size=4096, block_count=512, prog_size=256)
    for name in ("boot.py", "main.py"):
        with image.open("/" + name, "w") as file:
            text = (mpy.source_root() / "laclet_mcu" / "files" / name).read_text()
            file.write(text.replace("start()", "start(good=1000)"))
    path.write_bytes(bytes(image.context.buffer))


def configuration(lns):
    return (
        ("tunnel.lns.server", lns.address),
        ("tunnel.lns.tunnel_secret", SECRET),
        ("call.home.tunnel", "lns"),
        ("call.home.username", "user"),
        ("call.home.password", "secret"),
        ("board.update_key", KEY),
    )


def waits_for(console, text):
    until(console, lambda: any(text in line for line in console.log))
    console.log.clear()


def test_an_update_comes_through_the_tunnel(lab, lns, here, tmp_path):
    need("xl2tpd", "dnsmasq")
    flash, new = tmp_path / "flash.img", lab.directory / "tftp" / "new"
    deliver(flash)
    image = rom(lab)
    shutil.copytree(lab.directory / "mpy", new)
    tftp = ["dnsmasq", "--no-daemon", "--port=0", "--user=root", "--pid-file=", f"--tftp-root={new.parent}"]
    board = VirtualBoard(flash=flash, rom=image, heap="512K", prefix=["nsenter", "-t", str(here.pid), "-n"])
    console = Console(board.port)  # before it says its first words
    with Xl2tpdLns(lns, "chap", SECRET), lns.spawn(*tftp, "--enable-tftp", log="tftp.log"), board:
        lns.until("udp_port", 69)
        try:
            waits_for(console, "Enter for the console")
            for path, value in configuration(lns):
                console.do("set " + path, value=value)
            for command in ("commit", "save"):
                console.do(command)
            waits_for(console, "[call.home]: up: address")
            console.do("update from tftp://10.9.0.1/other/manifest")
            waits_for(console, "[update]: manifest: the server says")
            number = console.do("update status")["mpy"]
            (new / "manifest").write_bytes(slots.manifest(new, number, KEY.encode(), "2.0"))
            console.do("update from tftp://10.9.0.1/new/manifest")
            waits_for(console, "all is there: version 2.0 is tried now")
            assert board.wait(lambda board: board.boots == 2)
            waits_for(console, "[call.home]: up: address")
            waits_for(console, "[update]: the update is good")
            status = console.do("update status")
            assert (status["running"], status["good"], status["trial"]) == ("a", "a", None)
        finally:
            console.close()
