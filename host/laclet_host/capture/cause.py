"""Why a set-up in a capture came to nothing, as ``Fault``: layer, cause, what the peer said, what to try."""

from collections import Counter

from laclet import fault
from laclet.fault import Fault, clean
from laclet.l2tp import results
from laclet.ppp.auth import mschap
from laclet.wire import avp, ppp

from .steps import Step

_LOOP = 8  # requests of a negotiation that gets nowhere
_ASKS = {"SCCRQ": "SCCRP", "SCCRP": "SCCCN", "ICRQ": "ICRP", "ICRP": "ICCN", "OCRQ": "OCRP"}
_ECHOES = 3


def find_cause(steps: list[Step]) -> Fault | None:
    """The failure of this conversation; None when it came up and stayed, or ended in order."""
    if not steps:
        return None
    for look in (_of_ike, _of_closing, _of_call, _of_ppp):
        found = look(steps)
        if found is not None:
            return found
    return None


def is_up(steps: list[Step]) -> bool:
    """True when IP was agreed upon: both sides have acknowledged IPCP (or IPV6CP), or packets passed."""
    names = {(step.name, step.source) for step in steps}
    both = [{source for name, source in names if name == each} for each in ("IPCP ConfAck", "IPV6CP ConfAck")]
    return any(len(sources) > 1 for sources in both) or any(step.layer == "data" for step in steps)


def _of_ike(steps: list[Step]) -> Fault | None:
    exchange = [step for step in steps if step.layer == "ike"]
    if not exchange or any(step.layer in ("esp", "l2tp") for step in steps):
        return None
    for step in exchange:
        if step.name == "IKE informational" and step.more and step.more != "encrypted":
            hint = {
                "NO-PROPOSAL-CHOSEN": "no proposal in common: compare ipsec_ike and ipsec_esp on both sides",
                "INVALID-ID-INFORMATION": "compare ipsec_id, and the ports and addresses of the policy",
                "AUTHENTICATION-FAILED": "compare ipsec_psk on both sides",
            }
            return Fault(fault.IKE, "refused", step.more, hint.get(step.more, ""))
    if all(step.source == exchange[0].source for step in exchange):
        cause = f"no answer to {len(exchange)} messages of IKE"
        return Fault(fault.IKE, cause, "", "is this the address, is UDP 500 and 4500 open, does IKEv1 run there?")
    last = exchange[-1]
    if last.more == "encrypted" and last.name in ("IKE main mode", "IKE aggressive mode"):
        hint = "in most cases ipsec_psk differs: what cannot be decrypted is dropped in silence"
        return Fault(fault.IKE, "no answer to the first encrypted message", "", hint)
    return Fault(fault.IKE, f"it ended in {last.name.removeprefix('IKE ')}", "", "see the log of the other side")


def _of_closing(steps: list[Step]) -> Fault | None:
    """What somebody said when closing, unless it was in order."""
    for step in steps:
        result = avp.get(step.avps, avp.RESULT_CODE)
        if step.name == "StopCCN" and (result is None or result[0] not in (results.STOP_CLEAR, results.STOP_SHUTDOWN)):
            return _told(results.stop_fault(result), step)
        if step.name == "CDN" and not is_up(steps):
            refusal = _of_ppp(steps)
            if refusal is None or not refusal.said:
                return _told(results.cdn_fault(result), step)
            return refusal
    return None


def _told(found: Fault, step: Step) -> Fault:
    """A Fault of the core, with who said it."""
    return Fault(found.layer, found.cause.replace("the peer", step.source), found.said, found.hint)


def _of_call(steps: list[Step]) -> Fault | None:
    """Requests of L2TP that nobody answered."""
    control = [step for step in steps if step.layer == "l2tp"]
    names = {step.name for step in control}
    for ask, answer in _ASKS.items():
        asked = [step for step in control if step.name == ask]
        if not asked or answer in names or "StopCCN" in names:
            continue
        times = len(asked)
        if ask == "SCCRQ":
            return Fault(
                fault.TUNNEL,
                f"no answer to SCCRQ, sent {times} times",
                "",
                "is this the address, is UDP 1701 open, does an LNS run there, does it want IPsec?",
            )
        if ask == "SCCRP":
            hint = "its answer may not get through a NAT or firewall: it may come from another port or address"
            return Fault(fault.TUNNEL, f"the caller does not go on after SCCRP (sent {times} times)", "", hint)
        layer = fault.SESSION
        return Fault(layer, f"no answer to {ask}, sent {times} times", "", "see the log of the other side")
    hellos = [step for step in control if step.name == "HELLO"]
    if hellos and hellos[-1].ids == hellos[-2 if len(hellos) > 1 else -1].ids and len(hellos) > _ECHOES:
        return Fault(fault.TUNNEL, "HELLO is no longer answered", "", "the other side, or the way to it, went away")
    return None


