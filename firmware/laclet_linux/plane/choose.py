"""Which way the packets of a link go: the planes are asked in their order, and the first that says yes has them."""

import importlib

from laclet.fault import INTERFACE, Fault

ORDER = ("kernel", "tun", "stream")


class Declined(Exception):
    """A plane cannot move the packets of this link; the text says why."""


class ChosenInterface:
    """The interface of one link, on the plane of its ``data_plane`` key; chosen anew each time the link comes up.

    ``options``: a checked section [call.NAME] or [lns]; ``config``: an IpConfig; ``log(level, text)``;
    ``closed(interface)`` is called when it is. Raises OSError when no interface can be made. It is a TunInterface for
    the planes tun and stream, a KernelInterface for kernel.
    """

    def __init__(self, loop, options, link, config, log, closed=lambda interface: None):
        self._closed = closed
        self._planes = ORDER if options["data_plane"] == "auto" else (options["data_plane"],)
        self._make = lambda kind: kind(loop, options, link, config, log)
        self._options = options
        self._link = link
        self._log = log
        self._side = None  # the interface there is
        self._plane = None  # the plane it is of, TunInterfaces being of two
        reasons = []
        for plane in self._planes:
            try:
                self._turn_to(plane)
                return
            except Declined as why:
                reasons.append(f"{plane}: {why}")
        raise OSError("data plane " + "; ".join(reasons))

    @property
    def name(self):
        """Of the interface, or None while there is none."""
        return self._side.name

    @property
    def since(self):
        """When the link came up, on the monotonic clock in seconds, or None."""
        return self._side.since

    @property
    def drops(self):
        """Reason -> count."""
        return self._side.drops

    @property
    def plane(self):
        """The plane that moves packets, while the link is up."""
        return self._plane if self._side.since is not None else None

    def receive_ip(self, buf, start, end, now):
        """A packet that came out of the link; from the first up() on it goes to the interface directly."""
        self._side.receive_ip(buf, start, end, now)

    def up(self, settings, peer, now):
        """The link is up with ``settings``, see docs/architecture.md; None or the Fault to close it with."""
        reasons = []
        for plane in self._planes:
            try:
                self._turn_to(plane)
                fault = self._up(plane, settings, peer, now)
            except (Declined, OSError) as why:
                reasons.append(f"{plane}: {getattr(why, 'strerror', None) or why}")
                continue
            if fault is None:
                self._plane = plane
                self._link.above = self._side
                if len(self._planes) > 1:
                    why = f" ({'; '.join(reasons)})" if reasons else ""
                    self._log("info", f"{self.name}: data plane {plane}{why}")
            return fault
        return Fault(
            INTERFACE, "no data plane for this link: " + "; ".join(reasons), "", "data_plane = auto finds one that can"
        )

    def up6(self, settings, now):
        """IPv6 is up as well."""
        self._side.up6(settings, now)

    def down(self):
        """The link is down: take everything back."""
        self._side.down()

    def close(self):
        """Take everything back; the interface goes."""
        self._side.close()
        self._closed(self)

    def count(self):
        """Bring the counters of the session up to date."""
        self._side.count()

    def _up(self, plane, settings, peer, now):
        if plane != "tun":
            return self._side.up(settings, peer, now)
        from .mover import mover_of

        return self._side.up(settings, peer, now, mover_of(self._link))

    def _turn_to(self, plane):
        """Have the interface that ``plane`` needs. Raises Declined or OSError; then the one before is still there."""
        if plane == "kernel":
            try:
                kernel = importlib.import_module(".kernel", __package__)
            except ImportError:
                raise Declined("not in this installation") from None
            reason = kernel.why_not(self._options)
            if reason is not None:
                raise Declined(reason)
            kind = kernel.KernelInterface
        else:
            from ..tun import TunInterface as kind
        if type(self._side) is kind and not getattr(self._side, "gone", False):
            return
        if self._side is not None:
            self._side.close()  # it may have the name that the next one wants
        self._side = self._make(kind)
