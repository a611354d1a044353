"""The configuration of a device in a folder, secrets apart and for their owner only; and back."""

import json
from pathlib import Path
from typing import Any

from .. import configtext
from ..ui import Trouble
from . import deploy, files
from .repl import Repl

_CONFIG, _SECRETS, _DEVICE = "config.json", "secrets.json", "device.json"


def backup(repl: Repl, folder: Path) -> dict[str, Any]:
    """Write config.json, secrets.json (0600) and device.json; raises ``Trouble``."""
    about = repl.about()
    config = deploy.load_config(repl)
    if config is None:
        raise Trouble(f"{repl.port}: has no configuration yet; make one: laclet config wizard")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        configtext.write(folder / _SECRETS, _text(config.secrets), 0o600)
        configtext.write(folder / _CONFIG, _text(config.tree))
        configtext.write(folder / _DEVICE, _text({name: about[name] for name in ("id", "machine", "micropython")}))
    except OSError as error:
        raise Trouble(f"{error.filename or folder}: {error.strerror}") from None
    return {"port": repl.port, "folder": str(folder), "hostname": config.tree.get("hostname"), "id": about["id"]}


def read(folder: Path) -> files.Config:
    """What ``backup`` has written, checked; raises ``Trouble``."""
    path = folder / _CONFIG if folder.is_dir() else folder
    if not path.exists():
        raise Trouble(f"{folder}: holds no {_CONFIG}; name a folder that laclet backup has made")
    return files.read_config(path)


def restore(repl: Repl, config: files.Config, device: str | None = None) -> dict[str, Any]:
    """Keep ``config`` on the board, all or nothing; ``device``: refuse any other than this id."""
    about = repl.about()
    if device and about["id"] and about["id"] != device:
        raise Trouble(f"{repl.port}: is another device, {about['id']}, not {device}; add --any to put it there")
    deploy.save_config(repl, config)
    return {"port": repl.port, "hostname": config.tree.get("hostname"), "id": about["id"]}


def device_of(folder: Path) -> str | None:
    """The id of the device that a backup is of."""
    try:
        return json.loads((folder / _DEVICE).read_text("utf-8")).get("id") or None
    except (OSError, ValueError, AttributeError):
        return None


def _text(tree: Any) -> str:
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"
