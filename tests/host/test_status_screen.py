"""The status of a board, and of whatever else a configuration may hold, on one screen."""

import json
import re

from clirun import laclet
from deskboard import laclet_board, needs_micropython, rom

from laclet import __version__
from laclet_host.screen import show

CONFIG = {
    "hostname": "meter-17",
    "tunnel": {"lns": {"server": "127.0.0.1:9"}},
    "line": {"uart": {"device": "1", "modem": "answer"}},
    "call": {"uart": {"tunnel": "lns", "line": "uart"}},
}


def plain(devices):
    return re.sub(r"\x1b\[\d+m", "", show(devices)).split("\n")


class TestBoard:
    pytestmark = needs_micropython

    def test_a_board_on_one_screen(self, tmp_path, tmp_path_factory):
        with laclet_board(tmp_path, rom(tmp_path_factory), config=CONFIG) as board:
            done = laclet(tmp_path, "status", "--port", board.port)
            assert done.returncode == 0, done.stderr
            lines = done.stdout.split("\n")
            assert lines[:2] == [f"board: {board.port}", "  hostname: meter-17"]
            assert re.fullmatch(rf"  running: laclet {re.escape(__version__)}, MicroPython 1\.\d+\.\d+, .+", lines[2])
            assert re.fullmatch(r"  memory: \d+\.\d\d KiB free of 2\d\d\.\d\d KiB", lines[3])
            assert {"tunnel: lns", "  server: 127.0.0.1 port 9", "call: uart", "  device: 1"} <= set(lines)
            assert "\x1b" not in done.stdout, "no colours in a pipe"
            found = json.loads(laclet(tmp_path, "status", "--port", board.port, "--json").stdout)
            assert found[board.port]["hostname"] == "meter-17" and found[board.port]["stats"]["heap_free"] > 0

    def test_a_board_without_memory_for_its_console(self, tmp_path, tmp_path_factory):
        config = {"tunnel": {"lns": {"server": "127.0.0.1:9"}}, "call": {"home": {"tunnel": "lns"}}}
        with laclet_board(tmp_path, rom(tmp_path_factory), "160K", config=config) as board:
            done = laclet(tmp_path, "status", "--port", board.port)
        assert done.returncode == 5 and "no memory for the console beside the calls; use its prompt" in done.stderr


BOARD = {
    "hostname": "b",
    "drops": {"no such tunnel": 1},
    "console": {"uncommitted": 3, "unsaved": True},
    "stats": {"heap_free": 1024, "heap_used": 1024, "faults": 2},
    "tunnels": {},
    "calls": {},
}


def test_what_is_not_done_yet_is_told():
    assert plain({"/dev/ttyACM0": BOARD}) == [
        "board: /dev/ttyACM0",
        "  hostname: b",
        "  memory: 1.00 KiB free of 2.00 KiB",
        "  failures: 2",
        "  dropped: 1 × no such tunnel",
        "  not committed: 3 lines of changes at the console",
        "  not saved: what runs is lost at a restart; write save at the console",
    ]


def test_lines_bundles_and_circuits():
    line = {"rx_frames": 5, "tx_frames": 4, "rx_bytes": 2048, "tx_bytes": 12, "drops": {"bad FCS": 2}}
    session = {"rx_bytes": 1, "tx_bytes": 2, "lost": 0}
    tunnel = {"local_tunnel": 1, "peer_tunnel": 2, "peer_name": "", "retransmissions": 3, "rtt": 42}
    status = {
        **BOARD,
        "uplinks": {"wlan": {"kind": "wifi", "up": False, "address": None, "fault": "wifi: no such network"}},
        "tunnels": {
            "a": {
                "state": "up",
                "server": ["fr", "eth1", 100],
                "tunnel": tunnel,
                "redials": 0,
                "fault": None,
                "heard": 61,
            },
        },
        "calls": {
            "l": {
                "tunnel": "a",
                "state": "up",
                "device": "1",
                "modem": None,
                "line": line,
                "session": session,
                "fault": None,
            },
            "m": {
                "tunnel": "a, b",
                "state": "up",
                "ppp": {"links": 2, "lost": 0},
                "address": "10.0.0.2",
                "peer_address": "10.0.0.1",
                "mtu": 1450,
                "session": None,
                "fault": None,
            },
        },
    }
    lines = plain({"x": status})
    assert lines[lines.index("uplink: wlan") :] == [
        "uplink: wlan",
        "  kind: wifi",
        "  state: down",
        "  last failure: wifi: no such network",
        "",
        "tunnel: a",
        "  state: up",
        "  server: DLCI 100 of eth1",
        "  ids: ours 1, theirs 2",
        "  last heard: 1 minute, 1 second ago",
        "  round trip: 42 ms",
        "  repeated: 3 control messages",
        "",
        "call: l",
        "  tunnel: a",
        "  state: up",
        "  device: 1",
        "  line: 2.00 KiB from the host, 12 B to it; dropped 2 × bad FCS",
        "  transfer: 1 B received, 2 B sent",
        "",
        "call: m",
        "  tunnel: a, b",
        "  state: up",
        "  address: 10.0.0.2, peer 10.0.0.1, MTU 1450",
        "  ppp: multilink, 2 links",
    ]
