"""Links, addresses, routes and rules in the kernel; ours are known by their protocol number."""

import errno
import os
import socket
import struct
import sys

from .netlink import CREATE, DUMP, EXCLUSIVE, REPLACE, Netlink, attributes_of, gone

# The origin of our routes (``ip route show proto 172``); the kernel leaves numbers from 128 on to programs.
PROTOCOL = 172
# Our rules stand before the main table's (32766), and behind what people write by hand with the first free number.
PRIORITY = 17_200
# A default route in two halves stands before one in a piece, whatever its metric.
_HALVES = ("0.0.0.0/1", "128.0.0.0/1")
_MAIN = 254
_UNIVERSE = 0  # scopes
_LINK = 253
_ANY = 255
_UNICAST = 1
_LOCAL = 2
_TO_TABLE = 1  # what a rule does
_IFA_F_NODAD = 2  # the identifiers were negotiated to differ (RFC 5072 §5)
_UP = 1  # flags of a link
_POINTOPOINT = 0x10

# linux/rtnetlink.h, if_link.h, if_addr.h, fib_rules.h
_NEWLINK, _GETLINK = 16, 18
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWRULE, _DELRULE = 32, 33
_IFLA_MTU, _IFLA_STATS64 = 4, 23
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_FRA_SRC, _FRA_PRIORITY, _FRA_FWMARK, _FRA_TABLE, _FRA_PROTOCOL = 2, 6, 10, 15, 21
_LINK_MESSAGE = struct.Struct("=BxHiII")  # family, type, index, flags, which of them change
_ADDRESS_MESSAGE = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index
_ROUTE_MESSAGE = struct.Struct("=BBBBBBBBI")  # family, bits of dst and src, tos, table, protocol, scope, type, flags


