"""Round trips and time from SCCRQ to IP up, at 50 ms one way: ours, and xl2tpd + pppd, against one xl2tpd LNS."""

import sys
from pathlib import Path

from benches.common import AT_LEAST, AT_MOST, Missing, median

RUNS = 3
TARGETS = (
    ("pap_rtts", AT_MOST, 6),
    ("chap_rtts", AT_MOST, 7),
    ("pap_rtts_cached", AT_MOST, 5),
    ("chap_rtts_cached", AT_MOST, 6),
    ("time_ratio", AT_LEAST, 1),
)

_DELAY = 50  # ms each way
_RTT = 2 * _DELAY


def measure(runs):
    """Medians over ``runs`` of each kind, in turn; ``*_rtts`` are whole round trips, ``*_ms`` milliseconds.

    ``*_cached``: our second call, which asks for the address that the first one was given. ``time_ratio``: xl2tpd and
    pppd over ours, CHAP, first calls of both.
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
            seen.setdefault("xl2tpd", []).append(_xl2tpd(lab, lns, cpe, "chap"))
    figures = {}
    for name, times in seen.items():
        figures[name + "_ms"] = median(times)
        who, _, how = name.partition("_")
        # The path is 100 ms there and back; what programs need to think does not make a round trip.
        figures[who + "_rtts" + ("_" + how if how else "")] = figures[name + "_ms"] // _RTT
    figures["time_ratio"] = figures["xl2tpd_ms"] / figures["chap_ms"]
    return figures


def _ours(lab, lns, here, auth):
    """(first call, second call) in ms."""
    from peers.capture import measure_setup
    from peers.service import Laclet
    from peers.xl2tpd import Xl2tpdLns

    config = {
        "tunnel": {"nas": {"server": lns.address}},
        "call": {"vpn": {"tunnel": "nas", "username": "user"}},
    }
    secrets = {"call": {"vpn": {"password": "secret"}}}
    service = Laclet(here, config, secrets)
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
