"""Names shared in a build: which may be, which must stay, and that objects keep their attributes apart."""

from laclet_host.board.names import shorten

ONE = """
class Base:
    def __init__(self, first, second=2):
        self._queue = [first]
        self._kept = second
        self.public = self._queue

    def take(self, first, limit):
        return [first for _ in range(limit)], self._queue

class Child(Base):
    def __init__(self):
        super().__init__(1)
        self._extra = 3

    def _private(self):
        return self._extra, self._queue, getattr(self, "_kept")

class Stranger:
    def __init__(self, theirs):
        self._mine = theirs
        self._other = theirs._queue
"""


def result(text):
    made = {}
    exec(text, made)
    child = made["Child"]()
    return child._private(), child.take(4, 2), len(made["Stranger"](child).__dict__)


def test_attributes_are_apart_where_they_meet_and_shared_where_not():
    out = shorten({"one.py": ONE})["one.py"]
    assert result(out) == result(ONE)
    assert "_queue" not in out and "_extra" not in out and "_mine" not in out
    assert "_kept" in out and "_private" in out and "self.public" in out  # in a text; a method; not private
    assert out.count("self._a") + out.count("self._b") + out.count("self._c") >= 7


def test_arguments_are_letters_unless_a_call_names_them():
    out = shorten(
        {"one.py": "def f(first, second, third=3):\n    return lambda other: first + second + third + other\n"}
    )
    assert "def f(a, b, third=3):" in out["one.py"] and "lambda c: a + b + third + c" in out["one.py"]
    made = {}
    exec(out["one.py"], made)
    assert made["f"](1, 2)(4) == 10 and made["f"](1, 2, third=5)(4) == 12
    named = shorten({"one.py": "def f(first, b):\n    return first, b\nf(first=1, b=2)\n"})["one.py"]
    assert "def f(first, b)" in named


def test_what_an_application_calls_keeps_its_arguments():
    out = shorten({"laclet_mcu/aio.py": "def udp(address, port):\n    return address, port\n"})
    assert "def udp(address, port)" in out["laclet_mcu/aio.py"]


def test_tests_follow_and_keep_what_is_their_own():
    text = "class Own:\n    def __init__(self):\n        self._extra = 1\n"
    tests = {"test.py": text + "def test(x):\n    return x._queue, x._extra\n"}
    out = shorten({"one.py": ONE, **tests}, list(tests))
    assert out["one.py"] == shorten({"one.py": ONE})["one.py"]
    assert "self._extra = 1" in out["test.py"] and "x._queue" not in out["test.py"]
