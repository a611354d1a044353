"""docs/configuration.md, from the schema: what each section and key means, and examples."""

from laclet.node.schema import BOARD, LINUX, MUST, SECTIONS

_HEAD = """\
<!-- Made from firmware/laclet/node/schema.py by tools/reference: change it there. -->

# Configuration

On Linux a configuration is a TOML file, on a board the same tree as JSON (`config.json`). `laclet config check FILE`
names everything that is wrong in it: file, line, key, what is wrong, how to mend it. A board's is pulled as TOML,
edited and pushed by `laclet config`, too: [tools.md](tools.md).

Secrets belong in a file of their own beside it, `secrets.toml` (`secrets.json`), which only its owner may read. It has
the same sections, and only the keys marked *secret* below. One secrets file may serve several configurations of a
folder. Secrets are never shown.

Times are in seconds.

## Examples

This device as LAC client: it dials the LNS itself, and gets an interface with an address.

```toml
[tunnel.office]
server = ["lns1.example.net", "lns2.example.net"]

[call.home]
tunnel = "office"
username = "cpe-17"
routes = ["10.20.0.0/16"]
```

with this `secrets.toml`:

```toml
[tunnel.office]
tunnel_secret = "shared with the LNS"

[call.home]
password = "of cpe-17"
```

As LAC: what is behind a serial line speaks PPP with the LNS; a modem in front of it answers the calls.

```toml
[tunnel.office]
server = "192.0.2.1"

[line.port]
device = "/dev/ttyS1"
baud = 115200
flow = "rtscts"
modem = "answer"

[call.remote]
tunnel = "office"
line = "port"
```

As LNS at the premises:

```toml
[lns]
address = "10.64.64.1"
pool = "10.64.64.2-10.64.64.254"
dns = ["10.64.64.1"]

[lns.users]
cpe-17 = "better kept in secrets.toml"
```

## Sections and keys
"""

_KINDS = {
    "bool": "true or false",
    "int": "number",
    "seconds": "seconds",
    "text": "string",
    "texts": "list of strings",
    "secret": "string, *secret*",
    "secrets": "table, *secret*",
    "choice": "one of",
    "choices": "list of",
    "ref": "name of",
    "refs": "list, each the name of",
    "ipv4": "IPv4 address",
    "ip": "IP address",
    "ipv4s": "list of IPv4 addresses",
    "pool": "range of IPv4 addresses",
    "cidrs": "list of IPv4 networks",
    "proposals": "string",
    "circuit": "circuit",
    "circuits": "list of circuits",
    "hosts": "host, host:port, [v6]:port, or a list of these",
}


def markdown() -> str:
    """The whole page."""
    parts = [_HEAD]
    for name, many, keys, text in SECTIONS:
        title = f"`[{name}{'.NAME' if many else ''}]`" if name else "Top of the file"
        parts.append(f"### {title}\n\n{text}\n")
        rows = ["| Key | Value | Default | |", "|---|---|---|---|"]
        for key, kind, limits, default, flags, help_text in keys:
            about = help_text + (" Linux only." if flags & LINUX else " Board only." if flags & BOARD else "")
            shown = "**required**" if flags & MUST else _default(kind, default)
            rows.append(f"| `{key}` | {_value(kind, limits)} | {shown} | {about} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _value(kind: str, limits) -> str:
    words = _KINDS[kind]
    if kind in ("int", "seconds"):
        return f"{words}, {limits[0]} to {limits[1]}"
    if kind in ("choice", "choices"):
        return f"{words} " + ", ".join(f'`"{word}"`' for word in limits)
    if kind in ("ref", "refs"):
        return f"{words} a `[{limits}.NAME]`"
    if kind == "hosts":
        return f"{words}; port {limits} if none is given"
    return words


def _default(kind: str, default) -> str:
    if default is None or (kind == "secrets" and not default):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        words = [f"{host}:{port}" for host, port in default] if kind == "hosts" else default
        return "`[" + ", ".join(f'"{word}"' for word in words) + "]`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"
