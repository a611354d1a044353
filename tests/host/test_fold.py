"""Constants folded across modules: what becomes a number, what does not, and that nothing else changes."""

from laclet_host.board.fold import fold

SOURCES = {
    "pkg/__init__.py": "",
    "pkg/numbers.py": (
        "try:\n    from micropython import const\nexcept ImportError:\n    def const(x):\n        return x\n"
        "ONE = const(1)\n_TWO = const(ONE + 1)\nMASK = ONE << 4 | _TWO\nSHORT = 'text'\n"
        "NAME = 'a longer text'\nCHANGING = 3\n"
        "def double():\n    global CHANGING\n    CHANGING = CHANGING * _TWO\n    return CHANGING\n"
    ),
    "pkg/user.py": (
        "from . import numbers\nfrom .numbers import CHANGING, MASK, NAME, ONE, SHORT\n"
        "def value():\n    return (ONE, MASK, numbers.ONE, SHORT, NAME, CHANGING)\n"
    ),
}


def test_numbers_stand_where_names_stood():
    out = fold(SOURCES)
    assert "return (1, 18, 1, 'text', NAME, CHANGING)" in out["pkg/user.py"]
    assert "import CHANGING, NAME" in out["pkg/user.py"]  # a long text, and a number that is bound twice, stay
    assert "ONE" not in out["pkg/numbers.py"] and "const" not in out["pkg/numbers.py"]
    assert "CHANGING = CHANGING * 2" in out["pkg/numbers.py"]


def test_tests_are_folded_along_and_keep_what_is_theirs():
    tests = {"unit/test_numbers.py": "from pkg.numbers import MASK\nOWN = 7\nassert MASK == OWN + 11\n"}
    assert fold(SOURCES, tests)["unit/test_numbers.py"] == "pass\nOWN = 7\nassert 18 == OWN + 11\n"


def test_the_folded_modules_behave_alike():
    results = []
    for sources in (SOURCES, fold(SOURCES)):
        numbers = {}
        exec(sources["pkg/numbers.py"], numbers)
        results.append((numbers["double"](), numbers["double"](), numbers["NAME"]))
    assert results[0] == results[1] == (6, 12, "a longer text")


def test_a_module_that_nothing_is_used_of_any_more_is_not_imported():
    out = fold(SOURCES)
    assert "from . import numbers" not in out["pkg/user.py"]
    used = {**SOURCES, "pkg/user.py": SOURCES["pkg/user.py"] + "numbers.double()\n"}
    assert "from . import numbers" in fold(used)["pkg/user.py"]


def test_tables_of_bytes_are_computed_beforehand():
    import laclet.l2tp.tables as tables
    from laclet_host.board import mpy

    root = mpy.source_root()
    out = fold({path.as_posix(): (root / path).read_text("utf-8") for path in mpy.sources()})
    made = {}
    exec(out["laclet/l2tp/tables.py"], made)
    assert made["CONTROL"] == tables.CONTROL and made["LAC_INCOMING"] == tables.LAC_INCOMING
    assert "_table" not in made and "SCCRQ" not in made
