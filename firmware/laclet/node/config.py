"""Check a configuration tree against the schema: everything that is wrong, at once, each with its mend.

A tree is what TOML or JSON gives: dicts, lists, strings, numbers, booleans. A path is a tuple of keys and list indices.
A problem is ``(path, what, mend)``: two texts that never hold a secret. A board may forget this module, the schema and
the values once its configuration is checked: nothing else needs them.
"""

from ..wire.address import ipv4_bytes
from .schema import BOARD, LINUX, MUST, PPP, SECTIONS, section
from .values import LIST_KINDS, Wrong, check_value, clip, dotted, is_plain, nearest, said

MAX_PROBLEMS = 64  # nobody reads more, and a board has to hold them
_MAX_SECTIONS = 64  # of one kind
_NAME_MAX = 32  # characters of a section's name
_SECRET_KINDS = ("secret", "secrets")
HIDDEN = "(hidden)"


class _Check:
    """One check of one tree: the problems found so far."""

    def __init__(self, on_board):
        self.problems = []
        self.on_board = on_board

    def wrong(self, path, what, mend):
        """Note a problem."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append((path, what, mend))

    def unknown(self, path, names, what):
        """Note a name that is not known, and the nearest one that is."""
        hint = nearest(path[-1], names)
        self.wrong(path, "no such " + what, "did you mean %s?" % hint if hint else "remove it")

    def once(self, seen, value, path, what, mend):
        """Note a value that another section has already; ``seen`` maps values to sections."""
        if value in seen:
            self.wrong(path, "%s [%s]" % (what, dotted(seen[value])), mend)
        else:
            seen[value] = path[:2]

    def is_table(self, path, value):
        """True when ``value`` is a table; a problem otherwise."""
        if isinstance(value, dict):
            return True
        mend = "write its keys below [%s]" % dotted(path) if path else "write sections and keys"
        self.wrong(path, "must be a table, not " + said(value), mend)
        return False

    # Sections by the schema.

    def keys(self, path, rows, tree):
        """The keys of one section: only known ones, each of its kind, defaults for those not given."""
        names = [row[0] for row in rows]
        for key in sorted(tree):
            if key not in names and path:
                self.unknown(path + (key,), names, "key")
            elif key not in names and not section(key):
                self.unknown((key,), names + [row[0] for row in SECTIONS if row[0]], "key or section")
        out = {}
        for name, kind, limits, default, flags, _ in rows:
            # A default is copied where its owner might change it.
            out[name] = {} if kind == "secrets" else list(default) if kind in LIST_KINDS and default else default
            if name not in tree:
                if flags & MUST:
                    self.wrong(path, name + " is missing", "add %s = ..." % name)
                continue
            if flags & LINUX and self.on_board:
                self.wrong(path + (name,), "works on Linux only", "remove it")
            if flags & BOARD and not self.on_board:
                self.wrong(path + (name,), "works on a board only", "remove it")
            try:
                out[name] = check_value(kind, tree[name], limits)
            except Wrong as wrong:
                at = path + (name,) if wrong.at is None else path + (name, wrong.at)
                self.wrong(at, wrong.what, wrong.mend)
        return out

    def named(self, name, rows, tree):
        """All sections ``[name.X]``, as a dict of X -> keys."""
        out = {}
        if not self.is_table((name,), tree):
            return out
        if len(tree) > _MAX_SECTIONS:
            self.wrong((name,), "has %d sections" % len(tree), "keep at most %d" % _MAX_SECTIONS)
            return out
        for each in sorted(tree):
            path = (name, each)
            if not isinstance(tree[each], dict):
                self.wrong(path, "stands outside a named section", "put it below [%s.NAME]" % name)
            elif not 1 <= len(each) <= _NAME_MAX or not is_plain(each):
                self.wrong(path, "is no name for a section", "use 1 to %d letters, digits, - and _" % _NAME_MAX)
            else:
                out[each] = self.keys(path, rows, tree[each])
        return out

    # What keys must not have together.

    def tunnels(self, config, given):
        """Tunnels: one way to the LNS, the hostname of the top, and a back-off that grows."""
        for name in sorted(config["tunnel"]):
            tunnel = config["tunnel"][name]
            if "circuit" not in given[name]:
                if "server" not in given[name]:
                    self.wrong(("tunnel", name), "server is missing", "add server = ...")
            elif "server" in given[name] or "ipsec_psk" in given[name] or tunnel["ipsec_cert"]:
                self.wrong(("tunnel", name, "circuit"), "is instead of a server and of IPsec", "remove it, or those")
            self.ipsec(("tunnel", name), tunnel)
            tunnel["hostname"] = tunnel["hostname"] or config["hostname"]
            if tunnel["hidden_avps"] and "tunnel_secret" not in given[name]:
                self.wrong(("tunnel", name, "hidden_avps"), "needs a tunnel_secret", "add one, or remove it")
            if tunnel["holdoff"] > tunnel["redial_timeout"]:
                mend = "make it %s or less" % tunnel["redial_timeout"]
                self.wrong(("tunnel", name, "holdoff"), "is longer than redial_timeout", mend)

    def ipsec(self, path, keys):
        """IPsec by strongSwan; a board, which has none, need not load what is wrong with it."""
        if not self.on_board:
            from .strongswan import check

            check(self, path, keys)

    def lines(self, config, given):
        """Lines: a device each, a number only to dial."""
        devices = {}
        for name in sorted(config["line"]):
            line = config["line"][name]
            path = ("line", name)
            if line["device"] is not None:
                self.once(devices, line["device"], path + ("device",), "is the device of", "give each line its own")
            if line["modem"] == "dial" and "number" not in given[name]:
                self.wrong(path + ("modem",), "number is missing", 'add number = "..."')
            if line["dial_out"] and line["modem"] != "answer":
                self.wrong(path + ("dial_out",), "is for a modem that answers", 'add modem = "answer", or remove it')
            if line["modem"] != "dial" and "number" in given[name]:
                self.wrong(path + ("number",), "is for a modem that dials", 'add modem = "dial", or remove it')

    def uplinks(self, config, given, lines):
        """Uplinks: what each kind needs; ``lines`` notes whose line is whose."""
        for name in sorted(config["uplink"]):
            uplink = config["uplink"][name]
            path = ("uplink", name)
            for kind, key in (("wifi", "ssid"), ("modem", "line")):
                if uplink["kind"] == kind and key not in given[name]:
                    self.wrong(path, key + " is missing", "add %s = ..." % key)
                elif uplink["kind"] != kind and key in given[name]:
                    self.wrong(path + (key,), "is for kind = " + kind, "remove it, or change kind")
            self.line_of(path, uplink["line"], config, lines)
            if ("address" in given[name]) != ("gateway" in given[name]):
                self.wrong(path, "address and gateway go together", "add the other one")
        board = config["board"]
        if board is not None:
            self.line_of(("board",), board["console_line"], config, lines, "console_line")

    def line_of(self, path, line, config, lines, key="line"):
        """A line that exists, and that nobody else has."""
        if line is not None:
            self.exists(path + (key,), line, "line", config["line"])
            self.once(lines, line, path + (key,), "is taken by", "a line serves one")

    def calls(self, config, given, lines):
        """Calls: a tunnel and a line that exist; a line, or the keys of PPP; nothing taken twice."""
        default_routes = {}
        ifnames = {}
        self.frame_lines(config, lines)
        for name in sorted(config["call"]):
            call = config["call"][name]
            path = ("call", name)
            self.ways(path, call, given[name])
            self.refers(path, call, config)
            if call["line"] is not None:
                self.once(lines, call["line"], path + ("line",), "is taken by", "a line serves one")
                self.lac_call(path, call, given[name])
                continue
            if "username" in given[name] and "password" not in given[name]:
                self.wrong(path + ("username",), "password is missing", "add password = ... to the secrets file")
            if "password" in given[name] and "username" not in given[name]:
                self.wrong(path + ("password",), "username is missing", "add username = ...")
            if call["peer_auth"] and "peer_password" not in given[name]:
                mend = "add peer_password = ... to the secrets file"
                self.wrong(path + ("peer_auth",), "peer_password is missing", mend)
            if call["proxy"] and call["multilink"]:
                self.wrong(path + ("proxy",), "does not go with multilink", "remove one of them")
            if call["default_route"]:
                at = path + ("default_route",)
                mend = "give each its own metric, or keep one"
                self.once(default_routes, (call["table"], call["metric"]), at, "is taken with this metric by", mend)
            if (call["rule_from"] or call["rule_mark"]) and not call["table"]:
                self.wrong(path + ("table",), "is missing: rules lead to one", "add table = 100, say")
            if call["ifname"] is not None:
                self.once(ifnames, call["ifname"], path + ("ifname",), "is the interface of", "choose another name")
                if not is_plain(call["ifname"].replace(".", "_")) or call["ifname"] in (".", ".."):
                    self.wrong(path + ("ifname",), "is no name for an interface", "use letters, digits, -, _ and .")

    def frame_lines(self, config, lines):
        """Lines that carry frame relay for a tunnel: without a modem, and for nothing else."""
        for name in sorted(config["tunnel"]):
            words = (config["tunnel"][name]["circuit"] or "").split(":")
            if words[0] == "fr" and words[1] in config["line"]:
                path = ("tunnel", name, "circuit")
                self.once(lines, words[1], path, "is taken by", "a line serves one")
                if config["line"][words[1]]["modem"] != "none":
                    self.wrong(path, "is a line with a modem", 'set its modem = "none"')

    def ways(self, path, call, given):
        """The tunnels of a call: one, or with multilink several, in ``tunnels`` either way."""
        if "tunnels" in given and "tunnel" in given:
            self.wrong(path + ("tunnels",), "stands beside tunnel", "keep one of them")
        elif "tunnels" in given and not call["multilink"] and call["line"] is None:
            self.wrong(path + ("tunnels",), "is for multilink", "add multilink = true, or name one tunnel")
        elif not call["tunnel"] and not call["tunnels"]:
            self.wrong(path, "tunnel is missing", "add tunnel = ...")
        call["tunnels"] = call["tunnels"] or [call["tunnel"]]
        call["tunnel"] = call["tunnels"][0]

    def refers(self, path, call, config):
        """The sections a call names."""
        self.exists(path + ("line",), call["line"], "line", config["line"])
        for i in range(len(call["tunnels"])):
            at = path + (("tunnels", i) if len(call["tunnels"]) > 1 else ("tunnel",))
            self.exists(at, call["tunnels"][i], "tunnel", config["tunnel"])

    def exists(self, path, wanted, kind, known):
        """The section ``[kind.wanted]`` must be among those that are ``known``."""
        if wanted is not None and wanted not in known:
            hint = nearest(wanted, known)
            mend = "did you mean %s?" % said(hint) if hint else "add [%s.%s]" % (kind, clip(wanted))
            self.wrong(path, "there is no [%s.%s]" % (kind, clip(wanted)), mend)

    def lac_call(self, path, call, given):
        """A call of a line keeps no keys of PPP: the PPP in it is not ours."""
        for key, _, _, _, flags, _ in section("call")[2]:
            if flags & PPP:
                if key in given:
                    self.wrong(path + (key,), "is for a call without a line", "remove it, or remove line")
                del call[key]

    def lns(self, lns, given, hostname, tunnels):
        """The LNS: addresses that do not clash, callers who can log in."""
        lns["hostname"] = lns["hostname"] or hostname
        self.ipsec(("lns",), lns)
        if lns["hidden_avps"] and "tunnel_secret" not in given:
            self.wrong(("lns", "hidden_avps"), "needs a tunnel_secret", "add one, or remove it")
        if len(lns["dns"]) > 2:
            self.wrong(("lns", "dns"), "has more than two entries", "keep two")
        if lns["pool"] is not None and lns["address"] is not None:
            first, last = [ipv4_bytes(end) for end in lns["pool"]]
            if first <= ipv4_bytes(lns["address"]) <= last:
                self.wrong(("lns", "pool"), "holds lns.address", "leave our own address out")
        if lns["forward"] is not None:
            self.exists(("lns", "forward"), lns["forward"], "tunnel", tunnels)
            return
        if lns["radius"] and "radius_secret" not in given:
            self.wrong(("lns", "radius"), "radius_secret is missing", "add radius_secret = ... to the secrets file")
        for key in ("address",) if lns["radius"] else ("address", "pool"):
            if key not in given:
                self.wrong(("lns",), key + " is missing", "add %s = ..., or forward = ..." % key)
        if lns["auth"] and not given.get("users") and not lns["radius"]:
            mend = "add [lns.users] to the secrets file, or auth = [] for no log-in"
            self.wrong(("lns",), "auth asks for a log-in that nobody has", mend)


def check(tree, on_board=False):
    """``(config, problems)`` of a tree with the secrets merged in.

    ``config`` is ``{"hostname", "user", "tunnel": {name: {...}}, "line": {...}, "call": {...}, "lns": {...} or None,
    "dialout": {...}, "log": {...}, "hooks": {...}, "metrics": {...}}`` (not on boards) with every key of every section,
    defaults filled in, values as the schema's kinds say. A call with a line holds no keys of PPP; one without has
    ``line`` None.
    With problems, ``config`` is not to be used.
    """
    work = _Check(on_board)
    config = {}
    if not work.is_table((), tree):
        return config, work.problems
    for name, many, rows, _ in SECTIONS:
        given = tree.get(name, {})
        if name == "":
            config.update(work.keys((), rows, tree))
        elif on_board and name not in tree and all(row[4] & LINUX for row in rows):
            continue
        elif many:
            config[name] = work.named(name, rows, given)
        elif name in ("lns", "board") and name not in tree:
            config[name] = None
        else:
            config[name] = work.keys((name,), rows, given) if work.is_table((name,), given) else None
    if not work.problems and not config["call"] and config["lns"] is None:
        work.wrong((), "nothing to do", "add a [call.NAME] with its [tunnel.NAME], or [lns]")
    work.tunnels(config, tree.get("tunnel"))
    work.lines(config, tree.get("line"))
    lines = {}
    work.calls(config, tree.get("call"), lines)
    if config["dialout"] and config["lns"] is None:
        work.wrong(("dialout",), "is for an LNS", "add [lns]")
    work.uplinks(config, tree.get("uplink"), lines)
    if config["lns"] is not None:
        work.lns(config["lns"], tree["lns"], config["hostname"], config["tunnel"])
    return config, work.problems


# Secrets.


def is_secret(path):
    """True when what stands at ``path`` must not be shown."""
    found = section(path[0]) if path else None
    depth = 2 if found is not None and found[1] else 1
    if found is None or len(path) <= depth:
        return False
    for row in found[2]:
        if row[0] == path[depth]:
            return row[1] in _SECRET_KINDS
    return False


def merge(tree, secrets):
    """``(tree, problems)``: a new tree with the secrets in their places; the problems are in the secrets' file."""
    work = _Check(False)
    merged = _copy(tree)
    if isinstance(merged, dict) and work.is_table((), secrets):
        _merge(work, (), merged, secrets)
    return merged, work.problems


