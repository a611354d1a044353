"""A serial wire on the virtual clock, between the SerialLine of a node and whatever stands at its other end."""

from laclet.port import HEADROOM


class Wire:
    """Carries octets both ways with a delay; ``far`` takes receive(buf, start, end, now). ``cut`` unplugs it."""

    def __init__(self, world, options, target, line):
        self.world = world
        self.options = options
        self.target = target
        self.line = line
        self.far = None  # an object with receive(); its own transmit buffer is ``far_line``
        self.far_line = None
        self.plugged = True
        self.dropped_dtr = 0
        self.closed = False

    def hang_up(self):
        """DTR drops for a moment."""
        self.dropped_dtr += 1

    def close(self):
        """The device is given back."""
        self.closed = True

    def connect(self, far, far_line):
        """What stands at the other end."""
        self.far = far
        self.far_line = far_line

    def cut(self, now):
        """Unplug it: both sides are told."""
        self.plugged = False
        self.target.hung_up(now)

    def pump(self, now):
        """Take what both lines have to send; call it after everything else."""
        self._move(self.line, lambda: self.far)
        if self.far_line is not None:
            self._move(self.far_line, lambda: self.target)

    def _move(self, line, to):
        n = line.tx_end - line.tx_start
        if n:
            data = bytes(line.tx[line.tx_start : line.tx_end])
            line.sent(n)
            if self.plugged:
                self.world.later(2, self._arrive, data, to)

    def _arrive(self, data, to, now):
        target = to()
        if target is not None and self.plugged:
            buf = bytearray(HEADROOM) + data
            target.receive(buf, HEADROOM, len(buf), now)
