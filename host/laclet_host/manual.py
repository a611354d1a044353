"""laclet.1, from the commands themselves: what they are called, take and say of themselves."""

import re

import click

from laclet import __version__

from .cli import main

_HEAD = r""".\" Made from the commands by tools/reference: change it there.
.TH LACLET 1 "" "laclet {version}" "User Commands"
.nh
.SH NAME
laclet \- L2TP and PPP at the customer's premises: LAC, LAC client and LNS
.SH SYNOPSIS
.B laclet
.I COMMAND
.RI [ OPTIONS ]
.RI [ ARGUMENTS ]
.SH DESCRIPTION
"""
_TAIL = r""".SH ENVIRONMENT
.TP
.B LACLET_PORT
The device for commands without \fB\-\-port\fR.
.TP
.B LACLET_RUN_DIR
Where services and virtual boards are found, instead of /run/laclet or $XDG_RUNTIME_DIR/laclet.
.TP
.B EDITOR
For \fBlaclet config edit\fR.
.SH FILES
.TP
.I /etc/laclet/NAME.toml
Configuration of the service NAME.
.TP
.I /etc/laclet/secrets.toml
Its secrets, for its owner only.
.SH EXIT STATUS
{codes}.PP
Those of \fBlaclet run\fR are pppd's; its own help tells them.
.SH SEE ALSO
.BR pppd (8),
.BR xl2tpd (8)
"""
CODES = (
    (0, "done"),
    (1, "failed; diff: something would change"),
    (2, "wrong usage"),
    (3, "the configuration is not valid"),
    (4, "the device is absent or busy"),
    (5, "not in time"),
    (6, "what was written is not what is there"),
    (7, "the log-in was refused"),
    (130, "Ctrl-C"),
)


def page() -> str:
    """The whole page, in the man macros."""
    context = click.Context(main, info_name="laclet")
    parts = [_HEAD.format(version=__version__), _prose(str(main.help).split("Exit codes:")[0]), ".SH COMMANDS\n"]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        parts += _command(command, click.Context(command, info_name=name, parent=context))
    codes = "".join(f".TP\n.B {code}\n{text}\n" for code, text in CODES)
    return "".join(parts) + _TAIL.format(codes=codes)


def _command(command: click.Command, context: click.Context) -> list[str]:
    """One command, with those below it."""
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f".SS {_text(context.command_path)} {_text(usage)}\n", _prose(command.help), _options(command, context)]
    if command.epilog:
        parts.append(".PP\n" + _prose(command.epilog))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            parts += _command(below, click.Context(below, info_name=name, parent=context))
    return parts


def _options(command: click.Command, context: click.Context) -> str:
    out = ""
    for option in command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None and "--help" not in option.opts:
            out += f".TP\n.B {_text(record[0])}\n{_text(record[1])}\n"
    return out


def _prose(text: str | None) -> str:
    """Paragraphs of a help text; one that begins with click's backspace keeps its lines."""
    out = []
    for each in re.split(r"\n\s*\n", (text or "").strip()):
        if each.lstrip().startswith("\b"):
            lines = [line.strip() for line in each.replace("\b", "").strip().split("\n")]
            out.append(".nf\n" + _text("\n".join(lines)) + "\n.fi\n")
        else:
            out.append(_text(" ".join(each.split())) + "\n")
    return ".PP\n".join(out)


def _text(text: str) -> str:
    """Text as roff wants it."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return "\n".join(r"\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))