def _merge(work, path, into, secrets):
    for key in sorted(secrets):
        here = path + (key,)
        value = secrets[key]
        if is_secret(here):
            if isinstance(value, dict) and isinstance(into.get(key), dict):
                into[key].update(value)
            else:
                into[key] = value
        elif not isinstance(value, dict):
            work.wrong(here, "is not a secret", "move it to the main file")
        elif isinstance(into.get(key), dict):
            _merge(work, here, into[key], value)
        else:
            hint = nearest(key, into)
            mend = "did you mean %s?" % hint if hint else "add it there, or remove it here"
            work.wrong(here, "the main file has no [%s]" % dotted(here), mend)


def _copy(tree, depth=3):
    """A copy as deep as sections go."""
    if depth == 0 or not isinstance(tree, dict):
        return tree
    return {key: _copy(tree[key], depth - 1) for key in tree}


def exposed(tree, path=()):
    """The paths of all secrets in a tree: of those that belong in the secrets' file."""
    out = []
    if isinstance(tree, dict) and len(path) < 3:
        for key in sorted(tree):
            here = path + (key,)
            if not is_secret(here):
                out += exposed(tree[key], here)
            elif tree[key] != {}:
                out.append(here)
    return out


def hide(tree, path=()):
    """A copy of a tree or configuration that may be shown: secrets read ``(hidden)``."""
    if is_secret(path):
        if isinstance(tree, dict):
            return dict.fromkeys(tree, HIDDEN)
        return None if tree is None else HIDDEN
    if not isinstance(tree, dict) or len(path) > 3:
        return tree
    return {key: hide(tree[key], path + (key,)) for key in tree}
