"""The IP side of a PPP link where the system has no interface for it: a small host of our own, which answers pings."""

from laclet.ip.host import Host


class Interface(Host):
    """See ``open_interface`` in docs/architecture.md."""

    def up(self, settings, peer, now):
        """IPCP is done."""
        self.address = settings["local"]

    def down(self):
        """The link is down."""
        self.address = b"\0\0\0\0"

    def close(self):
        """Nothing to give back."""