class RouteTable:
    """What the shell does to the kernel's tables; all methods raise OSError in plain words.

    ``state`` (a State) knows what would outlive us. Pinned routes carry our process id as their metric, so two services
    can pin the same address, each its own way.
    """

    def __init__(self, state):
        self._netlink = Netlink()
        self._state = state
        self._pinned = {}  # (address, table) -> [users, route]

    def close(self):
        """Take back what is still pinned."""
        for address, table in list(self._pinned):
            self._pinned[(address, table)][0] = 1
            self.unpin(address, table)
        self._netlink.close()

    # -- interfaces -----------------------------------------------------------------------------------------

    def index(self, name):
        """The number of an interface."""
        return socket.if_nametoindex(name)

    def up(self, index, local, remote, mtu):
        """Give a link its addresses (``remote`` may be None) and MTU, and bring it up."""
        self._link(index, _UP, ((_IFLA_MTU, _number(mtu)),))
        ends = ((_IFA_LOCAL, _v4(local)), (_IFA_ADDRESS, _v4(remote or local)))
        self._do(local, _NEWADDR, CREATE | EXCLUSIVE, _ADDRESS_MESSAGE.pack(socket.AF_INET, 32, 0, 0, index), ends)

    def rival(self, address):
        """The name of a link between two ends that has ``address`` as its own; None.

        On a network's interface it is no harm: a link without a number of its own borrows one.
        """
        for each in self._do(None, _GETADDR, DUMP, _ADDRESS_MESSAGE.pack(socket.AF_INET, 0, 0, 0, 0)):
            index = _ADDRESS_MESSAGE.unpack_from(each)[4]
            if attributes_of(each, _ADDRESS_MESSAGE.size).get(_IFA_LOCAL) == _v4(address):
                (link,) = self._do(None, _GETLINK, 0, _LINK_MESSAGE.pack(0, 0, index, 0, 0))
                if _LINK_MESSAGE.unpack_from(link)[3] & _POINTOPOINT:
                    return socket.if_indextoname(index)
        return None

    def counters(self, index):
        """``(bytes sent into the interface, bytes received from it)``, by the kernel's count."""
        (answer,) = self._do(None, _GETLINK, 0, _LINK_MESSAGE.pack(0, 0, index, 0, 0))
        counted = attributes_of(answer, _LINK_MESSAGE.size)[_IFLA_STATS64]
        _, _, received, sent = struct.unpack_from("=QQQQ", counted)
        return sent, received

    def quiet6(self, name):
        """Let the kernel invent no IPv6 address for an interface: the link's own end decides on it."""
        _set6(name, "addr_gen_mode", "1")

    def up6(self, index, name, local):
        """Give a link that is up its link-local address; routers beyond it are asked and heard (SLAAC)."""
        _set6(name, "accept_ra", "2")
        fixed = _ADDRESS_MESSAGE.pack(socket.AF_INET6, 64, 0, _LINK, index)
        address = socket.inet_pton(socket.AF_INET6, local)
        attributes = ((_IFA_LOCAL, address), (_IFA_ADDRESS, address), (_IFA_FLAGS, _number(_IFA_F_NODAD)))
        self._do(local, _NEWADDR, CREATE | EXCLUSIVE, fixed, attributes)

    def down(self, index):
        """Bring a link down, which takes its routes, and take its addresses."""
        self._link(index, 0, ())
        for each in self._do(None, _GETADDR, DUMP, _ADDRESS_MESSAGE.pack(socket.AF_INET, 0, 0, 0, 0)):
            family, prefix, _, _, of = _ADDRESS_MESSAGE.unpack_from(each)
            if of == index:
                ends = attributes_of(each, _ADDRESS_MESSAGE.size)
                ends = [(kind, ends[kind]) for kind in (_IFA_LOCAL, _IFA_ADDRESS) if kind in ends]
                self._do(None, _DELADDR, 0, _ADDRESS_MESSAGE.pack(family, prefix, 0, 0, index), ends)

    def _link(self, index, flags, attributes):
        self._do(None, _NEWLINK, 0, _LINK_MESSAGE.pack(0, 0, index, flags, _UP), attributes)

    # -- routes ---------------------------------------------------------------------------------------------

    def add(self, network, index, metric, table=0):
        """Route ``network`` into a link; it goes when the link goes down. ``table`` 0 is the main one."""
        route = {"dst": network, "link": index, "metric": metric, "table": table}
        self._route(_NEWROUTE, CREATE | EXCLUSIVE, **route)

    def add_default(self, index, metric, table=0):
        """Make a link the default route, even where there is one already. False: there was, ours is before it."""
        try:
            self.add("0.0.0.0/0", index, metric, table)
        except FileExistsError:
            for half in _HALVES:
                self.add(half, index, metric, table)
            return False
        return True

    def pin(self, address, table=0):
        """Keep an address on the way it has now, in ``table`` too; words for the log, or None if it needs nothing."""
        key = (address, table)
        if key in self._pinned:
            self._pinned[key][0] += 1
            return None
        fixed = _ROUTE_MESSAGE.pack(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0)
        (way,) = self._do(address, _GETROUTE, 0, fixed, ((_RTA_DST, _v4(address)),))
        if _ROUTE_MESSAGE.unpack_from(way)[7] == _LOCAL:
            return None
        found = attributes_of(way, _ROUTE_MESSAGE.size)
        gateway = socket.inet_ntoa(found[_RTA_GATEWAY]) if _RTA_GATEWAY in found else None
        link = int.from_bytes(found[_RTA_OIF], sys.byteorder)
        route = {"dst": address + "/32", "link": link, "gateway": gateway, "metric": os.getpid(), "table": table}
        self._state.add("route", route)
        self._route(_NEWROUTE, CREATE | REPLACE, **route)
        self._pinned[key] = [1, route]
        return f"{address} stays on {socket.if_indextoname(link)}" + (f" via {gateway}" if gateway else "")

    def unpin(self, address, table=0):
        """One user less of a pinned address; with the last, its route goes."""
        entry = self._pinned.get((address, table))
        if entry is None:
            return
        entry[0] -= 1
        if not entry[0]:
            del self._pinned[(address, table)]
            self.remove("route", entry[1])

    def add_rule(self, table, source=None, mark=0):
        """Let packets from ``source`` (a network), or with the firewall ``mark``, look in ``table``: for remove()."""
        rule = {"table": table, "source": source, "mark": mark}
        self._state.add("rule", rule)
        self._rule(_NEWRULE, CREATE | EXCLUSIVE, **rule)
        return rule

    def remove(self, kind, what):
        """Take back a ``route`` or ``rule`` of ours, or of one that was killed; it may be gone by itself."""
        try:
            if kind == "route":
                self._route(_DELROUTE, 0, **what)
            else:
                self._rule(_DELRULE, 0, **what)
        except OSError as error:
            if not gone(error):
                raise
        self._state.discard(kind, what)

    # -- messages -------------------------------------------------------------------------------------------

    def _route(self, message, flags, dst, link, gateway=None, metric=0, table=0):
        network, bits = _network(dst)
        scope = _ANY if message == _DELROUTE else _UNIVERSE if gateway else _LINK
        fixed = _ROUTE_MESSAGE.pack(*(socket.AF_INET, bits, 0, 0, _low(table or _MAIN), PROTOCOL, scope, _UNICAST, 0))
        attributes = [(_RTA_DST, network), (_RTA_OIF, _number(link))]
        attributes.append((_RTA_TABLE, _number(table or _MAIN)))
        if gateway:
            attributes.append((_RTA_GATEWAY, _v4(gateway)))
        if metric:
            attributes.append((_RTA_PRIORITY, _number(metric)))
        self._do(dst, message, flags, fixed, attributes)

    def _rule(self, message, flags, table, source, mark):
        network, bits = _network(source) if source else (b"", 0)
        fixed = _ROUTE_MESSAGE.pack(*(socket.AF_INET, 0, bits, 0, _low(table), 0, 0, _TO_TABLE, 0))
        attributes = [(_FRA_TABLE, _number(table)), (_FRA_PRIORITY, _number(PRIORITY))]
        attributes.append((_FRA_PROTOCOL, bytes((PROTOCOL,))))
        if bits:
            attributes.append((_FRA_SRC, network))
        if mark:
            attributes.append((_FRA_FWMARK, _number(mark)))
        self._do(f"rule for table {table}", message, flags, fixed, attributes)

    def _do(self, about, message, flags, fixed, attributes=()):
        try:
            return self._netlink.call(message, flags, fixed, attributes)
        except OSError as error:
            words = f"{about}: {error.strerror}" if about else f"{error.strerror}"
            if error.errno == errno.EPERM:
                words += " (run it as root, or with CAP_NET_ADMIN)"
            elif error.errno == errno.EEXIST and message == _NEWROUTE:
                words += " (another link has this route: give each its own metric)"
            elif error.errno == errno.ENETUNREACH and message == _GETROUTE:
                words += " (there is no way to it but the tunnel)"
            raise OSError(error.errno, words) from None


def _number(value):
    return struct.pack("=I", value)


def _low(table):
    """A table's number where there is room for one byte only."""
    return table if table < 256 else 0


def _network(text):
    """``(address, bits)`` of ``192.0.2.0/24``."""
    address, _, bits = text.partition("/")
    return _v4(address), int(bits)


def _v4(address):
    return socket.inet_aton(address)


def _set6(name, key, value):
    """Set an interface's IPv6 switch, where the kernel has IPv6."""
    try:
        with open(f"/proc/sys/net/ipv6/conf/{name}/{key}", "w", encoding="ascii") as file:
            file.write(value)
    except FileNotFoundError:
        pass
