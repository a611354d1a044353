"""Round trips and time from SCCRQ to IP up, at 50 ms one way: ours and xl2tpd + pppd against one xl2tpd LNS; with proxy
LCP and authentication against our LNS, which accepts them, and against xl2tpd, which does not.
"""

import sys
from pathlib import Path

from benches.common import AT_LEAST, AT_MOST, Missing, median

RUNS = 3
TARGETS = (
    ("pap_rtts", AT_MOST, 6),
    ("chap_rtts", AT_MOST, 7),
    ("pap_rtts_cached", AT_MOST, 5),
    ("chap_rtts_cached", AT_MOST, 6),
    ("proxy_rtts", AT_MOST, 4),
    ("fallback_cost", AT_MOST, 1),
    ("time_ratio", AT_LEAST, 1),
)

_DELAY = 50  # ms each way
_RTT = 2 * _DELAY


def measure(runs):
    """Medians over ``runs`` of each kind, in turn; ``*_rtts`` are whole round trips, ``*_ms`` milliseconds.

    ``*_cached``: our second call, which asks for the address that the first one was given. ``proxy``: CHAP and our LNS.
    ``fallback_cost``: round trips that trying it in vain with xl2tpd costs, CHAP. ``time_ratio``: xl2tpd and pppd over
    ours, CHAP. All but ``*_cached`` are first calls.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from peers.lab import Lab
    from peers.needs import GUEST, missing

    lacking = missing(*GUEST, "xl2tpd", "pppd")
    if lacking:
        raise Missing(lacking)
    seen = {}
    with Lab() as lab:
        lns, cpe, here = lab.guest("lns"), lab.guest("cpe"), lab.namespace("here")
        for guest in (lns, cpe):
            guest.ready()
        lns.netem(delay=_DELAY)
        for _ in range(runs):
            for auth in ("pap", "chap"):
                first, again = _ours(lab, lns, here, auth)
                seen.setdefault(auth, []).append(first)
                seen.setdefault(auth + "_cached", []).append(again)
            seen.setdefault("proxy", []).append(_proxy(lab, lns, here))
            seen.setdefault("fallback", []).append(_ours(lab, lns, here, "chap", proxy=True)[0])
            seen.setdefault("xl2tpd", []).append(_xl2tpd(lab, lns, cpe, "chap"))
    figures = {}
    for name, times in seen.items():
        figures[name + "_ms"] = median(times)
        who, _, how = name.partition("_")
        # The path is 100 ms there and back; what programs need to think does not make a round trip.
        figures[who + "_rtts" + ("_" + how if how else "")] = figures[name + "_ms"] // _RTT
    figures["fallback_cost"] = figures["fallback_rtts"] - figures["chap_rtts"]
    figures["time_ratio"] = figures["xl2tpd_ms"] / figures["chap_ms"]
    return figures


def _client(lns, here, proxy):
    """Our client of ``lns``."""
    from peers.service import Laclet

    config = {
        "tunnel": {"nas": {"server": lns.address}},
        "call": {"vpn": {"tunnel": "nas", "username": "user", "proxy": proxy}},
    }
    return Laclet(here, config, {"call": {"vpn": {"password": "secret"}}})


def _proxy(lab, lns, here):
    """A first call to our own LNS, which takes our word for LCP and judges the log-in that came with it, in ms."""
    from peers.capture import measure_setup
    from peers.service import Laclet

    config = {"auth": ["chap"], "address": "10.11.0.1", "pool": "10.11.0.10-10.11.0.20", "proxy": "accept"}
    config["data_plane"] = "tun"  # the way of the packets does not matter here
    server = Laclet(lns, {"lns": config}, {"lns": {"users": {"user": "secret"}}}, name="willing")
    with server, lab.capture(here, "proxy") as capture, _client(lns, here, True) as service:
        service.up()
        server.up()
    return measure_setup(capture.path, here.address).ms


def _ours(lab, lns, here, auth, proxy=False):
    """(first call, second call) in ms."""
    from peers.capture import measure_setup
    from peers.xl2tpd import Xl2tpdLns

    service = _client(lns, here, proxy)
    with Xl2tpdLns(lns, auth) as server:
        try:
            with lab.capture(here, "first") as first:
                service.start()
                service.up()
                server.up()
            service.command("down")
            server.down()
            with lab.capture(here, "again") as again:
                service.command("up")
                service.up()
                server.up()
        finally:
            service.stop()
    return measure_setup(first.path, here.address).ms, measure_setup(again.path, here.address).ms


def _xl2tpd(lab, lns, cpe, auth):
    from peers.capture import measure_setup
    from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

    with Xl2tpdLns(lns, auth) as server, Xl2tpdClient(cpe, lns.address) as client, lab.capture(cpe) as capture:
        client.dial()
        client.up()
        server.up()
    return measure_setup(capture.path, cpe.address).ms
