"""The examination of a configuration: findings in the order of the layers, each with what to do."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from laclet import fault
from laclet.carrier.ipsec.tables import ABSENT

from ..holders import holders
from .trial import Trial

_IKE_PATIENCE = 8.0  # s for somebody who speaks IKE at all: a wrong key takes longer, but so long nobody is silent
_PATIENCE = 60.0  # s for a trial, which as a rule gives up long before
_OURS = re.compile(r"laclet\d+|ppp\d+|tun\d+")
_MTU_MIN = 576
_IP_AND_TCP = 40
# Layers in the order in which they come up, with what is said when they did.
_GOOD = (
    (fault.IKE, "the SAs stand"),
    (fault.TUNNEL, "the LNS answers"),
    (fault.TUNNEL_AUTH, "the LNS knows us"),
    (fault.SESSION, "the LNS takes the call"),
    (fault.LCP, "the link is negotiated"),
    (fault.AUTH, "the log-in is accepted"),
    (fault.IPCP, "there is an address"),
)
_LAYERS = [layer for layer, _ in _GOOD]


class Finding(NamedTuple):
    """``ok`` None: a warning. ``hint``: what to do, when there is something to do."""

    layer: str
    ok: bool | None
    text: str
    hint: str = ""


def examine(config, tunnel: str, call: str | None) -> Iterator[Finding]:
    """Findings about a tunnel of a checked configuration, and its call, as they are made; ends with the first failure.

    A call with a line is looked at from both ends: its device, and the tunnel; nobody dials the line.
    """
    section = config["tunnel"][tunnel]
    if call is not None and config["call"][call]["line"]:
        found = _line(config["line"][config["call"][call]["line"]]["device"])
        yield found
        if found.ok is False:
            return
        call = None
    if not section["circuit"]:
        ok = True
        for finding in _way(section["server"], _own_names(config)):
            yield finding
            ok = ok and finding.ok is not False
        if not ok:
            return
    if section["ipsec_cert"]:
        yield Finding(fault.IKE, None, "not tried: certificates are for strongSwan", "see the service's log")
        return
    trial = Trial(config, tunnel, call)
    try:
        trial.run(_PATIENCE)
        yield from _of_trial(config, tunnel, call, trial)
    finally:
        trial.close()


def _own_names(config) -> set[str]:
    return {call["ifname"] for call in config["call"].values() if call.get("ifname")}


# -- below the tunnel -----------------------------------------------------------------------------------------


def _way(servers, own_names) -> Iterator[Finding]:
    """DNS, and the way to each server; fails when there is no way to any."""
    failed = []
    reached = False
    for host, port in servers:
        try:
            found = socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            words = getattr(error, "strerror", None) or str(error)
            failed.append(Finding(fault.DNS, False, f"cannot find {host}: {words}", "check the name and name servers"))
            continue
        addresses = list(dict.fromkeys(addr for family, _, _, _, addr in found if family != socket.AF_UNSPEC))
        shown = ", ".join(addr[0] for addr in addresses)
        if shown != host:
            yield Finding(fault.DNS, True, f"{host} is {shown}")
        for addr in addresses:
            finding = _route(addr, own_names)
            (failed if finding.ok is False else []).append(finding)
            if finding.ok is not False:
                yield finding
                reached = True
    yield from (failed if not reached else [finding._replace(ok=None) for finding in failed])


def _route(addr, own_names) -> Finding:
    family = socket.AF_INET6 if len(addr) == 4 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(addr)
        except OSError as error:
            hint = "is the uplink up, and has it a default route? (ip route)"
            return Finding("route", False, f"no way to {addr[0]}: {error.strerror}", hint)
        source = probe.getsockname()[0]
    device, gateway = _device(addr[0])
    if device and (device in own_names or _OURS.fullmatch(device)):
        hint = f"the way to the LNS must not lead into a tunnel: ip route add {addr[0]} via GATEWAY dev UPLINK"
        return Finding("route", False, f"{addr[0]} is reached through {device}, a tunnel", hint)
    by = f" by {device}" if device else ""
    return Finding("route", True, f"{addr[0]}{by}{gateway}, from {source}")


def _device(address: str) -> tuple[str, str]:
    """``(interface, " via 192.0.2.1")`` of the way to an address, as far as iproute2 tells."""
    if shutil.which("ip") is None:
        return "", ""
    said = subprocess.run(["ip", "route", "get", address], capture_output=True, text=True, check=False).stdout
    device, gateway = re.search(r" dev (\S+)", said), re.search(r" via (\S+)", said)
    return device[1] if device else "", f" via {gateway[1]}" if gateway else ""


def _line(device: str) -> Finding:
    """The serial device of a LAC."""
    if not os.path.exists(device):
        return Finding(fault.LINE, False, f"{device} is not there", "is it plugged in, and is that its name?")
    if not os.access(device, os.R_OK | os.W_OK):
        return Finding(fault.LINE, False, f"{device} may not be opened", "run as root, or join its group (dialout)")
    who = ", ".join(f"{name} (pid {pid})" for pid, name in holders(device))
    if who:
        return Finding(fault.LINE, None, f"{device} is in use by {who}", "close it, unless that is laclet itself")
    return Finding(fault.LINE, True, f"{device} is there and free")


# -- the trial ------------------------------------------------------------------------------------------------


def _of_trial(config, tunnel, call, trial) -> Iterator[Finding]:
    section = config["tunnel"][tunnel]
    found = trial.fault
    if not trial.is_up and found is None:
        found = fault.Fault(fault.TUNNEL, "no answer" if trial.refused else f"nothing was decided in {_PATIENCE:g} s")
    reached = _LAYERS.index(found.layer) if not trial.is_up and found.layer in _LAYERS else len(_GOOD)
    if not trial.is_up and found.layer not in _LAYERS:
        reached = 0
    for layer, text in _GOOD[:reached]:
        finding = _good(layer, text, section, trial, call)
        if finding is not None:
            yield finding
    if not trial.is_up:
        yield _failure(found, config, tunnel, trial)
        return
    if trial.call is not None:
        yield from _sizes(config["call"][call], trial)


def _good(layer, text, section, trial, call) -> Finding | None:
    """What can be told of a layer that came up; None when it was not asked for."""
    if (layer == fault.IKE and not section["ipsec_psk"]) or (call is None and _LAYERS.index(layer) > 2):
        return None
    tunnel = trial.dialer.tunnel
    if layer == fault.TUNNEL and tunnel is not None:
        text = f"answered by {tunnel.peer_name or 'an LNS without a name'} ({tunnel.peer_vendor or 'no vendor'})"
    elif layer == fault.TUNNEL_AUTH and not section["tunnel_secret"]:
        return None
    elif layer == fault.IPCP and trial.call.settings:
        status = trial.call.status()
        text = f"address {status['address']}, peer {status['peer_address']}, MTU {status['mtu']}"
    elif layer == fault.AUTH and trial.call is not None:
        method = trial.call.link.status()["auth"][0]
        text = f"accepted by {method}" if method and method != "none" else "no log-in was asked for"
    return Finding(layer, True, text)


def _failure(found, config, tunnel, trial) -> Finding:
    said = f"; the peer said: {found.said}" if found.said else ""
    silent = found.layer == fault.TUNNEL and not found.said and "no answer" in found.cause
    if silent and trial.refused:
        hint = "no LNS listens there: is it running, and is the port right?"
        return Finding(fault.UDP, False, f"{found.cause}: {trial.refused}", hint)
    if silent and not config["tunnel"][tunnel]["ipsec_psk"] and not config["tunnel"][tunnel]["circuit"]:
        if _speaks_ike(config, tunnel):
            return Finding(fault.IKE, False, f"{found.cause}, but IKE is spoken there", "it wants IPsec: set ipsec_psk")
        hint = "is this the address of an LNS, and does every firewall on the way let UDP 1701 pass?"
        return Finding(fault.UDP, False, found.cause, hint)
    return Finding(found.layer, False, found.cause + said, found.hint or _HINTS.get(found.layer, ""))


_HINTS = {
    fault.TUNNEL: "see the log of the LNS",
    fault.TUNNEL_AUTH: "compare tunnel_secret on both sides",
    fault.SESSION: "see the log of the LNS: is this host allowed to call?",
    fault.LCP: "compare auth on both sides, and see the log of the LNS",
    fault.AUTH: "check username and password, and auth on both sides",
    fault.IPCP: "has the LNS an address left for this user?",
    fault.IKE: "compare ipsec_psk, ipsec_ike and ipsec_esp on both sides",
    fault.UDP: "choose another source_address or source_port",
}


def _speaks_ike(config, tunnel: str) -> bool:
    """Whether somebody at the server answers the first message of IKE, whatever the answer."""
    section = dict(config["tunnel"][tunnel], ipsec_psk="?", ipsec_forceencaps=False)
    trial = Trial(dict(config, tunnel={tunnel: section}), tunnel, None)
    try:
        trial.run(_IKE_PATIENCE)
        found = trial.fault
        return found is not None and (found.layer != fault.IKE or found.cause != ABSENT[0] or bool(found.said))
    finally:
        trial.close()


# -- above it -------------------------------------------------------------------------------------------------


def _sizes(section, trial) -> Iterator[Finding]:
    """Whether packets as long as the MTU pass, and if not, which do."""
    mtu = trial.call.settings["mtu"]
    if not trial.passes(_MTU_MIN):
        yield Finding("mtu", None, "not known: the LNS answers no LCP echo", "ping with sizes through the tunnel")
        return
    if trial.passes(mtu):
        yield Finding("mtu", True, f"packets of {mtu} bytes pass in one piece")
        return
    low, high = _MTU_MIN, mtu
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if trial.passes(middle) else (low, middle)
    clamp = low - _IP_AND_TCP
    hint = f"set mtu = {low} and mru = {low}; TCP behind it wants an MSS of at most {clamp}"
    yield Finding("mtu", False, f"packets of {mtu} bytes do not pass; {low} is the longest that does", hint)
