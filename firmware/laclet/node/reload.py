"""A running node takes a new configuration: what has changed is closed and made anew, all else does not notice.

A tunnel that has changed takes its calls along. Callers of an LNS stay when only users have changed, as long as their
own name and password hold. A board that never reloads does not load this module.
"""

from ..fault import AUTH, CONFIG, UDP, Fault


def reload(node, config, now):
    """``config`` as check() returns it, for ``node``. Returns ``(changes, fault)``: texts, and a Fault or None.

    The fault tells that the LNS cannot listen where it shall: there is none then, until the next reload.
    """
    before = node.config
    why = Fault(CONFIG, "the configuration has changed")
    tunnels = [name for name in node.dialers if config["tunnel"].get(name) != before["tunnel"][name]]
    calls = []
    for name in node.calls:
        if _moves(before["call"][name], tunnels) or _about(config, name) != _about(before, name):
            calls.append(name)
    lns = node.lns is not None and _about_lns(config) != _about_lns(before)
    gone = _close(node, tunnels, calls, lns, why, now)
    _close_endpoints(node, config, gone, lns)
    node.config = config
    node.hostname = config["hostname"] or node.shell.hostname()
    _listen_to_packets(node, config["log"]["level"] == "debug")
    old = {"tunnel." + name for name in tunnels} | {"call." + name for name in calls} | ({"lns"} if lns else set())
    new, fault = _start(node, now)
    if node.lns is not None and "lns" not in new:
        _keep_callers(node.lns, config["lns"]["users"], now)
    node.settle(now)
    changes = []
    for name in sorted(old | new):
        changes.append(name + (" is new" if name not in old else ": made anew" if name in new else " is gone"))
    return changes, fault


def _moves(call, tunnels):
    """True when a call goes through one of these tunnels."""
    return any(each in tunnels for each in call.get("tunnels") or (call["tunnel"],))


def _about(config, name):
    """Everything that a call depends on beside its tunnel's own section."""
    call = config["call"].get(name)
    return call and (call, config["line"].get(call["line"]))


def _about_lns(config):
    """Everything of the LNS that its callers depend on."""
    lns = dict(config["lns"] or {})
    lns.pop("users", None)
    return (lns, config["dialout"])


def _close(node, tunnels, calls, lns, why, now):
    """Close in order; the dialers and the LNS that are no more."""
    closing = [node.calls.pop(name) for name in calls]
    gone = [node.dialers.pop(name) for name in tunnels]
    for call in closing:
        for leg in getattr(call, "legs", (call,)):
            leg.dialer.calls.remove(leg)
        call.stop(why, now)
    if lns:
        node.lns.stop(why, now)
    for dialer in gone:
        dialer.stop(why, now)
        node.timers.forget(dialer)
    node.settle(now)
    for call in closing:
        call.close()
    if lns:
        node.lns.close()
        gone.append(node.lns)
        node.lns = None
    return gone


def _close_endpoints(node, config, gone, lns):
    """Close what nobody uses any more, at once: its port may be wanted. Lost with it are repetitions of a StopCCN."""
    wanted = [(tunnel["source_address"], tunnel["source_port"]) for tunnel in config["tunnel"].values()]
    if config["lns"]:
        wanted += config["lns"]["listen"]
    unused = [endpoint for endpoint in node.kept if endpoint.carrier.owner in gone]
    node.kept = [endpoint for endpoint in node.kept if endpoint not in unused]
    for key in list(node.fixed):
        if lns:
            node.fixed[key].accept = None
        if key not in wanted:
            unused.append(node.fixed.pop(key))
    for endpoint in unused:
        for tunnel in endpoint.tunnels.values():
            node.timers.forget(tunnel)
            for session in tunnel.sessions.values():
                node.timers.forget(session)
        endpoint.carrier.close()


def _start(node, now):
    """Make and start what the configuration has and the node has not; names of it, and a Fault or None."""
    config = node.config
    dialers = [node.add_dialer(name) for name in sorted(config["tunnel"]) if name not in node.dialers]
    calls = [node.add_call(name) for name in sorted(config["call"]) if name not in node.calls]
    new = {each.component for each in dialers + calls}
    fault = None
    if config["lns"] and node.lns is None:
        node.add_lns()
        try:
            node.lns.start(now)
            new.add("lns")
        except OSError as error:
            fault = Fault(UDP, str(error), "", "choose another address or port")
            node.lns = None
            node.config = dict(config, lns=None)
    for call in calls:
        call.start(now)
    for dialer in dialers:
        dialer.start(now)
    for call in calls:
        for leg in getattr(call, "legs", (call,)):
            if leg.dialer not in dialers and leg.dialer.usable():
                leg.dialled(now)
    return new, fault


def _keep_callers(lns, users, now):
    """Callers stay while their log-in would still succeed."""
    before = lns.set_users(users)
    for caller in list(lns.callers.values()):
        name = bytes(caller.link.peer_name)
        if before.get(name) != lns.secret_of(name):
            caller.link.fail(Fault(AUTH, "the password of this user has changed"), now)


def _listen_to_packets(node, debug):
    """Log control packets from now on, or no longer."""
    if debug != node.debug:
        node.debug = debug
        for endpoint in node.endpoints():
            node.watch_endpoint(endpoint)
        callers = list(node.lns.callers.values()) if node.lns is not None else []
        for call in list(node.calls.values()) + callers:
            link = getattr(call, "link", None)
            if link is not None:
                node.watch(link, call.component)
