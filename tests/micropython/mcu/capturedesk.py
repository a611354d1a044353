"""A shell whose node has calls and endpoints, to be captured."""

import json

from mcudesk import Desk

from laclet.port import HEADROOM, Port, frame_buffer


class End(Port):
    """A link or a session: notes what it is given."""

    def __init__(self):
        Port.__init__(self)
        self.carried = []

    def carry(self, buf, start, end, now):
        self.carried.append(bytes(buf[start:end]))

    def release(self, now):
        self.released = now


class Call:
    def __init__(self, name, line=False):
        self.name = name
        self.session = End()
        if line:
            self.line = End()
        else:
            self.link = End()
            self.link.owner = self


class Board(Desk):
    """A shell whose node has a call of its own and one with a line."""

    def __init__(self):
        Desk.__init__(self)
        self.calls = {"home": Call("home"), "port": Call("port", True)}
        self.lns = None
        self.bypass = None
        self.on_endpoint = None
        self.there = []  # endpoints
        self.said_lines = []

    def endpoints(self):
        return self.there

    def write(self, text):
        self.said_lines.append(text)

    def frames(self, capture):
        while capture.poll_at() is not None:
            capture.on_timer(self.time)
        return [json.loads(line) for line in self.said_lines]


def give(port, frame, now=0):
    """A frame comes out of ``port``, from outside."""
    buf = frame_buffer(len(frame))
    buf[HEADROOM : HEADROOM + len(frame)] = frame
    if port.joined is not None:
        port.joined.carry(buf, HEADROOM, HEADROOM + len(frame), now)
