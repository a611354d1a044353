"""The status of services and boards on one screen, in the manner of ``wg show``."""

from typing import Any

import click

from laclet.carrier import circuit

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def show(devices: dict[str, Any]) -> str:
    """Text for all services and boards: name to what ``laclet status --json`` gives."""
    blocks = []
    for name, status in devices.items():
        blocks.append(_service(name, status) if "pid" in status else _board(name, status))
        blocks += [_uplink(each, uplink) for each, uplink in sorted(status.get("uplinks", {}).items())]
        blocks += [_tunnel(each, status["tunnels"][each]) for each in status["tunnels"]]
        blocks += [_call(each, status["calls"][each]) for each in status["calls"]]
        if "lns" in status:
            blocks.append(_lns(status))
            blocks += [_caller(each) for each in status["lns"]["callers"]]
    return "\n\n".join(blocks)


def _service(name: str, status: dict) -> str:
    about = f"laclet {status['version']}, pid {status['pid']}, for {duration(status['uptime'])}"
    return _block("service", name, [("running", about), ("dropped", _drops(status["drops"]))])


def _board(name: str, status: dict) -> str:
    console, stats, version = status["console"], status["stats"], status.get("version")
    about = ""
    if version:
        about = f"laclet {version['laclet']}, MicroPython {version['micropython']}, {version['machine']}"
    rows = [
        ("hostname", status["hostname"]),
        ("running", about),
        ("memory", f"{size(stats['heap_free'])} free of {size(stats['heap_free'] + stats['heap_used'])}"),
        ("failures", str(stats["faults"] or "")),
        ("dropped", _drops(status["drops"])),
        ("not committed", _lines(console["uncommitted"])),
        ("not saved", "what runs is lost at a restart; write save at the console" if console["unsaved"] else ""),
    ]
    return _block("board", name, rows)


def _lines(count: int) -> str:
    return f"{count} lines of changes at the console" if count else ""


def _uplink(name: str, uplink: dict) -> str:
    rows = [("kind", uplink["kind"]), ("state", "up" if uplink["up"] else "down"), ("address", uplink["address"] or "")]
    return _block("uplink", name, [*rows, ("last failure", uplink["fault"])])


def _tunnel(name: str, status: dict) -> str:
    tunnel = status["tunnel"] or {}
    server = address(status["server"])
    if tunnel.get("peer_name"):
        server += f" ({tunnel['peer_name']}, {tunnel['peer_vendor'] or 'no vendor'})"
    return _block(
        "tunnel",
        name,
        [
            ("state", status["state"]),
            ("server", server),
            ("ids", f"ours {tunnel['local_tunnel']}, theirs {tunnel['peer_tunnel']}" if tunnel else ""),
            ("last heard", duration(status["heard"]) + " ago" if status.get("heard") is not None else ""),
            ("round trip", _ms(tunnel.get("rtt"))),
            ("repeated", f"{tunnel['retransmissions']} control messages" if tunnel.get("retransmissions") else ""),
            ("redials", str(status["redials"] or "")),
            ("last failure", status["fault"]),
        ],
    )


def _call(name: str, status: dict) -> str:
    ppp = status.get("ppp")
    rows = [("tunnel", status["tunnel"]), ("state", status["state"])]
    if ppp is not None:
        rows += [
            ("interface", status.get("interface", "")),
            ("address", _ends(status["address"], status["peer_address"], status["mtu"]) if "address" in status else ""),
            ("name servers", ", ".join(status.get("dns", ()))),
            ("up for", duration(status["up_for"]) if status.get("up_for") is not None else ""),
            ("ppp", _ppp(ppp)),
            ("round trip", _ms(ppp.get("rtt"))),
        ]
    else:
        rows.append(("device", status["device"]))
        rows.append(("modem", (status["modem"] or {}).get("state", "")))
        rows.append(("line", _line(status.get("line"))))
    rows += [("transfer", _transfer(status["session"])), ("last failure", status["fault"])]
    return _block("call", name, rows)


