"""laclet capture and explain: services captured while they work, the files read by tshark, the ladder, Wireshark."""

import io
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess

import pytest
from clirun import PATIENCE, Service, environment, laclet
from hypothesis import given
from hypothesis import strategies as st
from linuxns import in_namespace

from laclet.wire import ppp
from laclet_host.capture import envelope, extcap, pcapng, scrub
from laclet_host.capture.ladder import ladders
from laclet_host.capture.pcapng import BadCapture, Packet, Writer, read
from laclet_host.capture.steps import read_steps

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is missing: apt install tshark")
PASSWORD = "never-shown"
SECRET = "tunnel-secret-never-shown"


def tshark(path, port, *words):
    """Lines of tshark's answer; L2TP is at ``port``."""
    command = ["tshark", "-r", path, "-d", f"udp.port=={port},l2tp", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")


@pytest.fixture
def desk(tmp_path):
    """Services and captures that end with the test."""
    made = []

    class Desk:
        folder = tmp_path
        run = tmp_path / "run"

        def start(self, *words):
            made.append(Service(self.run, *words))
            return made[-1]

        def lns(self, password=PASSWORD, *words):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind(("127.0.0.1", 0))
                self.port = sock.getsockname()[1]
            lns = self.start("lns", "--listen", f"127.0.0.1:{self.port}", "--user", f"me:{password}", "--json", *words)
            lns.wait_for("listening")
            return lns

        def client(self, tunnel="", port=None):
            path = tmp_path / "home.toml"
            path.write_text(
                f'[tunnel.office]\nserver = "127.0.0.1:{port or self.port}"\nholdoff = 60\nretry_timeout = 0.1\n'
                f'{tunnel}\n[call.home]\ntunnel = "office"\nusername = "me"\ndata_plane = "stream"\n'
            )
            secrets = tmp_path / "secrets.toml"
            secrets.touch(0o600)
            secrets.write_text(f'[call.home]\npassword = "{PASSWORD}"\n')
            return self.start("run", path, "--log-json")

        def capture(self, name, *words):
            capture = self.start("capture", name, "-o", tmp_path / "out.pcapng", *words)
            capture.wait_for("capturing")
            return capture

        def explained(self):
            """Exit code and the only conversation of what was captured."""
            told = laclet(self.run, "explain", tmp_path / "out.pcapng", "--json")
            (conversation,) = json.loads(told.stdout)["conversations"]
            return told.returncode, conversation

    yield Desk()
    for each in made:
        each.kill()


def up():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


# -- of services ------------------------------------------------------------------------------------------


@needs_tshark
@in_namespace
def test_a_set_up_captured_and_explained(desk):
    up()
    lns = desk.lns(PASSWORD, "--auth", "pap")
    capture = desk.capture("lns", "--scrub")
    home = desk.client()
    home.wait_for("call.home: up")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("10.64.64.2", 0))
        sock.sendto(b"data", ("10.64.64.1", 9))
    assert home.end(signal.SIGTERM) == 5 and lns.end(signal.SIGTERM) == 5
    assert capture.end() == 0  # by itself, with its service
    assert re.search(r"\d+ frames in .*out.pcapng$", capture.said[-1])
    path = desk.folder / "out.pcapng"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert PASSWORD.encode() not in path.read_bytes() and b"*" * len(PASSWORD) in path.read_bytes()
    assert [
        line for line in tshark(path, desk.port, "-Y", "_ws.malformed || _ws.expert.severity >= error") if line
    ] == []
    protocols = " ".join(tshark(path, desk.port, "-T", "fields", "-e", "frame.protocols"))
    for expected in ("raw:ip:udp:l2tp", "l2tp:ppp:lcp", "l2tp:ppp:pap", "l2tp:ppp:ipcp", "l2tp:ppp:ip:udp", "ppp:lcp"):
        assert expected in protocols
    assert (
        len({*tshark(path, desk.port, "-T", "fields", "-e", "frame.interface_name")}) == 3
    )  # l2tp, ppp, and the end of the text
    code, found = desk.explained()
    assert (code, found["up"], found["fault"]) == (0, True, None)
    assert list(found["reached"])[:4] == ["tunnel", "call", "LCP", "log-in"] and "IP" in found["reached"]
    names = [step["name"] for step in found["steps"]]
    assert names[:3] == ["SCCRQ", "SCCRP", "SCCCN"] and "PAP AuthReq" in names
    assert found["steps"][0]["right"] and not found["steps"][1]["right"]
    shown = laclet(desk.run, "explain", path, "--width", "100").stdout
    assert (
        "──▶  SCCRQ" in shown
        and "it came up" in shown
        and max(len(line) for line in shown.split("\n") if "▶" in line) <= 100
    )


