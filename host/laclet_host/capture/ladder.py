"""The ladder of a set-up: each message with its time and direction, and what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from laclet.fault import Fault
from laclet.wire import avp

from .cause import find_cause, is_up
from .steps import Step

_MS = 1_000_000
_FOLDED = ("LCP EchoReq", "LCP EchoRep", "ZLB", "HELLO", "ESP")
# What was reached, in order: name -> the message that shows it.
_MILESTONES = (
    ("IKE", "IKE quick mode"),
    ("tunnel", "SCCCN"),
    ("call", "ICCN"),
    ("call", "OCCN"),
    ("LCP", "LCP ConfAck"),
    ("log-in", "PAP AuthAck"),
    ("log-in", "CHAP Success"),
    ("log-in", "EAP Success"),
    ("IP", "IPCP ConfAck"),
    ("IPv6", "IPV6CP ConfAck"),
)


@dataclass
class Rung:
    """One line: ``ms`` since the first, ``after`` ms since the line before, ``right``: from the caller."""

    ms: float
    after: float
    right: bool
    layer: str
    name: str
    more: str
    times: int = 1  # repetitions or things of one kind, folded


@dataclass
class Ladder:
    """One conversation. ``reached``: ``[(milestone, ms)]``; ``fault``: why it came to nothing, or None."""

    caller: str
    called: str
    names: tuple[str, str]
    rungs: list[Rung]
    reached: list[tuple[str, float]]
    fault: Fault | None
    up: bool


def ladders(steps: Iterable[Step]) -> list[Ladder]:
    """A ladder for each pair of hosts that talked, in the order in which they began."""
    pairs: dict[frozenset[str], list[Step]] = {}
    for step in steps:
        pairs.setdefault(frozenset((step.source, step.target)), []).append(step)
    return [_ladder(each) for each in pairs.values() if any(step.layer != "esp" for step in each)]


def _ladder(steps: list[Step]) -> Ladder:
    first = next((step for step in steps if step.name == "SCCRQ"), steps[0])
    caller, called = first.source, first.target
    rungs: list[Rung] = []
    last: Step | None = None
    seen: set = set()
    for step in steps:
        ms = (step.time - steps[0].time) / _MS
        right = step.source == caller
        if rungs and last is not None and _folds(step, last, rungs[-1], right):
            rungs[-1].times += 1
            last = step
            continue
        more = step.more
        key = (step.name, step.source, step.ids)
        if step.ids and key in seen:
            more = "again"
        seen.add(key)
        rungs.append(Rung(ms, ms - rungs[-1].ms if rungs else 0.0, right, step.layer, step.name, more))
        last = step
    names = (_name(steps, caller), _name(steps, called))
    return Ladder(caller, called, names, rungs, _reached(steps), find_cause(steps), is_up(steps))


def _folds(step: Step, last: Step, rung: Rung, right: bool) -> bool:
    """True when the step is more of the same as the line before."""
    if step.layer == "data" or step.name in _FOLDED:
        return step.name == rung.name and (step.layer in ("data", "esp") or right == rung.right)
    return bool(step.ids) and step.ids == last.ids and step.name == last.name and step.source == last.source


def _name(steps: list[Step], host: str) -> str:
    """What a host calls itself in L2TP."""
    for step in steps:
        if step.source == host and step.name in ("SCCRQ", "SCCRP"):
            return bytes(avp.get(step.avps, avp.HOST_NAME, b"")).decode("ascii", "replace")
    return ""


def _reached(steps: list[Step]) -> list[tuple[str, float]]:
    """When each thing was agreed upon; what both sides acknowledge counts when both have."""
    reached: dict[str, float] = {}
    acked: dict[str, set[str]] = {}
    for step in steps:
        for what, name in _MILESTONES:
            if step.name != name or what in reached:
                continue
            sides = acked.setdefault(name, set())
            sides.add(step.source)
            if not name.endswith("ConfAck") or len(sides) > 1:
                reached[what] = (step.time - steps[0].time) / _MS
    return list(reached.items())


def text(ladder: Ladder, width: int) -> str:
    """The ladder for people, lines cut to ``width`` columns."""
    sides = ((ladder.caller, ladder.names[0]), (ladder.called, ladder.names[1]))
    ends = [f"{host} ({name})" if name else host for host, name in sides]
    lines = [f"{ends[0]}  ⇄  {ends[1]}", "", "      ms     after"]
    for rung in ladder.rungs:
        after = f"+{rung.after:.1f}" if rung.after >= 0.05 else ""
        times = f" ×{rung.times}" if rung.times > 1 else ""
        arrow = "──▶" if rung.right else "◀──"
        if rung.layer == "data" and rung.times > 1:
            arrow = "◀─▶"
        line = f"{rung.ms:8.1f} {after:>9}  {arrow}  {rung.name}{times}  {rung.more}".rstrip()
        lines.append(line if len(line) <= width else line[: width - 1] + "…")
    lines.append("")
    if ladder.reached:
        lines.append("reached: " + ", ".join(f"{what} after {ms:.1f} ms" for what, ms in ladder.reached))
    lines.append(verdict(ladder))
    return "\n".join(lines)


def verdict(ladder: Ladder) -> str:
    """One line: what came of it."""
    if ladder.fault is not None:
        return f"failed: {ladder.fault}"
    return "it came up" if ladder.up else "nothing went wrong as far as this capture goes"


def as_dict(ladder: Ladder) -> dict:
    """For programs."""
    found = ladder.fault
    return {
        "caller": {"address": ladder.caller, "name": ladder.names[0]},
        "called": {"address": ladder.called, "name": ladder.names[1]},
        "up": ladder.up,
        "reached": dict(ladder.reached),
        "fault": None
        if found is None
        else {"layer": found.layer, "cause": found.cause, "said": found.said, "hint": found.hint},
        "steps": [vars(rung) for rung in ladder.rungs],
    }
