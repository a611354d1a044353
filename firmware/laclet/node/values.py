"""Configuration values: text forms of addresses, one check for each kind of the schema, words to say what is wrong."""

from ..wire.address import ipv4_bytes

_MAX_ITEMS = 64  # entries of one list
_MAX_USERS = 10000
_MAX_SAID = 40  # characters of a wrong value that are repeated
_MAX_GUESSED = 32  # characters of a name that is looked for among the known ones

LIST_KINDS = ("circuits", "texts", "choices", "refs", "ipv4s", "cidrs", "hosts")

_IPV4_MEND = 'write it like "192.0.2.1"'
_IP_MEND = 'write it like "192.0.2.1" or "2001:db8::1"'
_POOL_MEND = 'write it like "192.0.2.10-192.0.2.99"'
_CIDR_MEND = 'write it like "192.0.2.0/24"'
_CIRCUIT_MEND = 'write it like "fr:eth1:100", "aal5:eth1:0.100", "atm:0.0.100", "x25:4711" or "xot:192.0.2.1/4711"'
_HOST_MEND = 'write it like "lns.example.net", "192.0.2.1:1701" or "[2001:db8::1]:1701"'


class Wrong(Exception):
    """A value that does not fit: what is wrong, how to mend it, ``at`` which index or key inside it, if any."""

    def __init__(self, what, mend, at=None):
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.at = at


# Text forms of addresses.


def is_ipv6(text):
    """True for an IPv6 address in text form (RFC 4291 section 2.2); ``%zone`` may follow."""
    text, percent, zone = text.partition("%")
    halves = text.split("::")
    if len(halves) > 2 or (percent and not zone):
        return False
    count = 0
    for i in range(len(halves)):
        groups = halves[i].split(":") if halves[i] else ()
        for j in range(len(groups)):
            group = groups[j]
            if "." in group and i == len(halves) - 1 and j == len(groups) - 1 and ipv4_bytes(group) is not None:
                count += 2
            elif 1 <= len(group) <= 4 and all(c in "0123456789abcdefABCDEF" for c in group):
                count += 1
            else:
                return False
    return count < 8 if len(halves) == 2 else count == 8


def split_host(text, port):
    """``(host, port)`` of ``"host"``, ``"host:port"``, ``"v6"``, ``"[v6]"`` or ``"[v6]:port"``, or None.

    ``port`` is the one to take when the text has none.
    """
    if is_ipv6(text):
        return (text, port)
    if text[:1] == "[":
        host, bracket, tail = text[1:].partition("]")
        if not bracket or not is_ipv6(host) or tail[:1] not in ("", ":"):
            return None
        given = tail[1:] if tail else str(port)
    else:
        host, colon, given = text.partition(":")
        if not _is_hostname(host):
            return None
        given = given if colon else str(port)
    if not _digits(given, 5) or not 1 <= int(given) <= 65535:
        return None
    return (host, int(given))


def _is_hostname(text):
    """True for an IPv4 address or a name of letters, digits, ``-``, ``_`` and dots."""
    if all(c in "0123456789." for c in text):
        return ipv4_bytes(text) is not None
    for label in text.split("."):
        if not 1 <= len(label) <= 63 or not is_plain(label) or label[0] == "-" or label[-1] == "-":
            return False
    return len(text) <= 253


def _digits(text, most):
    return 1 <= len(text) <= most and all("0" <= c <= "9" for c in text)


