"""boards/: data that fits its schema, manifests that can be frozen, and a document that says the same."""

import json
import re
import runpy
from pathlib import Path

import pytest

from laclet_host.board import catalogue, mpy

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is missing: pip install jsonschema")
HOME = Path(__file__).resolve().parents[2]
BOARDS = catalogue.boards()


@pytest.mark.parametrize("name", BOARDS)
def test_board_fits_the_schema(name):
    schema = json.loads((catalogue.folder() / "board.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(BOARDS[name], schema)


@pytest.mark.parametrize("name", BOARDS)
def test_board_agrees_with_itself(name):
    board = BOARDS[name]
    uarts = board["uarts"]
    assert board["arch"] in mpy.ARCHITECTURES
    if board["port"] != "unix":
        assert board["line"]["device"] in uarts
        if board["line"]["flow"] == "rtscts":
            assert "rts" in uarts[board["line"]["device"]]
    assert ("ethernet" in board) == ("ethernet" in board["uplinks"])
    pins = [pin for uart in uarts.values() for pin in uart.values()]
    pins += [board[part]["pin"] for part in ("led", "button") if part in board]
    assert len(pins) == len(set(pins)), "a pin is used twice"
    text = (catalogue.folder() / name / "board.md").read_text("utf-8")
    for pin in pins:
        assert re.search(rf"\b(GPIO|GP|P)?{pin}\b", text) or pin == "LED", f"board.md draws no {pin}"
    assert board["deploy_options"].get("flash_offset", "") in text


@pytest.mark.parametrize("name", BOARDS)
def test_manifest_of_a_board_freezes_what_ships(name):
    frozen = []

    def include(path):
        if not path.startswith("$(PORT_DIR)/"):
            run((here[-1].parent / path).resolve())

    def run(path):
        here.append(path)
        runpy.run_path(str(path), {"include": include, "require": str, "metadata": dict, "package": package})
        here.pop()

    def package(package_name, base_path, opt):
        frozen.append((package_name, (here[-1].parent / base_path / package_name).is_dir()))

    here = []
    run(catalogue.folder() / name / "manifest.py")
    assert frozen == [(each, True) for each in mpy.PACKAGES]


def test_table_of_boards_is_current():
    rows = re.findall(
        r"(?m)^\| \[(\w+)\]\(\.\./boards/\1/board\.md\) \| (.*) \|$", (HOME / "docs/boards.md").read_text()
    )
    assert [name for name, _ in rows] == list(BOARDS)
    for name, row in rows:
        board = BOARDS[name]
        memory = board["memory"]
        wanted = [board["mcu"], ", ".join(board["uplinks"]), ", ".join(board["roles"])]
        wanted += [f"{memory['heap'] // 1000} kB", f"{memory['file_system'] // 1024} KiB"]
        assert row.split(" | ")[:-1] == wanted, name
