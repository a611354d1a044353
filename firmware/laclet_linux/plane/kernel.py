"""The kernel plane: tunnel and session as AF_PPPOX sockets on our own UDP socket, PPP units as interfaces.

The core keeps control connection, LCP, authentication and NCPs: their frames come up on the descriptors of channel and
unit. IP packets never leave the kernel. Needs l2tp_ppp, /dev/ppp and CAP_NET_ADMIN; no netlink.
"""

import os

from laclet.line.serial import SerialLine

from . import ppp
from .choose import Declined
from .kernel_session import KernelSession, NoKernel


def why_not(options):
    """What keeps the kernel from moving the packets of a section [call.NAME] or [lns], or None."""
    if options["mppe"] != "none":
        if options["mppe_stateful"]:
            return "mppe_stateful is on"
        if "56" in options["mppe_bits"]:
            return "the kernel's MPPE has no keys of 56 bits"
    return missing()


def missing():
    """What this machine lacks for the kernel's L2TP, or None."""
    try:
        os.close(ppp.open_ppp())
        ppp.l2tp_socket().close()
    except OSError as error:
        return ppp.words(error)
    return None


class Kernel:
    """The kernel's tunnels of one service. ``wire_of(line)`` gives a SerialLine's Tty; ``log(level, text)``."""

    def __init__(self, loop, wire_of, log):
        self.loop = loop
        self.tunnels = {}  # Tunnel -> KernelTunnel
        self._wire_of = wire_of
        self._log = log

    def bypass(self, port, session, options):
        """A call's two ports have been joined: let the kernel carry between them; None where it cannot.

        What is returned has ``close()``, after which the join is as it was.
        """
        if isinstance(port, SerialLine):
            return self._bridge(port, session, options)
        why = why_not(options) or cannot_carry(session)
        if why is None:
            try:
                port.plane = KernelSession(self, port, session)
                return port.plane
            except OSError as error:
                why = ppp.words(error)
        port.plane = NoKernel(port, why)
        return None

    def _bridge(self, line, session, options):
        from .kernel_bridge import Bridge, objection

        wire = self._wire_of(line)
        why = missing() or cannot_carry(session) or objection(wire, options)
        bridge = None
        if why is None:
            try:
                bridge = Bridge(self, wire, line, session)
            except OSError as error:
                why = ppp.words(error)
        if bridge is not None:
            self._log("info", f"{wire.device}: bridged to the LNS in the kernel")
        else:
            level = "warning" if options["data_plane"] == "kernel" else "info"
            self._log(level, f"{wire.device}: relayed here, not in the kernel: {why}")
        return bridge

    def close(self):
        """Give the sockets back."""
        for each in list(self.tunnels.values()):
            each.close()


def cannot_carry(session):
    """Why the tunnel of a session cannot be the kernel's, or None."""
    return None if hasattr(session.tunnel.endpoint.carrier, "sock") else "the tunnel is not in plain UDP"


class KernelInterface:
    """The interface of a link that the kernel moves packets for; for ChosenInterface, see there."""

    def __init__(self, loop, options, link, config, log):
        self.drops = {}
        self._link = link
        self._config = config
        self._ifname = options.get("ifname")
        self._unit = None  # while the link is up

    @property
    def name(self):
        """``ppp0``, or as ``ifname`` says, while the link is up."""
        return self._unit.name if self._unit is not None else None

    @property
    def since(self):
        """When the link came up, on the monotonic clock in seconds, or None."""
        return self._config.since

    def receive_ip(self, buf, start, end, now):
        """A packet that came before the kernel was ready for it."""
        self.drops["packet before the interface is up"] = self.drops.get("packet before the interface is up", 0) + 1

    def up(self, settings, peer, now):
        """The link is up, see IpConfig.up(). Raises Declined when its sessions are not the kernel's."""
        self.down()
        plane = self._link.plane
        unit = getattr(plane, "unit", None)
        if unit is None:
            planes = [plane] if plane is not None else [each.link.plane for each in getattr(self._link, "members", ())]
            raise Declined(next((each.why for each in planes if each is not None), "the link came before it"))
        if self._ifname:
            unit.rename(self._ifname)
        self._config.quiet6(unit.name)
        unit.take()
        self._unit = unit
        fault = self._config.up(unit.name, settings, peer)
        if fault is not None:
            self.down()
        return fault

    def up6(self, settings, now):
        """IPv6 is up as well."""
        self._config.up6(settings)

    def down(self):
        """The link is down: take everything back."""
        self._config.down()
        if self._unit is not None:
            self._unit.give_back()
            self._unit = None

    def close(self):
        """There is no interface while the link is down."""
        self.down()

    def count(self):
        """Bring the counters of the sessions up to date."""
        if self._unit is not None:
            for each in self._unit.sessions:
                each.count()
