"""The A/B update of a board that works, over its console; and what became of it. See docs/update.md."""

import base64
import time
from pathlib import Path
from typing import Any

from ..board import slots
from ..ui import FAILURE, TIMEOUT, Trouble
from . import files
from .flash import wait_for_device
from .link import Link, Refused
from .ports import DeviceError
from .progress import Tell

_PUT = 5.0  # s for an answer
_LONG = 60.0
_TRIES = 3  # of a put whose answer was lost
_TRIAL = 720.0  # s; the board itself gives up after ten minutes
_LOOK = 2.0  # s between looks at the trial


def status(link: Link) -> dict[str, Any]:
    """Slots and versions, as the board tells them; raises ``Trouble`` when it has no updates."""
    try:
        return link.get("update status")
    except Refused as refused:
        raise Trouble(f"{link.port}: {refused}") from None


def update(link: Link, tell: Tell, key: bytes | None = None, folder: Path | None = None) -> dict[str, Any]:
    """Put new code into the other slot and commit it; the board then restarts.

    ``folder``: compiled code, instead of this laclet's own. An update that was cut short goes on. Raises ``Trouble``.
    """
    about = status(link)
    if about["key"] and key is None:
        raise Trouble(f"{link.port}: takes signed updates only; give --key-file with its board.update_key")
    if about["arch"] not in files.ARCHITECTURES:
        raise Trouble(f"{link.port}: laclet is not compiled for {about['arch']}")
    folder = files.for_slots(folder or files.compiled(about["arch"]), about.get("size", 1 << 30))
    code = {path.as_posix(): (folder / path).read_bytes() for path in slots.files(folder)}
    if not code:
        raise Trouble(f"{folder}: holds no code; give a folder that tools/mpy has made")
    try:
        return _put_all(link, tell, about, code, slots.manifest(folder, about["mpy"], key))
    except Refused as refused:
        raise Trouble(f"{link.port}: {refused}") from None


def _put_all(link: Link, tell: Tell, about: dict, code: dict[str, bytes], manifest: bytes) -> dict[str, Any]:
    began = time.monotonic()
    _put(link, slots.MANIFEST, manifest, about["chunk"])
    sent, files_sent = len(manifest), 0
    total = sum(map(len, code.values()))
    while paths := link.get("update want", timeout=_LONG)["paths"]:
        for path in paths:
            tell(f"sending {path}", 100.0 * sent / total)
            _put(link, path, code[path], about["chunk"])
            sent += len(code[path])
            files_sent += 1
    tell("committing", None)
    done = link.get("update commit", timeout=_LONG)
    seconds = round(time.monotonic() - began, 1)
    return {"port": link.port, "from": about["version"], **done, "files": files_sent, "bytes": sent, "seconds": seconds}


def _put(link: Link, path: str, data: bytes, chunk: int) -> None:
    for at in range(0, max(len(data), 1), chunk):
        value = {"path": path, "at": at, "data": base64.b64encode(data[at : at + chunk]).decode()}
        for left in reversed(range(_TRIES)):
            try:
                link.get("update put", value, timeout=_PUT)
                break
            except DeviceError as error:
                if error.code != TIMEOUT or not left:
                    raise


def outcome(port: str, slot: str, tell: Tell) -> dict[str, Any]:
    """Wait until the slot on trial is good; raises ``Trouble`` when the board has gone back, or cannot be asked."""
    deadline = time.monotonic() + _TRIAL
    while time.monotonic() < deadline:
        wait_for_device(port)
        try:
            with Link(port) as link:
                while time.monotonic() < deadline:
                    about = status(link)
                    if about["trial"] is None:
                        return _verdict(port, slot, about)
                    tell(f"on trial, {about['left']} more attempts", None)
                    for _ in link.lines(_LOOK):
                        break
        except DeviceError:  # it restarts: that is a part of the trial
            continue
    raise Trouble(f"{port}: is still on trial after {_TRIAL / 60:g} min; see laclet update --status", TIMEOUT)


def _verdict(port: str, slot: str, about: dict[str, Any]) -> dict[str, Any]:
    if about["good"] == slot:
        return {"good": slot, "version": about["version"]}
    version = f"version {about['version']}" if about["version"] else "its old code"
    raise Trouble(
        f"{port}: the update did not prove itself, and the board went back to {version}; laclet logs tells why", FAILURE
    )
