"""The metrics page: names, values, labels; clients that misbehave."""

import contextlib
import socket
import threading
import urllib.request

import pytest
from clirun import Service, laclet
from linuxloop import Idle, TestLoop

from laclet_linux.metrics import Metrics, render

STATUS = {
    "name": "home",
    "version": "1.2.3",
    "uptime": 100.0,
    "drops": {"bad control header": 2},
    "sockets": [{"local": ["0.0.0.0", 1], "drops": {"send: Network is unreachable": 1}}],
    "tunnels": {
        "office": {"state": "up", "redials": 0, "heard": 1.5, "tunnel": {"retransmissions": 3}},
        "spare": {"state": "holdoff", "redials": 4, "heard": None, "tunnel": None},
    },
    "calls": {
        "a": {
            "tunnel": "office",
            "state": "up",
            "redials": 0,
            "up_for": 60.0,
            "drops": {"interface: error": 7},
            "session": {"rx_bytes": 10, "tx_bytes": 20, "rx_packets": 1, "tx_packets": 2, "drops": {'a "\\\n': 5}},
        },
        "b": {"tunnel": "spare", "state": "waiting", "redials": 1, "up_for": None, "session": None},
    },
    "lns": {"callers": [1, 2]},
}
PROCESS = {"cpu": 1.5, "memory": 20_000_000, "descriptors": 12, "threads": 3}
PAGE = """\
laclet_info{version="1.2.3",service="home"} 1
laclet_start_time_seconds 900.0
laclet_tunnel_up{tunnel="office"} 1
laclet_tunnel_up{tunnel="spare"} 0
laclet_tunnel_redials{tunnel="office"} 0
laclet_tunnel_redials{tunnel="spare"} 4
laclet_tunnel_retransmissions_total{tunnel="office"} 3
laclet_tunnel_last_heard_seconds{tunnel="office"} 998.5
laclet_call_up{call="a",tunnel="office"} 1
laclet_call_up{call="b",tunnel="spare"} 0
laclet_call_redials{call="a"} 0
laclet_call_redials{call="b"} 1
laclet_call_last_up_seconds{call="a"} 940.0
laclet_call_received_bytes_total{call="a"} 10
laclet_call_sent_bytes_total{call="a"} 20
laclet_call_received_packets_total{call="a"} 1
laclet_call_sent_packets_total{call="a"} 2
laclet_lns_callers 2
laclet_drops_total{where="l2tp",reason="bad control header"} 2
laclet_drops_total{where="socket.0",reason="send: Network is unreachable"} 1
laclet_drops_total{where="call.a",reason="interface: error"} 7
laclet_drops_total{where="session.a",reason="a \\"\\\\\\n"} 5
process_cpu_seconds_total 1.5
process_resident_memory_bytes 20000000
process_open_fds 12
"""


def test_the_page():
    lines = render(STATUS, PROCESS, 1000.0).splitlines(keepends=True)
    assert "".join(line for line in lines if line[0] != "#") == PAGE
    told = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    seen = dict.fromkeys(line.split("{")[0].split()[0] for line in lines if line[0] != "#")
    assert told == list(seen) and all(name.endswith("_total") for name in seen if "_call_" in name and "bytes" in name)


@pytest.fixture
def loop():
    made = TestLoop()
    yield made
    made.close()


def serve(loop, page="laclet_info 1\n"):
    made = Metrics(loop, [("127.0.0.1", 0)], lambda: page)
    return made, made.addresses()[0]


def answer(loop, address, request):
    """What one connection gets that says ``request`` and closes its side."""
    got = []

    def talk():
        with socket.create_connection(address, 10) as sock:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile("rb") as stream:
                got.append(stream.read())

    thread = threading.Thread(target=talk)
    thread.start()
    loop.until(lambda: got)
    thread.join()
    return got[0]


def test_a_scrape(loop):
    metrics, address = serve(loop, "x" * 500_000)
    got = []
    url = f"http://{address[0]}:{address[1]}/metrics"
    thread = threading.Thread(target=lambda: got.append(urllib.request.urlopen(url, timeout=10).read()))
    thread.start()
    loop.until(lambda: got)
    thread.join()
    assert got[0] == b"x" * 500_000
    metrics.close()


def test_other_requests(loop):
    metrics, address = serve(loop)
    assert answer(loop, address, b"GET /metrics?x=1 HTTP/1.0\n\n").endswith(b"\r\n\r\nlaclet_info 1\n")
    for request in (b"GET / HTTP/1.1\r\n\r\n", b"POST /metrics HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"\xff\0 \xfe\r\n\r\n"):
        assert answer(loop, address, request).startswith(b"HTTP/1.1 404 "), request
    for request in (b"", b"GET /metrics HTTP/1.1\r\n"):
        assert answer(loop, address, request) == b"", request
    metrics.close()


def test_silent_clients_cost_a_bound(loop):
    metrics, address = serve(loop)
    silent = []
    for _ in range(20):
        silent.append(socket.create_connection(address, 10))
        silent[-1].setblocking(False)
        loop.once(Idle(), 1000)

    def closed():
        count = 0
        for sock in silent:
            with contextlib.suppress(BlockingIOError):
                count += sock.recv(1) == b""
        return count >= 4

    loop.until(closed)
    silent[0].close()
    loop.once(Idle(), 1000)  # its place is free before the next one asks for it
    assert answer(loop, address, b"GET /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    metrics.close()
    for sock in silent:
        sock.close()


def test_an_address_that_is_taken(loop):
    metrics, address = serve(loop)
    with pytest.raises(OSError, match=r"cannot serve metrics at 127\.0\.0\.1 port .*: Address already in use"):
        Metrics(loop, [("127.0.0.1", 0), address], str)
    metrics.close()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_of_a_service_that_gets_another_address_for_them(tmp_path):
    path = tmp_path / "lns.toml"
    ports = free_port(), free_port()

    def write(port):
        path.write_text(
            f'[lns]\nlisten = "127.0.0.1:{free_port()}"\naddress = "10.0.0.1"\npool = "10.0.0.2-10.0.0.9"\nauth = []\n'
            f'interface = "echo"\n[metrics]\nlisten = "127.0.0.1:{port}"\n'
        )

    def scrape(port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            assert page.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return page.read().decode()

    write(ports[0])
    lns = Service(tmp_path / "run", "run", path, "--log-json")
    try:
        lns.wait_for("listening")
        assert "\nlaclet_lns_callers 0\n" in scrape(ports[0]) and 'service="lns"' in scrape(ports[0])
        with socket.create_server(("127.0.0.1", ports[1])):
            write(ports[1])
            taken = laclet(tmp_path / "run", "reload", "lns")
            assert taken.returncode == 1 and "Address already in use" in taken.stderr
            assert scrape(ports[0])
        assert laclet(tmp_path / "run", "reload", "lns").returncode == 0
        assert scrape(ports[1])
        with pytest.raises(OSError, match="refused"):
            scrape(ports[0])
        other = Service(tmp_path / "run", "run", path, "--log-json", "--name", "other")
        other.wait_for(f"service: config: cannot serve metrics at 127.0.0.1 port {ports[1]}: Address already in use")
        assert other.end() == 7
    finally:
        lns.kill()
