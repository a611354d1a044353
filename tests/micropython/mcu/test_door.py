"""The console's door: what happens to it must not happen to calls."""

from mcudesk import Desk

import laclet.node.node
from laclet_mcu import door

assert laclet.node  # the package that is there wherever a console is


class Terminal:
    def __init__(self):
        self.stream = None
        self.typed = b"\r"

    def read(self):
        return self.typed


class Starving:
    """A console without memory for what it is asked to do."""

    def __init__(self):
        self.console = self

    def receive(self, typed, now):
        raise MemoryError

    def state(self):
        return None, "the candidate"

    def poll_at(self):
        return None


def test_a_command_without_memory_closes_the_console_and_keeps_its_candidate():
    shell = Desk()
    desk = door.Desk(None)
    at = door.Door(shell, "", desk, Terminal())
    at._board = Starving()
    desk.owner = at
    at.ready(1, 0)
    assert shell.said == [("error", "no memory for it beside the calls; Ctrl-C gives the prompt")]
    assert desk.owner is None and desk.state == (None, "the candidate") and at._board is None
