"""Milliseconds that wrap: ``now`` and deadlines are ints modulo 2**30, the tick period of 32-bit MicroPython ports."""

PERIOD = 1 << 30
_MASK = PERIOD - 1
_HALF = PERIOD >> 1


def add(now, ms):
    """The tick ``ms`` milliseconds after ``now``; ``ms`` below 2**29 (six days)."""
    return (now + ms) & _MASK


def diff(a, b):
    """``a - b`` in ms, from -2**29 to 2**29 - 1: positive when ``a`` is later."""
    return ((a - b + _HALF) & _MASK) - _HALF


def due(deadline, now):
    """True when ``deadline`` is set and has come."""
    return deadline is not None and ((now - deadline + _HALF) & _MASK) >= _HALF


def soonest(a, b):
    """The earlier of two deadlines; ``None`` stands for never."""
    if a is None:
        return b
    if b is None:
        return a
    return a if diff(a, b) <= 0 else b
