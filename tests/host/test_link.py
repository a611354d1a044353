"""Modules linked into one: what their names become, that all others find them, and that nothing else changes."""

import pytest

from laclet_host.board.link import LinkError, link

SOURCES = {
    "pkg/__init__.py": "",
    "pkg/clock.py": (
        "import sys\nLIMIT = len(sys.path)\ndef add(a, b):\n    return a + b\ndef next(a):\n    return add(a, 1)\n"
    ),
    "pkg/wire.py": (
        "import sys\nfrom . import clock\nfrom .clock import add as plus\n"
        "def _read(add):\n    return clock.add(add, 1), clock.next(add), plus(add, 2)\n"
        "class Reader:\n    _read = 5\n    table = [_read for _ in range(2)]\n    def read(self):\n"
        "        return [_read(clock) for clock in (1, 2)], (lambda _read: _read)(3), sys.maxsize\n"
    ),
    "pkg/user.py": (
        "from . import clock, other\nfrom .wire import Reader, _read\n"
        "def use():\n    from .clock import next\n"
        "    return clock.add(1, 2), next(2), Reader().read(), _read(4), other.x\n"
    ),
    "pkg/other.py": "x = 1\ndef _read():\n    return 0\n",
}
UNITS = {"pkg/wire.py": ("pkg/clock.py", "pkg/wire.py")}


def loaded(sources, tmp_path, monkeypatch, name):
    folder = tmp_path / name
    for path, text in sources.items():
        target = folder / path.replace("pkg", name, 1)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace("pkg", name))
    monkeypatch.syspath_prepend(str(folder))
    return __import__(f"{name}.user", fromlist=["use"])


def test_linked_modules_behave_alike(tmp_path, monkeypatch):
    plain = loaded(SOURCES, tmp_path, monkeypatch, "plainpkg")
    linked = loaded(link(SOURCES, UNITS), tmp_path, monkeypatch, "linkedpkg")
    assert plain.use() == linked.use()


def test_one_module_holds_all_and_a_stub_the_place_of_each():
    out = link(SOURCES, UNITS)
    assert out["pkg/wire.py"].count("import sys") == 1 and "from . import" not in out["pkg/wire.py"]
    assert "def clock_add(a, b)" in out["pkg/wire.py"]  # another function has an argument add
    assert "def clock_next(a)" in out["pkg/wire.py"]  # there is a builtin
    assert "def _read(add)" in out["pkg/wire.py"] and "class Reader" in out["pkg/wire.py"]
    assert out["pkg/clock.py"] == "from pkg.wire import LIMIT, clock_add as add, clock_next as next\n"
    assert out["pkg/other.py"] == SOURCES["pkg/other.py"].replace("\ndef", "\n\ndef")


def test_others_import_from_where_it_stands():
    out = link(SOURCES, UNITS)["pkg/user.py"]
    assert "from pkg import wire as clock" in out and "clock.clock_add(1, 2)" in out
    assert "from pkg.wire import clock_next as next" in out


def test_what_cannot_be_linked_is_refused():
    for text in ("from . import clock\nx = clock\n", "def f():\n    from .clock import add\n"):
        with pytest.raises(LinkError):
            link({**SOURCES, "pkg/wire.py": text}, UNITS)
    other = {**SOURCES, "pkg/clock.py": "import os as system\n", "pkg/wire.py": "import os\n"}
    with pytest.raises(LinkError, match="elsewhere"):
        link(other, UNITS)
