"""Chat scripts in the manner of chat(8), as timed dialogues."""

from laclet import ticks
from laclet.line.chat import Chat


class Talk:
    """A chat script, and what it says."""

    def __init__(self, script, number=""):
        self.out = b""
        self.now = ticks.PERIOD - 500  # the clock wraps in every test
        self.chat = Chat(script, self._write, number)
        self.chat.start(self.now)

    def _write(self, data):
        self.out += data

    def said(self):
        out, self.out = self.out, b""
        return out

    def hear(self, data):
        for octet in data:
            self.chat.hear(octet, self.now)
        return self.chat.ok

    def wait(self, ms):
        """Let time pass, deadline by deadline."""
        end = ticks.add(self.now, ms)
        while self.chat.deadline is not None and ticks.diff(self.chat.deadline, end) <= 0:
            self.now = self.chat.deadline
            self.chat.on_timer(self.now)
        self.now = end
        return self.chat.ok


def test_chat_expects_and_sends():
    talk = Talk(("", "ATZ", "OK", "ATD\\T", "CONNECT"), "*99#")
    assert talk.said() == b"ATZ\r" and talk.hear(b"ATZ\r\r\nO") is None and talk.said() == b""
    assert talk.hear(b"K\r\n") is None and talk.said() == b"ATD*99#\r"
    assert talk.hear(b"OK\r\nCONNECT") is True and talk.chat.deadline is None
    assert talk.hear(b"\r\nBUSY\r\n") is True
    assert Talk(()).chat.ok is True
    talk = Talk(("login:", "me", "word:", "it\\s\\\\is\\n\\c"))
    assert talk.hear(b"login: ") is None and talk.said() == b"me\r"
    assert talk.hear(b"Password:") is True and talk.said() == b"it \\is\n"


def test_chat_times_out():
    talk = Talk(("TIMEOUT", "3", "", "AT", "OK"))
    assert talk.wait(2999) is None and talk.wait(1) is False
    chat = talk.chat
    assert (chat.waited, chat.asked, chat.abort) == ("OK", "AT", "")
    assert Talk(("", "AT", "OK")).wait(44999) is None  # chat(8): 45 s
    talk = Talk(("TIMEOUT", "3", "", "AT", "OK-+++\\c-OK-ATH-OK", "ATZ"))
    for said in (b"AT\r", b"+++", b"ATH\r"):
        assert talk.said() == said
        assert talk.wait(2999) is None and talk.said() == b""
        talk.wait(1)
    assert talk.chat.ok is False
    talk = Talk(("TIMEOUT", "3", "", "AT", "OK-AT-OK", "ATZ"))
    talk.wait(3000)
    assert talk.hear(b"OK") is True and talk.said() == b"AT\rAT\rATZ\r"
    talk = Talk(("TIMEOUT", "3", "", "AT", "OK-AT", "ATZ"))
    assert talk.wait(3000) is True and talk.said() == b"AT\rAT\rATZ\r"


def test_chat_aborts_on_a_whole_line():
    talk = Talk(("ABORT", "BUSY", "ABORT", "ERROR", "", "AT+CGDCONT?", "OK"))
    assert talk.hear(b"\r\n+CME ERROR: SIM not in") is None
    assert talk.hear(b"serted\r\n") is False
    assert (talk.chat.abort, talk.chat.said) == ("ERROR", "+CME ERROR: SIM not inserted")
    talk = Talk(("ABORT", "ERROR", "", "AT", "OK"))
    assert talk.hear(b"x" * 5000 + b"ERROR\r") is False and len(talk.chat.said) <= 100


def test_chat_waits_between():
    talk = Talk(("", "\\d\\p+++\\d\\c", "OK", "ATH"))
    assert talk.said() == b"" and talk.wait(1099) is None and talk.said() == b""
    talk.wait(1)
    assert talk.said() == b"+++"
    assert talk.hear(b"OK\r\n") is None and talk.said() == b""  # it came while nothing was expected yet
    assert talk.wait(1000) is True and talk.said() == b"ATH\r"