@in_namespace
def test_a_wrong_password_is_explained(desk):
    up()
    lns = desk.lns("another")
    capture = desk.capture("lns")
    desk.client().wait_for("auth: ")
    assert lns.end(signal.SIGTERM) == 5 and capture.end() == 0
    code, found = desk.explained()
    assert (code, found["up"], found["fault"]["layer"]) == (1, False, "auth")
    assert "CHAP" in found["fault"]["cause"] and "password" in found["fault"]["hint"]


@in_namespace
def test_a_wrong_tunnel_secret_is_explained(desk):
    up()
    file = desk.folder / "secret"
    file.write_text("another\n")
    lns = desk.lns(PASSWORD, "--secret-file", file)
    capture = desk.capture("lns")
    desk.client(f'tunnel_secret = "{SECRET}"').wait_for("tunnel-auth: ")
    assert lns.end(signal.SIGTERM) == 5 and capture.end() == 0
    code, found = desk.explained()
    assert (code, found["fault"]["layer"]) == (1, "tunnel-auth")
    assert found["fault"]["said"].startswith("StopCCN 4")


@in_namespace
def test_a_silent_lns_is_explained(desk):
    up()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        home = desk.client("max_retries = 4", silent.getsockname()[1])
        home.wait_for("connecting")
        capture = desk.capture("home")
        home.wait_for("no answer")
        assert home.end(signal.SIGTERM) == 5 and capture.end() == 0
    code, found = desk.explained()
    assert (code, found["fault"]["layer"]) == (1, "tunnel")
    assert found["fault"]["cause"].startswith("no answer to SCCRQ") and "1701" in found["fault"]["hint"]


@in_namespace
def test_a_capture_is_ended_by_its_count_and_by_ctrl_c(desk):
    up()
    desk.lns()
    capture = desk.capture("lns", "-c", "3")
    other = desk.start("capture", "lns", "-o", desk.folder / "other.pcapng", "--ppp")
    other.wait_for("capturing")
    desk.client().wait_for("call.home: up")
    assert capture.end() == 0 and capture.said[-1].startswith("3 frames")
    assert other.end(signal.SIGINT) == 0
    with open(desk.folder / "other.pcapng", "rb") as file:
        assert {packet.link for packet in read(file)} <= {pcapng.PPP_WITH_DIR}


@needs_tshark
@in_namespace
def test_wireshark_lists_services_and_captures_one(desk):
    up()
    script = extcap.install(desk.folder / "extcap")
    told = subprocess.run(["tshark", "-G", "folders"], capture_output=True, text=True, check=True).stdout
    place = re.search(r"(?m)^Extcap path:\s+(.*)$", told)[1]
    # Only its own folder counts for root: ours stands there, for these processes alone.
    inside = ["unshare", "-m", "sh", "-c", f'mount --bind {script.parent} {place} && exec "$@"', "sh"]
    desk.lns()
    where = environment(desk.run)
    listed = subprocess.run([*inside, "tshark", "-D"], capture_output=True, text=True, env=where, timeout=PATIENCE)
    assert "laclet-lns (laclet service lns)" in listed.stdout
    words = ["-i", "laclet-lns", "-d", f"udp.port=={desk.port},l2tp", "-l", "-T", "fields", "-e", "_ws.col.Info"]
    command = [*inside, "tshark", "-a", f"duration:{PATIENCE}", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=where) as live:
        assert any("Capturing" in line for line in live.stderr)
        desk.client("hello_interval = 1").wait_for("call.home: up")  # says HELLO until the capture has begun
        assert any("Control Message - Hello" in line for line in live.stdout)
        live.terminate()