def _of_ppp(steps: list[Step]) -> Fault | None:
    said = [step for step in steps if step.layer == "ppp"]
    refused = _of_auth(said)
    if refused is not None:
        return refused
    if is_up(steps):
        return _of_echo(said)
    for layer, name in ((fault.LCP, "LCP"), (fault.IPCP, "IPCP")):
        found = _of_automaton(said, layer, name)
        if found is not None:
            return found
    if any(step.name == "ICCN" for step in steps) and not said:
        return Fault(fault.LCP, "the call is up and nobody speaks PPP", "", "is there PPP at the far end of the line?")
    return None


def _of_auth(said: list[Step]) -> Fault | None:
    answered = False
    asked = None
    for step in said:
        if step.name.split(" ")[0] not in ("PAP", "CHAP", "EAP"):
            continue
        if step.name in ("PAP AuthNak", "CHAP Failure", "EAP Failure"):
            text = _text(step)
            code = mschap.error_code(mschap.read_failure(text)) if text.startswith(b"E=") else 0
            cause, hint = mschap.REASONS.get(code, mschap.REASONS[0])
            return Fault(fault.AUTH, f"{step.name.split(' ')[0]}: {cause}", clean(text), hint)
        asked = step if step.name in ("PAP AuthReq", "CHAP Response", "EAP Response") else asked
        answered = answered or step.name in ("PAP AuthAck", "CHAP Success", "EAP Success")
    if asked is not None and not answered and not any(step.name.startswith("IPCP") for step in said):
        return Fault(fault.AUTH, f"no answer to {asked.name}", "", "does the server reach its users, or its RADIUS?")
    return None


def _text(step: Step) -> bytes:
    """The words of a PAP Nak or CHAP Failure."""
    frame = step.frame
    at = (ppp.head(frame, 0, len(frame)) >> 16) + ppp.CONTROL_HEADER
    return frame[at + 1 :] if step.name.startswith("PAP") else frame[at:]


def _of_automaton(said: list[Step], layer: str, name: str) -> Fault | None:
    """A negotiation that did not come to its end."""
    mine = [step for step in said if step.name.startswith(name + " ")]
    for step in said:
        if step.name == "LCP ProtRej" and step.more.endswith(" " + name):
            return Fault(layer, f"{step.source} does not speak {name}", "", "is it enabled on both sides?")
    if not mine:
        return None
    acked = {step.target for step in mine if step.name.endswith("ConfAck")}
    if len(acked) > 1:
        return None
    requests = Counter(step.source for step in mine if step.name.endswith("ConfReq"))
    answers = [step for step in mine if step.name.split(" ")[1] in ("ConfNak", "ConfRej")]
    ended = [step for step in mine if step.name.endswith("TermReq")]
    if ended:
        return Fault(layer, f"{ended[0].source} ended it", ended[0].more, "see the log of that side")
    for source, count in requests.items():
        silent = not any(step.target == source for step in mine)
        if silent:
            return Fault(layer, f"{count} requests of {source} were not answered", "", _silence(name))
        if count >= _LOOP and answers:
            options = answers[-1].more.partition(" ")[2] or answers[-1].more
            cause = f"no agreement after {count} requests"
            return Fault(layer, cause, f"{answers[-1].name} {options}", "one side insists on what the other refuses")
    return None


def _silence(name: str) -> str:
    if name == "LCP":
        return "is PPP running at the other end, and does the line carry all octets (8 bits, no flow control by XON)?"
    return "the other side may wait for something else, a log-in for example"


def _of_echo(said: list[Step]) -> Fault | None:
    """An LCP that fell silent at the end."""
    tail: list[Step] = []
    for step in reversed(said):
        if step.name != "LCP EchoReq":
            break
        tail.append(step)
    if len(tail) >= _ECHOES and len({step.source for step in tail}) == 1:
        return Fault(
            fault.LCP, f"{len(tail)} echo requests were not answered", "", "the other side, or the way, is gone"
        )
    return None