def _lns(status: dict) -> str:
    listening = ", ".join(address(each["local"]) for each in status["sockets"])
    return _block("lns", "", [("listening", listening), ("callers", str(len(status["lns"]["callers"])))])


def _caller(status: dict) -> str:
    return _block(
        "caller",
        status["name"] or "(no name)",
        [
            ("from", address(status["peer"])),
            ("address", status["address"] or ""),
            ("ppp", _ppp(status["ppp"])),
            ("transfer", _transfer(status["session"])),
        ],
    )


def _block(kind: str, name: str, rows: list) -> str:
    head = click.style(kind + (":" if name else ""), fg="green", bold=True)
    lines = [head + (" " + click.style(name, fg="green") if name else "")]
    lines += [f"  {click.style(label, bold=True)}: {text}" for label, text in rows if text]
    return "\n".join(lines)


def _ppp(ppp: dict) -> str:
    if "links" in ppp:  # a bundle
        return f"multilink, {ppp['links']} links" if ppp["links"] else ""
    if ppp["phase"] == "Dead":
        return ""
    auth = authenticated(ppp)
    return ppp["phase"].lower() + (f", authenticated: {auth}" if auth else "")


def authenticated(ppp: dict) -> str:
    """Who has proved who they are, and how."""
    ends = zip(("we", "they"), ppp["auth"], strict=True)
    return " and ".join(f"{who} by {how}" for who, how in ends if how not in ("none", None))


def _ms(rtt: int | None) -> str:
    return "" if rtt is None else f"{rtt} ms"


def _line(line: dict | None) -> str:
    """What has passed a serial line, and what was wrong with it."""
    if not line or not (line["rx_frames"] or line["tx_frames"] or line["drops"]):
        return ""
    return f"{size(line['rx_bytes'])} from the host, {size(line['tx_bytes'])} to it" + (
        f"; dropped {_drops(line['drops'])}" if line["drops"] else ""
    )


def numbers(found: dict) -> str:
    """The stats of services: name to what ``laclet_linux.stats`` has of it."""
    lines = []
    for name, each in found.items():
        of = each["process"]
        lines.append(
            f"{name}: {of['cpu']:.1f} s of CPU, {size(of['memory'])} of memory, "
            f"{of['descriptors']} descriptors, {of['threads']} threads"
        )
        for call, counters in each["calls"].items():
            packets = f"{counters['rx_packets']} and {counters['tx_packets']} packets"
            lines.append(f"  call.{call}: {_transfer(counters)}, {packets}")
        lines += [f"  dropped at {place}: {_drops(counts)}" for place, counts in each["drops"].items()]
    return "\n".join(lines)


def _transfer(session: dict | None) -> str:
    if session is None:
        return ""
    return f"{size(session['rx_bytes'])} received, {size(session['tx_bytes'])} sent" + (
        f", {session['lost']} lost" if session["lost"] else ""
    )


def _ends(local: str, remote: str, mtu: int) -> str:
    return f"{local}, peer {remote}, MTU {mtu}"


def address(addr: list | None) -> str:
    """The far end of a tunnel, for people."""
    if not addr:
        return ""
    return circuit.text(tuple(addr)) or f"{addr[0]} port {addr[1]}"


def _drops(drops: dict[str, int]) -> str:
    return ", ".join(f"{drops[reason]} × {reason}" for reason in sorted(drops))


def duration(seconds: float) -> str:
    """``3 minutes, 2 seconds``: the two largest units that are not zero."""
    left = int(seconds)
    words = []
    for unit, length in _UNITS:
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}" + ("s" if count > 1 else ""))
    return ", ".join(words[:2]) or "0 seconds"


def size(count: float) -> str:
    """``1.21 MiB``."""
    unit = 0
    while count >= 1024 and unit < len(_SIZES) - 1:
        count /= 1024
        unit += 1
    return f"{count:.2f} {_SIZES[unit]}" if unit else f"{count} B"
