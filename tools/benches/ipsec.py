"""L2TP over IPsec: TCP with ESP in the kernel beside strongSwan + xl2tpd, ESP per packet, round trips of IKE."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from benches.common import AT_LEAST, AT_MOST, Missing, find_program, median

RUNS = 5
TARGETS = (
    ("xfrm_ratio", AT_LEAST, 0.98),
    ("ike_rtts", AT_MOST, 4),
)

_TREE = Path(__file__).resolve().parents[2]
_IKE = "aes128-sha1-modp2048"
_ESP = "aes128-sha1"
_DELAY = 50  # ms each way
_PACKETS = 2000  # of userspace ESP


def measure(runs):
    """``xfrm``: our service; ``strongswan``: charon, xl2tpd, pppd; both with ESP and L2TP in the kernel of one guest.

    They call the same strongSwan and xl2tpd in turn; ratios are medians of those of each turn. ``*_mbit`` at the
    receiver. ``esp_*``: one packet with 1400 bytes of L2TP, in user space; ``esp_us_per_packet`` is the mean of sealing
    and opening it with aes128-sha1, ``upy`` on MicroPython. ``ike_*``: from the first message of main mode to the first
    ESP packet, the SCCRQ, over a path with a round trip of 100 ms; ``aggressive``: likewise.
    """
    sys.path.insert(0, str(_TREE / "tests"))
    from peers.lab import Lab
    from peers.needs import GUEST, missing

    lacking = missing("iperf3", "xl2tpd", "pppd", "swanctl", *GUEST)
    if lacking:
        raise Missing(lacking)
    figures = _userspace()
    with Lab() as lab:
        far, near = lab.guest("far"), lab.guest("near")
        for guest in (far, near):
            guest.ready()
        figures |= _kernel(far, near, runs)
        figures |= _set_up(lab, far, near, runs)
    return figures


def _userspace():
    figures = {}
    for prefix, python, names in (
        ("esp_", sys.executable, ("aes128-sha1", "aes256-sha256", "aes128gcm16")),
        ("esp_upy_", find_program("micropython"), ("aes128-sha1", "aes256-sha256")),
    ):
        path = str(_TREE / "firmware") + (":.frozen" if "upy" in prefix else "")
        environment = {**os.environ, "PYTHONPATH": path, "MICROPYPATH": path}
        for name in names:
            command = [python, str(_TREE / "tools/benches/esploop.py"), name, str(_PACKETS)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
            if done.returncode:
                raise Missing(f"{python}: {done.stderr.strip().splitlines()[-1]}")
            seal, unseal = (ns / 1000 for ns in json.loads(done.stdout))
            label = name.replace("-", "_")
            figures |= {f"{prefix}{label}_seal_us": seal, f"{prefix}{label}_open_us": unseal}
            if name == _ESP:
                figures[prefix + "us_per_packet"] = (seal + unseal) / 2
    return figures


def _ours(near, far, **ipsec):
    from peers.service import Laclet
    from peers.strongswan import PSK

    tunnel = {"server": far.address, "ipsec_ike": _IKE, "ipsec_esp": _ESP, "ipsec_plane": "kernel", **ipsec}
    call = {"tunnel": "nas", "username": "user", "data_plane": "kernel", "mru": 1400, "mtu": 1400}
    config = {"tunnel": {"nas": tunnel}, "call": {"vpn": call}}
    return Laclet(near, config, {"call": {"vpn": {"password": "secret"}}, "tunnel": {"nas": {"ipsec_psk": PSK}}})


def _kernel(far, near, runs):
    from benches.kernelplane import traffic

    from peers.strongswan import StrongSwan
    from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

    def ours():
        with _ours(near, far) as service:
            _, own, peer = service.up("ppp[0-9]+")
            return traffic(near, own, peer)

    def theirs():
        with StrongSwan(near, far.address, ike=_IKE, esp=_ESP) as caller, Xl2tpdClient(near, far.address) as client:
            caller.initiate()
            client.dial()
            _, own, peer = client.up()
            return traffic(near, own, peer)

    seen = {}
    with (
        StrongSwan(far, ike=_IKE, esp=_ESP),
        Xl2tpdLns(far),
        far.spawn("iperf3", "-s", "--forceflush", log="iperf3.log") as listening,
    ):
        listening.said("Server listening")
        for _ in range(runs):
            for name, end in (("xfrm", ours), ("strongswan", theirs)):
                for key, value in end().items():
                    seen.setdefault(f"{name}_{key}", []).append(value)
    figures = {key: median(values) for key, values in seen.items()}
    pairs = zip(seen["xfrm_tcp_mbit"], seen["strongswan_tcp_mbit"], strict=True)
    figures["xfrm_ratio"] = median(a / b for a, b in pairs)
    return figures


def _set_up(lab, far, near, runs):
    """Times from the first message of IKE to the first packet of ESP, and how often an answer was waited for."""
    from peers.strongswan import StrongSwan
    from peers.xl2tpd import Xl2tpdClient, Xl2tpdLns

    def ours(**ipsec):
        with lab.capture(near) as capture, _ours(near, far, **ipsec) as service:
            service.up("ppp[0-9]+")
        return _to_first_esp(capture.path, near.address)

    def theirs():
        with (
            StrongSwan(near, far.address, ike=_IKE, esp=_ESP) as caller,
            Xl2tpdClient(near, far.address) as client,
            lab.capture(near) as capture,
        ):
            caller.initiate()
            client.dial()
            client.up()
        return _to_first_esp(capture.path, near.address)

    seen = {}
    far.netem(delay=_DELAY)
    with Xl2tpdLns(far):
        with StrongSwan(far, ike=_IKE, esp=_ESP):
            for _ in range(runs):
                seen.setdefault("ike", []).append(ours())
                seen.setdefault("strongswan_ike", []).append(theirs())
        with StrongSwan(far, ike=_IKE, esp=_ESP, more="aggressive = yes"):
            for _ in range(runs):
                seen.setdefault("ike_aggressive", []).append(ours(ipsec_aggressive=True))
    far.netem()
    figures = {}
    for name, found in seen.items():
        figures[name + "_ms"] = median(ms for ms, _ in found)
        figures[name + "_rtts"] = median(trips for _, trips in found)
    return figures


def _to_first_esp(path, client):
    """``(ms, round trips)``: a message of ours that comes behind one of theirs has waited for it."""
    from peers.capture import frames

    seen = frames(path)
    first = next(i for i, frame in enumerate(seen) if frame.source == client and "isakmp" in frame.protocols)
    last = next(i for i, frame in enumerate(seen) if frame.source == client and "esp" in frame.protocols)
    part = seen[first : last + 1]
    return part[-1].ms - part[0].ms, sum(a.source != client and b.source == client for a, b in pairwise(part))
