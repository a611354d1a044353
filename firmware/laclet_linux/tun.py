"""TUN interfaces above PPP links. Packets go one by one through the core, or many at a time by a Mover."""

import errno
import os

from laclet.fault import INTERFACE, Fault
from laclet.port import HEADROOM, frame_buffer

from .loop import READ
from .plane.headers import clamp_mss, finish_checksum
from .plane.tun import NEEDS_CSUM, VNET, open_tun

_SIZE = 65535  # no packet of the kernel is longer
_TCP = 40  # bytes of an IPv4 and a TCP header
_BATCH = 64  # packets read before others get their turn
_NO_OFFLOAD = bytes(VNET.size)


class TunInterface:
    """A TUN interface joined to ``link``. ``options``: a checked section [call.NAME] or [lns]; ``config``: an IpConfig.

    Raises OSError when the interface cannot be made. It is there from the beginning until ``close``, up or down.
    """

    def __init__(self, loop, options, link, config, log):
        self.drops = {}
        self._loop = loop
        self._link = link
        self._config = config
        self._log = log
        self._mss_clamp = options["mss_clamp"]
        self._mss = 0  # largest TCP segment over IPv4, while the link is up; 0 to leave SYNs alone
        self._carried = None  # what a Mover does for us, while it does
        self._buf = frame_buffer(_SIZE)
        self._tun = open_tun(options.get("ifname") or "laclet%d")
        self._tun.offload(False)
        self._extra = VNET.size if self._tun.vnet else 0
        self._room = [memoryview(self._buf)[HEADROOM - self._extra : HEADROOM + _SIZE]]
        self.name = self._tun.name
        config.quiet6(self.name)
        loop.watch(self._tun.fd, self._on_ready, READ)

    @property
    def since(self):
        """When the link came up, on the monotonic clock in seconds, or None."""
        return self._config.since

    @property
    def gone(self):
        """True when somebody has deleted the interface."""
        return self._tun.fd < 0

    def receive_ip(self, buf, start, end, now):
        """A packet that came out of the link."""
        if self._mss and end - start >= _TCP:
            clamp_mss(buf, start, end, self._mss)
        packet = memoryview(buf)[start:end]
        try:
            if self._extra:
                os.writev(self._tun.fd, (_NO_OFFLOAD, packet))
            else:
                os.write(self._tun.fd, packet)
        except OSError as error:
            self._drop("interface: " + (error.strerror or "error"))

    def up(self, settings, peer, now, mover=None):
        """The link is up, see IpConfig.up(). ``mover`` (a Mover) takes the packets as soon as it can."""
        self.down()
        fault = self._config.up(self.name, settings, peer)
        self._mss = settings["mtu"] - _TCP if self._mss_clamp else 0
        if fault is None and mover is not None:
            self._carried = mover.carry(self._link, self._tun, settings, self._mss, self)
        return fault

    def up6(self, settings, now):
        """IPv6 is up as well."""
        self._config.up6(settings)
        if self._carried is not None:
            self._carried.up6(settings)

    def down(self):
        """The link is down: take everything back."""
        if self._carried is not None:
            carried, self._carried = self._carried, None
            carried.end()
        self._config.down()

    def close(self):
        """Take everything back; the interface goes."""
        if self._tun.fd >= 0:
            self.down()
            self._loop.unwatch(self._tun.fd)
            self._tun.close()
            self._room = []  # a closed tunnel is remembered for a while, and its calls with it
            self._buf = bytearray()

    def count(self):
        """Bring the counters of the session up to date."""
        if self._carried is not None:
            self._carried.count(self.drops)

    # -- for a Mover ----------------------------------------------------------------------------------------

    def lend(self):
        """The packets are moved by somebody else from now on."""
        self._loop.unwatch(self._tun.fd)
        self._tun.offload(True)

    def take_back(self):
        """They are moved one by one again."""
        self._tun.offload(False)
        self._loop.watch(self._tun.fd, self._on_ready, READ)

    def lost(self, now):
        """Somebody has deleted the interface."""
        fault = Fault(INTERFACE, f"{self.name} was deleted")
        self.close()
        self._link.fail(fault, now)

    # -- one by one -----------------------------------------------------------------------------------------

    def _on_ready(self, events, now):
        tun = self._tun
        room = self._room
        buf = self._buf
        extra = self._extra
        send_ip = self._link.send_ip
        for _ in range(_BATCH):
            try:
                size = os.readv(tun.fd, room) - extra
            except BlockingIOError:
                return
            except OSError as error:
                self._drop("interface: " + (error.strerror or "error"))
                if error.errno == errno.EBADFD:
                    self.lost(now)
                return
            if extra and (buf[HEADROOM - extra] or buf[HEADROOM - extra + 1]) and not self._finished(size):
                continue
            if self._mss and size >= _TCP:
                clamp_mss(buf, HEADROOM, HEADROOM + size, self._mss)
            send_ip(buf, HEADROOM, HEADROOM + size, now)
            if tun.fd < 0 or self._carried is not None:
                return

    def _finished(self, size):
        """Do what the kernel has left to do, in a packet from the time when that was agreed; False: too much."""
        flags, kind, _, _, start, offset = VNET.unpack_from(self._buf, HEADROOM - self._extra)
        if kind or start + offset + 2 > size:
            self._drop("super-packet left over")
            return False
        if flags & NEEDS_CSUM:
            finish_checksum(self._buf, HEADROOM + start, HEADROOM + size, offset)
        return True

    def _drop(self, reason):
        self.drops[reason] = self.drops.get(reason, 0) + 1
