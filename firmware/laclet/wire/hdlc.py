"""Asynchronous HDLC framing of PPP (RFC 1662): FCS-16, octet stuffing by ACCM, one encoder and one streaming decoder.

``encode``, ``deframe`` and ``move`` exist in three forms of one behaviour: plain (here, the reference), viper
(``fast``, for boards) and C speed (``cfast``, CPython). The best one that loads is bound to these names at import.
"""
# ruff: noqa: SIM109 - "in" a tuple of names allocates it anew

import sys
from array import array

from ..port import HEADROOM, frame_buffer

FLAG = 0x7E
ESCAPE = 0x7D
FLIP = 0x20  # what an escaped octet is exclusive-or'd with (§4.2)
FCS_SIZE = 2
ACCM_ALL = 0xFFFFFFFF  # every control character escaped: the sender's default (§7.1)

_FCS_GOOD = 0xF0B8  # the FCS over a whole frame, its own FCS included (§C.2)
_SHORTEST = 4  # §4.3: anything shorter, FCS included, is not a frame

# What a decoder remembers between chunks: places in an array that viper code can reach, or in a list.
AT = 0  # index in the buffer of the next octet
FCS = 1  # over the octets so far; right only when ENDED
PENDING = 2  # FLIP after a Control Escape, else 0
OVER = 3  # 1 when the buffer was outrun; its octets are then meaningless
ENDED = 4  # 1 when a flag was consumed
ACCM = 5  # control characters to discard
LIMIT = 6  # index that no octet is written at
_STATE_SIZE = 7


def encode_plain(buf, start, end, out, at, accm):
    """Write the frame ``buf[start:end]``, its FCS and a closing flag to ``out`` from ``at``, escaped by ``accm``.

    ``accm``: bit n for control character n (§7.1). Returns the index after the flag, or 0 when it does not fit, or only
    just; what is in ``out`` from ``at`` on is then void.
    """
    limit = len(out) - 2 * FCS_SIZE - 1
    fcs = 0xFFFF
    while start < end:
        if limit - at < 2:
            return 0
        c = buf[start]
        start += 1
        fcs = _fcs_of(fcs, c)
        at = _put(c, out, at, accm)
    if at > limit:
        return 0
    at = _put(fcs & 0xFF ^ 0xFF, out, at, accm)  # least significant octet first, complemented (§C)
    at = _put(fcs >> 8 ^ 0xFF, out, at, accm)
    out[at] = FLAG
    return at + 1


def deframe_plain(chunk, start, end, buf, state):
    """Bring octets of ``chunk[start:end]`` into ``buf`` up to and including the first flag. Return the index after the
    last one consumed; ``state`` (see above) tells the rest."""
    at = state[AT]
    fcs = state[FCS]
    flip = state[PENDING]
    accm = state[ACCM]
    while start < end:
        c = chunk[start]
        start += 1
        if c < 0x20 and accm >> c & 1:
            continue
        if c == FLAG:
            state[ENDED] = 1
            break
        if c == ESCAPE and not flip:
            flip = FLIP
            continue
        if at == state[LIMIT]:
            at = HEADROOM
            state[OVER] = 1
        c ^= flip
        flip = 0
        fcs = _fcs_of(fcs, c)
        buf[at] = c
        at += 1
    state[AT] = at
    state[FCS] = fcs
    state[PENDING] = flip
    return start


def move_plain(buf, to, start, end):
    """Move ``buf[start:end]`` down to ``to``, which is below ``start``."""
    while start < end:
        buf[to] = buf[start]
        to += 1
        start += 1


def _array_of_u32(values):
    return array("I", values)


def _fcs_of(fcs, c):
    # x**16 + x**12 + x**5 + 1, reflected, one octet at a time without a table
    c ^= fcs & 0xFF
    c ^= c << 4 & 0xFF
    return fcs >> 8 ^ c << 8 ^ c << 3 ^ c >> 4


def _put(c, out, at, accm):
    if c == FLAG or c == ESCAPE or (c < 0x20 and accm >> c & 1):
        out[at] = ESCAPE
        at += 1
        c ^= FLIP
    out[at] = c
    return at + 1


encode = encode_plain
deframe = deframe_plain
move = move_plain
_state = list
if sys.implementation.name == "micropython":
    try:
        from .fast import deframe, encode, move
    except (ImportError, ValueError, SyntaxError):  # no native code on this port, or a .mpy made for another one
        pass
    _state = _array_of_u32
else:
    from .cfast import deframe, encode, move  # noqa: F401


class Decoder:
    """Frames out of a stream that comes in chunks of any size, de-framed in place into one buffer with headroom.

    ``feed`` consumes up to the end of at most one frame; afterwards either ``end`` is set and the frame, without its
    FCS, is ``buf[start:end]`` until the next ``feed``; or ``why`` names what was dropped; or there is nothing yet.
    """

    def __init__(self, size):
        """``size``: longest frame, address, control and protocol included, FCS not, in octets."""
        self.buf = frame_buffer(size + FCS_SIZE + 1)
        self.start = HEADROOM
        self.end = 0  # index after the frame; 0: no frame
        self.why = None  # reason of a drop: "runt", "abort", "bad FCS", "oversize"
        self._state = _state([0] * _STATE_SIZE)
        self._state[LIMIT] = HEADROOM + size + FCS_SIZE + 1
        self.reset()

    def reset(self):
        """Forget a frame half received and discard no control characters: the line begins anew."""
        self._begin()
        self._state[ACCM] = 0

    def set_accm(self, accm):
        """Discard the control characters flagged in ``accm`` from now on: the peer escapes its own (§4.2)."""
        self._state[ACCM] = accm

    def feed(self, chunk, start, end):
        """Consume octets of ``chunk[start:end]``, at most to the end of a frame; return the index after them."""
        self.end = 0
        self.why = None
        start = deframe(chunk, start, end, self.buf, self._state)
        if self._state[ENDED]:
            self._finish()
        return start

    def partial(self):
        """Index in ``buf`` after the octets received since the last flag."""
        return self._state[AT]

    def _finish(self):
        state = self._state
        at = state[AT]
        if state[PENDING]:
            self.why = "abort"  # §4.3
        elif state[OVER] or at == state[LIMIT]:
            self.why = "oversize"
        elif at == HEADROOM:
            pass  # two flags in a row are not an error (§3.1)
        elif at - HEADROOM < _SHORTEST:
            self.why = "runt"
        elif state[FCS] != _FCS_GOOD:
            self.why = "bad FCS"
        else:
            self.end = at - FCS_SIZE
        self._begin()

    def _begin(self):
        state = self._state
        state[AT] = HEADROOM
        state[FCS] = 0xFFFF
        state[PENDING] = 0
        state[OVER] = 0
        state[ENDED] = 0
