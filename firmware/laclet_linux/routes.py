"""Links, addresses and routes of IPv4, through netlink (pyroute2); ours are known by their protocol number."""

import errno
import os
import socket

# The origin of our routes (``ip route show proto 172``); the kernel leaves numbers from 128 on to programs.
PROTOCOL = 172
# A default route in two halves stands before one in a piece, whatever its metric.
_HALVES = ("0.0.0.0/1", "128.0.0.0/1")
_RTN_LOCAL = 2
_IFA_F_NODAD = 2  # the identifiers were negotiated to differ (RFC 5072 §5)


class RouteTable:
    """What the shell does to the kernel's tables; all methods raise OSError in plain words.

    Pinned routes carry our process id as their metric: so two services can pin the same address, each its own way, and
    what a killed one has left behind is found.
    """

    def __init__(self):
        try:
            from pyroute2 import IPRoute, NetlinkError
        except ImportError:
            raise OSError(errno.ENOENT, "pyroute2 is missing: pip install 'laclet[linux]'") from None
        self._error = NetlinkError
        self._netlink = IPRoute()
        self._pinned = {}  # address -> [users, route]
        self._sweep()

    def close(self):
        """Take back what is still pinned."""
        for address in list(self._pinned):
            self._pinned[address][0] = 1
            self.unpin(address)
        self._netlink.close()

    def index(self, name):
        """The number of an interface."""
        return socket.if_nametoindex(name)

    def up(self, index, local, remote, mtu):
        """Give a link its addresses (``remote`` may be None) and MTU, and bring it up."""
        self._do(self._netlink.link, "set", index=index, mtu=mtu, state="up")
        if remote is None:
            self._do(self._netlink.addr, "add", index=index, address=local, prefixlen=32)
        else:
            self._do(self._netlink.addr, "add", index=index, local=local, address=remote, prefixlen=32)

    def counters(self, index):
        """``(bytes sent into the interface, bytes received from it)``, by the kernel's count."""
        counted = self._do(self._netlink.link, "get", index=index)[0].get_attr("IFLA_STATS64")
        return counted["tx_bytes"], counted["rx_bytes"]

    def quiet6(self, name):
        """Let the kernel invent no IPv6 address for an interface: the link's own end decides on it."""
        _set6(name, "addr_gen_mode", "1")

    def up6(self, index, name, local):
        """Give a link that is up its link-local address; routers beyond it are asked and heard (SLAAC)."""
        _set6(name, "accept_ra", "2")
        self._do(
            self._netlink.addr,
            "add",
            index=index,
            family=socket.AF_INET6,
            address=local,
            prefixlen=64,
            flags=_IFA_F_NODAD,
        )

    def down(self, index):
        """Bring a link down, which takes its routes, and take its addresses."""
        self._do(self._netlink.link, "set", index=index, state="down")
        for each in self._do(self._netlink.get_addr, index=index, family=socket.AF_INET):
            ends = {"local": each.get_attr("IFA_LOCAL"), "address": each.get_attr("IFA_ADDRESS")}
            self._do(self._netlink.addr, "del", index=index, prefixlen=each["prefixlen"], **ends)

    def add(self, network, index, metric):
        """Route ``network`` into a link; it goes when the link goes down."""
        self._route("add", dst=network, oif=index, scope=253, **({"priority": metric} if metric else {}))

    def add_default(self, index, metric):
        """Make a link the default route, even where there is one already. False: there was, ours is before it."""
        try:
            self.add("0.0.0.0/0", index, metric)
        except FileExistsError:
            for half in _HALVES:
                self.add(half, index, metric)
            return False
        return True

    def pin(self, address):
        """Keep an address on the way it has now; words for the log, or None when it needs nothing."""
        if address in self._pinned:
            self._pinned[address][0] += 1
            return None
        way = self._do(self._netlink.route, "get", dst=address, family=socket.AF_INET)[0]
        if way["type"] == _RTN_LOCAL:
            return None
        gateway, link = way.get_attr("RTA_GATEWAY"), way.get_attr("RTA_OIF")
        route = {"dst": address + "/32", "oif": link, "priority": os.getpid()}
        if gateway is None:
            route["scope"] = 253
        else:
            route["gateway"] = gateway
        self._route("replace", **route)
        self._pinned[address] = [1, route]
        return f"{address} stays on {socket.if_indextoname(link)}" + (f" via {gateway}" if gateway else "")

    def unpin(self, address):
        """One user less of a pinned address; with the last, its route goes."""
        entry = self._pinned.get(address)
        if entry is None:
            return
        entry[0] -= 1
        if not entry[0]:
            del self._pinned[address]
            try:
                self._route("del", **entry[1])
            except OSError as error:
                if error.errno not in (errno.ESRCH, errno.ENODEV):  # gone with its interface
                    raise

    def _sweep(self):
        """Remove what services that are no more have pinned."""
        for route in self._do(self._netlink.get_routes, family=socket.AF_INET, proto=PROTOCOL):
            owner, address = route.get_attr("RTA_PRIORITY"), route.get_attr("RTA_DST")
            if owner and address and route["dst_len"] == 32 and not os.path.exists(f"/proc/{owner}"):
                self._route("del", dst=address + "/32", priority=owner, oif=route.get_attr("RTA_OIF"))

    def _route(self, command, **route):
        self._do(self._netlink.route, command, family=socket.AF_INET, proto=PROTOCOL, **route)

    def _do(self, function, *words, **attributes):
        try:
            return list(function(*words, **attributes) or ())
        except self._error as error:
            what = attributes.get("dst") or attributes.get("local") or attributes.get("address")
            words = os.strerror(error.code)
            raise OSError(error.code, f"{what}: {words}" if what else words) from None


def _set6(name, key, value):
    """Set an interface's IPv6 switch, where the kernel has IPv6."""
    try:
        with open(f"/proc/sys/net/ipv6/conf/{name}/{key}", "w", encoding="ascii") as file:
            file.write(value)
    except FileNotFoundError:
        pass
