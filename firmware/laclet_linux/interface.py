"""Interfaces that need no kernel: a host that answers pings, and none at all."""

from laclet.ip.host import Host


class EchoInterface(Host):
    """The IP side of a link that only answers pings; needs no root."""

    name = None

    def up(self, settings, peer, now):
        """The link is up with ``settings``."""
        self.address = settings["local"]

    def up6(self, settings, now):
        """IPv6 is up: nobody answers there."""

    def count(self):
        """The session has counted everything itself."""

    def down(self):
        """The link is down."""
        self.address = bytes(4)

    def close(self):
        """Nothing to give back."""


class NoInterface:
    """Stands in where an interface could not be had: the link is closed as soon as it is up, with ``fault``."""

    name = None

    def __init__(self, fault):
        self.fault = fault

    def receive_ip(self, buf, start, end, now):
        """Nobody is there."""

    def up(self, settings, peer, now):
        """Send the peer away."""
        return self.fault

    def up6(self, settings, now):
        """Nor for IPv6."""

    def count(self):
        """There is nothing to count."""

    def down(self):
        """Nothing to take back."""

    def close(self):
        """Nothing to give back."""