def is_plain(text):
    """True when all characters are ASCII letters, digits, ``-`` or ``_``."""
    return all("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in "-_" for c in text)


# One function for each kind: ``(value, limits) -> the value to keep``, or Wrong.


def _bool(value, limits):
    if value is not True and value is not False:
        raise Wrong("must be true or false, not " + said(value), "write true or false without quotes")
    return value


def _seconds(value, limits):
    if value is True or value is False or not isinstance(value, (int, float)):
        raise Wrong("must be a number, not " + said(value), "write %s to %s without quotes" % limits)
    if not limits[0] <= value <= limits[1]:  # a NaN fails here as well
        raise Wrong(said(value) + " is out of range", "choose %s to %s" % limits)
    return value


def _int(value, limits):
    if isinstance(value, float):
        raise Wrong("must be a whole number, not " + said(value), "choose %s to %s" % limits)
    return _seconds(value, limits)


def _string(value, mend):
    if not isinstance(value, str):
        raise Wrong("must be a string, not " + said(value), mend)
    return value


def _text(value, limits):
    return _printable(_string(value, "put it in quotes"), limits)


def _secret(value, limits):
    if not isinstance(value, str):
        raise Wrong("must be a string", "put it in quotes")  # and not what it is instead: that may be the secret
    return _printable(value, limits)


def _printable(value, limits):
    size = len(value.encode())
    if size < limits[0]:
        raise Wrong("is empty", "give it a value or remove the line")
    if size > limits[1]:
        raise Wrong("is %d bytes long" % size, "use at most %d" % limits[1])
    for c in value:
        if c < " " or c == "\x7f":
            raise Wrong("holds a control character", "use printable characters")
    return value


def _choice(value, limits):
    if value not in limits:
        hint = nearest(value, limits) if isinstance(value, str) else None
        mend = "did you mean %s?" % said(hint) if hint else "choose " + ", ".join([said(word) for word in limits])
        raise Wrong(said(value) + " is not known", mend)
    return value


def _ref(value, limits):
    return _string(value, "name a [%s.NAME]" % limits)


def _ipv4(value, limits):
    if ipv4_bytes(_string(value, _IPV4_MEND)) is None:
        raise Wrong(said(value) + " is not an IPv4 address", _IPV4_MEND)
    return value


def _ip(value, limits):
    if ipv4_bytes(_string(value, _IP_MEND)) is None and not is_ipv6(value):
        raise Wrong(said(value) + " is not an IP address", _IP_MEND)
    return value


def _pool(value, limits):
    first, _, last = _string(value, _POOL_MEND).partition("-")
    first = first.strip()
    last = last.strip()
    low = ipv4_bytes(first)
    high = ipv4_bytes(last)
    if low is None or high is None:
        raise Wrong(said(value) + " is not a range of IPv4 addresses", _POOL_MEND)
    if low > high:
        raise Wrong("ends before it begins", "put the lower address first")
    return (first, last)


def _cidr(value, limits):
    address, slash, bits = _string(value, _CIDR_MEND).partition("/")
    raw = ipv4_bytes(address)
    if raw is None:
        raise Wrong(said(value) + " is not an IPv4 network", _CIDR_MEND)
    if not slash:
        return address + "/32"
    if not _digits(bits, 2) or int(bits) > 32:
        raise Wrong(said(value) + " has no prefix length from 0 to 32", _CIDR_MEND)
    masks = [0xFF00 >> min(8, max(0, int(bits) - 8 * i)) & 0xFF for i in range(4)]
    network = ".".join([str(raw[i] & masks[i]) for i in range(4)])
    if network != address:
        raise Wrong(said(value) + " has bits beyond its prefix", 'write "%s/%s"' % (network, bits))
    return value


def _host(value, limits):
    found = split_host(_string(value, _HOST_MEND), limits)
    if found is None:
        raise Wrong(said(value) + " is not a host with an optional port", _HOST_MEND)
    return found


def _proposals(value, limits):
    from ..carrier.ipsec.proposals import parse  # a board without IPsec needs none of it

    _, problems = parse(limits, _text(value, (1, 512)))
    if problems:
        raise Wrong(problems[0][1], problems[0][2])
    return value


def _circuit(value, limits):
    from ..carrier.circuit import parse

    if parse(_string(value, _CIRCUIT_MEND)) is None:
        raise Wrong(said(value) + " is no circuit", _CIRCUIT_MEND)
    return value


_CHECKS = {
    "bool": _bool,
    "int": _int,
    "seconds": _seconds,
    "text": _text,
    "texts": _text,
    "secret": _secret,
    "choice": _choice,
    "choices": _choice,
    "ref": _ref,
    "refs": _ref,
    "ip": _ip,
    "ipv4": _ipv4,
    "ipv4s": _ipv4,
    "pool": _pool,
    "cidrs": _cidr,
    "hosts": _host,
    "proposals": _proposals,
    "circuit": _circuit,
    "circuits": _circuit,
}


def check_value(kind, value, limits):
    """The value to keep for any kind of the schema; Wrong when it does not fit."""
    if kind == "secrets":
        return _users(value, limits)
    if kind not in LIST_KINDS:
        return _CHECKS[kind](value, limits)
    if kind == "hosts" and isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise Wrong("must be a list, not " + said(value), "put it in [ ]")
    if len(value) > _MAX_ITEMS:
        raise Wrong("has %d entries" % len(value), "keep at most %d" % _MAX_ITEMS)
    if not value and kind == "hosts":
        raise Wrong("is an empty list", "name at least one")
    kept = []
    for i in range(len(value)):
        try:
            item = _CHECKS[kind](value[i], limits)
        except Wrong as wrong:
            wrong.at = i
            raise
        if item in kept and kind != "texts":
            raise Wrong(said(value[i]) + " is there twice", "remove one", i)
        kept.append(item)
    return kept


def _users(value, limits):
    if not isinstance(value, dict):
        raise Wrong("must be a table of names and passwords", 'write name = "password" below [lns.users]')
    if len(value) > _MAX_USERS:
        raise Wrong("has %d entries" % len(value), "keep at most %d" % _MAX_USERS)
    for name in sorted(value):
        try:
            _printable(name, limits)
            _secret(value[name], limits)
        except Wrong as wrong:
            wrong.at = name
            raise
    return dict(value)


# Words.


def dotted(path):
    """A path as people write it: ``call.home.routes[1]``."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += "[%d]" % part
        else:
            out += ("." if out else "") + clip(part)
    return out


def nearest(name, names):
    """The one of ``names`` that ``name`` was probably meant to be, or None."""
    best = None
    slips = 1 + len(name) // 3  # fewer than that, and fewer than the whole word
    if len(name) <= _MAX_GUESSED:
        for each in sorted(names):
            count = 1 if name and each.startswith(name) else _slips(name.lower(), each)
            if count <= slips and count < len(each):
                best = each
                slips = count - 1
    return best


def _slips(a, b):
    """Letters to add, drop or change to make ``b`` of ``a`` (Levenshtein)."""
    above = list(range(len(b) + 1))
    for i in range(len(a)):
        row = [i + 1]
        for j in range(len(b)):
            row.append(min(above[j] + (a[i] != b[j]), above[j + 1] + 1, row[j] + 1))
        above = row
    return above[-1]


def clip(text):
    """At most forty characters of a text."""
    text = str(text)
    return text if len(text) <= _MAX_SAID else text[: _MAX_SAID - 3] + "..."


def said(value):
    """A value as a message repeats it: as the file has it, clipped."""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + clip(value) + '"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, (list, tuple)):
        return "a list"
    return clip(value)
