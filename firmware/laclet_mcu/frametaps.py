"""PPP frames of calls for a Capture: something stands in the join of each call that is watched."""

from laclet.port import Port

from .capture import mask

_FROM_LNS = 0
_TO_LNS = 1


class Taps:
    """In the joins of the calls ``names``, () for all; each frame is a ``capture.note()``."""

    def __init__(self, capture, shell, names):
        self._capture = capture
        self._shell = shell
        self._names = names
        self._taps = []
        self._lines = []  # those that tell us when they are joined

    def about(self):
        """Names of the calls."""
        return self._names or sorted(self._shell.node.calls)

    def hide(self, head):
        """Passwords."""
        mask(head, 0)

    def describe(self, head):
        """In pppd's words."""
        from laclet.ppp.describe import describe

        return describe(head, 0, len(head))

    def attach(self):
        """Look at the calls of the node, which may be a new one."""
        self._shell.bypass = self._joined
        node = self._shell.node
        for name in node.calls:
            if self._wants(name):
                for each in getattr(node.calls[name], "legs", (node.calls[name],)):
                    self._look_at(name, each)
        if node.lns is not None:
            for caller in node.lns.callers.values():
                self._joined(caller.link, caller.session, None)

    def close(self):
        """Leave the joins as they were."""
        self._shell.bypass = None
        for tap in self._taps:
            tap.close()
        for line in self._lines:
            del line.release

    def _wants(self, name):
        return not self._names or name in self._names

    def _look_at(self, name, call):
        if not hasattr(call, "line"):
            if call.link.joined is not None and not isinstance(call.link.joined, _Tap):
                self._tap(name, call.link, call.session)
            return
        line = call.line
        if line in self._lines:  # it has stayed through a change of the configuration
            return

        # A line is released after every change of its join.
        def release(now):
            if line.joined is not None and not isinstance(line.joined, _Tap):
                self._tap(name, line, line.joined)
            type(line).release(line, now)

        line.release = release
        self._lines.append(line)
        if line.joined is not None:
            self._tap(name, line, line.joined)

    def _joined(self, port, session, config):
        """A call of this board itself, or one to our LNS, has just been joined."""
        if isinstance(port.joined, _Tap):  # it has stayed through a change of the configuration
            return None
        owner = port.owner
        name = getattr(owner, "name", None) or getattr(owner, "component", "?")
        return self._tap(name, port, session) if self._wants(name) else None

    def _tap(self, name, port, session):
        tap = _Tap(self._capture, name, port, session)
        self._taps = [each for each in self._taps if each.joined is not None] + [tap]
        return tap


class _Tap(Port):
    """Stands between a port and its session: this half takes what goes to the LNS, ``back`` what comes from it."""

    def __init__(self, capture, name, port, session):
        Port.__init__(self)
        self.capture = capture
        self.name = name
        self.session = session
        self.joined = port
        self.back = _Back(self)
        port.joined = self
        session.joined = self.back

    def carry(self, buf, start, end, now):
        self.capture.note(self.name, _TO_LNS, buf, start, end, now)
        self.session.carry(buf, start, end, now)

    def close(self):
        """Join the two as they were; when they have parted since, there is nothing to do."""
        port, self.joined = self.joined, None
        if port is not None and port.joined is self:
            port.joined = self.session
            self.session.joined = port
        elif self.session.joined is self.back:
            self.session.joined = None


class _Back:
    def __init__(self, tap):
        self.tap = tap

    def carry(self, buf, start, end, now):
        tap = self.tap
        if tap.joined is None:
            tap.session.drop("not joined")
            return
        tap.capture.note(tap.name, _FROM_LNS, buf, start, end, now)
        tap.joined.carry(buf, start, end, now)
