"""Frames of a source written to a pcapng file as they come."""

import os
from collections.abc import Iterable
from typing import BinaryIO

from laclet import __version__

from . import envelope, pcapng, scrub
from .source import Begun, Frame, Item, Key, Lost, payload

_LINKS = {"l2tp": pcapng.RAW_IP}


class Recorder:
    """Writes what it is given, at most ``limit`` packets. ``keys`` is a file opened for text, or None."""

    def __init__(self, file: BinaryIO, scrubbed: bool, keys=None, only_ppp: bool = False, limit: int | None = None):
        self.written = 0
        self.lost = 0
        self._limit = limit
        self._out = pcapng.Writer(file, f"laclet {__version__}")
        self._scrubbed = scrubbed
        self._keys = keys
        self._only_ppp = only_ppp

    def full(self) -> bool:
        """The limit is reached."""
        return self._limit is not None and self.written >= self._limit

    def write(self, item: Item) -> None:
        """A datagram as IP; the PPP frames in it, or that a board shows, with link type 204 besides."""
        if isinstance(item, Begun):
            for call in item.calls:  # Wireshark waits for an interface before it shows anything
                if call != "l2tp" or not self._only_ppp:
                    self._out.interface(_LINKS.get(call, pcapng.PPP_WITH_DIR), call)
        elif isinstance(item, Lost):
            self.lost += item.count
        elif isinstance(item, Key):
            if self._keys is not None:
                self._keys.write(item.record + "\n")
                self._keys.flush()
        elif item.call == "l2tp":
            self._datagram(item)
        else:
            self._ppp(item, item.call, item.data, item.length)

    def _datagram(self, frame: Frame) -> None:
        local, peer = envelope.plain(frame.local, True), envelope.plain(frame.peer, False)
        data = scrub.datagram(frame.data) if self._scrubbed else frame.data
        if not self._only_ppp:
            ends = (local, peer) if frame.sent else (peer, local)
            number = self._out.interface(pcapng.RAW_IP, "l2tp")
            packet = envelope.wrap(*ends, data, frame.length)
            self._out.write(number, frame.time, packet, frame.sent, len(packet) - len(data) + frame.length)
            self.written += 1
        found = payload(data)
        if found and not self.full():
            self._ppp(frame, "ppp", data[found[2] :], frame.length - found[2])

    def _ppp(self, frame: Frame, name: str, data: bytes, length: int) -> None:
        if self._scrubbed:
            data = scrub.ppp_frame(data)
        number = self._out.interface(pcapng.PPP_WITH_DIR, name)
        self._out.write(number, frame.time, bytes((frame.sent,)) + data, frame.sent, length + 1)
        self.written += 1


def record(items: Iterable[Item], recorder: Recorder) -> None:
    """Everything from ``items``, until they end, the recorder is full, or nobody reads any more."""
    for item in items:
        try:
            recorder.write(item)
        except BrokenPipeError:
            return
        if recorder.full():
            return


def private(path: str, mode: str):
    """``path`` opened anew for writing, for its owner's eyes only: what is captured is nobody else's business."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), mode)