def test_no_such_service_and_no_such_file(tmp_path):
    gone = laclet(tmp_path, "capture", "office", "-o", tmp_path / "x")
    assert (gone.returncode, gone.stderr) == (1, "laclet: office: no such service is running\n")
    assert not (tmp_path / "x").exists()
    (tmp_path / "text").write_text("this is no capture")
    wrong = laclet(tmp_path, "explain", tmp_path / "text")
    assert (wrong.returncode, wrong.stderr) == (1, f"laclet: {tmp_path}/text: is neither pcapng nor pcap\n")
    absent = laclet(tmp_path, "explain", tmp_path / "absent")
    assert absent.returncode == 1 and absent.stderr.endswith("No such file or directory\n")


# -- files ------------------------------------------------------------------------------------------------


def written(packets):
    file = io.BytesIO()
    out = Writer(file, "test")
    for packet in packets:
        out.write(out.interface(packet.link, "x"), packet.time, packet.data, bool(packet.sent))
    file.seek(0)
    return file


packet_lists = st.lists(
    st.builds(
        Packet,
        st.integers(0, 1 << 62),
        st.sampled_from([pcapng.RAW_IP, pcapng.ETHERNET]),
        st.binary(max_size=70),
        st.booleans(),
    ),
    max_size=5,
)


@given(packet_lists)
def test_what_was_written_is_read(packets):
    assert list(read(written(packets))) == packets


@given(packet_lists, st.integers(0, 1000))
def test_a_file_cut_short_gives_what_is_whole(packets, cut):
    whole = written(packets).getvalue()
    got = list(read(io.BytesIO(whole[: max(28, len(whole) - cut)])))
    assert got == packets[: len(got)]


@given(st.binary(max_size=300))
def test_no_file_raises_anything_but_bad_capture(data):
    for head in (b"", b"\n\r\r\n", b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(12)):
        try:
            packets = list(read(io.BytesIO(head + data)))
        except BadCapture:
            continue
        ladders(read_steps(packets))


@given(st.binary(min_size=1, max_size=120), st.sampled_from([pcapng.PPP, pcapng.PPP_WITH_DIR, pcapng.RAW_IP]))
def test_no_packet_raises(data, link):
    ladders(read_steps([Packet(0, link, data, True)]))
    for port in (1701, 500, 4500):
        wrapped = envelope.wrap(("192.0.2.1", port), ("192.0.2.2", 1701), data)
        ladders(read_steps([Packet(0, pcapng.RAW_IP, wrapped)]))
    assert len(scrub.datagram(data)) == len(scrub.ppp_frame(data)) == len(data)


@pytest.mark.parametrize(("a", "b"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
def test_an_envelope_is_opened_again(a, b):
    packet = Packet(0, pcapng.RAW_IP, envelope.wrap((a, 1701), (b, 40000), b"abc"))
    assert envelope.unwrap(packet) == ((a, 1701), (b, 40000), b"abc", 17)


def test_secrets_are_taken_out_of_every_kind_of_frame():
    def frame(protocol, code, data):
        buf = bytearray(200)
        return bytes(buf[: ppp.write(buf, 0, protocol, code, 1, data)])

    secret = b"hush-hush"
    counted = bytes((len(secret),)) + secret
    for protocol, code, data in (
        (ppp.PAP, 1, b"\x02me" + counted),
        (ppp.CHAP, 2, counted + b"me"),
        (ppp.CHAP, 3, b"S=" + secret),
        (ppp.EAP, 2, b"\x04" + counted + b"me"),
        (ppp.EAP, 2, b"\x1a" + counted),
    ):
        scrubbed = scrub.ppp_frame(frame(protocol, code, data))
        assert secret not in scrubbed and b"*" * len(secret) in scrubbed
    spoken = frame(ppp.PAP, 3, b"\x05wrong")
    assert scrub.ppp_frame(spoken) == spoken
