"""Uplinks of a board: WiFi and Ethernet through a stand-in for ``network``; sockets that are bound to them are real."""

import sys

import mcudesk
import networkdouble as network
from mcudesk import Desk, Peer, wait

sys.modules["network"] = network

from laclet.node.backoff import Backoff  # noqa: E402
from laclet.node.dialer import CONNECTING, HOLDOFF  # noqa: E402
from laclet.port import HEADROOM, frame_buffer  # noqa: E402
from laclet_mcu import nic  # noqa: E402
from laclet_mcu.uplinks import Uplinks  # noqa: E402

WIFI = {"kind": "wifi", "ssid": "net", "password": "geheim", "address": None, "dns": (), "metric": 0}
CABLE = {"kind": "ethernet", "ssid": None, "password": None, "address": None, "dns": (), "metric": 1}


class Tunnel:
    def __init__(self):
        self.closed = []

    def close(self, fault, now):
        self.closed.append(str(fault))


class Dialer:
    def __init__(self, state, tunnel=None):
        self.state = state
        self.tunnel = tunnel
        self.did = []

    def stop(self, fault, now):
        self.did.append("stop")

    def start(self, now):
        self.did.append("start")


class Board(Desk):
    """A shell with a clock of its own, and the uplinks of ``sections``."""

    def __init__(self, **sections):
        Desk.__init__(self)
        self.random = lambda n: bytes(n)
        self.rx = frame_buffer(1500)
        self.asked = []
        self.dialers = {}
        network.made.clear()
        self.uplinks = Uplinks(self, {"uplink": sections, "hostname": "cpe", "line": {}})
        self.uplinks.start(0)

    def settle(self, now):
        pass

    def ask(self, host, port, done):
        self.asked.append(host)

    def run(self, ms):
        """Let time pass, in steps of 100 ms."""
        end = self.time + ms
        while self.time < end:
            self.time += 100
            self.timers.on_timer(self.time)

    def complaints(self):
        return [text for level, text in self.said if level == "warning"]


def test_questions_wait_for_the_uplink_and_sockets_are_bound_to_it():
    board = Board(home=WIFI)
    board.uplinks.resolve("lns.example", 1701, None)
    board.run(1000)
    wlan = network.made["WLAN"]
    assert wlan.on and wlan.asked == [("net", "geheim")] and board.asked == []
    try:
        board.uplinks.open_udp(board, None, 0, ("127.0.0.1", 1701))
        raise AssertionError("opened without an uplink")
    except OSError as error:
        assert "no uplink is up" in str(error)
    wlan.rise("127.0.0.2")
    board.run(1000)
    assert board.asked == ["lns.example"] and ("info", "home is used, address 127.0.0.2") in board.said
    peer = Peer(43151)
    carrier = board.uplinks.open_udp(board, None, 0, peer.addr)
    buf = frame_buffer(4)
    buf[HEADROOM : HEADROOM + 4] = b"data"
    carrier.send(buf, HEADROOM, HEADROOM + 4, peer.addr)
    data, sender = peer.sock.recvfrom(100)
    assert data == b"data" and mcudesk.address(sender)[0] == "127.0.0.2"
    peer.sock.sendto(b"back", sender)
    assert wait(carrier)
    carrier.ready(1, 0)
    assert board.received == [(b"back", peer.addr)]
    carrier.close()
    peer.close()


def test_wifi_is_tried_for_ever_with_a_growing_pause_and_one_complaint():
    board = Board(home=WIFI)
    board.run(100)
    wlan = network.made["WLAN"]
    wlan.code = network.STAT_WRONG_PASSWORD
    board.run(600_000)
    tries = [each for each in wlan.asked if each != "disconnect"]
    assert 8 <= len(tries) <= 14, len(tries)  # 15 s each, and pauses up to a minute
    assert board.complaints() == ["it refuses the password"]
    wlan.rise("127.0.0.2")
    board.run(1000)
    assert board.uplinks.ready() and board.uplinks.status()["home"] == {
        "kind": "wifi",
        "up": True,
        "address": "127.0.0.2",
        "fault": None,
    }


def test_the_best_uplink_is_used_and_tunnels_follow_it():
    board = Board(home=WIFI, cable=CABLE)
    board.run(1000)
    wlan, lan = network.made["WLAN"], network.made["LAN"]
    lan.rise("127.0.0.3")
    board.run(1000)
    assert board.uplinks.current.name == "cable"
    busy, idle = Dialer(CONNECTING, Tunnel()), Dialer(HOLDOFF)
    board.dialers = {"busy": busy, "idle": idle}
    peer = Peer(43152)
    board.carrier = board.uplinks.open_udp(board, None, 43153, peer.addr)
    wlan.rise("127.0.0.2")
    board.run(1000)
    assert board.uplinks.current.name == "home"
    assert busy.tunnel.closed == ["uplink: the way is another now: home"] and idle.did == ["stop", "start"]
    buf = frame_buffer(4)
    board.carrier.send(buf, HEADROOM, HEADROOM + 4, peer.addr)
    assert mcudesk.address(peer.sock.recvfrom(100)[1]) == ("127.0.0.2", 43153), "a fixed port moves, too"
    wlan.connected = False
    board.run(1000)
    assert board.uplinks.current.name == "cable" and len(busy.tunnel.closed) == 2
    lan.connected = False
    board.run(1000)
    assert not board.uplinks.ready() and board.complaints()[-1] == "none is up" and len(busy.tunnel.closed) == 2
    lan.connected = True  # the same address: what has survived goes on
    board.run(1000)
    assert board.uplinks.ready() and len(busy.tunnel.closed) == 2
    board.carrier.close()
    peer.close()


def test_a_driver_that_fails_is_tried_again():
    board = Board(cable=CABLE)
    lan = network.LAN
    error = OSError(110)

    class Broken(lan):
        def active(self, on):
            if len(made) < 3:
                made.append(self)
                raise error
            lan.active(self, on)

    made = []
    network.LAN = Broken
    try:
        board.run(20_000)
    finally:
        network.LAN = lan
    assert len(made) == 3 and board.complaints() and network.made["Broken"].on
    network.made["Broken"].rise("127.0.0.3")
    board.run(1000)
    assert board.uplinks.ready()


def test_an_address_of_our_own_and_a_chip_that_board_json_describes():
    nic.about = lambda: {"ethernet": {"driver": "LAN", "constants": {"phy_type": "PHY_LAN8720", "phy_addr": 1}}}
    fixed = dict(CABLE, address="192.0.2.5", netmask="255.255.255.0", gateway="192.0.2.1")
    board = Board(cable=fixed)
    board.run(1000)
    lan = network.made["LAN"]
    assert lan.arguments == {"phy_type": 4, "phy_addr": 1}
    assert lan.settings == ("192.0.2.5", "255.255.255.0", "192.0.2.1", "192.0.2.1")
    assert not board.uplinks.ready()
    lan.connected = True
    board.run(1000)
    assert board.uplinks.ready() and isinstance(board.uplinks.current._backoff, Backoff)
