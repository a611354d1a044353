"""The boards that are known by name: what boards/<NAME>/board.json says, by the schema beside them."""

import json
from pathlib import Path


def folder():
    """The folder ``boards``: of the checkout, or of the installed package."""
    here = Path(__file__).resolve()
    checkout = here.parents[3] / "boards"
    return checkout if checkout.is_dir() else here.parents[1] / "boards"


def boards():
    """``{name: what its board.json holds}``, sorted by name."""
    return {path.parent.name: json.loads(path.read_text("utf-8")) for path in sorted(folder().glob("*/board.json"))}
