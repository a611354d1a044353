"""Spoiling what a link of ``pppwire`` sends, and reading what it sent."""

from laclet.port import HEADROOM, frame_buffer
from laclet.wire import ppp


class Spoiler:
    """Stands between a link and its pipe: ``change(frame)`` returns the frame to pass on, or None to lose it."""

    def __init__(self, side, change):
        self._pipe = side.link.joined
        self._change = change
        side.link.joined = self

    def carry(self, buf, start, end, now):
        frame = self._change(bytes(buf[start:end]))
        if frame is not None:
            self._pipe.carry(bytearray(frame), 0, len(frame), now)

    @property
    def frames(self):
        return self._pipe.frames


def control(protocol, code, identifier, data):
    """A frame with a control packet."""
    buf = bytearray(6 + len(data))
    ppp.write(buf, 0, protocol, code, identifier, data)
    return bytes(buf)


def respell(side, protocol, code, change):
    """From now on the data of the side's packets of one code goes through ``change(data)``."""
    begins = bytes((protocol >> 8, protocol & 0xFF, code))

    def respelt(frame):
        if frame[:3] == begins:
            return control(protocol, code, frame[3], change(frame[6:]))
        return frame

    Spoiler(side, respelt)


def packets(side, protocol, code=None):
    """The control packets ``(identifier, data)`` of a protocol that a side put on the wire."""
    found = []
    for _, frame in side.link.joined.frames:
        head = ppp.head(frame, 0, len(frame))
        packet = frame[head >> 16 :]
        if head & 0xFFFF == protocol and (code is None or packet[0] == code):
            found.append((packet[1], packet[4:]))
    return found


def deliver(side, frame, now):
    """Give a frame to a link, as if it came from the wire."""
    buf = frame_buffer(len(frame))
    buf[HEADROOM : HEADROOM + len(frame)] = frame
    side.link.carry(buf, HEADROOM, HEADROOM + len(frame), now)
